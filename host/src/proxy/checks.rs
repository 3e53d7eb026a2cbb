//! The active checks that are running, one task per checked server.

use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use tokio::task::{JoinHandle, spawn_local};

use crate::{
    backend::{CheckEvent, Health, Hindrance, LastCheck, Server, Transition, watch},
    config::{Check, Config, LogLevel, Observe, Reach},
    frontend::{Backend, Generation},
    telemetry::LogHub,
};

/// The first checks of a generation begin within this time at the latest, however long the interval.
const SPREAD: Duration = Duration::from_secs(2);

/// Running checks by the server's key.
#[derive(Debug, Default)]
pub struct Checks {
    running: HashMap<u64, Running>,
}

#[derive(Debug)]
struct Running {
    check: Check,
    /// What else the check goes by.
    observe: Option<Observe>,
    reach: Reach,
    server: Arc<Server>,
    task: JoinHandle<()>,
}

impl Running {
    /// Whether `server` is connected to as when the checks began.
    fn is_connected_as(&self, server: &Server) -> bool {
        let connector = |server: &Server| server.tls.as_ref().map(|tls| tls.number());
        connector(&self.server) == connector(server)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Checks {
    /// Starts and stops checks so that those of `config` run. A check that stays goes on undisturbed.
    pub fn follow(&mut self, config: &Config, generation: &Arc<Generation>, log: &Rc<LogHub>) {
        let mut before = std::mem::take(&mut self.running);
        let wanted: Vec<_> = config
            .backends
            .iter()
            .zip(&generation.backends)
            .enumerate()
            .flat_map(|(index, (config, backend))| {
                let servers = config.servers.iter().zip(&backend.servers);
                servers.map(move |(config, server)| (index, config, server))
            })
            .filter_map(|(index, config, server)| {
                Some((index, config.check.clone()?, config, server))
            })
            .collect();
        let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX).max(1);
        for (position, (backend, check, config, server)) in (0..).zip(wanted) {
            let key = server.state.key();
            match before.remove(&key) {
                Some(same)
                    if same.check == check
                        && same.observe == config.conduct.observe
                        && same.reach == config.reach
                        && same.is_connected_as(server) =>
                {
                    self.running.insert(key, same);
                }
                other => {
                    drop(other);
                    let health = match server.state.has(Hindrance::Unhealthy) {
                        false => Health::Unchecked,
                        true => Health::Down { successes: 0 },
                    };
                    let first = check.interval.min(SPREAD) * position / count;
                    let server = Arc::new(server.clone());
                    let report = reporter(Arc::clone(generation), backend, Rc::clone(log));
                    let task = watch(Arc::clone(&server), check.clone(), health, first, report);
                    let running = Running {
                        check,
                        observe: config.conduct.observe,
                        reach: config.reach.clone(),
                        server,
                        task: spawn_local(task),
                    };
                    self.running.insert(key, running);
                }
            }
        }
        // What is not checked any more counts as up; one that tracks another is told of it after this.
        for stopped in before.into_values() {
            stopped.server.state.set_up(true);
        }
    }

    pub fn stop(&mut self) {
        self.running.clear();
    }
}

/// Tells the log about changes, in the words that HAProxy's users look for.
fn reporter(
    generation: Arc<Generation>,
    backend: usize,
    log: Rc<LogHub>,
) -> impl FnMut(CheckEvent<'_>) {
    move |event| {
        let last = LastCheck::new(event.result, event.took, event.health);
        event.server.state.history().checked(last);
        let backend = &generation.backends[backend];
        let name = &event.server.name;
        let position = backend
            .servers
            .iter()
            .position(|server| server.name == *name);
        if let Some(metrics) = position.map(|position| &backend.server_metrics[position]) {
            match event.result {
                Ok(_) => metrics.check_passed(),
                Err(_) => metrics.check_failed(),
            }
            if event.transition == Some(Transition::WentDown) {
                metrics.went_down();
            }
        }
        let Some(transition) = event.transition else {
            return;
        };
        let up = |backup: bool| {
            let servers = backend.servers.iter();
            let able = servers.filter(|s| s.backup == backup && s.state.is_up());
            able.count()
        };
        let (up, backups) = (up(false), up(true));
        let name = format!("{}/{}", backend.name, event.server.name);
        let took = event.took.as_millis();
        let reason = match event.result {
            Ok(passed) => passed.to_string(),
            Err(failure) => failure.to_string(),
        };
        match transition {
            Transition::WentUp => log.event(
                LogLevel::Notice,
                format!(
                    "Server {name} is UP, reason: {reason}, check duration: {took}ms. {up} active and \
                     {backups} backup servers online. 0 sessions requeued, {} total in queue.",
                    backend.state.queued()
                ),
            ),
            Transition::WentDown => {
                log.event(
                    LogLevel::Alert,
                    format!(
                        "Server {name} is DOWN, reason: {reason}, check duration: {took}ms. {up} active \
                         and {backups} backup servers left. {} sessions active, 0 requeued, {} remaining in queue.",
                        event.server.state.active(),
                        backend.state.queued()
                    ),
                );
                if up + backups == 0 {
                    no_server_left(backend, &log);
                }
            }
        }
    }
}

fn no_server_left(backend: &Backend, log: &LogHub) {
    let text = format!("backend {} has no server available!", backend.name);
    log.event(LogLevel::Emerg, text);
}
