//! Frontends: their filters in order, and the certificates of their listeners.

use std::sync::Arc;

use super::{BuildError, Loader};
use crate::{
    config::{self, ListenerTls},
    frontend::{Filter, Frontend, Inspect, judges_connections},
    http::scan::HeadLimits,
    net::TlsAcceptor,
    proxy::listeners::Acceptors,
    telemetry::{CompressionPlace, PluginPlace},
};

impl Loader<'_> {
    pub(super) fn frontend(&mut self, config: &config::Frontend) -> Option<Frontend> {
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
        let most = config.max_connections.unwrap_or(usize::MAX);
        // A gate that is there already keeps its limit until the generation serves.
        let gate = self.builder.registry.gate(&config.name, most);
        Some(Frontend {
            name: config.name.clone(),
            mode: config.mode,
            judges_connections: judges_connections(&filters),
            inspect: Inspect::of(&filters),
            filters,
            default_backend: config
                .default_backend
                .as_ref()
                .and_then(|name| self.position(name)),
            forwarded_for: config.forwarded_for.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            log_empty_connections: config.log_empty_connections,
            ignore_probes: config.ignore_probes,
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
    pub(super) fn acceptors(&mut self, config: &config::Frontend) -> Acceptors {
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
}
