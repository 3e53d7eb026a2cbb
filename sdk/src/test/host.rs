//! The host's interfaces as a test sets them: one clock, one source of randomness, one set of maps and
//! one log per thread, which is per test.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    time::SystemTime,
};

use crate::log::Level;

struct Host {
    now: SystemTime,
    random: VecDeque<u64>,
    drawn: u64,
    maps: BTreeMap<String, FakeMap>,
    log: Vec<(Level, String)>,
}

#[derive(Default)]
struct FakeMap {
    version: u64,
    entries: Vec<(String, String)>,
    by_prefix: bool,
}

thread_local! {
    static HOST: RefCell<Host> = const { RefCell::new(Host {
        now: SystemTime::UNIX_EPOCH,
        random: VecDeque::new(),
        drawn: 0,
        maps: BTreeMap::new(),
        log: Vec::new(),
    }) };
}

/// What [`clock::now`](crate::clock::now) answers from here on; until set, 1970.
pub fn set_clock(now: SystemTime) {
    HOST.with_borrow_mut(|host| host.now = now);
}

/// What [`random::u64`](crate::random::u64) answers next. After these, numbers that are the same in every run.
pub fn set_random(numbers: impl IntoIterator<Item = u64>) {
    HOST.with_borrow_mut(|host| host.random = numbers.into_iter().collect());
}

/// Grants a map that is matched exactly, or gives it new contents and another version.
pub fn set_map(name: &str, entries: &[(&str, &str)]) {
    replace_map(name, entries, false);
}

/// Grants a map that is matched by the longest prefix, or gives it new contents and another version.
pub fn set_prefix_map(name: &str, entries: &[(&str, &str)]) {
    replace_map(name, entries, true);
}

/// Takes what plugins of this thread have logged since the last call.
pub fn take_log() -> Vec<(Level, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
}

fn replace_map(name: &str, entries: &[(&str, &str)], by_prefix: bool) {
    HOST.with_borrow_mut(|host| {
        let map = host.maps.entry(name.to_owned()).or_default();
        map.version += 1;
        map.by_prefix = by_prefix;
        map.entries = entries
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
    });
}

pub(crate) fn logged_by_plugin(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.log.push((level, message.to_owned())));
}

pub(crate) fn now() -> SystemTime {
    HOST.with_borrow(|host| host.now)
}

pub(crate) fn random() -> u64 {
    HOST.with_borrow_mut(|host| {
        host.drawn += 1;
        // An odd multiplier makes a full cycle of distinct, well spread numbers.
        let after_these = host.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        host.random.pop_front().unwrap_or(after_these)
    })
}

/// The interface `maps`, in the form of the generated one.
pub(crate) mod maps {
    use super::HOST;

    pub(crate) fn lookup(name: &str, key: &str) -> Option<String> {
        HOST.with_borrow(|host| {
            let map = host.maps.get(name)?;
            map.entries
                .iter()
                .filter(|(known, _)| {
                    if map.by_prefix {
                        key.starts_with(known)
                    } else {
                        key == known
                    }
                })
                .max_by_key(|(known, _)| known.len())
                .map(|(_, value)| value.clone())
        })
    }

    pub(crate) fn version(name: &str) -> u64 {
        HOST.with_borrow(|host| host.maps.get(name).map_or(0, |map| map.version))
    }

    pub(crate) fn entries(name: &str) -> Vec<(String, String)> {
        HOST.with_borrow(|host| {
            host.maps
                .get(name)
                .map_or_else(Vec::new, |map| map.entries.clone())
        })
    }
}
