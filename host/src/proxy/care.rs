//! What is done for servers beside checking them: slow start, agents, who follows whom.

use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    task::{JoinHandle, spawn_local},
    time::{Instant, MissedTickBehavior, interval},
};

use super::assemble::with_cause;
use crate::{
    backend::{Server, ServerState, follow_agent},
    config::{self, Agent, Config, LogLevel},
    frontend::Generation,
    telemetry::LogHub,
};

/// A share grows in so many steps, unless these would be too short or too long.
const STEPS: u32 = 50;
const SHORTEST_STEP: Duration = Duration::from_millis(20);
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// What goes on for the servers of the current generation.
#[derive(Debug, Default)]
pub struct Care {
    warming: Option<Task>,
    /// By the server's key.
    agents: HashMap<u64, (Agent, Task)>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Care {
    /// Does for the servers of `config` what it says. Agents that stay are asked on undisturbed.
    pub fn follow(&mut self, config: &Config, generation: &Generation, log: &Rc<LogHub>) {
        let mut slow = Vec::new();
        let mut before = std::mem::take(&mut self.agents);
        for (config, backend) in config.backends.iter().zip(&generation.backends) {
            for (config, server) in config.servers.iter().zip(&backend.servers) {
                let state = &server.state;
                state.set_slow_start(config.conduct.slow_start.is_some());
                state.set_ends_sessions(config.conduct.shutdown_when_down);
                if let Some(whole) = config.conduct.slow_start {
                    slow.push(Warming::new(Arc::clone(state), whole));
                }
                if let Some(agent) = &config.conduct.agent {
                    let running = match before.remove(&state.key()) {
                        Some((same, task)) if same == *agent => task,
                        _ => ask(server, agent, backend.name.as_str(), log),
                    };
                    self.agents.insert(state.key(), (agent.clone(), running));
                }
            }
            relieve_backups(config, &backend.servers);
        }
        // What an agent said goes with it.
        for server in generation.backends.iter().flat_map(|b| &b.servers) {
            if before.remove(&server.state.key()).is_some() {
                server.forget_agent();
            }
        }
        follow_tracked(config, generation);
        self.warming = (!slow.is_empty()).then(|| Task(spawn_local(warm(slow))));
    }

    pub fn stop(&mut self) {
        *self = Self::default();
    }
}

fn ask(server: &Server, agent: &Agent, backend: &str, log: &Rc<LogHub>) -> Task {
    let name = format!("{backend}/{}", server.name);
    let log = Rc::clone(log);
    let tell = move |said: Result<String, &crate::backend::AgentError>| match said {
        Ok(line) => log.event(
            LogLevel::Notice,
            format!("Server {name}: its agent says `{}`", line.escape_debug()),
        ),
        Err(error) => log.event(
            LogLevel::Warning,
            format!("Server {name}: {}; nothing changes", with_cause(error)),
        ),
    };
    Task(spawn_local(follow_agent(
        Arc::new(server.clone()),
        agent.clone(),
        tell,
    )))
}

/// Tells servers whose return ends the sessions on backup servers which these are.
fn relieve_backups(config: &config::Backend, servers: &[Server]) {
    let backups: Vec<_> = servers
        .iter()
        .filter(|server| server.backup)
        .map(|server| Arc::clone(&server.state))
        .collect();
    for (config, server) in config.servers.iter().zip(servers) {
        match config.conduct.shutdown_backups_when_up && !server.backup {
            true => server.state.set_relieves(&backups),
            false => server.state.set_relieves(&[]),
        }
    }
}

/// Tells servers who tracks them.
fn follow_tracked(config: &Config, generation: &Generation) {
    let mut followers: HashMap<(&str, &str), Vec<Arc<ServerState>>> = HashMap::new();
    for (config, backend) in config.backends.iter().zip(&generation.backends) {
        for (config, server) in config.servers.iter().zip(&backend.servers) {
            if let Some(track) = &config.conduct.track {
                let tracked = (track.backend.as_str(), track.server.as_str());
                let followers = followers.entry(tracked).or_default();
                followers.push(Arc::clone(&server.state));
            }
        }
    }
    for backend in &generation.backends {
        for server in &backend.servers {
            let key = (backend.name.as_str(), server.name.as_str());
            let followers = followers.remove(&key).unwrap_or_default();
            server.state.set_followers(&followers);
        }
    }
}

/// A server that starts slowly.
struct Warming {
    state: Arc<ServerState>,
    whole: Duration,
    /// Since when it has been up after being down.
    since: Option<Instant>,
}

impl Warming {
    fn new(state: Arc<ServerState>, whole: Duration) -> Self {
        Self {
            state,
            whole,
            since: None,
        }
    }

    fn step(&mut self) {
        if !self.state.is_up() || !self.state.is_cold() {
            self.since = None;
            return;
        }
        // It may have begun under a former generation.
        let done = self.whole.mul_f64(self.state.warmth());
        let since = *self.since.get_or_insert_with(|| {
            let now = Instant::now();
            now.checked_sub(done).unwrap_or(now)
        });
        self.state
            .warm_to(since.elapsed().as_secs_f64() / self.whole.as_secs_f64());
    }
}

async fn warm(mut servers: Vec<Warming>) {
    let shortest = servers.iter().map(|server| server.whole).min();
    let step = shortest.unwrap_or(LONGEST_STEP) / STEPS;
    let mut steps = interval(step.clamp(SHORTEST_STEP, LONGEST_STEP));
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        servers.iter_mut().for_each(Warming::step);
    }
}
