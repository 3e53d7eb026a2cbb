//! Servers that operators have added to backends or taken out of them while the proxy runs. They are laid over
//! each configuration that is loaded, until another command or the end of the process undoes it.

use tracing::warn;

use crate::{
    config::{Config, Server},
    model::{BackendName, ServerName},
};

/// One command.
#[derive(Debug, Clone)]
pub enum ServersChange {
    Add {
        backend: BackendName,
        server: Box<Server>,
    },
    Remove {
        backend: BackendName,
        server: ServerName,
    },
}

/// All commands so far that still mean something.
#[derive(Debug, Clone, Default)]
pub struct Additions(Vec<ServersChange>);

/// Why a change means nothing to a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("No such backend.")]
    NoBackend,
    #[error("No such server.")]
    NoServer,
    #[error("Already exists a server with the same name in backend.")]
    NameTaken,
    /// The health of another server is that of this one.
    #[error(
        "This server cannot be removed at runtime due to other configuration elements pointing to it."
    )]
    Tracked,
}

impl ServersChange {
    /// Makes the change in `config`, or says why it cannot be made.
    pub fn apply(&self, config: &mut Config) -> Result<(), Objection> {
        match self {
            Self::Add { backend, server } => {
                let servers = servers_of(config, backend)?;
                let key = &server.persistence_key;
                if servers
                    .iter()
                    .any(|known| known.name == server.name || known.persistence_key == *key)
                {
                    return Err(Objection::NameTaken);
                }
                let mut server = server.clone();
                let ids = servers.iter().map(|known| known.id);
                // Whoever has it already keeps it, since hashes go by it.
                if ids.clone().any(|id| id == server.id) {
                    server.id = ids.max().unwrap_or(0).saturating_add(1);
                }
                servers.push(*server);
            }
            Self::Remove { backend, server } => {
                let tracked = config.backends.iter().flat_map(|known| &known.servers);
                let mut tracked = tracked.filter_map(|known| known.conduct.track.as_ref());
                if tracked.any(|track| track.backend == *backend && track.server == *server) {
                    return Err(Objection::Tracked);
                }
                let servers = servers_of(config, backend)?;
                let before = servers.len();
                servers.retain(|known| known.name != *server);
                if servers.len() == before {
                    return Err(Objection::NoServer);
                }
            }
        }
        Ok(())
    }

    fn is_of(&self, backend: &BackendName, server: &ServerName) -> bool {
        match self {
            Self::Add {
                backend: of,
                server: known,
            } => of == backend && known.name == *server,
            Self::Remove {
                backend: of,
                server: known,
            } => of == backend && known == server,
        }
    }
}

fn servers_of<'c>(
    config: &'c mut Config,
    backend: &BackendName,
) -> Result<&'c mut Vec<Server>, Objection> {
    let mut backends = config.backends.iter_mut();
    let found = backends.find(|known| known.name == *backend);
    found
        .map(|found| &mut found.servers)
        .ok_or(Objection::NoBackend)
}

impl Additions {
    /// Remembers a change that has been made.
    pub fn remember(&mut self, change: ServersChange) {
        let (backend, server) = match &change {
            ServersChange::Add { backend, server } => (backend.clone(), server.name.clone()),
            ServersChange::Remove { backend, server } => (backend.clone(), server.clone()),
        };
        // To add what was removed, or the other way round, leaves nothing of either; but a server of the file
        // that makes room for an added one of its name needs both.
        let added = |known: &ServersChange| matches!(known, ServersChange::Add { .. });
        let of_it = |known: &&ServersChange| known.is_of(&backend, &server);
        let undone = !added(&change) && self.0.iter().filter(of_it).any(added);
        if undone {
            self.0
                .retain(|known| !(added(known) && known.is_of(&backend, &server)));
            return;
        }
        self.0.push(change);
    }

