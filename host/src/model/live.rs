//! Facts of the moment about what the configuration names: how many servers of a backend are up, how much
//! runs, how much waits. What they are now is for others to say.

use std::fmt;

use super::{BackendName, FrontendName, ServerName};

/// A fact that holds for this moment only, whichever exchange asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LiveFact {
    Backend(OfBackend, BackendName),
    Server(OfServer, BackendName, ServerName),
    /// Client connections of a frontend.
    FrontendConnections(FrontendName),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfBackend {
    /// Servers that new clients may be given; backups only where nobody else can take any.
    UsableServers,
    /// Exchanges and sessions in it, those that wait included.
    Exchanges,
    /// Exchanges that wait for a place.
    Queued,
    /// How many that are for each usable server, rounded up; where there is none, two for each that waits.
    QueuedPerServer,
    /// How many more its servers take at once; none if one of them has no limit.
    FreePlaces,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OfServer {
    /// `true` or `false`: whether it may be given anything at all.
    Up,
    /// Exchanges and sessions that it runs.
    Exchanges,
    /// Exchanges that wait for it and no other.
    Queued,
}

const OF_BACKENDS: [(&str, OfBackend); 5] = [
    ("usable-servers", OfBackend::UsableServers),
    ("backend-exchanges", OfBackend::Exchanges),
    ("backend-queued", OfBackend::Queued),
    ("backend-queued-per-server", OfBackend::QueuedPerServer),
    ("backend-free-places", OfBackend::FreePlaces),
];

const OF_SERVERS: [(&str, OfServer); 3] = [
    ("server-up", OfServer::Up),
    ("server-exchanges", OfServer::Exchanges),
    ("server-queued", OfServer::Queued),
];

const OF_FRONTEND: &str = "frontend-connections";

impl LiveFact {
    /// How all of them are written.
    pub fn offered() -> impl Iterator<Item = String> {
        let backends = OF_BACKENDS.map(|(name, _)| format!("{name}(BACKEND)"));
        let servers = OF_SERVERS.map(|(name, _)| format!("{name}(BACKEND/SERVER)"));
        let frontends = [format!("{OF_FRONTEND}(FRONTEND)")];
        backends.into_iter().chain(servers).chain(frontends)
    }

    /// The fact called `kind` of what `name` says; `None` if there is none.
    pub fn parse(kind: &str, name: &str) -> Option<Self> {
        if let Some((_, fact)) = OF_BACKENDS.iter().find(|(known, _)| *known == kind) {
            return Some(Self::Backend(*fact, BackendName::new(name)));
        }
        if let Some((_, fact)) = OF_SERVERS.iter().find(|(known, _)| *known == kind) {
            let parts = name.split_once('/');
            let (backend, server) = parts.filter(|(b, s)| !b.is_empty() && !s.is_empty())?;
            return Some(Self::Server(
                *fact,
                BackendName::new(backend),
                ServerName::new(server),
            ));
        }
        (kind == OF_FRONTEND).then(|| Self::FrontendConnections(FrontendName::new(name)))
    }
}

impl fmt::Display for LiveFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend(fact, backend) => write!(f, "{}({backend})", name(&OF_BACKENDS, fact)),
            Self::Server(fact, backend, server) => {
                write!(f, "{}({backend}/{server})", name(&OF_SERVERS, fact))
            }
            Self::FrontendConnections(frontend) => write!(f, "{OF_FRONTEND}({frontend})"),
        }
    }
}

fn name<T: PartialEq>(all: &[(&'static str, T)], fact: &T) -> &'static str {
    let known = all.iter().find(|(_, known)| known == fact);
    known.map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_prints_the_name_it_is_read_from() {
        let offered = LiveFact::offered();
        for text in offered.map(|text| text.replace("BACKEND", "app").replace("SERVER", "a:1")) {
            let (kind, name) = text.split_once('(').unwrap();
            let fact = LiveFact::parse(kind, name.trim_end_matches(')'));
            assert_eq!(fact.unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_server_is_named_with_its_backend() {
        for name in ["app", "app/", "/a", "/"] {
            assert_eq!(LiveFact::parse("server-up", name), None, "{name}");
        }
    }
}
