//! How many connections each client has at a frontend, over all workers, so that none takes all the room.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// So many parts, each with a lock of its own: workers rarely meet.
const PARTS: usize = 64;

/// Connections by client.
#[derive(Debug)]
pub struct Sources {
    parts: [Mutex<HashMap<IpAddr, u32>>; PARTS],
    /// Nobody outside can choose addresses that meet in one part.
    hasher: RandomState,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }
}

/// One connection of a client. Dropping it makes room for another.
#[derive(Debug)]
pub struct FromSource {
    sources: Arc<Sources>,
    client: IpAddr,
}

impl Sources {
    /// Counts one more connection, unless the client has `most` already.
    pub fn take(self: &Arc<Self>, client: IpAddr, most: u32) -> Option<FromSource> {
        let client = household(client);
        let mut part = self.part(client);
        let count = part.entry(client).or_default();
        if *count >= most {
            if *count == 0 {
                part.remove(&client);
            }
            return None;
        }
        *count += 1;
        Some(FromSource {
            sources: Arc::clone(self),
            client,
        })
    }

    fn part(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        let part = self.hasher.hash_one(client) as usize % PARTS;
        // Nothing panics while the lock is held; if something did, the counts are still counts.
        self.parts[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FromSource {
    fn drop(&mut self) {
        let mut part = self.sources.part(self.client);
        if let Some(count) = part.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                part.remove(&self.client);
            }
        }
    }
}

/// Whoever has one IPv6 address has the 2^64 beside it as well.
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_its_own_count_and_gets_it_back() {
        let sources = Arc::new(Sources::default());
        let first = sources.take(ip("10.0.0.1"), 1).unwrap();
        assert!(sources.take(ip("10.0.0.1"), 1).is_none());
        assert!(sources.take(ip("::ffff:10.0.0.1"), 1).is_none());
        assert!(sources.take(ip("10.0.0.2"), 1).is_some());
        drop(first);
        assert!(sources.take(ip("10.0.0.1"), 1).is_some());
        let left = sources.parts.iter().map(|part| part.lock().unwrap().len());
        assert_eq!(left.sum::<usize>(), 0, "nothing is kept of those who left");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_client() {
        let sources = Arc::new(Sources::default());
        let _first = sources.take(ip("2001:db8::1"), 1).unwrap();
        assert!(sources.take(ip("2001:db8::ffff"), 1).is_none());
        assert!(sources.take(ip("2001:db8:0:1::1"), 1).is_some());
    }
}
