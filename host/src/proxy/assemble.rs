//! From a configuration to a generation: plugins loaded, maps read, names resolved, sockets bound. All
//! errors are collected; a generation that cannot be built leaves everything as it was.

mod live;
mod next;

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    listeners::{Acceptors, Listeners, Plan},
    names::FirstLook,
    registry::Registry,
};
use crate::{
    backend::{Grain, Hindrance, Server, ServerAddress, ServerState},
    cache::Cache,
    config::{self, Address, AdminState, Config, ConfigError, ListenerTls, Mode, Said},
    frontend::{
        Backend, Caching, Compressing, Filter, Frontend, Generation, Inspect, PluginUse,
        UsableCount,
    },
    http::scan::HeadLimits,
    model::{BackendName, Hook},
    net::{
        AcmeChallenges, BindError, InnerDoor, Namespace, NamespaceError, Origin, ResolveError,
        SessionKeeper, SystemRoots, TlsAcceptor, TlsConnector, Visitors,
    },
    plugin::{
        Breaker, BreakerRules, LoadError, LoadFault, Offload, Place, Plugin, PluginSpec, Runtime,
        counters::CounterStore,
        maps::{MapError, MapStore},
    },
    store::{self, Store},
    telemetry::{CompressionPlace, Metrics, PluginPlace},
};

/// One reason why a generation could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0}")]
    Config(ConfigError),
    #[error("{}", with_cause(.0))]
    Map(MapError),
    #[error("{place}: {}", with_cause(.source))]
    Resolve { place: String, source: ResolveError },
    #[error("{place}: {}", with_cause(.source))]
    Namespace {
        place: String,
        source: NamespaceError,
    },
    #[error("{}", with_cause(.0))]
    Bind(BindError),
}

/// All that is wrong with a configuration, a paragraph each.
#[derive(Debug)]
pub struct BuildErrors(pub Vec<BuildError>);

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildErrors {}

/// An error with all its causes, in one line.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

