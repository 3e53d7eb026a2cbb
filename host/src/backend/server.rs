//! A server as all workers share it, and the places it has for exchanges.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use super::{
    queue::Queue,
    standing::{Hindrance, Standing},
};
use crate::{
    model::{BackendName, ServerName},
    net::Origin,
};

/// Where a server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// This address, at the port that the client connected to.
    ClientPort(IpAddr),
    /// Whatever address the name has at the time; the server's state knows it.
    Name {
        host: String,
        port: u16,
    },
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::ClientPort(ip) => ip.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// One server as a generation's config describes it.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: ServerName,
    pub address: ServerAddress,
    pub id: u32,
    pub weight: u32,
    /// Exchanges it takes at a time.
    pub limit: Option<u32>,
    pub persistence_key: String,
    /// Where connections to it begin.
    pub origin: Arc<Origin>,
    pub state: Arc<ServerState>,
}

impl Server {
    /// Whether it may be given clients that it does not have yet.
    pub fn is_eligible(&self) -> bool {
        self.weight > 0 && self.state.takes_new()
    }

    /// Whether an exchange would get a place at once.
    pub fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.state.active() < limit)
    }

    /// Whether the port is the one that the client connected to.
    pub fn is_at_clients_port(&self) -> bool {
        matches!(self.address, ServerAddress::ClientPort(_))
    }

    /// Where it is now; `None` while its name has no address. `client_port` is used where the server has
    /// no port of its own.
    pub fn socket_address(&self, client_port: u16) -> Option<SocketAddr> {
        match &self.address {
            ServerAddress::Ip(address) => Some(*address),
            ServerAddress::ClientPort(ip) => Some(SocketAddr::new(*ip, client_port)),
            ServerAddress::Name { .. } => self.state.resolved(),
            ServerAddress::Unix(_) => None,
        }
    }
}

/// What outlives a generation: a server that a new config still has keeps its health, its counts and
/// its pooled connections.
#[derive(Debug)]
pub struct ServerState {
    /// Never given to another server.
    key: u64,
    /// Never given to another address either, so a pool can go by it.
    pool_key: AtomicU64,
    standing: Standing,
    /// Of a server that goes by a name.
    resolved: ArcSwapOption<SocketAddr>,
    active: AtomicU32,
    queued: AtomicU32,
    backend: Arc<BackendState>,
}

/// No number is given twice in the life of the process.
fn next_key() -> u64 {
    static NEXT_KEY: AtomicU64 = AtomicU64::new(1);
    NEXT_KEY.fetch_add(1, Ordering::Relaxed)
}

impl ServerState {
    pub fn new(backend: Arc<BackendState>) -> Arc<Self> {
        let key = next_key();
        Arc::new(Self {
            key,
            pool_key: AtomicU64::new(key),
            standing: Standing::default(),
            resolved: ArcSwapOption::empty(),
            active: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            backend,
        })
    }

    /// Of a server that goes by a name, which nobody has looked up yet.
    pub fn unresolved(backend: Arc<BackendState>) -> Arc<Self> {
        let state = Self::new(backend);
        state.standing.set(Hindrance::Unresolved, true);
        state
    }

    pub fn key(&self) -> u64 {
        self.key
    }

    /// What its idle connections are kept under; another one for each address that it has had.
    pub fn pool_key(&self) -> u64 {
        self.pool_key.load(Ordering::Relaxed)
    }

    /// Whether it may be given anything at all.
    pub fn is_up(&self) -> bool {
        self.standing.is_up()
    }

    /// Whether it may be given clients that it does not have yet.
    pub fn takes_new(&self) -> bool {
        self.standing.takes_new()
    }

    pub fn has(&self, hindrance: Hindrance) -> bool {
        self.standing.has(hindrance)
    }

    /// What checks and traffic say of it.
    pub fn set_up(&self, up: bool) {
        self.set(Hindrance::Unhealthy, !up);
    }

    /// Takes it out of its backend's eligible set, in part or altogether, or puts it back. Exchanges that
    /// wait for a server that went down look for another one. Returns whether anything changed.
    pub fn set(&self, hindrance: Hindrance, there: bool) -> bool {
        if !self.standing.set(hindrance, there) {
            return false;
        }
        self.backend.bump();
        if !self.is_up() {
            self.backend.queue.send_elsewhere(self.key);
        }
        true
    }

