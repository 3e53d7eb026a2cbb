//! A generation: one complete, validated configuration with its plugins, as the data path sees it.
//!
//! [`Generation`] is shared by all workers and never changes; [`LocalGeneration`] adds what a worker has
//! to itself, its instances of the plugins. Both are built off the data path and only swapped here.

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;

use super::{
    caching::Caching,
    compress::Compressing,
    gate::Gate,
    live::UsableCount,
    policy::{LocalBalancer, LocalPlugin},
    rollout::{NextPart, NextUse},
    sources::Sources,
};
use crate::{
    backend::{BackendState, Server, eligible},
    cache::Cache,
    config,
    http::scan::HeadLimits,
    model::{BackendName, FrontendName, Hook, Input},
    net::{ListenerId, TlsAcceptor},
    plugin::{Breaker, Offload, Plugin, counters::CounterStore, maps::MapStore},
    telemetry::{BackendMetrics, FrontendMetrics, PluginMetrics, PluginPlace, ServerMetrics},
};

/// Everything a configuration says that exchanges need to know.
#[derive(Debug)]
pub struct Generation {
    /// Counts up from 1.
    pub number: u64,
    /// Which exchanges can be asked about later.
    pub why: Arc<config::Why>,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
    /// Positions in `backends`.
    pub by_name: HashMap<BackendName, usize>,
    pub caches: Vec<Arc<Cache>>,
    /// What each listener is used for, by the listener's number.
    pub listeners: Vec<Option<ListenerUse>>,
    /// What plugins count in; nobody else on the way of a request does.
    pub counters: CounterStore,
    /// What plugins look things up in.
    pub maps: Arc<MapStore>,
}

/// What a listener means in one generation. The socket itself may outlive it: its clients are served
/// by what the generation says that is current when they come.
#[derive(Debug, Clone)]
pub struct ListenerUse {
    /// Position in the generation's frontends.
    pub frontend: usize,
    /// Which of the frontend's it is, from 1.
    pub number: usize,
    pub bind: config::Bind,
    /// How clients are made sure of; `None`: in clear text.
    pub tls: Option<Arc<TlsAcceptor>>,
}

#[derive(Debug)]
pub struct Frontend {
    pub name: FrontendName,
    pub mode: config::Mode,
    pub filters: Vec<Filter>,
    /// Whether a filter is to be asked about connections: one of its own, or in front of TCP one of a backend that
    /// it leads to.
    pub judges_connections: bool,
    pub inspect: Inspect,
    /// Position in the generation's backends.
    pub default_backend: Option<usize>,
    pub forwarded_for: Option<config::ForwardedFor>,
    pub trusted_proxies: Option<config::TrustedProxies>,
    pub log_empty_connections: bool,
    pub ignore_probes: bool,
    /// Whether an exchange that went well gets a line.
    pub log_normal: bool,
    /// `None`: lines have the usual form.
    pub log_format: Option<Arc<config::LogTemplate>>,
    pub request_id_header: Option<String>,
    pub timeouts: config::ClientTimeouts,
    pub head_limits: HeadLimits,
    pub body_limit: Option<u64>,
    pub http2: config::Http2Limits,
    pub error_pages: config::ErrorPages,
    pub compression: config::Said<Arc<Compressing>>,
    pub cache: config::Said<Caching>,
    /// Client connections of this frontend, over all generations of it.
    pub connections: Arc<Gate>,
    /// Client connections by client, likewise, and how many each may have.
    pub sources: Arc<Sources>,
    pub per_client: Option<u32>,
    pub metrics: Arc<FrontendMetrics>,
}

impl Frontend {
    /// Learns which backends there are.
    pub fn stands_before(&mut self, backends: &[Backend]) {
        if self.mode != config::Mode::Tcp {
            return;
        }
        let chosen = self.filters.iter().flat_map(|filter| &filter.backends);
        let mut leads_to = chosen.chain(&self.default_backend);
        self.judges_connections |= leads_to.any(|backend| backends[*backend].judges.is_some());
    }
}

