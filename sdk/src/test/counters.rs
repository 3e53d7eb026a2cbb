//! Tables of counters as a test grants them: one set per thread, which is per test. They go by the clock
//! that [`host::set_clock`](super::host::set_clock) sets, and count exactly, where the proxy's own guess how
//! much of the last window's first part still counts.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::host::now;

#[derive(Default)]
struct FakeTable {
    counters: Vec<(String, u64)>,
    expire: Option<Duration>,
    keys: BTreeMap<String, Held>,
}

struct Held {
    used: SystemTime,
    value: Option<String>,
    /// When, how much and on which counter.
    added: Vec<(SystemTime, u64, String)>,
}

thread_local! {
    static TABLES: RefCell<BTreeMap<String, FakeTable>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants a table with these counters, each with its window, or none for a total. It is empty at first.
pub fn set_counters(name: &str, counters: &[(&str, Option<Duration>)]) {
    let milliseconds = |window: Option<Duration>| window.map_or(0, |time| time.as_millis() as u64);
    let counters = counters
        .iter()
        .map(|&(name, window)| (name.to_owned(), milliseconds(window)))
        .collect();
    let table = FakeTable {
        counters,
        ..FakeTable::default()
    };
    TABLES.with_borrow_mut(|tables| tables.insert(name.to_owned(), table));
}

/// Has the keys of a table that was granted go when they were not used for so long.
pub fn set_expire(name: &str, expire: Duration) {
    TABLES.with_borrow_mut(|tables| {
        let table = tables.get_mut(name).expect("the table was granted");
        table.expire = Some(expire);
    });
}

/// The keys of a table with the values that are kept with them.
pub fn kept(name: &str) -> Vec<(String, Option<String>)> {
    TABLES.with_borrow(|tables| {
        let keys = tables.get(name).map(|table| &table.keys);
        let keys = keys.into_iter().flatten();
        keys.map(|(key, held)| (key.clone(), held.value.clone()))
            .collect()
    })
}

fn with<R>(name: &str, act: impl FnOnce(&mut FakeTable) -> R) -> Option<R> {
    TABLES.with_borrow_mut(|tables| {
        let table = tables.get_mut(name)?;
        if let Some(expire) = table.expire {
            let is_fresh = |held: &Held| now() < held.used + expire;
            table.keys.retain(|_, held| is_fresh(held));
        }
        Some(act(table))
    })
}

impl FakeTable {
    fn window(&self, counter: &str) -> Option<u64> {
        let mut counters = self.counters.iter();
        counters
            .find(|(name, _)| name == counter)
            .map(|(_, window)| *window)
    }

    fn used(&mut self, key: &str) -> &mut Held {
        let held = self.keys.entry(key.to_owned()).or_insert(Held {
            used: now(),
            value: None,
            added: Vec::new(),
        });
        held.used = now();
        held
    }

    /// What a counter will be after `time` if nothing is added.
    fn count(&self, counter: &str, key: &str, time: Duration) -> Option<u64> {
        let window = self.window(counter)?;
        let then = now() + time;
        let counts = |at: SystemTime| window == 0 || then < at + Duration::from_millis(window);
        let added = self.keys.get(key)?.added.iter();
        let counted = added.filter(|(at, _, name)| name == counter && counts(*at));
        Some(counted.map(|(_, amount, _)| amount).sum())
    }
}

pub(crate) fn declared(table: &str) -> Option<Vec<(String, u64)>> {
    with(table, |table| table.counters.clone())
}

pub(crate) fn add(table: &str, counter: &str, key: &str, amount: u64) -> Option<u64> {
    with(table, |table| {
        table.window(counter)?;
        let added = (now(), amount, counter.to_owned());
        table.used(key).added.push(added);
        table.count(counter, key, Duration::ZERO)
    })?
}

pub(crate) fn read(table: &str, counter: &str, key: &str) -> Option<u64> {
    with(table, |table| table.count(counter, key, Duration::ZERO))?
}

pub(crate) fn falls_to(table: &str, counter: &str, key: &str, most: u64) -> Option<u64> {
    with(table, |table| {
        let window = table.window(counter)?;
        let steps = if window == 0 { 0 } else { window };
        (0..=steps).find(|time| {
            let count = table.count(counter, key, Duration::from_millis(*time));
            count.unwrap_or(0) <= most
        })
    })?
}

pub(crate) fn value(table: &str, key: &str) -> Option<String> {
    with(table, |table| {
        let held = table.keys.get_mut(key)?;
        held.used = now();
        held.value.clone()
    })?
}

pub(crate) fn set_value(table: &str, key: &str, value: &str) -> bool {
    let kept = with(table, |table| {
        if value.len() > 256 {
            return false;
        }
        table.used(key).value = Some(value.to_owned());
        true
    });
    kept.unwrap_or(false)
}

pub(crate) fn remove(table: &str, key: &str) -> bool {
    with(table, |table| table.keys.remove(key).is_some()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{counters::Table, test::host::set_clock};

    fn at(milliseconds: u64) {
        set_clock(SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds));
    }

    #[test]
    fn a_granted_table_counts_within_its_windows() {
        set_counters(
            "clients",
            &[
                ("requests", Some(Duration::from_secs(10))),
                ("strikes", None),
            ],
        );
        let table = Table::granted("clients").unwrap();
        let (requests, strikes) = (
            table.counter("requests").unwrap(),
            table.counter("strikes").unwrap(),
        );
        at(0);
        assert_eq!(requests.add("a", 2), Some(2));
        assert_eq!(strikes.add("a", 1), Some(1));
        at(4_000);
        assert_eq!(requests.add("a", 1), Some(3));
        assert_eq!(requests.falls_to("a", 1), Some(Duration::from_secs(6)));
        assert_eq!(strikes.falls_to("a", 0), None);
        at(10_000);
        assert_eq!((requests.read("a"), strikes.read("a")), (1, 1));
        assert_eq!(requests.read("b"), 0);
    }

    #[test]
    fn what_was_not_granted_is_refused_with_the_way_to_grant_it() {
        let error = Table::granted("clients").unwrap_err().to_string();
        assert_eq!(
            error,
            "no table of counters `clients` is granted; add `counters = [\"clients\"]` beside `plugin`"
        );
        set_counters("clients", &[("requests", None), ("errors", None)]);
        let table = Table::granted("clients").unwrap();
        let error = table.counter("request").unwrap_err().to_string();
        assert_eq!(
            error,
            "the table `clients` has no counter `request`; it has `requests`, `errors`"
        );
        assert!(table.only_counter().is_err());
    }

    #[test]
    fn values_go_with_their_keys_when_nobody_asks_for_them() {
        set_counters("sticky", &[]);
        set_expire("sticky", Duration::from_secs(10));
        let table = Table::granted("sticky").unwrap();
        at(0);
        assert!(table.set_value("a", "web1"));
        at(9_000);
        assert_eq!(table.value("a").as_deref(), Some("web1"));
        at(18_000);
        assert_eq!(table.value("a").as_deref(), Some("web1"));
        at(28_000);
        assert_eq!(table.value("a"), None);
        assert!(!table.set_value("a", &"x".repeat(257)));
    }
}
