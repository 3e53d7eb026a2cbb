//! Text in, [`Config`] out. A `Config` in hand is proof that the text was sound: names are unique,
//! what is referred to exists, addresses parse, values are in range. What only loading can show (a
//! plugin that does not compile, a name that does not resolve) is found later, by `proxy`.
//!
//! Knows nothing of sockets or wasm.

mod acme;
mod address;
mod backend;
mod bind;
mod bind_socket;
mod cache;
pub mod cases;
mod check;
mod check_steps;
mod compression;
mod conduct;
mod counters;
mod error;
mod error_page;
mod frontend;
mod http2;
mod load;
mod log;
mod log_format;
mod map;
mod name;
mod next;
mod order;
mod own_page;
mod places;
mod plugin_use;
mod process;
pub mod project;
mod reach;
mod read;
mod runtime_socket;
pub mod scenario;
mod sharing;
mod steps;
mod suggest;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod units;
mod value;
mod why;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use crate::model::{BackendName, FrontendName, ServerName};

pub use acme::{Acme, AcmeNames};
pub use bind_socket::SocketOptions;
pub use cache::{Cache, CacheUse, CacheWhen};
pub use check::{Endpoint, HttpCheck};
pub use check_steps::Step;
pub use compression::{Coding, Compression, Levels, Said, Subtype, TypePattern};
pub use conduct::{AdminState, Agent, Backups, Conduct, Consequence, Layer, Observe, Tracked};
pub use error::{ConfigError, ConfigErrors, Place};
pub use http2::{Http2Limits, Protocols, ServerHttp2, ServerProtocol};
pub use load::{load, parse};
pub use log_format::{EndFact, LogPart, LogTemplate};
pub use name::is_name;
pub use next::{GiveUp, Next, NextMode};
pub use order::read_order;
pub use reach::{Reach, Resolver, Slot, Source};
pub use runtime_socket::{Level, RuntimeSocket};
pub use sharing::{
    BadReference, KeyFile, MovedTags, OciReference, OciSource, RegistryAccess, Sharing, SignedBy,
};
pub use steps::Step as CanaryStep;
pub use suggest::nearest;
pub use tcp::{AcceptProxy, ForwardedBy, Mode, ProxyAdditions, SendProxy, TrustedProxies};
pub use tls::{
    Alpn, CertificateFiles, Cipher, ClientCertificates, ListenerTls, NamedFile, ServerCertificates,
    ServerTls, Spot, TlsVersion, TlsVersions, Trust, UnknownName,
};
pub use why::{Why, read_duration};

/// A checked configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    pub file: PathBuf,
    pub process: Process,
    pub logs: Vec<LogTarget>,
    pub maps: Vec<MapFile>,
    pub counters: Vec<CounterTable>,
    /// Which exchanges can be asked about later.
    pub why: Arc<Why>,
    /// Who issues certificates by itself, if anybody does.
    pub acme: Option<Acme>,
    pub caches: Vec<Cache>,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
    /// What holds for components out of registries, and whose signatures are needed.
    pub sharing: Arc<Sharing>,
    /// Things that are allowed but probably not meant, ready to be shown.
    pub warnings: Vec<String>,
}

impl Config {
    /// Every use of a plugin, in the order of the file.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginUse> {
        let of_frontends = self.frontends.iter().flat_map(|it| &it.filters);
        let of_backends = self.backends.iter().flat_map(|backend| {
            let filters = backend.filters.iter();
            filters
                .chain([&backend.balancer])
                .chain(&backend.persistence)
        });
        of_frontends.chain(of_backends)
    }
}

