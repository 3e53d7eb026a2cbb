//! A server as all workers share it, and the places it has for exchanges.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use smallvec::SmallVec;

use super::{
    history::History,
    load::{Load, Loads},
    queue::Queue,
    room::Room,
    sessions::{SessionId, Sessions},
    share::{Grain, Share},
    standing::{Hindrance, Standing},
    traffic::Traffic,
};
use crate::{
    config::{Backups, Observe, SendProxy, ServerHttp2, ServerProtocol},
    model::{BackendName, ServerName},
    net::{Origin, Stream, TlsConnector},
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
    /// The proxy itself, which tells its figures.
    Statistics,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::ClientPort(ip) => ip.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Statistics => f.write_str("weir:statistics"),
        }
    }
}

/// One server as a generation's config describes it.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: ServerName,
    pub address: ServerAddress,
    pub id: u32,
    /// As it stands in the file.
    pub weight: u32,
    pub grain: Grain,
    /// Exchanges it takes at a time, as it stands in the file.
    pub limit: Option<u32>,
    /// It gets clients only when no other server can take any.
    pub backup: bool,
    pub observe: Option<Observe>,
    /// Its sessions may have to be ended from outside.
    pub holds_sessions: bool,
    pub persistence_key: String,
    pub protocol: ServerProtocol,
    pub http2: Arc<ServerHttp2>,
    /// The PROXY header that comes first on connections to it.
    pub send_proxy: Option<SendProxy>,
    /// Where connections to it begin.
    pub origin: Arc<Origin>,
    /// How it is made sure of; `None`: in clear text.
    pub tls: Option<Arc<TlsConnector>>,
    pub state: Arc<ServerState>,
}

impl Server {
    /// Whether it may be given clients that it does not have yet.
    pub fn is_eligible(&self) -> bool {
        self.state.takes_new() && self.weight_now() > 0
    }

    /// What balancers are told of its weight.
    pub fn weight_now(&self) -> u32 {
        self.state.share.of(self.weight, self.grain)
    }

    /// Exchanges it takes at a time: as an operator said or else the file, and no more than its agent says.
    pub fn limit_now(&self) -> Option<u32> {
        let limit = self.state.limit(self.limit);
        match self.state.agents_limit.load(Ordering::Relaxed) {
            u32::MAX => limit,
            agents => Some(limit.map_or(agents, |limit| limit.min(agents))),
        }
    }

    /// Whether an exchange would get a place at once.
    pub fn has_room(&self) -> bool {
        self.limit_now()
            .is_none_or(|limit| self.state.active() < limit)
    }

    /// Whether the port is the one that the client connected to.
    pub fn is_at_clients_port(&self) -> bool {
        matches!(self.address, ServerAddress::ClientPort(_))
    }

