//! Tables: who is kept, who leaves, and what all workers together count.

use std::{collections::BTreeSet, thread, time::Duration};

use super::*;
use crate::config::{Counter, WhenFull};

fn declared(size: usize, expire: Option<u64>, when_full: WhenFull) -> CounterTable {
    let counter = |name: &str, window: Option<u64>| Counter {
        name: name.to_owned(),
        window: window.map(Duration::from_millis),
        held: false,
    };
    CounterTable {
        name: "clients".to_owned(),
        size,
        expire: expire.map(Duration::from_millis),
        counters: vec![counter("requests", Some(1_000)), counter("strikes", None)],
        when_full,
    }
}

fn table(size: usize, expire: Option<u64>) -> Table {
    Table::new(&declared(size, expire, WhenFull::Evict))
}

const REQUESTS: usize = 0;
const STRIKES: usize = 1;

fn keys(table: &Table, now: u64) -> BTreeSet<String> {
    table.rows(now).map(|row| row.key.to_string()).collect()
}

#[test]
fn counters_of_a_key_are_apart_and_those_of_keys_too() {
    let table = table(10, None);
    assert_eq!(table.add(REQUESTS, "a", 1, 0), Some(1));
    assert_eq!(table.add(REQUESTS, "a", 2, 0), Some(3));
    assert_eq!(table.add(STRIKES, "a", 5, 0), Some(5));
    assert_eq!(table.add(REQUESTS, "b", 1, 0), Some(1));
    assert_eq!(table.read(REQUESTS, "a", 0), Some(3));
    assert_eq!(table.read(REQUESTS, "c", 0), None);
    assert_eq!(table.read(REQUESTS, "a", 60_000), Some(0), "a rate falls");
    assert_eq!(table.read(STRIKES, "a", 60_000), Some(5), "a total stays");
    assert_eq!(table.counter("strikes"), Some(STRIKES));
    assert_eq!(table.counter("errors"), None);
}

#[test]
fn all_workers_count_together_and_nothing_is_lost() {
    const WORKERS: u64 = 4;
    const EACH: u64 = 20_000;
    let table = table(100_000, None);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let table = &table;
            scope.spawn(move || {
                for turn in 0..EACH {
                    table.add(STRIKES, "all", 1, 0);
                    table.add(STRIKES, &format!("{worker}-{turn}"), 1, 0);
                }
            });
        }
    });
    assert_eq!(table.read(STRIKES, "all", 0), Some(WORKERS * EACH));
    assert_eq!(table.len() as u64, WORKERS * EACH + 1);
    assert_eq!(table.rows(0).count() as u64, WORKERS * EACH + 1);
    assert_eq!(table.evicted(), 0);
}

#[test]
fn the_key_that_was_not_used_for_longest_makes_place() {
    let table = table(3, None);
    for (now, key) in (0..).zip(["a", "b", "c"]) {
        table.add(REQUESTS, key, 1, now);
    }
    table.add(REQUESTS, "a", 0, 10);
    assert_eq!(table.read(REQUESTS, "b", 11), Some(1), "reading is no use");
    table.add(REQUESTS, "d", 1, 12);
    assert_eq!(keys(&table, 12), ["a", "c", "d"].map(str::to_owned).into());
    assert_eq!((table.len(), table.evicted()), (3, 1));
}

#[test]
fn a_flood_of_keys_never_makes_a_table_larger_than_it_may_be() {
    for size in [1, 5, 2_000, 20_000] {
        let table = table(size, None);
        for key in 0..2 * size + 10 {
            table.add(REQUESTS, &key.to_string(), 1, 0);
        }
        assert!(table.len() <= size + 64, "{} of {size}", table.len());
        assert!(table.len() >= size, "{} of {size}", table.len());
        assert_eq!(table.rows(0).count(), table.len());
    }
}

#[test]
fn a_full_table_can_refuse_new_keys_and_goes_on_counting_those_it_has() {
    let table = Table::new(&declared(2, Some(100), WhenFull::Refuse));
    assert!(table.set_value("a", "web1", 0));
    assert_eq!(table.add(REQUESTS, "b", 1, 0), Some(1));
    assert_eq!(table.add(REQUESTS, "c", 1, 0), None);
    assert!(!table.set_value("d", "web1", 0));
    assert_eq!(table.add(REQUESTS, "b", 1, 0), Some(2));
    assert_eq!((table.len(), table.refused()), (2, 2));
    assert_eq!(table.add(REQUESTS, "c", 1, 100), Some(1), "others expired");
}

#[test]
fn a_key_expires_when_it_has_not_been_used_for_so_long() {
    let table = table(10, Some(1_000));
    table.add(STRIKES, "a", 3, 0);
    table.set_value("b", "web2", 0);
    assert_eq!(
        table.value("b", 900).as_deref(),
        Some("web2"),
        "that is use"
    );
    assert_eq!(table.read(STRIKES, "a", 999), Some(3));
    assert_eq!(table.read(STRIKES, "a", 1_000), None);
    assert_eq!(table.value("b", 1_899).as_deref(), Some("web2"));
    assert_eq!(keys(&table, 1_899), ["b".to_owned()].into());
    assert_eq!(table.add(STRIKES, "a", 1, 2_000), Some(1), "begins anew");
    let b = table.row("b", 2_000).unwrap();
    assert_eq!(b.expires_in, Some(Duration::from_millis(899)));
    assert_eq!(
        (b.value.as_deref(), &b.counts[..]),
        (Some("web2"), &[0, 0][..])
    );
    table.sweep(5_000);
    assert!(table.is_empty());
}

