//! What holds at this moment, for plugins that ask: read from what all workers share, decided by nobody.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use super::generation::{Backend, Generation};
use crate::{
    backend::Server,
    model::{LiveFact, OfBackend, OfServer},
};

/// What a fact is now; none if the generation does not have what it is about.
pub fn value(generation: &Generation, fact: &LiveFact) -> Option<Cow<'static, str>> {
    Some(match fact {
        LiveFact::Backend(fact, name) => {
            let backend = &generation.backends[generation.backend(name)?];
            number(of_backend(backend, *fact)?)
        }
        LiveFact::Server(fact, backend, name) => {
            let backend = &generation.backends[generation.backend(backend)?];
            let server = backend.servers.iter().find(|it| it.name == *name)?;
            of_server(server, *fact)
        }
        LiveFact::FrontendConnections(name) => {
            let frontend = generation.frontends.iter().find(|it| it.name == *name)?;
            number(frontend.connections.count() as u64)
        }
    })
}

fn of_backend(backend: &Backend, fact: OfBackend) -> Option<u64> {
    let queued = || backend.state.queued() as u64;
    Some(match fact {
        OfBackend::UsableServers => backend.usable.count(backend),
        OfBackend::Exchanges => u64::from(backend.state.active()),
        OfBackend::Queued => queued(),
        OfBackend::QueuedPerServer => match backend.usable.count(backend) {
            0 => queued() * 2,
            usable => queued().div_ceil(usable),
        },
        OfBackend::FreePlaces => return free_places(&backend.servers),
    })
}

/// None if one of the servers has no limit.
fn free_places(servers: &[Server]) -> Option<u64> {
    let up = servers.iter().filter(|server| server.state.is_up());
    let free = up.map(|server| Some(server.limit_now()?.saturating_sub(server.state.active())));
    free.map(|free| free.map(u64::from)).sum()
}

fn of_server(server: &Server, fact: OfServer) -> Cow<'static, str> {
    match fact {
        OfServer::Up => Cow::Borrowed(match server.state.is_up() {
            true => "true",
            false => "false",
        }),
        OfServer::Exchanges => number(server.state.active().into()),
        OfServer::Queued => number(server.state.queued().into()),
    }
}

/// The small numbers, which are the most frequent, need no memory of their own.
fn number(number: u64) -> Cow<'static, str> {
    const SMALL: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    match SMALL.get(usize::try_from(number).unwrap_or(usize::MAX)) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(number.to_string()),
    }
}

/// How many servers of a backend are usable, counted once for each change of it: together with the low half
/// of the backend's version, so that neither can be taken for another's.
#[derive(Debug, Default)]
pub struct UsableCount(AtomicU64);

impl UsableCount {
    fn count(&self, backend: &Backend) -> u64 {
        // A change during the count makes another version, and so another count.
        let version = backend.state.version() << 32;
        let known = self.0.load(Ordering::Relaxed);
        if known != 0 && known & !u64::from(u32::MAX) == version {
            return known & u64::from(u32::MAX);
        }
        let count = backend.eligible().len() as u64;
        self.0.store(version | count, Ordering::Relaxed);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_digits() {
        for expected in [0, 9, 10, u64::MAX] {
            assert_eq!(number(expected), expected.to_string());
        }
    }
}