    /// The address that its name had when it was last looked up.
    pub fn resolved(&self) -> Option<SocketAddr> {
        self.resolved.load().as_deref().copied()
    }

    /// Moves it to another address, or nowhere. Exchanges that run there finish; nobody is given a
    /// connection to the old address any more, and nothing is known of the health of the new one.
    pub fn set_resolved(&self, address: Option<SocketAddr>) {
        if self.resolved() == address {
            return;
        }
        self.resolved.store(address.map(Arc::new));
        self.pool_key.store(next_key(), Ordering::Relaxed);
        self.set(Hindrance::Unhealthy, false);
        self.set(Hindrance::Unresolved, address.is_none());
    }

    /// Exchanges it is running.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Exchanges that wait for this server and no other.
    pub fn queued(&self) -> u32 {
        self.queued.load(Ordering::Relaxed)
    }

    pub fn backend(&self) -> &Arc<BackendState> {
        &self.backend
    }

    pub(super) fn join_queue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave_queue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes a place if `limit` leaves one.
    pub fn take_place(self: &Arc<Self>, limit: Option<u32>) -> Option<Place> {
        match limit {
            None => {
                self.active.fetch_add(1, Ordering::SeqCst);
            }
            Some(limit) => {
                self.active
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |active| {
                        (active < limit).then_some(active + 1)
                    })
                    .ok()?;
            }
        }
        Some(self.placed())
    }

    /// Wraps a place that is already counted in `active`.
    pub(super) fn placed(self: &Arc<Self>) -> Place {
        Place {
            server: Arc::clone(self),
        }
    }
}

/// The right to run one exchange on a server. Dropping it lets the next in the queue go.
#[derive(Debug)]
pub struct Place {
    server: Arc<ServerState>,
}

impl Place {
    pub fn server(&self) -> &Arc<ServerState> {
        &self.server
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let queue = &self.server.backend.queue;
        if queue.is_empty() || !queue.hand_over(&self.server) {
            self.server.active.fetch_sub(1, Ordering::SeqCst);
            // Somebody may have joined the queue between the two steps above and seen no free place.
            if !queue.is_empty() {
                queue.offer_again(&self.server);
            }
        }
    }
}

/// What all generations of one backend share.
#[derive(Debug)]
pub struct BackendState {
    pub name: BackendName,
    version: AtomicU64,
    turn: AtomicU64,
    active: AtomicU32,
    pub(super) queue: Queue,
}

impl BackendState {
    pub fn new(name: BackendName) -> Arc<Self> {
        Arc::new(Self {
            name,
            version: AtomicU64::new(1),
            turn: AtomicU64::new(0),
            active: AtomicU32::new(0),
            queue: Queue::default(),
        })
    }

    /// Changes whenever a server became eligible or stopped being so. Starts at 1.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn bump(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The number of this pick among all picks of the backend, from 0.
    pub fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Exchanges in this backend, those that wait included.
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Counts an exchange in; returns how many there are now.
    pub fn enter(&self) -> u32 {
        self.active.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn leave(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exchanges that wait for a place.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Arc<ServerState> {
        ServerState::new(BackendState::new(BackendName::new("b")))
    }

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let server = server();
        let first = server.take_place(Some(1)).unwrap();
        assert!(server.take_place(Some(1)).is_none());
        drop(first);
        assert!(server.take_place(Some(1)).is_some());
    }

    #[test]
    fn another_address_is_another_pool_and_a_fresh_start() {
        let server = ServerState::unresolved(BackendState::new(BackendName::new("b")));
        assert!(!server.is_up(), "a name without an address");
        let addresses: Vec<SocketAddr> = ["10.0.0.1:80", "10.0.0.2:80"]
            .map(|text| text.parse().unwrap())
            .into();
        server.set_resolved(Some(addresses[0]));
        server.set_up(false);
        let (before, version) = (server.pool_key(), server.backend().version());
        server.set_resolved(Some(addresses[0]));
        assert!(!server.is_up() && server.pool_key() == before, "the same");
        server.set_resolved(Some(addresses[1]));
        assert!(server.is_up() && server.pool_key() != before);
        assert!(server.backend().version() > version);
        server.set_resolved(None);
        assert!(!server.is_up());
    }

    #[test]
    fn a_change_of_health_is_a_new_version_and_a_repeated_one_is_not() {
        let server = server();
        let before = server.backend().version();
        server.set_up(false);
        server.set_up(false);
        assert_eq!(server.backend().version(), before + 1);
    }
}
