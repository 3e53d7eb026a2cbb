//! Counters. Each thread that counts has cache lines of its own, so workers never wait for each
//! other; reading adds them up.
//!
//! A counter lives as long as somebody holds it. A new generation that registers the same name goes
//! on with the same counters, and what no generation uses any more disappears.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{
    cache::CacheMetrics,
    compression::{CompressionMetrics, CompressionPlace},
    prometheus,
};
use crate::model::{BackendName, FrontendName, PluginName, ServerName};

/// A row of counters on cache lines of its own. Two lines, since processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

/// `N` counters, spread over threads: the first threads that count have a row each, which no other thread
/// writes; those that come later share the last one.
#[derive(Debug)]
pub(super) struct Counters<const N: usize>(Box<[Shard<N>]>);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(4, usize::from);
        // One more for the control thread, and the shared one.
        let shards = (0..workers.clamp(1, 64) + 2)
            .map(|_| Shard(std::array::from_fn(|_| AtomicU64::new(0))))
            .collect();
        Self(shards)
    }
}

thread_local! {
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A small number for this thread, given out in the order of first use.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    THREAD.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

impl<const N: usize> Counters<N> {
    pub(super) fn add(&self, counter: usize, count: u64) {
        let (number, shared) = (thread_number(), self.0.len() - 1);
        let counter = &self.0[number.min(shared)].0[counter];
        if number < shared {
            // Nobody comes in between, so two plain steps do, for a fraction of what an atomic one costs.
            let now = counter.load(Ordering::Relaxed);
            counter.store(now.wrapping_add(count), Ordering::Relaxed);
        } else {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn sum(&self, counter: usize) -> u64 {
        self.0
            .iter()
            .map(|shard| shard.0[counter].load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }
}

/// 1xx to 5xx, and what is no status at all.
pub(super) const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

fn class(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100) - 1,
        _ => 5,
    }
}

/// Reads counters.
pub(super) trait Counted {
    /// The sum of the counter at this position.
    fn count(&self, counter: usize) -> u64;
    /// The sum of answers in the status class at this position.
    fn count_class(&self, class: usize) -> u64;
}

macro_rules! counters {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$each:meta])* $method:ident => $constant:ident = $index:literal, )* }
        classes at $classes:expr, of $total:literal
    ) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name(Counters<$total>);

        impl $name {
            $(
                $(#[$each])*
                pub fn $method(&self) {
                    self.0.add($index, 1);
                }
                pub(super) const $constant: usize = $index;
            )*

            /// Where the counters by class of status begin.
            const CLASSES: usize = $classes;

            /// An answer with this status.
            pub fn answered(&self, status: u16) {
                self.0.add(Self::CLASSES + class(status), 1);
            }

        }

        impl Counted for $name {
            fn count(&self, counter: usize) -> u64 {
                self.0.sum(counter)
            }

            fn count_class(&self, class: usize) -> u64 {
                self.0.sum(Self::CLASSES + class)
            }
        }
    };
}

counters! {
    /// What clients did at a frontend.
    FrontendMetrics {
        /// A client connected.
        connected => CONNECTIONS = 0,
        /// A request was read.
        requested => REQUESTS = 1,
        /// A filter ended an exchange.
        denied => DENIED = 2,
        /// What came was no sound request.
        bad_request => BAD_REQUESTS = 3,
        /// A client began to speak HTTP/2.
        http2_connected => HTTP2_CONNECTIONS = 12,
        /// A connection of HTTP/2 was ended since its client made work for nothing.
        http2_flooded => HTTP2_FLOODS = 13,
        /// A connection of HTTP/2 was ended since its client broke the protocol.
        http2_protocol_error => HTTP2_PROTOCOL_ERRORS = 14,
        /// A TLS handshake was done from scratch.
        handshake_done => HANDSHAKES = 15,
        /// A TLS handshake took an earlier session up.
        handshake_resumed => RESUMED = 16,
        /// A TLS handshake came to nothing.
        handshake_failed => FAILED_HANDSHAKES = 17,
        /// A connection was closed at once since its client has too many.
        refused => REFUSED = 18,
    }
    classes at 6, of 19
}

impl FrontendMetrics {
    pub(super) const BYTES_IN: usize = 4;
    pub(super) const BYTES_OUT: usize = 5;

    /// Bytes that came from a client.
    pub fn received(&self, bytes: u64) {
        self.0.add(Self::BYTES_IN, bytes);
    }

    /// Bytes that went to a client.
    pub fn sent(&self, bytes: u64) {
        self.0.add(Self::BYTES_OUT, bytes);
    }
}

counters! {
    /// What happened to exchanges that a backend got.
    BackendMetrics {
        /// An exchange was given to this backend.
        session => SESSIONS = 0,
        /// A retry went to another server.
        redispatched => REDISPATCHES = 1,
        /// An exchange had to wait for a free place.
        queued => QUEUED = 2,
        /// An exchange waited in vain, or could not even wait.
        queue_failed => QUEUE_FAILURES = 3,
        /// No server could be picked.
        no_server => NO_SERVER = 4,
    }
    classes at 5, of 11
}

