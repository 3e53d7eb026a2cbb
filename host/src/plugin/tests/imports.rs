//! What plugins can call.

use std::fs;

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::{
    config::{MapFile, MapMatch},
    model::Edit,
    plugin::{Call, CallFault, maps::Reload},
};

const LOOKUP: &str = "(param i32 i32 i32 i32 i32)";

/// A response filter that looks its one input up in the map `tiers` and names a header to be removed
/// after what it finds.
fn looking_up() -> Guest {
    let mut guest = Guest::new(Kind::ResponseFilter)
        .inputs("on-response", &["path"])
        .import("maps", "lookup", LOOKUP);
    let name = guest.text("tiers");
    let body = format!(
        "(if (i32.eqz (i32.load8_u (local.get $values))) (then (return (i32.const 16))))
         (call $maps.lookup (i32.const {}) (i32.const {})
             (i32.load offset=4 (local.get $values)) (i32.load offset=8 (local.get $values))
             (i32.const 160))
         (if (i32.eqz (i32.load8_u (i32.const 160))) (then (return (i32.const 16))))
         (i32.store (i32.const 128) (i32.const 136))
         (i32.store (i32.const 132) (i32.const 1))
         (i32.store (i32.const 136) (i32.const 2))
         (i32.store (i32.const 140) (i32.load (i32.const 164)))
         (i32.store (i32.const 144) (i32.load (i32.const 168)))
         (i32.const 128)",
        name.0, name.1
    );
    guest.with("on-response", &body)
}

/// `used` with a map `tiers` granted.
fn with_map(guest: &Guest, text: &str) -> (tempfile::TempDir, Use) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiers.map");
    fs::write(&file, text).unwrap();
    let maps = MapStore::load(&[MapFile {
        name: "tiers".to_owned(),
        file,
        matching: MapMatch::Prefix,
    }]);
    let mut used = used(guest, Place::Filter);
    used.maps = maps.unwrap();
    used.grants.maps = vec!["tiers".to_owned()];
    (folder, used)
}

#[test]
fn a_granted_map_can_be_looked_up_and_a_change_shows_at_once() {
    let (folder, used) = with_map(&looking_up(), "/a deluxe\n");
    let mut filter = used.instance();
    let found = |filter: &mut Instance, path| match filter.on_response(&[Some(path)]).unwrap().pop()
    {
        Some(Edit::RemoveHeader(value)) => Some(value),
        _ => None,
    };
    assert_eq!(found(&mut filter, "/a/b").as_deref(), Some("deluxe"));
    assert_eq!(found(&mut filter, "/b"), None);

    fs::write(folder.path().join("tiers.map"), "/a standard\n").unwrap();
    assert_eq!(used.maps.reload("tiers").unwrap(), Reload::Changed);
    assert_eq!(found(&mut filter, "/a/b").as_deref(), Some("standard"));
}

#[test]
fn a_map_that_was_not_granted_is_not_there() {
    let (_folder, mut used) = with_map(&looking_up(), "/a deluxe\n");
    // One of Weir's own plugins may import maps without being granted one.
    used.source = PluginSource::Bundled("guest".to_owned());
    used.grants.maps.clear();
    assert_eq!(used.instance().on_response(&[Some("/a")]).unwrap(), []);
}

#[test]
fn all_entries_and_the_version_of_a_map_can_be_read() {
    let mut guest = Guest::new(Kind::ResponseFilter)
        .import("maps", "entries", "(param i32 i32 i32)")
        .import("maps", "version", "(param i32 i32) (result i64)");
    let tiers = guest.text("tiers");
    let other = guest.text("other");
    // Removes the header named after the second entry's value if the versions are as they should be.
    let body = format!(
        "(if (i64.ne (i64.const 0) (call $maps.version (i32.const {}) (i32.const {}))) (then unreachable))
         (if (i64.eqz (call $maps.version (i32.const {}) (i32.const {}))) (then unreachable))
         (call $maps.entries (i32.const {}) (i32.const {}) (i32.const 160))
         (if (i32.ne (i32.const 2) (i32.load (i32.const 164))) (then unreachable))
         (i32.store (i32.const 128) (i32.const 136))
         (i32.store (i32.const 132) (i32.const 1))
         (i32.store (i32.const 136) (i32.const 2))
         (i32.store (i32.const 140) (i32.load offset=24 (i32.load (i32.const 160))))
         (i32.store (i32.const 144) (i32.load offset=28 (i32.load (i32.const 160))))
         (i32.const 128)",
        other.0, other.1, tiers.0, tiers.1, tiers.0, tiers.1
    );
    let (_folder, used) = with_map(&guest.with("on-response", &body), "/a one\n/b two\n");
    let edits = used.instance().on_response(&[]).unwrap();
    assert_eq!(edits, [Edit::RemoveHeader("two".to_owned())]);
}

