//! The one place that asks plugins, and the rules for when they fail.
//!
//! A filter that fails denies or is skipped, as its use says. A balancer or persistence plugin that
//! fails is asked once more as a fresh instance; then the balancer of the generation before is asked;
//! then there is no server. The proxy has no balancing of its own.

mod alike;
mod balancer;
mod filters;
mod instance;
mod known;
mod next;
pub mod offloaded;
mod persistence;
mod shadow;

pub use self::{
    alike::Difference,
    balancer::{LocalBalancer, Pick, observe, pick, wants_outcomes},
    filters::{on_connection, on_request, on_response},
    instance::LocalPlugin,
    persistence::{assigned, lookup},
    shadow::Shadow,
};

/// A plugin gave no usable answer, and what it failed at is already logged and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;