#[test]
fn how_long_until_a_counter_has_fallen_is_known_where_it_falls() {
    let table = table(10, None);
    table.add(REQUESTS, "a", 10, 0);
    assert_eq!(table.falls_to(REQUESTS, "a", 10, 0), Some(0));
    let falls = table.falls_to(REQUESTS, "a", 4, 0).unwrap();
    assert!((1_500..=1_600).contains(&falls), "{falls}");
    assert_eq!(table.falls_to(REQUESTS, "nobody", 0, 0), Some(0));
    table.add(STRIKES, "a", 10, 0);
    assert_eq!(table.falls_to(STRIKES, "a", 4, 0), None);
}

#[test]
fn what_expires_with_its_key_falls_then() {
    let table = table(10, Some(5_000));
    table.add(STRIKES, "a", 10, 0);
    assert_eq!(table.falls_to(STRIKES, "a", 4, 2_000), Some(3_000));
}

#[test]
fn keys_and_values_have_a_largest_size() {
    let table = table(10, None);
    let (one, other) = ("x".repeat(100_000), format!("{}y", "x".repeat(99_999)));
    assert_eq!(table.add(REQUESTS, &one, 1, 0), Some(1));
    assert_eq!(table.add(REQUESTS, &one, 1, 0), Some(2));
    assert_eq!(table.add(REQUESTS, &other, 1, 0), Some(1), "kept apart");
    assert!(keys(&table, 0).iter().all(|key| key.len() <= KEY_LIMIT));
    assert!(table.set_value("a", &"v".repeat(VALUE_LIMIT), 0));
    assert!(!table.set_value("a", &"v".repeat(VALUE_LIMIT + 1), 0));
    assert_eq!(
        table.value("a", 0).unwrap().len(),
        VALUE_LIMIT,
        "the former"
    );
}

#[test]
fn keys_can_be_set_removed_and_cleared() {
    let table = table(10, Some(1_000));
    assert!(table.set(REQUESTS, "a", 7, 0));
    assert_eq!(table.add(REQUESTS, "a", 1, 0), Some(8));
    assert!(table.remove("a", 0));
    assert!(!table.remove("a", 0));
    table.add(REQUESTS, "b", 1, 0);
    table.add(REQUESTS, "c", 1, 0);
    assert!(!table.remove("b", 1_000), "it had expired");
    assert_eq!(table.clear(), 1);
    assert!(table.is_empty());
}

#[test]
fn a_table_outlives_its_generation_as_long_as_it_is_declared_alike() {
    let mut known = KnownTables::default();
    let first = [declared(10, None, WhenFull::Evict)];
    let other = [declared(11, None, WhenFull::Evict)];
    let serving = CounterStore::of(&first, &mut known);
    serving.get("clients").unwrap().add(STRIKES, "a", 1, 0);
    // A generation that is built and then thrown away does no harm.
    let discarded = CounterStore::of(&other, &mut known);
    assert_eq!(discarded.get("clients").unwrap().len(), 0);
    drop(discarded);
    known.sweep();
    let next = CounterStore::of(&first, &mut known);
    assert_eq!(next.get("clients").unwrap().read(STRIKES, "a", 0), Some(1));
    drop((serving, next));
    let after = CounterStore::of(&first, &mut known);
    assert!(after.get("clients").unwrap().is_empty(), "nobody had it");
}

#[test]
fn what_is_held_outlives_its_time_and_is_given_back() {
    let mut declared = declared(10, Some(1_000), WhenFull::Evict);
    declared.counters[STRIKES].held = true;
    let table = Arc::new(Table::new(&declared));
    let add = |key: &str, now| table.add(STRIKES, key, 1, now);
    assert_eq!(
        (add("a", 0), add("a", 0), add("b", 0)),
        (Some(1), Some(2), Some(1))
    );
    let hold = |key: &str| Hold {
        table: Arc::clone(&table),
        counter: STRIKES,
        key: key.to_owned(),
        amount: 1,
    };
    let (first, second, other) = (hold("a"), hold("a"), hold("b"));
    assert_eq!(
        table.read(STRIKES, "a", 60_000),
        Some(2),
        "held, so it stays"
    );
    drop(first);
    assert_eq!(table.read(STRIKES, "a", 60_000), Some(1));
    // Keys that count nothing any more go, whoever stands before them.
    drop(other);
    table.add(REQUESTS, "c", 1, 60_000);
    table.sweep(90_000);
    assert_eq!(keys(&table, 90_000), BTreeSet::from(["a".to_owned()]));
    drop(second);
    assert_eq!(table.read(STRIKES, "a", 90_000), Some(0));
    table.sweep(1_000_000);
    assert!(table.is_empty());
    // What is given back to a key that is gone goes nowhere.
    drop(hold("a"));
    assert!(table.is_empty());
}