counters! {
    /// What happened at a server.
    ServerMetrics {
        /// An exchange was given to this server.
        session => SESSIONS = 0,
        /// A connection could not be made.
        connect_failed => CONNECT_FAILURES = 1,
        /// A request was tried here again.
        retried => RETRIES = 2,
        /// It answered badly, too late or not at all.
        failed => RESPONSE_ERRORS = 3,
        /// A check succeeded.
        check_passed => CHECKS_PASSED = 4,
        /// A check failed.
        check_failed => CHECKS_FAILED = 5,
        /// It was taken to be down.
        went_down => DOWNS = 6,
    }
    classes at 7, of 13
}

/// Causes of failure that are told apart; `other` takes what has no name here.
pub(super) const CAUSES: [&str; 10] = [
    "trap", "deadline", "memory", "quota", "answer", "start", "queue", "poisoned", "refused",
    "other",
];

/// What calls of a plugin came to, at one place that uses it.
#[derive(Debug, Default)]
pub struct PluginMetrics(Counters<{ CAUSES.len() + 3 }>);

impl PluginMetrics {
    const CALLS: usize = CAUSES.len();
    const QUARANTINED: usize = CAUSES.len() + 1;
    const RECALLED: usize = CAUSES.len() + 2;

    /// A call came back with an answer.
    pub fn called(&self) {
        self.0.add(Self::CALLS, 1);
    }

    /// A call failed. `cause` is one of `trap`, `deadline`, `memory`, `quota`, `answer`, `start`,
    /// `queue`, `poisoned`; anything else is counted as `other`.
    pub fn failed(&self, cause: &str) {
        let other = CAUSES.len() - 1;
        let index = CAUSES.iter().position(|known| *known == cause);
        self.0.add(index.unwrap_or(other), 1);
    }

    /// The answer asked for what must not be done.
    pub fn refused(&self) {
        self.failed("refused");
    }

    /// A call was not made because its answer was known.
    pub fn recalled(&self) {
        self.0.add(Self::RECALLED, 1);
    }

    /// A call was not made because the plugin failed too often.
    pub fn quarantined(&self) {
        self.0.add(Self::QUARANTINED, 1);
    }

    /// How many answers there were, those included for which no call was needed.
    pub fn answered(&self) -> u64 {
        self.calls() + self.recalls()
    }

    pub(super) fn calls(&self) -> u64 {
        self.0.sum(Self::CALLS)
    }

    pub(super) fn failures(&self, cause: usize) -> u64 {
        self.0.sum(cause)
    }

    pub(super) fn recalls(&self) -> u64 {
        self.0.sum(Self::RECALLED)
    }

    pub(super) fn skipped(&self) -> u64 {
        self.0.sum(Self::QUARANTINED)
    }
}

/// Where a plugin is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PluginPlace {
    /// The filter at this position, from 0.
    Filter {
        frontend: FrontendName,
        position: usize,
    },
    /// The filter of a backend at this position, from 0.
    BackendFilter {
        backend: BackendName,
        position: usize,
    },
    Balancer(BackendName),
    Persistence(BackendName),
}

/// As a path: `frontend/web/filter/1`, `backend/api/balancer`. Positions are counted from 1 as people do.
impl fmt::Display for PluginPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { frontend, position } => {
                write!(f, "frontend/{frontend}/filter/{}", position + 1)
            }
            Self::BackendFilter { backend, position } => {
                write!(f, "backend/{backend}/filter/{}", position + 1)
            }
            Self::Balancer(backend) => write!(f, "backend/{backend}/balancer"),
            Self::Persistence(backend) => write!(f, "backend/{backend}/persistence"),
        }
    }
}

impl PluginPlace {
    /// Whether `name` means this place: as it is displayed, or as recordings and stories have it, such as
    /// `backend.api.balance`.
    pub fn is_called(&self, name: &str) -> bool {
        let dotted = match self {
            Self::Filter { frontend, position } => {
                format!("frontend.{frontend}.filter.{}", position + 1)
            }
            Self::BackendFilter { backend, position } => {
                format!("backend.{backend}.filter.{}", position + 1)
            }
            Self::Balancer(backend) => format!("backend.{backend}.balance"),
            Self::Persistence(backend) => format!("backend.{backend}.persistence"),
        };
        name == dotted || name == self.to_string()
    }
}

type Known<K, M> = BTreeMap<K, Weak<M>>;

/// All counters by the names they are shown under.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Registered>);

