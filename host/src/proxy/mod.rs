//! The process: starting, building generations, swapping them under traffic, draining.
//!
//! One control thread runs all of this; the data path sees only finished generations.

mod acme;
mod additions;
mod admin;
mod admin_caches;
mod admin_counters;
mod admin_figures;
mod admin_maps;
mod admin_orders;
mod admin_rollouts;
mod admin_servers;
mod admin_stats;
mod admin_why;
mod assemble;
mod care;
mod checks;
mod doors;
mod listeners;
mod map_desk;
mod names;
mod notify;
mod operate;
mod orders;
mod privileges;
mod registry;
mod rollouts;
mod run;
mod runtime;
mod source;
mod stats;
mod steps;
mod upgrade;
mod watch;
mod workers;

pub use assemble::{BuildError, BuildErrors, with_cause};
pub use run::{RunError, check, run};
pub use source::{Ending, Source};