    /// Where it is now; `None` while its name has no address. `client_port` is used where the server has
    /// no port of its own.
    pub fn socket_address(&self, client_port: u16) -> Option<SocketAddr> {
        match &self.address {
            ServerAddress::Ip(address) => Some(self.state.resolved().unwrap_or(*address)),
            ServerAddress::ClientPort(ip) => Some(SocketAddr::new(*ip, client_port)),
            ServerAddress::Name { .. } => self.state.resolved(),
            ServerAddress::Unix(_) | ServerAddress::Statistics => None,
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
    /// Of a server that goes by a name, or that an operator has moved.
    resolved: ArcSwapOption<SocketAddr>,
    share: Share,
    /// `u32::MAX`: it said nothing.
    agents_limit: AtomicU32,
    /// `u32::MAX`: none said anything.
    operators_limit: AtomicU32,
    history: History,
    traffic: Traffic,
    sessions: Sessions,
    /// It gets a small share at first when it comes back.
    slow_start: AtomicBool,
    /// Servers that are as healthy as this one.
    followers: Others,
    ends_sessions: AtomicBool,
    /// Backup servers whose sessions end when this one comes back.
    relieves: Others,
    load: Load,
    backend: Arc<BackendState>,
}

/// Servers that this one has to do with, whether they are still there or not.
type Others = Mutex<Vec<Weak<ServerState>>>;

fn upgrade(others: &Others) -> Vec<Arc<ServerState>> {
    let others = others.lock().unwrap_or_else(PoisonError::into_inner);
    others.iter().filter_map(Weak::upgrade).collect()
}

fn replace(others: &Others, now: &[Arc<ServerState>]) {
    let now = now.iter().map(Arc::downgrade).collect();
    *others.lock().unwrap_or_else(PoisonError::into_inner) = now;
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
            share: Share::default(),
            agents_limit: AtomicU32::new(u32::MAX),
            operators_limit: AtomicU32::new(u32::MAX),
            history: History::default(),
            traffic: Traffic::default(),
            sessions: Sessions::default(),
            slow_start: AtomicBool::new(false),
            followers: Mutex::default(),
            ends_sessions: AtomicBool::new(false),
            relieves: Mutex::default(),
            load: backend.loads.next(),
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
        let was_up = self.is_up();
        if !self.standing.set(hindrance, there) {
            return false;
        }
        let up = self.is_up();
        if up != was_up {
            self.history.changed(up);
        }
        if !up && self.slow_start.load(Ordering::Relaxed) {
            self.share.set_warmth(0.0);
        }
        self.backend.bump();
        if !up {
            self.backend.queue.send_elsewhere(self.key);
        }
        match (was_up, up) {
            (true, false) if self.ends_sessions.load(Ordering::Relaxed) => {
                self.sessions.end_all();
            }
            (false, true) => upgrade(&self.relieves).iter().for_each(|backup| {
                backup.sessions.end_all();
            }),
            _ => {}
        }
        if hindrance == Hindrance::Unhealthy {
            upgrade(&self.followers).iter().for_each(|follower| {
                follower.set(Hindrance::Unhealthy, there);
            });
        }
        true
    }

    /// From now on these servers are as healthy as this one, and no others.
    pub fn set_followers(&self, followers: &[Arc<Self>]) {
        replace(&self.followers, followers);
        let unhealthy = self.has(Hindrance::Unhealthy);
        for follower in followers {
            follower.set(Hindrance::Unhealthy, unhealthy);
        }
    }

    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether sessions that are held end when it goes down.
    pub fn set_ends_sessions(&self, ends: bool) {
        self.ends_sessions.store(ends, Ordering::Relaxed);
    }

    /// Sessions of these end when this one comes back.
    pub fn set_relieves(&self, backups: &[Arc<Self>]) {
        replace(&self.relieves, backups);
    }

    /// The weight that it has for an operator, in place of the file's; `None`: the file's.
    pub fn set_weight(&self, weight: Option<u32>) {
        if self.share.set_operators(weight) {
            self.backend.bump();
        }
    }

    /// The exchanges it takes at a time for an operator, in place of the file's; `None`: the file's.
    pub fn set_limit(&self, limit: Option<u32>) {
        let limit = limit.unwrap_or(u32::MAX);
        if self.operators_limit.swap(limit, Ordering::Relaxed) != limit {
            self.backend.bump();
            // They wait under the limit that was; they choose again under this one.
            self.backend.queue.send_elsewhere(self.key);
        }
    }

    /// The limit that the operator gave it, else the file, which says `configured`.
    pub fn limit(&self, configured: Option<u32>) -> Option<u32> {
        match self.operators_limit.load(Ordering::Relaxed) {
            u32::MAX => configured,
            limit => Some(limit),
        }
    }

    /// Ends all sessions that are held. Returns how many there were.
    pub fn end_sessions(&self) -> usize {
        self.sessions.end_all()
    }

    /// The weight that the operator gave it, else the file, which says `configured`.
    pub fn weight(&self, configured: u32) -> u32 {
        self.share.weight(configured)
    }

    pub fn agents_percent(&self) -> u32 {
        self.share.agents_percent()
    }

    pub(super) fn set_agents_percent(&self, percent: u32) -> bool {
        let changed = self.share.set_agents_percent(percent);
        if changed {
            self.backend.bump();
        }
        changed
    }

    pub(super) fn set_agents_limit(&self, limit: u32) -> bool {
        let changed = self.agents_limit.swap(limit, Ordering::Relaxed) != limit;
        if changed {
            self.backend.bump();
        }
        changed
    }

    /// Whether its share is cut from when it goes down until it has warmed up. One that need not any more
    /// has its whole share at once.
    pub fn set_slow_start(&self, slow: bool) {
        self.slow_start.store(slow, Ordering::Relaxed);
        if !slow {
            self.warm_to(1.0);
        }
    }

    pub fn is_cold(&self) -> bool {
        self.share.is_cold()
    }

    /// Which part of its share it has.
    pub fn warmth(&self) -> f64 {
        self.share.warmth()
    }

    /// Gives it this part of its share, from 0 to 1.
    pub fn warm_to(&self, part: f64) {
        if self.share.set_warmth(part) {
            self.backend.bump();
        }
    }

    /// The address that its name had when it was last looked up, or that an operator gave it.
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
        self.load.active()
    }

    /// Exchanges that wait for this server and no other.
    pub fn queued(&self) -> u32 {
        self.load.queued()
    }

    /// Both, for those who look at many servers often.
    pub fn load(&self) -> &Load {
        &self.load
    }

    pub fn backend(&self) -> &Arc<BackendState> {
        &self.backend
    }

    pub(super) fn join_queue(&self) {
        self.load.join_queue();
    }

    pub(super) fn leave_queue(&self) {
        self.load.leave_queue();
    }

    /// Takes a place if `limit` leaves one.
    pub fn take_place(self: &Arc<Self>, limit: Option<u32>) -> Option<Place> {
        let taken = match limit {
            None => {
                self.load.begin();
                true
            }
            Some(limit) => self.load.begin_under(limit),
        };
        taken.then(|| self.placed())
    }