    /// Makes all changes in a configuration that has just been loaded. What it has no place for any more is
    /// forgotten, which the log tells.
    pub fn lay_over(&mut self, config: &mut Config) {
        self.0.retain(|change| {
            let Err(objection) = change.apply(config) else {
                return true;
            };
            let (what, backend, server) = match change {
                ServersChange::Add { backend, server } => ("added", backend, &server.name),
                ServersChange::Remove { backend, server } => ("removed", backend, server),
            };
            let why = match objection {
                Objection::NoBackend => "the file has no such backend any more",
                Objection::NoServer => "the file has no such server any more",
                Objection::NameTaken => "the file has a server of that name now",
                Objection::Tracked => "the file has a server that tracks it",
            };
            warn!("server {backend}/{server}, {what} while the proxy ran: {why}");
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, path::Path};

    use super::*;
    use crate::config::{Address, parse};

    const FILE: &str = "[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:8080\"]\ndefault_backend = \"api\"\n\
        [[backend]]\nname = \"api\"\n[[backend.server]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n";

    fn file() -> Config {
        parse(Path::new("/etc/weir/weir.toml"), FILE).unwrap()
    }

    fn add(name: &str) -> ServersChange {
        let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 2)));
        ServersChange::Add {
            backend: BackendName::new("api"),
            server: Box::new(Server::plain(name, address, 1)),
        }
    }

    fn remove(name: &str) -> ServersChange {
        ServersChange::Remove {
            backend: BackendName::new("api"),
            server: ServerName::new(name),
        }
    }

    fn servers(config: &Config) -> Vec<(&str, u32)> {
        let servers = config.backends[0].servers.iter();
        servers
            .map(|server| (server.name.as_str(), server.id))
            .collect()
    }

    /// Makes changes one after the other, and then all again in a fresh file.
    fn changed(changes: &[ServersChange]) -> (Config, Config) {
        let (mut config, mut additions) = (file(), Additions::default());
        for change in changes {
            change.apply(&mut config).unwrap();
            additions.remember(change.clone());
        }
        let mut reloaded = file();
        additions.lay_over(&mut reloaded);
        (config, reloaded)
    }

    #[test]
    fn what_was_added_and_removed_is_so_after_a_reload() {
        type Case<'a> = (&'a [ServersChange], &'a [(&'a str, u32)]);
        let cases: [Case<'_>; 5] = [
            (&[add("b")], &[("a", 1), ("b", 2)]),
            (&[remove("a")], &[]),
            (&[add("b"), remove("b")], &[("a", 1)]),
            (&[remove("a"), add("a")], &[("a", 1)]),
            (&[remove("a"), add("a"), remove("a")], &[]),
        ];
        for (changes, wanted) in cases {
            let (config, reloaded) = changed(changes);
            assert_eq!(servers(&config), wanted);
            assert_eq!(servers(&reloaded), wanted, "after a reload");
        }
        let (config, reloaded) = changed(&[remove("a"), add("a")]);
        for config in [config, reloaded] {
            let address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 2)));
            assert_eq!(config.backends[0].servers[0].address, address);
        }
    }

    #[test]
    fn what_means_nothing_is_objected_to() {
        let mut config = file();
        assert_eq!(add("a").apply(&mut config), Err(Objection::NameTaken));
        assert_eq!(remove("x").apply(&mut config), Err(Objection::NoServer));
        let track = FILE.replace(
            "address = \"127.0.0.1:1\"\n",
            "address = \"127.0.0.1:1\"\ncheck = true\n[[backend.server]]\nname = \"t\"\n\
             address = \"127.0.0.1:2\"\ntrack = \"api/a\"\n",
        );
        let mut config = parse(Path::new("/etc/weir/weir.toml"), &track).unwrap();
        assert_eq!(remove("a").apply(&mut config), Err(Objection::Tracked));
        config.backends.clear();
        assert_eq!(add("b").apply(&mut config), Err(Objection::NoBackend));
    }

    #[test]
    fn a_server_that_the_file_has_by_now_is_the_files() {
        let mut additions = Additions::default();
        additions.remember(add("b"));
        let text = FILE.replace("name = \"a\"", "name = \"b\"");
        let mut config = parse(Path::new("/etc/weir/weir.toml"), &text).unwrap();
        additions.lay_over(&mut config);
        assert_eq!(servers(&config), [("b", 1)]);
        let mut config = file();
        additions.lay_over(&mut config);
        assert_eq!(servers(&config), [("a", 1)], "it was forgotten");
    }
}
