//! What an operator changes while the proxy runs, whichever door the wish came through: servers' states,
//! weights, limits and addresses. Everything that is done here is in the log.

use std::net::SocketAddr;

use crate::{
    backend::{Hindrance, Server, ServerAddress},
    config::{AdminState, LogLevel},
    frontend::{Backend, Generation},
    telemetry::LogHub,
};

/// Heaviest a server can be, as in the file.
pub const HEAVIEST: u32 = 256;

/// No server is meant by `backend/server`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    Backend,
    Server,
}

/// The server that two names mean.
pub fn find<'g>(
    generation: &'g Generation,
    backend: &str,
    server: &str,
) -> Result<(&'g Backend, &'g Server), NotFound> {
    let mut backends = generation.backends.iter();
    let backend = backends.find(|known| known.name.as_str() == backend);
    let backend = backend.ok_or(NotFound::Backend)?;
    let mut servers = backend.servers.iter();
    let server = servers.find(|known| known.name.as_str() == server);
    Ok((backend, server.ok_or(NotFound::Server)?))
}

/// What is to become of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    State(AdminState),
    /// `None`: the file's.
    Weight(Option<u32>),
    /// Exchanges it takes at a time; `None`: the file's.
    Limit(Option<u32>),
    Address(SocketAddr),
}

/// Does it at once, for all workers. It outlives reloads as long as the server keeps its name and the address
/// that it has in the file.
pub fn change(log: &LogHub, backend: &Backend, server: &Server, change: Change) {
    let state = &server.state;
    let done = match change {
        Change::State(wanted) => {
            // What is left out first, so that a server in maintenance is not given clients in between.
            state.set(Hindrance::Drain, wanted == AdminState::Drain);
            state.set(Hindrance::Maintenance, wanted == AdminState::Maintenance);
            match wanted {
                AdminState::Ready => "is enabled".to_owned(),
                AdminState::Drain => "drains".to_owned(),
                AdminState::Maintenance => "is disabled".to_owned(),
            }
        }
        Change::Weight(weight) => {
            state.set_weight(weight);
            format!("has weight {}", state.weight(server.weight))
        }
        Change::Limit(limit) => {
            state.set_limit(limit);
            match state.limit(server.limit) {
                Some(limit) => format!("takes {limit} exchanges at a time"),
                None => "takes any number of exchanges at a time".to_owned(),
            }
        }
        Change::Address(address) => {
            state.set_resolved(Some(address));
            format!("is at {address} now")
        }
    };
    let text = format!(
        "Server {}/{} {done} by an administrator",
        backend.name, server.name
    );
    log.event(LogLevel::Notice, text);
}

/// Whether the server has an address that could be another one.
pub fn can_move(server: &Server) -> bool {
    match server.address {
        ServerAddress::Ip(_) | ServerAddress::Name { .. } => true,
        ServerAddress::Unix(_) | ServerAddress::ClientPort(_) | ServerAddress::Statistics => false,
    }
}

/// Part of a weight, as much as there can be.
pub fn part_of(weight: u32, percent: u32) -> u32 {
    let part = u64::from(weight) * u64::from(percent) / 100;
    u32::try_from(part).unwrap_or(u32::MAX)
}

/// How a server stands, in a word: what weighs most.
pub fn standing(server: &Server) -> &'static str {
    let names = [
        (Hindrance::Maintenance, "maintenance"),
        (Hindrance::AgentMaintenance, "maintenance"),
        (Hindrance::Unresolved, "unresolved"),
        (Hindrance::Unhealthy, "down"),
        (Hindrance::AgentDown, "down"),
        (Hindrance::Drain, "drain"),
        (Hindrance::AgentDrain, "drain"),
    ];
    let mut found = names
        .iter()
        .filter(|(hindrance, _)| server.state.has(*hindrance));
    match found.next() {
        Some((_, name)) => name,
        None if server.state.is_cold() => "starting",
        None => "up",
    }
}