#[derive(Debug, Clone)]
pub struct Process {
    /// `None`: one per CPU.
    pub workers: Option<usize>,
    /// Client connections over all frontends; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// How long exchanges may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// Watch the config, plugins and maps for changes.
    pub watch: bool,
    /// Where compiled plugins are kept; `None`: the user's cache folder.
    pub code_cache: Option<PathBuf>,
    /// Where components out of registries are kept; `None`: the user's cache folder.
    pub component_cache: Option<PathBuf>,
    pub admin: Option<Address>,
    /// Where commands are taken.
    pub runtime_sockets: Vec<RuntimeSocket>,
    /// Whom to become once all is open.
    pub user: Option<String>,
    pub group: Option<String>,
    /// The folder that is the root of all paths from then on.
    pub chroot: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    pub to: LogSink,
    pub format: LogFormat,
    pub facility: Facility,
    /// The least severe level that is written here. An access-log line is `Info`.
    pub level: LogLevel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSink {
    Stdout,
    Stderr,
    File(PathBuf),
    /// Unix datagram socket such as /dev/log.
    SyslogUnix(PathBuf),
    SyslogUdp(SocketAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// HAProxy's `option httplog` line.
    HttpLog,
    Json,
}

/// Syslog facility number (kern 0 .. local7 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(pub u8);

/// Syslog severities, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

/// A file of keys and values that plugins may be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapFile {
    pub name: String,
    pub file: PathBuf,
    pub matching: MapMatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapMatch {
    Exact,
    Prefix,
    Cidr,
}

/// A table in which plugins that were granted it count by key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterTable {
    pub name: String,
    /// The most keys it holds.
    pub size: usize,
    /// How long a key stays after it was last used; `None`: as long as there is room.
    pub expire: Option<Duration>,
    pub counters: Vec<Counter>,
    pub when_full: WhenFull,
}

/// What is counted of each key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counter {
    pub name: String,
    /// The time that a rate looks back over; `None`: a total.
    pub window: Option<Duration>,
    /// Whether what is added lasts as long as the connection that it was added for.
    pub held: bool,
}

/// What a new key means for a full table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// It takes the place of the one that has not been used for longest.
    Evict,
    /// It is not counted.
    Refuse,
}

#[derive(Debug, Clone)]
pub struct Frontend {
    pub name: FrontendName,
    pub mode: Mode,
    pub bind: Vec<Bind>,
    pub default_backend: Option<BackendName>,
    pub max_connections: Option<usize>,
    /// Connections that each client may have.
    pub max_connections_per_client: Option<u32>,
    pub filters: Vec<PluginUse>,
    pub forwarded_for: Option<ForwardedFor>,
    /// Whose word about a request's client is taken.
    pub trusted_proxies: Option<TrustedProxies>,
    /// Whether a connection that brought no byte gets a log line.
    pub log_empty_connections: bool,
    /// Whether a connection that brings no byte is closed without an answer, and without a log line.
    pub ignore_probes: bool,
    /// Whether an exchange that went well gets a log line.
    pub log_normal: bool,
    /// How the lines about its exchanges look; `None`: as usual.
    pub log_format: Option<Arc<LogTemplate>>,
    /// The field in which servers are told the request's id, if at all.
    pub request_id_header: Option<String>,
    pub timeouts: ClientTimeouts,
    pub limits: Limits,
    pub http2: Http2Limits,
    pub error_pages: ErrorPages,
    pub compression: Said<Compression>,
    pub cache: Said<CacheUse>,
}

/// A socket that a frontend listens on, and what is special about the clients that come there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub address: Address,
    pub accept_proxy: Option<AcceptProxy>,
    pub socket: SocketOptions,
    /// `None`: clear text.
    pub tls: Option<Arc<ListenerTls>>,
    /// As written; [`protocols`](Self::protocols) has the default.
    pub protocols: Option<Protocols>,
}

impl Bind {
    /// What is spoken there. In clear text HTTP/2 is only offered where it was asked for; over TLS clients say
    /// which they want.
    pub fn protocols(&self) -> Protocols {
        self.protocols.unwrap_or(match self.tls {
            Some(_) => Protocols::Both,
            None => Protocols::Http1,
        })
    }
}