/// Whether one of some filters is to be asked about connections.
pub fn judges_connections(filters: &[Filter]) -> bool {
    let mut plugins = filters.iter().flat_map(|filter| filter.used.answering());
    plugins.any(|plugin| plugin.has_hook(Hook::OnConnection))
}

/// What connection filters want to see of a client's first bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspect {
    /// A TLS hello, if it begins with one.
    pub hello: bool,
    /// So many bytes.
    pub bytes: usize,
}

impl Inspect {
    /// What all of `filters` together ask for.
    pub fn of(filters: &[Filter]) -> Self {
        let inputs = filters
            .iter()
            .flat_map(|filter| filter.used.answering())
            .flat_map(|plugin| plugin.inputs(Hook::OnConnection));
        inputs.fold(Self::default(), |wanted, input| match input {
            Input::TlsSni | Input::TlsAlpn => Self {
                hello: true,
                ..wanted
            },
            Input::FirstBytes(count) => Self {
                bytes: wanted.bytes.max(usize::from(*count)),
                ..wanted
            },
            _ => wanted,
        })
    }

    /// What both want.
    pub fn and(self, other: Self) -> Self {
        Self {
            hello: self.hello || other.hello,
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// Whether whoever has seen this has seen what `other` wants, too.
    pub fn covers(self, other: Self) -> bool {
        self.and(other) == self
    }
}

/// A plugin where it is used, as all workers share it.
#[derive(Debug, Clone)]
pub struct PluginUse {
    pub place: PluginPlace,
    pub plugin: Arc<Plugin>,
    /// The threads that its calls are made on, if not the workers.
    pub offload: Option<Arc<Offload>>,
    pub breaker: Arc<Breaker>,
    pub metrics: Arc<PluginMetrics>,
    /// The version that is tried out beside this one.
    pub next: Option<Arc<NextUse>>,
}

impl PluginUse {
    /// The plugin, and the version that is tried out beside it.
    pub fn versions(&self) -> impl Iterator<Item = &Plugin> {
        let next = self.next.as_ref().map(|next| &*next.used.plugin);
        std::iter::once(&*self.plugin).chain(next)
    }

    /// Those of them whose answers are used.
    pub fn answering(&self) -> impl Iterator<Item = &Plugin> {
        let answers = |next: &&Arc<NextUse>| matches!(next.part, NextPart::Canary);
        let next = self.next.as_ref().filter(answers);
        std::iter::once(&*self.plugin).chain(next.map(|next| &*next.used.plugin))
    }
}

#[derive(Debug)]
pub struct Filter {
    pub used: PluginUse,
    /// For each backend the plugin may route to, its position in the generation's backends; then the same for
    /// the version that is tried out beside it.
    pub backends: Vec<usize>,
    pub on_failure: config::OnFailure,
}

impl Filter {
    /// Whether its failure ends the exchange.
    pub fn denies_when_failed(&self) -> bool {
        match self.on_failure {
            config::OnFailure::Deny => true,
            config::OnFailure::Skip => false,
        }
    }
}

#[derive(Debug)]
pub struct Backend {
    pub name: BackendName,
    pub servers: Vec<Server>,
    pub backups: config::Backups,
    /// Positions in `servers` by what persistence calls them.
    pub persistence_keys: HashMap<String, usize>,
    pub server_metrics: Vec<Arc<ServerMetrics>>,
    /// Asked once the backend is chosen; they choose none themselves.
    pub filters: Vec<Filter>,
    /// What they want to see of a connection, where they judge connections; only in front of TCP.
    pub judges: Option<Inspect>,
    pub balancer: PluginUse,
    /// The balancer of the generation before, if it was another one: what is asked when `balancer`
    /// keeps failing.
    pub former_balancer: Option<PluginUse>,
    pub persistence: Option<PluginUse>,
    pub timeouts: config::ServerTimeouts,
    pub retries: u32,
    pub redispatch: config::Redispatch,
    pub pool: config::Pool,
    pub error_pages: config::ErrorPages,
    pub compression: config::Said<Arc<Compressing>>,
    pub cache: config::Said<Caching>,
    /// The variable by which filters name a server.
    pub server_from: Option<String>,
    pub max_queue: usize,
    /// Exchanges in the whole backend at a time.
    pub limit: Option<usize>,
    pub state: Arc<BackendState>,
    /// For plugins that ask how many of the servers are usable.
    pub usable: UsableCount,
    pub metrics: Arc<BackendMetrics>,
}

/// A generation as one worker runs it.
#[derive(Debug)]
pub struct LocalGeneration {
    pub shared: Arc<Generation>,
    pub frontends: Vec<LocalFrontend>,
    pub backends: Vec<LocalBackend>,
}

#[derive(Debug)]
pub struct LocalFrontend {
    pub filters: Vec<LocalPlugin>,
}

#[derive(Debug)]
pub struct LocalBackend {
    pub filters: Vec<LocalPlugin>,
    pub balancer: LocalBalancer,
    pub former_balancer: Option<LocalBalancer>,
    pub persistence: Option<LocalPlugin>,
}

impl LocalGeneration {
    /// Makes a worker's instances. Takes a while, so it is done before the worker hears of it.
    ///
    /// An instance that cannot be made now is made when it is first asked, under the failure rule of
    /// its use; loading has already shown that the plugin works.
    pub fn build(shared: Arc<Generation>) -> Self {
        let frontends = shared
            .frontends
            .iter()
            .map(|frontend| LocalFrontend {
                filters: start_all(&frontend.filters),
            })
            .collect();
        let backends = shared
            .backends
            .iter()
            .map(|backend| LocalBackend {
                filters: start_all(&backend.filters),
                balancer: LocalBalancer::start(&backend.balancer, backend),
                former_balancer: backend
                    .former_balancer
                    .as_ref()
                    .map(|former| LocalBalancer::start(former, backend)),
                persistence: backend.persistence.as_ref().map(LocalPlugin::start),
            })
            .collect();
        Self {
            shared,
            frontends,
            backends,
        }
    }

    /// The frontend that `listener` belongs to now, with its position; none if it was taken away.
    pub fn frontend_of(&self, listener: ListenerId) -> Option<usize> {
        self.listener(listener).map(|used| used.frontend)
    }

    /// What `listener` is used for now; none if it was taken away.
    pub fn listener(&self, listener: ListenerId) -> Option<&ListenerUse> {
        self.shared.listeners.get(listener.0)?.as_ref()
    }
}

fn start_all(filters: &[Filter]) -> Vec<LocalPlugin> {
    let started = filters
        .iter()
        .map(|filter| LocalPlugin::start(&filter.used));
    started.collect()
}

impl Generation {
    /// Every use of a plugin, in the order of the file.
    pub fn uses(&self) -> impl Iterator<Item = &PluginUse> {
        let of_frontends = self.frontends.iter().flat_map(|it| &it.filters);
        let of_backends = self.backends.iter().flat_map(|backend| {
            let filters = backend.filters.iter().map(|filter| &filter.used);
            filters
                .chain([&backend.balancer])
                .chain(&backend.persistence)
        });
        of_frontends.map(|filter| &filter.used).chain(of_backends)
    }

    /// The position of the backend with this name.
    pub fn backend(&self, name: &BackendName) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

impl Backend {
    /// The servers that new clients may be given now, by position.
    pub fn eligible(&self) -> SmallVec<[usize; 8]> {
        eligible(&self.servers, self.backups)
    }

    /// The server of that name, if it may be given anything at all.
    pub fn usable_server(&self, name: &str) -> Option<usize> {
        let named = |server: &Server| server.name.as_str() == name && server.state.is_up();
        self.servers.iter().position(named)
    }

    /// The server that persistence knows by `key`.
    pub fn server_by_persistence_key(&self, key: &str) -> Option<usize> {
        self.persistence_keys.get(key).copied()
    }
}
