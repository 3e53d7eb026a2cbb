//! What survives a change of generation: the state of backends and servers that both generations have,
//! and the counts of frontends.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use crate::{
    backend::{BackendState, ServerAddress, ServerState},
    cache::Cache,
    config::{self, CounterTable},
    frontend::{Gate, Sources},
    model::{BackendName, FrontendName, ServerName},
    net::TlsConnector,
    plugin::counters::{CounterStore, KnownTables},
};

/// Finds the state of what has been there before. Holds nothing alive by itself.
#[derive(Debug, Default)]
pub struct Registry {
    backends: HashMap<BackendName, Weak<BackendState>>,
    servers: HashMap<(BackendName, ServerName, ServerAddress), Weak<ServerState>>,
    gates: HashMap<FrontendName, Weak<Gate>>,
    connectors: HashMap<(BackendName, ServerName), Weak<TlsConnector>>,
    sources: HashMap<FrontendName, Weak<Sources>>,
    caches: HashMap<String, Weak<Cache>>,
    counters: KnownTables,
}

impl Registry {
    pub fn backend(&mut self, name: &BackendName) -> Arc<BackendState> {
        find_or_make(&mut self.backends, name.clone(), || {
            BackendState::new(name.clone())
        })
    }

    /// A server is the same one if its backend, name and address are. A new one begins as `begin` leaves it.
    pub fn server(
        &mut self,
        backend: &Arc<BackendState>,
        name: &ServerName,
        address: &ServerAddress,
        begin: impl FnOnce(&ServerState),
    ) -> Arc<ServerState> {
        let key = (backend.name.clone(), name.clone(), address.clone());
        find_or_make(&mut self.servers, key, || {
            let state = match address {
                ServerAddress::Name { .. } => ServerState::unresolved(Arc::clone(backend)),
                ServerAddress::Ip(_)
                | ServerAddress::Unix(_)
                | ServerAddress::ClientPort(_)
                | ServerAddress::Statistics => ServerState::new(Arc::clone(backend)),
            };
            begin(&state);
            state
        })
    }

    pub fn gate(&mut self, name: &FrontendName, most: usize) -> Arc<Gate> {
        find_or_make(&mut self.gates, name.clone(), || Gate::new(most))
    }

    /// `made`, or the one that is there already if it connects in the same way.
    pub fn connector(
        &mut self,
        backend: &BackendName,
        server: &ServerName,
        made: TlsConnector,
    ) -> Arc<TlsConnector> {
        let key = (backend.clone(), server.clone());
        let known = self.connectors.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.is_like(&made)) {
            return known;
        }
        let made = Arc::new(made);
        self.connectors.insert(key, Arc::downgrade(&made));
        made
    }

    pub fn sources(&mut self, name: &FrontendName) -> Arc<Sources> {
        find_or_make(&mut self.sources, name.clone(), Arc::default)
    }

    /// The cache of that name with what is in it, if its settings are the same as before.
    pub fn cache(&mut self, settings: &config::Cache, make: impl FnOnce() -> Cache) -> Arc<Cache> {
        let known = self.caches.get(&settings.name).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.settings() == settings) {
            return known;
        }
        let made = Arc::new(make());
        self.caches
            .insert(settings.name.clone(), Arc::downgrade(&made));
        made
    }

    /// Tables that are declared as before go on counting.
    pub fn counters(&mut self, declared: &[CounterTable]) -> CounterStore {
        CounterStore::of(declared, &mut self.counters)
    }

    /// Forgets what nobody has any more.
    pub fn sweep(&mut self) {
        self.backends.retain(|_, state| state.strong_count() > 0);
        self.servers.retain(|_, state| state.strong_count() > 0);
        self.sources.retain(|_, state| state.strong_count() > 0);
        self.caches.retain(|_, cache| cache.strong_count() > 0);
        self.counters.sweep();
        self.gates.retain(|_, state| state.strong_count() > 0);
        self.connectors
            .retain(|_, connector| connector.strong_count() > 0);
    }
}

fn find_or_make<K: Eq + std::hash::Hash, T>(
    known: &mut HashMap<K, Weak<T>>,
    key: K,
    make: impl FnOnce() -> Arc<T>,
) -> Arc<T> {
    if let Some(found) = known.get(&key).and_then(Weak::upgrade) {
        return found;
    }
    let made = make();
    known.insert(key, Arc::downgrade(&made));
    made
}
