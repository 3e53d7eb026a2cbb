//! A server as all workers share it, and the places it has for exchanges.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use super::queue::Queue;
use crate::model::{BackendName, ServerName};

/// Where a server is reached, names already resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
    /// This address, at the port that the client connected to.
    ClientPort(IpAddr),
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::ClientPort(ip) => ip.fmt(f),
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
    pub state: Arc<ServerState>,
}

impl Server {
    /// Whether it may be given clients that it does not have yet.
    pub fn is_eligible(&self) -> bool {
        self.weight > 0 && self.state.is_up()
    }

    /// Whether an exchange would get a place at once.
    pub fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.state.active() < limit)
    }
}

/// What outlives a generation: a server that a new config still has keeps its health, its counts and
/// its pooled connections.
#[derive(Debug)]
pub struct ServerState {
    /// Never given to another server, so a pool can go by it.
    key: u64,
    up: AtomicBool,
    active: AtomicU32,
    queued: AtomicU32,
    backend: Arc<BackendState>,
}

impl ServerState {
    pub fn new(backend: Arc<BackendState>) -> Arc<Self> {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            up: AtomicBool::new(true),
            active: AtomicU32::new(0),
            queued: AtomicU32::new(0),
            backend,
        })
    }

    pub fn key(&self) -> u64 {
        self.key
    }

    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Takes it out of its backend's eligible set or puts it back. Exchanges that wait for a server
    /// that went down look for another one.
    pub fn set_up(&self, up: bool) {
        if self.up.swap(up, Ordering::SeqCst) != up {
            self.backend.bump();
            if !up {
                self.backend.queue.send_elsewhere(self.key);
            }
        }
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

    fn bump(&self) {
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
    fn a_change_of_health_is_a_new_version_and_a_repeated_one_is_not() {
        let server = server();
        let before = server.backend().version();
        server.set_up(false);
        server.set_up(false);
        assert_eq!(server.backend().version(), before + 1);
    }
}