#[test]
fn the_clock_tells_the_time_and_random_numbers_differ() {
    let guest = Guest::new(Kind::RequestFilter)
        .import("clock", "now", "(result i64)")
        .import("random", "get-u64", "(result i64)")
        .with(
            "on-request",
            // Later than 2020, earlier than 2200; and more numbers than one portion holds, no two in a
            // row alike.
            "(local $n i32)
             (if (i64.lt_u (call $clock.now) (i64.const 1577836800000)) (then unreachable))
             (if (i64.gt_u (call $clock.now) (i64.const 7258118400000)) (then unreachable))
             (loop $more
                 (if (i64.eq (call $random.get-u64) (call $random.get-u64)) (then unreachable))
                 (local.set $n (i32.add (local.get $n) (i32.const 1)))
                 (br_if $more (i32.lt_u (local.get $n) (i32.const 100))))
             (i32.const 16)",
        );
    let mut used = used(&guest, Place::Filter);
    used.grants.clock = true;
    used.grants.random = true;
    used.instance().on_request(&[]).unwrap();
}

#[test]
fn an_import_that_was_not_granted_is_refused_with_the_line_to_add() {
    for (import, signature, line) in [
        ("clock.now", "(result i64)", "grant = [\"clock\"]"),
        ("random.get-u64", "(result i64)", "grant = [\"random\"]"),
        ("maps.lookup", LOOKUP, "maps = [\"NAME\"]"),
    ] {
        let (interface, function) = import.split_once('.').unwrap();
        let guest = Guest::new(Kind::RequestFilter).import(interface, function, signature);
        let mut used = used(&guest, Place::Filter);
        let error = used.refused().to_string();
        assert!(error.contains(&format!("`{interface}`")), "{error}");
        assert!(error.contains(line), "{error}");

        used.source = PluginSource::Bundled("guest".to_owned());
        used.plugin();
    }
}

#[test]
fn a_map_that_does_not_exist_cannot_be_granted() {
    let mut used = used(&looking_up(), Place::Filter);
    used.grants.maps = vec!["tears".to_owned()];
    assert_eq!(
        used.refused().to_string(),
        "no [[map]] named `tears`; known: nothing"
    );
}

#[test]
fn a_plugin_that_asks_for_other_things_than_when_it_was_loaded_is_not_used() {
    // Wants a second input once the map has a key `/more`.
    let mut guest = Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path"])
        .import("maps", "lookup", LOOKUP);
    let name = guest.text("tiers");
    let key = guest.text("/more");
    let hook = guest.text("on-request");
    let input = guest.text("method");
    let inputs = guest.words(&[input.0, input.1]);
    let hooks = guest.words(&[hook.0, hook.1, inputs, 1]);
    let more = guest.words(&[0, hooks, 1, 0, 0, 0, 0]);
    let body = format!(
        "(call $maps.lookup (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const 160))
         (select (i32.const {more}) (i32.const 16) (i32.load8_u (i32.const 160)))",
        name.0, name.1, key.0, key.1
    );
    let (folder, used) = with_map(&guest.with("configure", &body), "/less x\n");
    let plugin = used.plugin();
    plugin.instantiate().unwrap();

    fs::write(folder.path().join("tiers.map"), "/more x\n").unwrap();
    used.maps.reload("tiers").unwrap();
    let error = plugin.instantiate().map(|_| ()).unwrap_err();
    assert_eq!(error.call, Call::Configure);
    assert!(matches!(error.fault, CallFault::Answer { .. }), "{error}");
}

#[test]
fn calling_the_proxy_without_end_ends_the_call() {
    let guest = Guest::new(Kind::RequestFilter)
        .import("clock", "now", "(result i64)")
        .later(
            "on-request",
            "(loop $more (drop (call $clock.now)) (br $more))",
        );
    let mut used = used(&guest, Place::Filter);
    used.grants.clock = true;
    let mut filter = used.instance();
    filter.on_request(&[]).unwrap();
    let error = filter.on_request(&[]).unwrap_err();
    let limit = RUNTIME.options().max_imports;
    assert_eq!(error.fault, CallFault::Imports { limit });
}
