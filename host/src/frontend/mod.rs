//! One connection, one request, from the first byte to the log line. `exchange` is the place to start
//! reading; `policy` is the one place that asks plugins.

mod accept;
mod answer;
mod asking;
mod caching;
mod client;
mod clock;
mod compress;
mod connection;
mod conversation;
mod door;
mod download;
mod edits;
mod error;
mod exchange;
mod facts;
mod forwarded;
mod gate;
mod generation;
mod h2;
mod introduce;
mod live;
mod noted;
mod notes;
mod passing;
mod pieces;
mod policy;
mod reach;
mod recall;
mod record;
mod relay;
mod rollout;
mod secure;
mod sending;
mod session;
mod side;
mod sources;
mod splicing;
mod staged;
mod stories;
mod talk;
mod tarpit;
mod tell;
mod transfer;
mod tunnel;
mod upload;
mod worker;

pub use accept::accept;
pub use caching::Caching;
pub use compress::Compressing;
pub use gate::Gate;
pub use generation::{
    Backend, Filter, Frontend, Generation, Inspect, ListenerUse, LocalGeneration, PluginUse,
    judges_connections,
};
pub use live::UsableCount;
pub use policy::Shadow;
pub use rollout::{
    Figures, Growth, NextPart, NextUse, Picks, Progress, Rollout, Standing, Terms, Version,
};
pub use sources::Sources;
pub use staged::{BadGiven, StagedExchange};
pub use stories::{Busy, KeptStory, Recording, Stories};
pub use tell::uses;
pub use worker::{ProcessState, Worker};
