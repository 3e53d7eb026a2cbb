//! Why a server is not given clients: one bit for each party that can say so, in one word that the way
//! of a request reads at once.

use std::sync::atomic::{AtomicU32, Ordering};

/// Something that keeps clients from a server. Each is set and cleared by one party, and none of them
/// undoes what another one has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Hindrance {
    /// Checks or traffic have found it not to work.
    Unhealthy = 1,
    /// Its name has no address.
    Unresolved = 1 << 1,
    /// An operator has taken it out.
    Maintenance = 1 << 2,
    /// An operator wants it to have no new clients.
    Drain = 1 << 3,
    /// Its agent says that it is down.
    AgentDown = 1 << 4,
    /// Its agent wants it to be left alone.
    AgentMaintenance = 1 << 5,
    /// Its agent wants no new clients.
    AgentDrain = 1 << 6,
}

/// These leave a server to the clients that it has.
const GENTLE: u32 = Hindrance::Drain as u32 | Hindrance::AgentDrain as u32;

/// All that is said against a server now.
#[derive(Debug, Default)]
pub struct Standing(AtomicU32);

impl Standing {
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !GENTLE == 0
    }

    pub fn takes_new(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub fn has(&self, hindrance: Hindrance) -> bool {
        self.0.load(Ordering::Relaxed) & hindrance as u32 != 0
    }

    /// Returns whether anything changed.
    pub fn set(&self, hindrance: Hindrance, there: bool) -> bool {
        let bit = hindrance as u32;
        let before = match there {
            true => self.0.fetch_or(bit, Ordering::SeqCst),
            false => self.0.fetch_and(!bit, Ordering::SeqCst),
        };
        (before & bit != 0) != there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_drains_serves_those_it_has() {
        let standing = Standing::default();
        assert!(standing.set(Hindrance::Drain, true));
        assert!(standing.is_up() && !standing.takes_new());
    }

    #[test]
    fn nobody_undoes_what_another_has_said() {
        let standing = Standing::default();
        standing.set(Hindrance::Maintenance, true);
        standing.set(Hindrance::Unhealthy, true);
        assert!(!standing.set(Hindrance::Unhealthy, true), "said already");
        standing.set(Hindrance::Unhealthy, false);
        assert!(!standing.is_up());
        standing.set(Hindrance::Maintenance, false);
        assert!(standing.takes_new());
    }
}
