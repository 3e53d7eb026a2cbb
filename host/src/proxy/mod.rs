//! The process: starting, building generations, swapping them under traffic, draining.
//!
//! One control thread runs all of this; the data path sees only finished generations.

mod acme;
mod admin;
mod admin_caches;
mod admin_counters;
mod admin_rollouts;
mod admin_servers;
mod assemble;
mod care;
mod checks;
mod listeners;
mod names;
mod notify;
mod privileges;
mod registry;
mod rollouts;
mod run;
mod source;
mod upgrade;
mod watch;
mod workers;

pub use assemble::{BuildError, BuildErrors, with_cause};
pub use run::{RunError, check, run};
pub use source::{Ending, Source};
