//! Credentials that were found right, so that a slow hash runs once for each and not once per request.
//!
//! Only successes are kept. Failures would let anybody fill the memory, or push out those who belong.

use crate::users::UserIndex;

/// Entries that may take each other's place.
const WAYS: usize = 4;
/// Sets of such entries; a power of two.
const SETS: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: u128,
    user: UserIndex,
}

/// Fingerprints of credentials and whose they are, at most `WAYS * SETS` of them. What was used least
/// recently in a set leaves it first.
#[derive(Debug)]
pub struct Verified(Vec<[Option<Entry>; WAYS]>);

impl Verified {
    pub fn new() -> Self {
        Self(vec![[None; WAYS]; SETS])
    }

    pub fn get(&mut self, fingerprint: u128) -> Option<UserIndex> {
        let set = self.set(fingerprint);
        let position = set
            .iter()
            .position(|entry| entry.is_some_and(|entry| entry.fingerprint == fingerprint))?;
        set[..=position].rotate_right(1);
        set[0].map(|entry| entry.user)
    }

    pub fn insert(&mut self, fingerprint: u128, user: UserIndex) {
        let set = self.set(fingerprint);
        set.rotate_right(1);
        set[0] = Some(Entry { fingerprint, user });
    }

    pub fn clear(&mut self) {
        self.0.fill([None; WAYS]);
    }

    /// Fingerprints are as good as random, so any of their bits will do.
    fn set(&mut self, fingerprint: u128) -> &mut [Option<Entry>; WAYS] {
        &mut self.0[fingerprint as usize % SETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::User,
        users::{Users, configured},
    };

    fn some_user() -> UserIndex {
        let user = User {
            name: "ann".to_owned(),
            password_hash: None,
            insecure_password: Some("x".to_owned()),
            groups: Vec::new(),
        };
        let users = Users::new(configured(&[user]).unwrap());
        let credentials = crate::credentials::Credentials::parse("Basic YW5uOng=").unwrap();
        users.check(&credentials).unwrap()
    }

    #[test]
    fn what_was_inserted_is_found_until_cleared() {
        let (user, mut verified) = (some_user(), Verified::new());
        assert_eq!(verified.get(7), None);
        verified.insert(7, user);
        assert_eq!(verified.get(7), Some(user));
        assert_eq!(verified.get(7 + (1 << 100)), None, "all bits count");
        verified.clear();
        assert_eq!(verified.get(7), None);
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let (user, mut verified) = (some_user(), Verified::new());
        let same_set = |n: u128| n * SETS as u128;
        for n in 0..4 {
            verified.insert(same_set(n), user);
        }
        assert_eq!(verified.get(same_set(0)), Some(user));
        verified.insert(same_set(4), user);
        assert_eq!(verified.get(same_set(1)), None);
        for n in [0, 2, 3, 4] {
            assert_eq!(verified.get(same_set(n)), Some(user), "{n}");
        }
    }

    #[test]
    fn it_never_grows() {
        let (user, mut verified) = (some_user(), Verified::new());
        for n in 0..100_000 {
            verified.insert(n, user);
        }
        let kept = (0..100_000).filter(|n| verified.get(*n).is_some()).count();
        assert_eq!(kept, WAYS * SETS);
    }
}