impl BuildErrors {
    /// Whether the configuration itself is sound and only the system stands in the way.
    pub fn is_only_bind(&self) -> bool {
        self.0
            .iter()
            .all(|error| matches!(error, BuildError::Bind(_)))
    }
}

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
        let frontends: Vec<_> = config
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
    fn frontend(&mut self, config: &config::Frontend) -> Option<Frontend> {
        let filters: Vec<_> = config
            .filters
            .iter()
            .enumerate()
            .map(|(position, used)| {
                let frontend = config.name.clone();
                self.filter(
                    used,
                    config.mode,
                    PluginPlace::Filter { frontend, position },
                )
            })
            .collect();
        let filters: Vec<Filter> = filters.into_iter().collect::<Option<_>>()?;
        let judges_connections = filters
            .iter()
            .flat_map(|filter| filter.used.answering())
            .any(|plugin| plugin.has_hook(Hook::OnConnection));
        let most = config.max_connections.unwrap_or(usize::MAX);
        // A gate that is there already keeps its limit until the generation serves.
        let gate = self.builder.registry.gate(&config.name, most);
        Some(Frontend {
            name: config.name.clone(),
            mode: config.mode,
            judges_connections,
            inspect: Inspect::of(&filters),
            filters,
            default_backend: config
                .default_backend
                .as_ref()
                .and_then(|name| self.position(name)),
            forwarded_for: config.forwarded_for.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            log_empty_connections: config.log_empty_connections,
            log_normal: config.log_normal,
            log_format: config.log_format.clone(),
            request_id_header: config.request_id_header.clone(),
            timeouts: config.timeouts.clone(),
            head_limits: HeadLimits {
                bytes: config.limits.header_bytes,
                fields: config.limits.header_count,
                target: config.limits.uri_length,
            },
            body_limit: config.limits.body,
            http2: config.http2.clone(),
            error_pages: config.error_pages.clone(),
            compression: config.compression.map(|settings| {
                let place = CompressionPlace::Frontend(config.name.clone());
                self.compressing(settings, place)
            }),
            cache: self.caching(&config.cache),
            connections: gate,
            sources: self.builder.registry.sources(&config.name),
            per_client: config.max_connections_per_client,
            metrics: self.builder.metrics.frontend(&config.name),
        })
    }

    /// Reads the certificates of a frontend's listeners. The listeners of a range share theirs.
    fn acceptors(&mut self, config: &config::Frontend) -> Acceptors {
        let mut made: Option<(Arc<ListenerTls>, Arc<TlsAcceptor>)> = None;
        let mut acceptors = Acceptors::new();
        for bind in &config.bind {
            let Some(settings) = &bind.tls else {
                acceptors.push(None);
                continue;
            };
            if let Some((of, acceptor)) = &made
                && Arc::ptr_eq(of, settings)
            {
                acceptors.push(Some(Arc::clone(acceptor)));
                continue;
            }
            match TlsAcceptor::load(
                settings,
                bind.protocols(),
                &mut self.builder.sessions,
                &self.builder.challenges,
            ) {
                Ok(acceptor) => {
                    let acceptor = Arc::new(acceptor);
                    made = Some((Arc::clone(settings), Arc::clone(&acceptor)));
                    acceptors.push(Some(acceptor));
                }
                Err(errors) => {
                    let errors = errors
                        .iter()
                        .map(|error| BuildError::Config(error.located()));
                    self.errors.extend(errors);
                    acceptors.push(None);
                }
            }
        }
        acceptors
    }

    /// Reads what TLS towards a server needs. What it remembers of the server outlives the generation.
    fn connector(
        &mut self,
        backend: &BackendName,
        config: &config::Server,
    ) -> Result<Option<Arc<TlsConnector>>, ()> {
        let Some(settings) = &config.tls else {
            return Ok(None);
        };
        let host = match &config.address {
            Address::Tcp(address) => address.ip().to_string(),
            Address::ClientPort(ip) => ip.to_string(),
            Address::Name { host, .. } => host.clone(),
            // Only without a check of certificates, so that any name will do.
            Address::Unix(_)
            | Address::Inherited(_)
            | Address::Activated(_)
            | Address::Statistics => config.name.to_string(),
        };
        match TlsConnector::load(settings, &host, &self.system_roots) {
            Ok(connector) => {
                let registry = &mut self.builder.registry;
                Ok(Some(registry.connector(backend, &config.name, connector)))
            }
            Err(error) => {
                self.errors.push(BuildError::Config(error.located()));
                Err(())
            }
        }
    }

    fn position(&self, name: &BackendName) -> Option<usize> {
        self.backends.iter().position(|known| known == name)
    }

    fn filter(
        &mut self,
        config: &config::PluginUse,
        mode: Mode,
        shown: PluginPlace,
    ) -> Option<Filter> {
        let place = match mode {
            Mode::Http => Place::Filter,
            Mode::Tcp => Place::TcpFilter,
        };
        let used = self.plugin(config, place, shown)?;
        self.suits(config, mode, &used)?;
        let mut backends = Vec::new();
        for (config, plugin) in config.with_next().zip(used.versions()) {
            let named = plugin.backends();
            if let Some(other) = named
                .iter()
                .find(|name| self.modes.get(*name) != Some(&mode))
            {
                let message = format!(
                    "plugin `{}`: it routes to the backend `{other}`, whose `mode` is not \"{}\" as this frontend's",
                    plugin.name(),
                    mode.as_str()
                );
                let error = config.places.plugin_error(message);
                self.errors.push(BuildError::Config(error));
                return None;
            }
            backends.extend(named.iter().map(|name| self.position(name)));
        }
        Some(Filter {
            backends: backends.into_iter().collect::<Option<_>>()?,
            used,
            on_failure: config.on_failure,
        })
    }

    /// A filter that is asked when the backend is chosen already, so it may not choose one.
    fn backend_filter(
        &mut self,
        backend: &config::Backend,
        used: &config::PluginUse,
        position: usize,
    ) -> Option<Filter> {
        let backend = backend.name.clone();
        let filter = self.filter(
            used,
            Mode::Http,
            PluginPlace::BackendFilter { backend, position },
        )?;
        for (config, plugin) in used.with_next().zip(filter.used.versions()) {
            let objection = if plugin.has_hook(Hook::OnConnection) {
                "as the filter of a backend it would never be asked about connections; use it in a frontend, or have it judge requests"
            } else if !plugin.backends().is_empty() {
                "as the filter of a backend it cannot choose another one; let a filter of the frontend choose"
            } else {
                continue;
            };
            let message = format!("plugin `{}`: {objection}", plugin.name());
            let error = BuildError::Config(config.places.plugin_error(message));
            self.errors.push(error);
            return None;
        }
        Some(filter)
    }

    /// Whether a plugin asks for nothing that there is not with this mode. If not, that was said.
    fn suits(&mut self, config: &config::PluginUse, mode: Mode, used: &PluginUse) -> Option<()> {
        for (config, plugin) in config.with_next().zip(used.versions()) {
            let checked = match mode {
                Mode::Http => Ok(()),
                Mode::Tcp => plugin.check_without_requests(),
            };
            if let Err(fault) = checked {
                let plugin = plugin.name().clone();
                self.errors
                    .extend(located(config, &LoadError { plugin, fault }));
                return None;
            }
        }
        self.tells_clients_apart(config, mode, used)
    }

    fn backend(
        &mut self,
        config: &config::Backend,
        former: Option<&Generation>,
    ) -> Option<Backend> {
        let shown = PluginPlace::Balancer(config.name.clone());
        let balancer = self.plugin(&config.balancer, Place::Balancer, shown);
        let persistence = config.persistence.as_ref().map(|used| {
            let shown = PluginPlace::Persistence(config.name.clone());
            self.plugin(used, Place::Persistence, shown)
        });
        let filters: Vec<_> = config
            .filters
            .iter()
            .enumerate()
            .map(|(position, used)| self.backend_filter(config, used, position))
            .collect();
        let state = self.builder.registry.backend(&config.name);
        let servers: Vec<_> = config
            .servers
            .iter()
            .map(|server| self.server(&state, config, server))
            .collect();
        let servers: Vec<Server> = servers.into_iter().collect::<Option<_>>()?;
        for (server, source) in self.names.resolve(config, &servers) {
            let place = format!("backend {}, server {server}", config.name);
            self.errors.push(BuildError::Resolve { place, source });
        }
        let balancer = balancer?;
        self.suits(&config.balancer, config.mode, &balancer)?;
        let persistence = match persistence {
            Some(loaded) => Some(loaded?),
            None => None,
        };
        if let Some((used, place)) = persistence.as_ref().zip(config.persistence.as_ref()) {
            self.suits(place, config.mode, used)?;
        }
        let metrics = &self.builder.metrics;
        Some(Backend {
            filters: filters.into_iter().collect::<Option<_>>()?,
            former_balancer: former_balancer(former, config, &balancer),
            balancer,
            persistence,
            persistence_keys: servers
                .iter()
                .enumerate()
                .map(|(position, server)| (server.persistence_key.clone(), position))
                .collect(),
            server_metrics: servers
                .iter()
                .map(|server| metrics.server(&config.name, &server.name))
                .collect(),
            servers,
            backups: config.backups,
            timeouts: config.timeouts.clone(),
            retries: config.retries,
            redispatch: config.redispatch,
            pool: config.pool.clone(),
            error_pages: config.error_pages.clone(),
            compression: config.compression.map(|settings| {
                let place = CompressionPlace::Backend(config.name.clone());
                self.compressing(settings, place)
            }),
            cache: self.caching(&config.cache),
            server_from: config.server_from.clone(),
            max_queue: config.max_queue,
            limit: config.max_connections,
            metrics: metrics.backend(&config.name),
            name: config.name.clone(),
            usable: UsableCount::default(),
            state,
        })
    }

    fn server(
        &mut self,
        backend: &Arc<crate::backend::BackendState>,
        around: &config::Backend,
        config: &config::Server,
    ) -> Option<Server> {
        let address = match &config.address {
            Address::Tcp(address) => ServerAddress::Ip(*address),
            Address::Unix(path) => ServerAddress::Unix(path.clone()),
            Address::Statistics => ServerAddress::Statistics,
            Address::ClientPort(ip) => ServerAddress::ClientPort(*ip),
            Address::Name { host, port } => ServerAddress::Name {
                host: host.clone(),
                port: *port,
            },
            // The config reader allows it for frontends only.
            Address::Inherited(_) | Address::Activated(_) => return None,
        };
        let namespace = match config.reach.namespace.as_deref().map(Namespace::enter) {
            Some(Err(source)) => {
                let place = format!("backend {}, server {}", backend.name, config.name);
                self.errors.push(BuildError::Namespace { place, source });
                return None;
            }
            Some(Ok(namespace)) => Some(namespace),
            None => None,
        };
        let tls = self.connector(&backend.name, config).ok()?;
        Some(Server {
            tls,
            protocol: config.protocol,
            http2: Arc::new(around.http2.clone()),
            send_proxy: config.reach.send_proxy,
            origin: Arc::new(match address {
                ServerAddress::Statistics => Origin::inside(Arc::clone(&self.builder.inner_door)),
                _ => Origin::new(namespace, config.reach.source),
            }),
            state: self
                .builder
                .registry
                .server(backend, &config.name, &address, |state| {
                    begin(state, config);
                }),
            name: config.name.clone(),
            address,
            id: config.id,
            weight: config.weight,
            limit: config.max_connections,
            grain: grain(around),
            backup: config.conduct.backup,
            observe: config.conduct.observe,
            holds_sessions: holds_sessions(around, config),
            persistence_key: config.persistence_key.clone(),
        })
    }

    fn plugin(
        &mut self,
        config: &config::PluginUse,
        place: Place,
        shown: PluginPlace,
    ) -> Option<PluginUse> {
        let spec = PluginSpec::of(config, place, self.maps, self.counters, self.backends);
        let plugin = self.load_plugin(config, &spec)?;
        let used = PluginUse {
            offload: self.offload(config, &plugin)?,
            metrics: self.builder.metrics.plugin(shown.clone(), plugin.name()),
            place: shown.clone(),
            breaker: Arc::new(Breaker::new(BreakerRules::default())),
            plugin,
            next: None,
        };
        let next = match &config.next {
            Some(next) => Some(self.next(next, &used, place, shown)?),
            None => None,
        };
        Some(PluginUse { next, ..used })
    }

    /// The plugin alone. If it does not load, that was said.
    fn load_plugin(
        &mut self,
        config: &config::PluginUse,
        spec: &PluginSpec<'_>,
    ) -> Option<Arc<Plugin>> {
        let loaded = match self.store.obtain(config) {
            Ok(Some(bytes)) => Plugin::from_bytes(&self.builder.runtime, &bytes, spec),
            Ok(None) => Plugin::load(&self.builder.runtime, spec),
            Err(error) => {
                let message = format!("plugin `{}`: {}", spec.name, with_cause(&error));
                let error = config.places.plugin_error(message);
                self.errors.push(BuildError::Config(error));
                return None;
            }
        };
        match loaded {
            Ok(plugin) => {
                self.has_asked_sensibly(config, &plugin)?;
                Some(plugin)
            }
            Err(error) => {
                self.errors.extend(located(config, &error));
                None
            }
        }
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

    /// The threads of a use that asks for some. None in the outer sense if there are none to be had.
    fn offload(
        &mut self,
        config: &config::PluginUse,
        plugin: &Arc<Plugin>,
    ) -> Option<Option<Arc<Offload>>> {
        let Some(sizes) = config.offload else {
            return Some(None);
        };
        match Offload::start(Arc::clone(plugin), sizes) {
            Ok(offload) => Some(Some(offload)),
            Err(error) => {
                let message = format!("plugin `{}`: {}", plugin.name(), with_cause(&error));
                let error = BuildError::Config(config.places.plugin_error(message));
                self.errors.push(error);
                None
            }
        }
    }
}

