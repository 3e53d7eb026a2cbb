//! Servers: their addresses, health, places and connections. Pure mechanism: who gets a request is
//! decided elsewhere, and this folder does not know that plugins exist.

mod agent;
mod backend_state;
mod connect;
mod gather;
mod h2;
mod health;
mod history;
mod load;
mod place;
mod pool;
mod probe;
mod queue;
mod room;
mod server;
mod server_state;
mod sessions;
mod share;
mod standing;
mod traffic;

pub use agent::{AgentError, follow_agent};
pub use backend_state::BackendState;
pub use connect::{ConnectError, connect};
pub use h2::{StreamPool, StreamSlot};
pub use health::{CheckEvent, Health, Transition, watch};
pub use history::LastCheck;
pub use load::LoadList;
pub use place::Place;
pub use pool::{Pool, PoolKey};
pub use probe::{CheckFailure, Passed};
pub use queue::QueueError;
pub use room::{InRoom, Room};
pub use server::{Server, ServerAddress, eligible};
pub use server_state::ServerState;
pub use share::Grain;
pub use standing::Hindrance;
pub use traffic::Seen;