/// A socket to listen on or connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// In a frontend port 0 lets the system choose.
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// An inherited listening descriptor, `fd@N`; frontends only.
    Inherited(i32),
    /// A socket that the service manager opened, by the name it has there; frontends only.
    Activated(String),
    /// A host name, resolved when the configuration is loaded and followed from then on; servers only.
    Name {
        host: String,
        port: u16,
    },
    /// The port the client connected to, at this address; servers only.
    ClientPort(IpAddr),
    /// The proxy's own figures, `weir:statistics`; servers only.
    Statistics,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedFor {
    /// Default `X-Forwarded-For`.
    pub header: String,
    /// Clients in these networks are not added.
    pub except: Vec<Network>,
}

/// An address and the number of leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// Silence of the client while it should send or take a body.
    pub client: Duration,
    /// From the first byte of a request to the end of its head.
    pub http_request: Duration,
    /// Between an answer and the next request.
    pub http_keep_alive: Duration,
    /// For the first bytes that connection filters have asked for.
    pub inspect: Duration,
    /// How long an answer is held back that a filter wants held back.
    pub tarpit: Duration,
    /// Silence of a TCP client whose server has finished; `None`: as long as of any.
    pub client_fin: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Request line and fields together; also what a server's head may take.
    pub header_bytes: usize,
    pub header_count: usize,
    pub uri_length: usize,
    /// Of a request body; `None`: no limit.
    pub body: Option<u64>,
}

/// Whole HTTP answers read from files, by status; made when the config is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorPages(pub BTreeMap<u16, Arc<ErrorPage>>);

/// A parsed error file: either a whole HTTP answer (`HTTP/1.x ...` first, as HAProxy's) or a bare
/// body, which gets `content-type: text/html`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A plugin as one frontend or backend uses it.
#[derive(Debug, Clone)]
pub struct PluginUse {
    pub source: PluginSource,
    /// Whose signature its component needs, if any.
    pub signed_by: Option<Arc<SignedBy>>,
    /// The plugin's config as JSON text; `{}` if none was given.
    pub config: String,
    /// Where each part of the plugin's config stands in the file, for errors that the plugin or its
    /// schema find later.
    pub places: ConfigPlaces,
    pub grants: Grants,
    pub on_failure: OnFailure,
    /// Of one call.
    pub deadline: Duration,
    /// Of one instance, in bytes.
    pub memory: usize,
    /// Calls are made on threads of their own and not by the workers.
    pub offload: Option<Offload>,
    /// The version that is tried out beside this one.
    pub next: Option<Box<Next>>,
}

impl PluginUse {
    /// The plugin as its source is written, a path without the `./` that the config's own folder was joined with.
    pub fn source_text(&self) -> String {
        match &self.source {
            PluginSource::Bundled(name) => name.clone(),
            PluginSource::Oci(source) => source.reference.to_string(),
            PluginSource::File(path) => {
                let path: PathBuf = path.components().collect();
                path.display().to_string()
            }
        }
    }

    /// Whether both say the same of the plugin and of its new version, wherever in the file they stand.
    pub fn says_as(&self, other: &Self) -> bool {
        let next = match (&self.next, &other.next) {
            (Some(one), Some(two)) => one.says_as(two),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let all = |used: &Self| {
            (
                used.source.clone(),
                used.config.clone(),
                used.grants.clone(),
                (used.on_failure, used.deadline, used.memory, used.offload),
            )
        };
        next && all(self) == all(other)
    }

    /// This use, and the one of the version that is tried out beside it.
    pub fn with_next(&self) -> impl Iterator<Item = &Self> {
        let next = self.next.as_ref().map(|next| &next.used);
        std::iter::once(self).chain(next)
    }
}

/// The threads of a plugin use that is offloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offload {
    pub threads: usize,
    /// Calls that may wait for one of them.
    pub queue: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PluginSource {
    /// One of those that Weir ships, by its bare name.
    Bundled(String),
    /// A `.wasm` file; relative paths start at the config file's folder.
    File(PathBuf),
    /// In a registry.
    Oci(Box<OciSource>),
}

/// What a plugin may import besides `log`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub clock: bool,
    pub random: bool,
    /// Names of `[[map]]`s.
    pub maps: Vec<String>,
    /// Names of `[[counters]]`.
    pub counters: Vec<String>,
}

/// What a filter's failure means for the request. Balancers and persistence have no such choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    Deny,
    Skip,
}

