//! Agents: programs beside a server that say in a line of text how it is, over TCP. HAProxy's
//! `agent-check`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{Hindrance, Server};
use crate::{config, net::FirstWord};

/// Longer lines make no sense.
const LONGEST_LINE: usize = 1_024;

/// What an agent wants, as far as it said anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Of the weight.
    percent: Option<u32>,
    limit: Option<u32>,
    /// Up or down.
    up: Option<bool>,
    admin: Option<Admin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admin {
    Ready,
    Drain,
    Maintenance,
}

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the agent cannot be asked")]
    Io(#[from] io::Error),
    #[error("the agent did not answer within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the agent said what is not understood: `{word}`")]
    Unknown { word: String },
    #[error("the server has no address for an agent")]
    Nowhere,
}

/// Reads a line such as `up 75%` or `drain maxconn:30 # too hot`. Words are separated by blanks, tabs
/// and commas; what follows `#` is for people.
fn read(line: &str) -> Result<Wishes, AgentError> {
    let mut wishes = Wishes::default();
    let said = line.split('#').next().unwrap_or_default();
    for word in said
        .split([' ', '\t', ',', '\r'])
        .filter(|word| !word.is_empty())
    {
        let unknown = || AgentError::Unknown {
            word: word.chars().take(40).collect(),
        };
        match word.to_ascii_lowercase().as_str() {
            "up" => wishes.up = Some(true),
            "down" | "failed" | "stopped" => wishes.up = Some(false),
            "ready" => wishes.admin = Some(Admin::Ready),
            "drain" => wishes.admin = Some(Admin::Drain),
            "maint" => wishes.admin = Some(Admin::Maintenance),
            word => {
                if let Some(percent) = word.strip_suffix('%') {
                    let percent: u32 = percent.parse().map_err(|_| unknown())?;
                    wishes.percent = Some(percent.min(25_600));
                } else if let Some(limit) = word.strip_prefix("maxconn:") {
                    wishes.limit = Some(limit.parse().map_err(|_| unknown())?);
                } else {
                    return Err(unknown());
                }
            }
        }
    }
    Ok(wishes)
}

/// Asks for ever and does what the agent says. `tell` hears of changes and of trouble, once each; an
/// agent that cannot be asked changes nothing.
pub async fn follow_agent(
    server: Arc<Server>,
    agent: config::Agent,
    mut tell: impl FnMut(Result<String, &AgentError>),
) {
    let mut ticks = interval_at(Instant::now(), agent.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let asked = timeout(agent.timeout, ask(&server, &agent)).await;
        let answer = asked.unwrap_or(Err(AgentError::TimedOut {
            limit: agent.timeout,
        }));
        match answer {
            Ok(line) => match read(&line) {
                Ok(wishes) => {
                    failing = false;
                    if server.obey(&wishes) {
                        tell(Ok(line.trim().to_owned()));
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tell(Err(&error));
                    }
                }
            },
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tell(Err(&error));
                }
            }
        }
    }
}

async fn ask(server: &Server, agent: &config::Agent) -> Result<String, AgentError> {
    let there = server.socket_address(0);
    let address = agent.endpoint.address.or(there.map(|address| address.ip()));
    let port = agent.endpoint.port.or(there.map(|address| address.port()));
    let (Some(address), Some(port)) = (address, port) else {
        return Err(AgentError::Nowhere);
    };
    let mut stream = server
        .origin
        .connect_tcp(SocketAddr::new(address, port), FirstWord::Theirs)
        .await?;
    stream.write_all(agent.send.as_bytes()).await?;
    let mut line = Vec::new();
    let mut piece = [0; 256];
    while line.len() < LONGEST_LINE && !line.contains(&b'\n') {
        match stream.read(&mut piece).await? {
            0 => break,
            read => line.extend_from_slice(&piece[..read]),
        }
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

impl Server {
    /// As if no agent had ever said anything.
    pub fn forget_agent(&self) {
        self.state.set_agents_percent(100);
        self.state.set_agents_limit(u32::MAX);
        for hindrance in [
            Hindrance::AgentDown,
            Hindrance::AgentDrain,
            Hindrance::AgentMaintenance,
        ] {
            self.state.set(hindrance, false);
        }
    }

    /// Returns whether anything changed.
    fn obey(&self, wishes: &Wishes) -> bool {
        let state = &self.state;
        let mut changed = false;
        if let Some(percent) = wishes.percent {
            changed |= state.set_agents_percent(percent);
        }
        if let Some(limit) = wishes.limit {
            changed |= state.set_agents_limit(limit);
        }
        if let Some(up) = wishes.up {
            changed |= state.set(Hindrance::AgentDown, !up);
        }
        if let Some(admin) = wishes.admin {
            changed |= state.set(Hindrance::AgentDrain, admin == Admin::Drain);
            changed |= state.set(Hindrance::AgentMaintenance, admin == Admin::Maintenance);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_several_things_at_once() {
        let wishes = read("up, 75%\tmaxconn:30 ready # all is well 5%").unwrap();
        assert_eq!(
            wishes,
            Wishes {
                percent: Some(75),
                limit: Some(30),
                up: Some(true),
                admin: Some(Admin::Ready),
            }
        );
        assert_eq!(read("").unwrap(), Wishes::default());
        assert_eq!(read("stopped").unwrap().up, Some(false));
        assert_eq!(read("MAINT").unwrap().admin, Some(Admin::Maintenance));
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        for line in ["hello", "x%", "maxconn:", "up and away", "-5%"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