    /// Wraps a place that is already counted in `active`.
    pub(super) fn placed(self: &Arc<Self>) -> Place {
        Place {
            server: Arc::clone(self),
            session: None,
        }
    }
}

/// The right to run one exchange on a server. Dropping it lets the next in the queue go.
#[derive(Debug)]
pub struct Place {
    server: Arc<ServerState>,
    session: Option<SessionId>,
}

impl Place {
    pub fn server(&self) -> &Arc<ServerState> {
        &self.server
    }

    /// Lets [`end_sessions`](ServerState::end_sessions) shut `connection` down as long as the place is held.
    pub fn hold(&mut self, connection: &Stream) {
        if self.session.is_none() {
            self.session = self.server.sessions.add(connection);
        }
    }
}

/// A connection that many exchanges share, as long as it is kept; see [`Place::hold`].
#[derive(Debug)]
pub(super) struct HeldConnection {
    server: Arc<ServerState>,
    session: Option<SessionId>,
}

impl HeldConnection {
    pub(super) fn new(server: &Arc<ServerState>, connection: &Stream) -> Self {
        Self {
            session: server.sessions.add(connection),
            server: Arc::clone(server),
        }
    }
}

impl Drop for HeldConnection {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.server.sessions.remove(session);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.server.sessions.remove(session);
        }
        let queue = &self.server.backend.queue;
        if queue.is_empty() || !queue.hand_over(&self.server) {
            self.server.load.end();
            // Somebody may have joined the queue between the two steps above and seen no free place.
            if !queue.is_empty() {
                queue.offer_again(&self.server);
            }
        }
    }
}

/// The servers that new clients may be given now, by position: those that are no backups; if none of
/// these can take any, the first backup that can, or all of them.
pub fn eligible(servers: &[Server], backups: Backups) -> SmallVec<[usize; 8]> {
    let able = |backup: bool| {
        let servers = servers.iter().enumerate();
        servers
            .filter(move |(_, server)| server.backup == backup && server.is_eligible())
            .map(|(position, _)| position)
    };
    let usual: SmallVec<[usize; 8]> = able(false).collect();
    if !usual.is_empty() {
        return usual;
    }
    match backups {
        Backups::First => able(true).take(1).collect(),
        Backups::All => able(true).collect(),
    }
}

/// What all generations of one backend share.
#[derive(Debug)]
pub struct BackendState {
    pub name: BackendName,
    version: AtomicU64,
    turn: AtomicU64,
    active: AtomicU32,
    loads: Loads,
    /// For backends that have a limit of their own.
    pub room: Room,
    pub(super) queue: Queue,
}

impl BackendState {
    pub fn new(name: BackendName) -> Arc<Self> {
        Arc::new(Self {
            name,
            version: AtomicU64::new(1),
            turn: AtomicU64::new(0),
            active: AtomicU32::new(0),
            loads: Loads::default(),
            room: Room::default(),
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
        self.queue.len() + self.room.waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(backups: &[bool]) -> Vec<Server> {
        let backend = BackendState::new(BackendName::new("b"));
        let server = |backup: &bool| Server {
            name: ServerName::new("s"),
            address: ServerAddress::ClientPort(IpAddr::from([127, 0, 0, 1])),
            id: 1,
            weight: 1,
            grain: Grain::Whole,
            limit: None,
            backup: *backup,
            observe: None,
            holds_sessions: false,
            protocol: ServerProtocol::Http1,
            http2: Arc::default(),
            persistence_key: "s".to_owned(),
            send_proxy: None,
            origin: Arc::new(Origin::default()),
            tls: None,
            state: ServerState::new(Arc::clone(&backend)),
        };
        backups.iter().map(server).collect()
    }

    #[test]
    fn backups_are_eligible_once_nobody_else_is() {
        let servers = servers(&[true, false, true]);
        let now = |backups| eligible(&servers, backups).to_vec();
        assert_eq!(now(Backups::All), [1]);
        servers[1].state.set_up(false);
        assert_eq!(now(Backups::First), [0]);
        assert_eq!(now(Backups::All), [0, 2]);
        servers[0].state.set(Hindrance::Drain, true);
        assert_eq!(now(Backups::First), [2]);
    }

    #[test]
    fn a_server_is_as_healthy_as_the_one_it_tracks() {
        let [leader, follower] = [server(), server()];
        leader.set_up(false);
        leader.set_followers(&[Arc::clone(&follower)]);
        assert!(!follower.is_up());
        leader.set_up(true);
        assert!(follower.is_up());
        leader.set_followers(&[]);
        leader.set_up(false);
        assert!(follower.is_up(), "it tracks nobody any more");
    }

    #[test]
    fn a_server_that_starts_slowly_is_cold_from_when_it_goes_down() {
        let server = server();
        server.set_slow_start(true);
        assert!(!server.is_cold(), "not at the start of the proxy");
        server.set_up(false);
        server.set_up(true);
        assert!(server.is_cold());
        server.warm_to(1.0);
        assert!(!server.is_cold());
    }

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
