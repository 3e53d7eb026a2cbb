//! From a configuration to a generation: plugins loaded, maps read, names resolved, sockets bound. All
//! errors are collected; a generation that cannot be built leaves everything as it was.

mod backends;
mod errors;
mod frontends;
mod live;
mod next;
mod plugins;

use std::{collections::HashMap, sync::Arc};

use super::{
    listeners::{Acceptors, Listeners, Plan},
    names::FirstLook,
    registry::Registry,
};
use crate::{
    cache::Cache,
    config::{self, Config, Mode, Said},
    frontend::{Backend, Caching, Compressing, Frontend, Generation},
    model::BackendName,
    net::{AcmeChallenges, InnerDoor, SessionKeeper, SystemRoots, Visitors},
    plugin::{Runtime, counters::CounterStore, maps::MapStore},
    store::{self, Store},
    telemetry::{CompressionPlace, Metrics},
};

pub use self::errors::{BuildError, BuildErrors, with_cause};

/// Builds generations one after the other, carrying over what stays.
pub struct Builder {
    runtime: Arc<Runtime>,
    registry: Registry,
    sessions: SessionKeeper,
    challenges: AcmeChallenges,
    metrics: Arc<Metrics>,
    number: u64,
    /// Where the proxy's own figures are reached.
    inner_door: Arc<InnerDoor>,
    visitors: Option<Visitors>,
}

/// A generation that is ready to be swapped in.
#[derive(Debug)]
pub struct Built {
    pub config: Config,
    pub generation: Arc<Generation>,
    pub maps: Arc<MapStore>,
    pub listeners: Plan,
}

impl Builder {
    pub fn new(runtime: Arc<Runtime>, metrics: Arc<Metrics>) -> Self {
        let (inner_door, visitors) = InnerDoor::new();
        Self {
            inner_door: Arc::new(inner_door),
            visitors: Some(visitors),
            runtime,
            registry: Registry::default(),
            sessions: SessionKeeper::default(),
            challenges: AcmeChallenges::default(),
            metrics,
            number: 0,
        }
    }

    /// Those who come to the proxy's own figures; once.
    pub fn visitors(&mut self) -> Option<Visitors> {
        self.visitors.take()
    }

    /// Where challenges of authorities are answered.
    pub fn challenges(&self) -> AcmeChallenges {
        self.challenges.clone()
    }

    /// Loads everything `config` names and listens nowhere.
    pub fn check(&mut self, config: &Config) -> Result<(), BuildErrors> {
        self.load(config, None).map(drop)
    }

    /// Loads everything `config` names. Takes as long as compiling takes: not for the data path.
    pub fn build(
        &mut self,
        config: Config,
        former: Option<&Generation>,
        listeners: &mut Listeners,
    ) -> Result<Built, BuildErrors> {
        let loaded = self.load(&config, former)?;
        // Sockets come last: they are the only thing that others could notice.
        let plan = listeners
            .plan(&config, &loaded.acceptors)
            .map_err(|found| BuildErrors(found.into_iter().map(BuildError::Bind).collect()))?;
        self.number += 1;
        self.registry.sweep();
        let generation = Generation {
            number: self.number,
            why: Arc::clone(&config.why),
            frontends: loaded.frontends,
            by_name: positions(&loaded.backends),
            backends: loaded.backends,
            caches: loaded.caches,
            listeners: plan.by_listener(),
            counters: loaded.counters,
            maps: Arc::clone(&loaded.maps),
        };
        Ok(Built {
            config,
            generation: Arc::new(generation),
            maps: loaded.maps,
            listeners: plan,
        })
    }

    fn load(
        &mut self,
        config: &Config,
        former: Option<&Generation>,
    ) -> Result<Loaded, BuildErrors> {
        let former_maps = former.map(|former| &*former.maps);
        let maps = MapStore::load_after(&config.maps, former_maps)
            .map_err(|found| BuildErrors(found.into_iter().map(BuildError::Map).collect()))?;
        let names: Vec<_> = config.backends.iter().map(|b| b.name.clone()).collect();
        let counters = self.registry.counters(&config.counters);
        let mut errors = Vec::new();
        let kept = config.process.component_cache.clone();
        let caches = config.caches.iter().map(|settings| {
            let metrics = self.metrics.cache(&settings.name);
            let make = || Cache::new(settings.clone(), metrics);
            self.registry.cache(settings, make)
        });
        let caches: Vec<Arc<Cache>> = caches.collect();
        let mut loader = Loader {
            store: Store::new(kept.or_else(store::user_folder)),
            builder: self,
            config,
            former,
            maps: &maps,
            counters: &counters,
            system_roots: SystemRoots::default(),
            backends: &names,
            modes: config
                .backends
                .iter()
                .map(|b| (b.name.clone(), b.mode))
                .collect(),
            sizes: config
                .backends
                .iter()
                .map(|b| (b.name.clone(), b.servers.len()))
                .collect(),
            names: FirstLook::default(),
            caches: &caches,
            errors: &mut errors,
        };
        let backends: Vec<_> = config
            .backends
            .iter()
            .filter_map(|backend| loader.backend(backend, former))
            .collect();
        let mut frontends: Vec<_> = config
            .frontends
            .iter()
            .filter_map(|frontend| loader.frontend(frontend))
            .collect();
        let acceptors = config
            .frontends
            .iter()
            .map(|frontend| loader.acceptors(frontend))
            .collect();
        if !errors.is_empty() {
            return Err(BuildErrors(errors));
        }
        for frontend in &mut frontends {
            frontend.stands_before(&backends);
        }
        Ok(Loaded {
            frontends,
            acceptors,
            backends,
            caches,
            maps: Arc::new(maps),
            counters,
        })
    }
}

/// What a configuration names, before anything listens.
struct Loaded {
    frontends: Vec<Frontend>,
    acceptors: Vec<Acceptors>,
    backends: Vec<Backend>,
    /// In the order of the file.
    caches: Vec<Arc<Cache>>,
    maps: Arc<MapStore>,
    counters: CounterStore,
}

/// The state of one build.
struct Loader<'a> {
    store: Store,
    builder: &'a mut Builder,
    config: &'a Config,
    /// What serves while this is built.
    former: Option<&'a Generation>,
    maps: &'a MapStore,
    counters: &'a CounterStore,
    system_roots: SystemRoots,
    backends: &'a [BackendName],
    modes: HashMap<BackendName, Mode>,
    /// How many servers each backend has.
    sizes: HashMap<BackendName, usize>,
    names: FirstLook,
    caches: &'a [Arc<Cache>],
    errors: &'a mut Vec<BuildError>,
}

impl Loader<'_> {
    fn position(&self, name: &BackendName) -> Option<usize> {
        self.backends.iter().position(|known| known == name)
    }
}

impl Loader<'_> {
    fn compressing(
        &self,
        settings: &config::Compression,
        place: CompressionPlace,
    ) -> Arc<Compressing> {
        let metrics = self.builder.metrics.compression(place);
        Compressing::new(settings.clone(), metrics)
    }

    fn caching(&self, used: &Said<config::CacheUse>) -> Said<Caching> {
        let of = |used: &config::CacheUse| {
            let mut caches = self.caches.iter();
            let cache = caches.find(|cache| cache.settings().name == used.name);
            Caching {
                cache: Arc::clone(cache.expect("the config reader has seen to it")),
                when: used.when,
            }
        };
        used.map(of)
    }
}

fn positions(backends: &[Backend]) -> HashMap<BackendName, usize> {
    let names = backends.iter().map(|backend| backend.name.clone());
    names.zip(0..).collect()
}