/// How a server that was not there before begins.
fn begin(state: &ServerState, config: &config::Server) {
    state.set(
        Hindrance::Maintenance,
        config.conduct.state == AdminState::Maintenance,
    );
    state.set(Hindrance::Drain, config.conduct.state == AdminState::Drain);
    let starts_up = config.check.as_ref().is_none_or(|check| check.starts_up);
    state.set(Hindrance::Unhealthy, !starts_up);
}

fn positions(backends: &[Backend]) -> HashMap<BackendName, usize> {
    let names = backends.iter().map(|backend| backend.name.clone());
    names.zip(0..).collect()
}

/// Sixteenths where a server's share can be less than its weight.
fn grain(backend: &config::Backend) -> Grain {
    let shrinks = |server: &config::Server| {
        server.conduct.slow_start.is_some() || server.conduct.agent.is_some()
    };
    match backend.servers.iter().any(shrinks) {
        true => Grain::Sixteenths,
        false => Grain::Whole,
    }
}

/// Whether the server's sessions may have to be ended when it goes down or when another comes back.
fn holds_sessions(backend: &config::Backend, server: &config::Server) -> bool {
    let relieved = server.conduct.backup
        && backend
            .servers
            .iter()
            .any(|other| other.conduct.shutdown_backups_when_up);
    server.conduct.shutdown_when_down || relieved
}

/// The errors of one plugin, each where it belongs in weir.toml.
fn located(config: &config::PluginUse, error: &LoadError) -> Vec<BuildError> {
    let plugin = &error.plugin;
    match &error.fault {
        LoadFault::Config { violations } => violations
            .iter()
            .map(|violation| {
                let message = format!("plugin `{plugin}`: {}", violation.message);
                BuildError::Config(config.places.error(&violation.pointer, message))
            })
            .collect(),
        fault => {
            let message = format!("plugin `{plugin}`: {}", with_cause(fault));
            vec![BuildError::Config(config.places.plugin_error(message))]
        }
    }
}

/// The balancer to fall back to: the last generation's, if this one has another.
fn former_balancer(
    former: Option<&Generation>,
    config: &config::Backend,
    balancer: &PluginUse,
) -> Option<PluginUse> {
    let former = former?
        .backends
        .iter()
        .find(|backend| backend.name == config.name)?;
    let same = former.balancer.plugin.digest() == balancer.plugin.digest()
        && former.balancer.plugin.config() == balancer.plugin.config();
    if !same {
        return Some(PluginUse {
            next: None,
            ..former.balancer.clone()
        });
    }
    former.former_balancer.clone()
}
