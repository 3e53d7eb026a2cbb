//! What all workers share of a server, and what outlives a generation: health, weight, limits, address, counts.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use super::{
    backend_state::BackendState,
    history::History,
    load::Load,
    place::Place,
    sessions::Sessions,
    share::{Grain, Share},
    standing::{Hindrance, Standing},
    traffic::Traffic,
};

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

    /// What it takes of clients of `weight`, an operator's word, the agent's and slow start counted in.
    pub(super) fn share_of(&self, weight: u32, grain: Grain) -> u32 {
        self.share.of(weight, grain)
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

    /// The exchanges it takes at a time by its agent's word, if that said anything of it.
    pub(super) fn agents_limit(&self) -> Option<u32> {
        match self.agents_limit.load(Ordering::Relaxed) {
            u32::MAX => None,
            limit => Some(limit),
        }
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

    /// Those whose connections can be shut down from outside.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
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
        Place::on(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackendName;

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

    fn server() -> Arc<ServerState> {
        ServerState::new(BackendState::new(BackendName::new("b")))
    }
}