#[derive(Debug, Clone)]
pub struct Backend {
    pub name: BackendName,
    pub mode: Mode,
    /// Asked once the backend is chosen.
    pub filters: Vec<PluginUse>,
    pub balancer: PluginUse,
    pub persistence: Option<PluginUse>,
    pub servers: Vec<Server>,
    pub check: Option<Check>,
    pub backups: Backups,
    pub timeouts: ServerTimeouts,
    /// How often a request that reached no server is tried again.
    pub retries: u32,
    /// When a retry may go to another server.
    pub redispatch: Redispatch,
    pub pool: Pool,
    pub http2: ServerHttp2,
    pub error_pages: ErrorPages,
    pub compression: Said<Compression>,
    pub cache: Said<CacheUse>,
    /// The variable by which filters name a server.
    pub server_from: Option<String>,
    /// Exchanges that may wait for a free place on a server, over the whole backend.
    pub max_queue: usize,
    /// Exchanges in the whole backend at a time.
    pub max_connections: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redispatch {
    Never,
    /// Only the last retry; HAProxy's `option redispatch`.
    LastRetry,
    Always,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Idle connections kept per server and worker.
    pub max_idle: usize,
    pub idle_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTimeouts {
    pub connect: Duration,
    /// Silence of the server while it should answer.
    pub server: Duration,
    /// Waiting for a free place on a server.
    pub queue: Duration,
    /// Silence in both directions of a TCP session, or after an upgrade.
    pub tunnel: Duration,
    /// Silence of a TCP server whose client has finished; `None`: as long as of any.
    pub server_fin: Option<Duration>,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub name: ServerName,
    pub address: Address,
    pub reach: Reach,
    pub conduct: Conduct,
    pub protocol: ServerProtocol,
    /// Stable identity for consistent hashing: `id`, else the position from 1.
    pub id: u32,
    /// 0 to 256; 0 gets no new clients but serves those who are bound to it.
    pub weight: u32,
    pub max_connections: Option<u32>,
    /// `None`: clear text.
    pub tls: Option<ServerTls>,
    /// What persistence plugins call it; default its name.
    pub persistence_key: String,
    /// The backend's check with this server's changes; `None`: not checked, always up.
    pub check: Option<Check>,
}

impl Server {
    /// A server about which nothing more is said: with the weight 1, unchecked, in clear text.
    pub fn plain(name: &str, address: Address, id: u32) -> Self {
        Self {
            name: ServerName::new(name),
            address,
            reach: Reach::default(),
            conduct: Conduct::default(),
            protocol: ServerProtocol::Http1,
            id,
            weight: 1,
            max_connections: None,
            tls: None,
            persistence_key: name.to_owned(),
            check: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Whether the PROXY header that the server wants comes first.
    pub send_proxy: bool,
    pub kind: CheckKind,
    pub endpoint: Endpoint,
    pub interval: Duration,
    /// While it is on its way up or down; `None`: `interval`.
    pub fast_interval: Option<Duration>,
    /// While it is down; `None`: `interval`.
    pub down_interval: Option<Duration>,
    pub timeout: Duration,
    pub fall: u32,
    pub rise: u32,
    /// Whether it is given clients before its first check.
    pub starts_up: bool,
    /// Whether a server with TLS is checked with it.
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    Tcp,
    Http(HttpCheck),
    /// `grpc.health.v1` for this service; empty: the server as a whole.
    Grpc {
        service: String,
    },
    Steps(Vec<Step>),
}

/// Byte ranges of a plugin's config in the file it came from, by JSON pointer.
#[derive(Debug, Clone, Default)]
pub struct ConfigPlaces {
    pub file: PathBuf,
    pub source: Arc<str>,
    /// JSON pointer (`/rule/0/when`) → byte range in `source`. The empty pointer is the whole.
    pub spans: BTreeMap<String, Range<usize>>,
    /// The same for the keys of tables.
    pub keys: BTreeMap<String, Range<usize>>,
    /// Where the plugin is named.
    pub plugin: Range<usize>,
}
