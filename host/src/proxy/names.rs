//! Servers that go by a name: looking their addresses up when a generation is built, and following them
//! from then on, as long as each answer is valid.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    thread,
};

use tokio::{
    runtime,
    task::{JoinHandle, spawn_local},
    time::{Instant, sleep},
};
use tracing::{debug, warn};

use super::assemble::with_cause;
use crate::{
    backend::{Server, ServerAddress, ServerState},
    config::{self, Config, LogLevel},
    frontend::Generation,
    model::{BackendName, ServerName},
    net::{Addresses, ResolveError, Resolver, resolve},
    telemetry::LogHub,
};

/// The servers that one name fills: one, or as many as it has slots.
#[derive(Debug, Clone)]
pub struct Group {
    backend: BackendName,
    port: u16,
    slots: Vec<(ServerName, Arc<ServerState>)>,
}

/// A name and who is asked about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    host: String,
    resolver: ByIdentity,
}

/// Resolvers are alike if their settings are; hashing all of them is not worth it.
#[derive(Debug, Clone)]
struct ByIdentity(Arc<config::Resolver>);

impl PartialEq for ByIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ByIdentity {}

impl std::hash::Hash for ByIdentity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.nameservers.hash(state);
    }
}

/// The groups of one backend, with what each has to ask.
fn groups_of(config: &config::Backend, servers: &[Server]) -> Vec<(Question, Group)> {
    let mut groups: Vec<(Question, Group)> = Vec::new();
    for (config, server) in config.servers.iter().zip(servers) {
        let ServerAddress::Name { host, port } = &server.address else {
            continue;
        };
        let slot = (server.name.clone(), Arc::clone(&server.state));
        match groups.last_mut() {
            Some((_, group)) if config.reach.slot.position > 0 => group.slots.push(slot),
            _ => groups.push((
                Question {
                    host: host.clone(),
                    resolver: ByIdentity(Arc::clone(&config.reach.resolver)),
                },
                Group {
                    backend: server.state.backend().name.clone(),
                    port: *port,
                    slots: vec![slot],
                },
            )),
        }
    }
    groups
}

/// Names that were looked up for one generation.
#[derive(Debug, Default)]
pub struct FirstLook {
    found: HashMap<Question, Vec<IpAddr>>,
}

impl FirstLook {
    /// Gives the servers that have never had an address one. Blocks, so it is for building.
    ///
    /// # Errors
    /// Names without an address that must have one, each with its server.
    pub fn resolve(
        &mut self,
        config: &config::Backend,
        servers: &[Server],
    ) -> Vec<(ServerName, ResolveError)> {
        let mut errors = Vec::new();
        for (question, group) in groups_of(config, servers) {
            if group
                .slots
                .iter()
                .any(|(_, state)| state.resolved().is_some())
            {
                continue;
            }
            match self.ask(&question) {
                Ok(addresses) => drop(group.take(&addresses)),
                Err(error) if question.resolver.0.must_resolve => {
                    errors.push((group.slots[0].0.clone(), error));
                }
                Err(error) => {
                    let server = &group.slots[0].0;
                    warn!(%server, "{}; it waits for an address", with_cause(&error));
                }
            }
        }
        errors
    }

    fn ask(&mut self, question: &Question) -> Result<Vec<IpAddr>, ResolveError> {
        if let Some(known) = self.found.get(question) {
            return Ok(known.clone());
        }
        let settings = &question.resolver.0;
        let found = match settings.nameservers.is_empty() {
            // As the system does it, which knows more than DNS.
            true => resolve(&question.host)?,
            false => lookup_blocking(settings, &question.host)?,
        };
        self.found.insert(question.clone(), found.clone());
        Ok(found)
    }
}

/// On a thread of its own, since this one may be running an event loop.
fn lookup_blocking(settings: &config::Resolver, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let failed = |source| ResolveError::Failed {
        host: host.to_owned(),
        source,
    };
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(failed)?;
            runtime.block_on(async {
                let found = Resolver::new(settings)?.lookup(host).await?;
                Ok(found.all)
            })
        });
        match asking.join() {
            Ok(found) => found,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    })
}

impl Group {
    /// Gives the slots the addresses of an answer, and tells what changed.
    fn take(&self, addresses: &[IpAddr]) -> Vec<(ServerName, Option<SocketAddr>)> {
        let wanted: Vec<SocketAddr> = addresses
            .iter()
            .map(|ip| SocketAddr::new(*ip, self.port))
            .collect();
        let now: Vec<_> = self
            .slots
            .iter()
            .map(|(_, state)| state.resolved())
            .collect();
        let mut changed = Vec::new();
        for (position, next) in assign(&now, &wanted).into_iter().enumerate() {
            let (name, state) = &self.slots[position];
            if now[position] != next {
                state.set_resolved(next);
                changed.push((name.clone(), next));
            }
        }
        changed
    }
}

