//! Backends and their servers, which keep what is known of them when a new generation has them still.

use std::sync::Arc;

use super::{BuildError, Loader};
use crate::{
    backend::{BackendState, Grain, Hindrance, Server, ServerAddress, ServerState},
    config::{self, Address, AdminState},
    frontend::{Backend, Filter, Generation, Inspect, PluginUse, UsableCount, judges_connections},
    model::BackendName,
    net::{Namespace, Origin, TlsConnector},
    plugin::Place,
    telemetry::{CompressionPlace, PluginPlace},
};

impl Loader<'_> {
    pub(super) fn backend(
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
        let filters: Vec<Filter> = filters.into_iter().collect::<Option<_>>()?;
        Some(Backend {
            judges: judges_connections(&filters).then(|| Inspect::of(&filters)),
            filters,
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
        backend: &Arc<BackendState>,
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
