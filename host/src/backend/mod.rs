//! Servers: their addresses, health, places and connections. Pure mechanism: who gets a request is
//! decided elsewhere, and this folder does not know that plugins exist.

mod connect;
mod health;
mod pool;
mod queue;
mod server;
mod standing;

pub use connect::{ConnectError, connect};
pub use health::{CheckEvent, CheckFailure, Health, Passed, Transition, watch};
pub use pool::{Pool, PoolKey};
pub use queue::QueueError;
pub use server::{BackendState, Place, Server, ServerAddress, ServerState};
pub use standing::Hindrance;