/// Which slot has which address next. Whoever is still in the answer stays where it is, so that nothing
/// moves that need not; new addresses fill the free slots in the answer's order.
fn assign(now: &[Option<SocketAddr>], wanted: &[SocketAddr]) -> Vec<Option<SocketAddr>> {
    let mut next: Vec<Option<SocketAddr>> = now
        .iter()
        .map(|address| address.filter(|address| wanted.contains(address)))
        .collect();
    let mut fresh = wanted
        .iter()
        .filter(|address| !now.contains(&Some(**address)));
    for slot in next.iter_mut().filter(|slot| slot.is_none()) {
        *slot = fresh.next().copied();
    }
    next
}

/// The names that are being followed.
#[derive(Debug, Default)]
pub struct Names {
    running: HashMap<Question, Running>,
}

#[derive(Debug)]
struct Running {
    /// Keys of the servers that it fills, to see whether they are still the same.
    servers: Vec<u64>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Names {
    /// Follows the names of `config` and no others. What is followed already goes on undisturbed.
    pub fn follow(&mut self, config: &Config, generation: &Generation, log: &Rc<LogHub>) {
        let mut before = std::mem::take(&mut self.running);
        let mut wanted: HashMap<Question, Vec<Group>> = HashMap::new();
        for (config, backend) in config.backends.iter().zip(&generation.backends) {
            for (question, group) in groups_of(config, &backend.servers) {
                wanted.entry(question).or_default().push(group);
            }
        }
        for (question, groups) in wanted {
            let slots = groups.iter().flat_map(|group| &group.slots);
            let servers: Vec<u64> = slots.map(|(_, state)| state.key()).collect();
            let running = match before.remove(&question) {
                Some(same) if same.servers == servers => same,
                other => {
                    drop(other);
                    let task = spawn_local(follow(question.clone(), groups, Rc::clone(log)));
                    Running { servers, task }
                }
            };
            self.running.insert(question, running);
        }
    }

    pub fn stop(&mut self) {
        self.running.clear();
    }
}

/// Asks for ever, each time when the last answer has run out.
async fn follow(question: Question, groups: Vec<Group>, log: Rc<LogHub>) {
    let settings = &question.resolver.0;
    let host = &question.host;
    let resolver = match Resolver::new(settings) {
        Ok(resolver) => resolver,
        Err(error) => {
            warn!(host, "the name keeps its addresses: {}", with_cause(&error));
            return;
        }
    };
    let within = |wait| settings.max_interval.min(settings.min_interval.max(wait));
    let mut denied_since: Option<Instant> = None;
    let mut silent = false;
    // The building of the generation has just asked, unless it could not.
    let mut pause = settings.min_interval;
    loop {
        sleep(pause).await;
        match resolver.lookup(host).await {
            Ok(Addresses { all, valid_for }) => {
                denied_since = None;
                if std::mem::take(&mut silent) {
                    let text = format!("name {host} resolves again");
                    log.event(LogLevel::Notice, text);
                }
                debug!(host, ?all, ?valid_for, "name resolved");
                report(host, &groups, &all, &log);
                pause = within(valid_for);
            }
            Err(error) => {
                if !std::mem::replace(&mut silent, true) {
                    let text = format!(
                        "name {host} does not resolve, its servers keep their addresses: {}",
                        with_cause(&error)
                    );
                    log.event(LogLevel::Warning, text);
                }
                // Nobody answered: that says nothing about the addresses. A denial does, after a while.
                if error.is_denial() {
                    let since = *denied_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= settings.hold {
                        report(host, &groups, &[], &log);
                    }
                }
                pause = settings.min_interval;
            }
        }
    }
}

fn report(host: &str, groups: &[Group], addresses: &[IpAddr], log: &LogHub) {
    for group in groups {
        for (server, address) in group.take(addresses) {
            let server = format!("{}/{server}", group.backend);
            let text = match address {
                Some(address) => format!("Server {server} is at {address} now ({host})"),
                None => format!("Server {server} has no address any more ({host})"),
            };
            log.event(LogLevel::Notice, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses by their last number; 0 is none.
    fn slots(numbers: &[u8]) -> Vec<Option<SocketAddr>> {
        numbers
            .iter()
            .map(|number| (*number > 0).then(|| address(*number)))
            .collect()
    }

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, number], 80))
    }

    fn assigned(now: &[u8], wanted: &[u8]) -> Vec<Option<SocketAddr>> {
        let wanted: Vec<_> = wanted.iter().map(|number| address(*number)).collect();
        assign(&slots(now), &wanted)
    }

    #[test]
    fn whoever_is_still_there_stays_where_it_is() {
        assert_eq!(assigned(&[1, 2, 3], &[3, 2, 1]), slots(&[1, 2, 3]));
        assert_eq!(assigned(&[1, 2, 3], &[3, 4]), slots(&[4, 0, 3]));
    }

    #[test]
    fn new_addresses_fill_free_slots_and_the_rest_waits() {
        assert_eq!(assigned(&[0, 0], &[5, 6, 7]), slots(&[5, 6]));
        assert_eq!(assigned(&[5, 6], &[6, 7]), slots(&[7, 6]));
        assert_eq!(assigned(&[5, 6], &[]), slots(&[0, 0]));
    }
}