#[derive(Debug, Default)]
struct Registered {
    frontends: Known<FrontendName, FrontendMetrics>,
    backends: Known<BackendName, BackendMetrics>,
    servers: Known<(BackendName, ServerName), ServerMetrics>,
    plugins: Known<(PluginPlace, PluginName), PluginMetrics>,
    compressions: Known<CompressionPlace, CompressionMetrics>,
    caches: Known<String, CacheMetrics>,
}

/// Counters that are alive, in the order they are shown.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub frontends: Vec<(FrontendName, Arc<FrontendMetrics>)>,
    pub backends: Vec<(BackendName, Arc<BackendMetrics>)>,
    pub servers: Vec<((BackendName, ServerName), Arc<ServerMetrics>)>,
    pub plugins: Vec<((PluginPlace, PluginName), Arc<PluginMetrics>)>,
    pub compressions: Vec<(CompressionPlace, Arc<CompressionMetrics>)>,
    pub caches: Vec<(String, Arc<CacheMetrics>)>,
}

impl Metrics {
    pub fn frontend(&self, name: &FrontendName) -> Arc<FrontendMetrics> {
        get_or_make(&mut self.lock().frontends, name.clone())
    }

    pub fn backend(&self, name: &BackendName) -> Arc<BackendMetrics> {
        get_or_make(&mut self.lock().backends, name.clone())
    }

    pub fn server(&self, backend: &BackendName, name: &ServerName) -> Arc<ServerMetrics> {
        get_or_make(&mut self.lock().servers, (backend.clone(), name.clone()))
    }

    pub fn plugin(&self, place: PluginPlace, plugin: &PluginName) -> Arc<PluginMetrics> {
        get_or_make(&mut self.lock().plugins, (place, plugin.clone()))
    }

    pub fn compression(&self, place: CompressionPlace) -> Arc<CompressionMetrics> {
        get_or_make(&mut self.lock().compressions, place)
    }

    pub fn cache(&self, name: &str) -> Arc<CacheMetrics> {
        get_or_make(&mut self.lock().caches, name.to_owned())
    }

    /// Appends all counters in Prometheus' text form (version 0.0.4).
    pub fn write_prometheus(&self, out: &mut String) {
        prometheus::write(&self.snapshot(), out);
    }

    fn snapshot(&self) -> Snapshot {
        let known = self.lock();
        Snapshot {
            frontends: alive(&known.frontends),
            backends: alive(&known.backends),
            servers: alive(&known.servers),
            plugins: alive(&known.plugins),
            compressions: alive(&known.compressions),
            caches: alive(&known.caches),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registered> {
        // The maps are whole at any time, so a panic elsewhere does not matter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn get_or_make<K: Ord, M: Default>(known: &mut Known<K, M>, key: K) -> Arc<M> {
    if let Some(metrics) = known.get(&key).and_then(Weak::upgrade) {
        return metrics;
    }
    known.retain(|_, metrics| metrics.strong_count() > 0);
    let metrics = Arc::new(M::default());
    known.insert(key, Arc::downgrade(&metrics));
    metrics
}

fn alive<K: Clone, M>(known: &Known<K, M>) -> Vec<(K, Arc<M>)> {
    known
        .iter()
        .filter_map(|(key, metrics)| Some((key.clone(), metrics.upgrade()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_many_threads_count() {
        let metrics = FrontendMetrics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        metrics.connected();
                        metrics.answered(204);
                        metrics.sent(3);
                    }
                });
            }
        });
        assert_eq!(metrics.count(FrontendMetrics::CONNECTIONS), 80_000);
        assert_eq!(metrics.count(FrontendMetrics::BYTES_OUT), 240_000);
        assert_eq!(metrics.count_class(1), 80_000);
        assert_eq!(metrics.count_class(4), 0);
    }

    #[test]
    fn a_status_falls_into_its_class() {
        for (status, expected) in [
            (100, 0),
            (200, 1),
            (399, 2),
            (404, 3),
            (599, 4),
            (0, 5),
            (999, 5),
        ] {
            assert_eq!(class(status), expected, "{status}");
        }
    }

    #[test]
    fn a_new_generation_goes_on_counting() {
        let metrics = Metrics::default();
        let name = FrontendName::new("web");
        let old = metrics.frontend(&name);
        old.connected();
        let new = metrics.frontend(&name);
        new.connected();
        assert_eq!(old.count(FrontendMetrics::CONNECTIONS), 2);
        drop((old, new));
        assert!(metrics.snapshot().frontends.is_empty(), "nobody uses it");
    }

    #[test]
    fn a_cause_nobody_foresaw_is_counted_as_other() {
        let metrics = PluginMetrics::default();
        metrics.failed("deadline");
        metrics.failed("sunspots");
        metrics.refused();
        let failed: Vec<_> = (0..CAUSES.len())
            .filter(|cause| metrics.failures(*cause) > 0)
            .map(|cause| CAUSES[cause])
            .collect();
        assert_eq!(failed, ["deadline", "refused", "other"]);
    }
}
