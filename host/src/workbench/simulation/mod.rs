//! `weir plugin simulate`: a balancer in a world that can be played again. The very component that the proxy
//! runs is asked; servers, clients, failures and the clock are made up, and the same seed gives the same
//! run to the last pick.
//!
//! What is played is written in [`crate::config::scenario`].

mod dice;
mod figures;
mod plot;
mod requests;
mod world;

use crate::{
    frontend::BadGiven,
    plugin::{CallError, LoadError},
};

pub use figures::{Figures, ServerFigures, table};
pub use plot::{PlotError, plot};
pub use world::{Playing, play};

/// Why a scenario could not be played.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("{plugin} is no balancer: it exports {roles}")]
    NoBalancer { plugin: String, roles: String },
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("request {request}: {source}")]
    Call { request: u64, source: CallError },
    #[error("request {request}: {source}")]
    Request { request: u64, source: BadGiven },
}
