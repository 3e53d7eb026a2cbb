//! What is counted, and what becomes of one too many.

use std::time::{Duration, SystemTime};

use weir_sdk::test::{
    Loaded, connection, counters::set_counters, host::set_clock, request, response,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(milliseconds: u64) {
    set_clock(SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds));
}

/// The plugin with a table `clients` that counts requests over ten seconds and errors over a minute.
fn loaded(config: &str) -> Loaded<RateLimit> {
    let counters = [
        ("requests", Some(10 * SECOND)),
        ("errors", Some(60 * SECOND)),
        ("strikes", None),
    ];
    set_counters("clients", &counters);
    Loaded::new(config).expect("the config is sound")
}

fn refusal(config: &str) -> String {
    set_counters("clients", &[("requests", Some(SECOND)), ("errors", None)]);
    Loaded::<RateLimit>::new(config).unwrap_err().to_string()
}

/// One character for each of `count` requests of a client: `.` if it passes, `x` if it gets 429.
fn row(plugin: &mut Loaded<RateLimit>, client: &str, count: usize) -> String {
    let judge = |_| match plugin.on_request(&request().client(client)).verdict {
        weir_sdk::Verdict::Pass => '.',
        weir_sdk::Verdict::Deny(429) => 'x',
        other => panic!("{other:?}"),
    };
    (0..count).map(judge).collect()
}

const FIVE: &str = r#"{"table": "clients", "limit": [{"counter": "requests", "most": 5}]}"#;

#[test]
fn five_of_eight_pass_and_others_are_not_affected() {
    let mut plugin = loaded(FIVE);
    assert_eq!(row(&mut plugin, "192.0.2.1", 8), ".....xxx");
    assert_eq!(row(&mut plugin, "192.0.2.2", 5), ".....");
    at(9_999);
    assert_eq!(row(&mut plugin, "192.0.2.1", 1), "x");
    at(20_000);
    assert_eq!(row(&mut plugin, "192.0.2.1", 6), ".....x");
}

#[test]
fn who_goes_on_stays_out_unless_only_what_passed_counts() {
    let all = FIVE;
    let passed = r#"{"table": "clients", "limit": [{"counter": "requests", "most": 5}], "counts": "passed"}"#;
    for (config, later) in [(all, "xx"), (passed, ".....x")] {
        at(0);
        let mut plugin = loaded(config);
        assert_eq!(row(&mut plugin, "192.0.2.1", 6), ".....x");
        at(5_000);
        assert_eq!(row(&mut plugin, "192.0.2.1", 6), "xxxxxx");
        at(10_000);
        assert_eq!(row(&mut plugin, "192.0.2.1", later.len()), later);
    }
}

#[test]
fn one_too_many_is_told_when_to_come_again() {
    let mut plugin = loaded(FIVE);
    row(&mut plugin, "192.0.2.1", 5);
    at(2_500);
    let denied = plugin.on_request(&request().client("192.0.2.1"));
    let told = Decision::deny(429).edit_response(|answer| answer.set_header("retry-after", "8"));
    assert_eq!(denied, told);

    let config = r#"{"table": "clients", "limit": [{"counter": "requests", "most": 0}]}"#;
    let denied = loaded(config).on_request(&request());
    assert_eq!(denied, Decision::deny(429), "it never will be let in");
    let config = r#"{"table": "clients", "limit": [{"counter": "strikes", "most": 0}],
        "status": 403, "retry_after": false}"#;
    assert_eq!(loaded(config).on_request(&request()), Decision::deny(403));
}

#[test]
fn several_limits_hold_at_once_and_the_longest_is_told() {
    let config = r#"{"table": "clients", "limit": [
        {"counter": "requests", "most": 2}, {"counter": "errors", "most": 4}]}"#;
    let mut plugin = loaded(config);
    assert_eq!(row(&mut plugin, "192.0.2.1", 3), "..x");
    at(10_000);
    assert_eq!(
        row(&mut plugin, "192.0.2.1", 2),
        ".x",
        "the fifth within a minute"
    );
    let denied = plugin.on_request(&request().client("192.0.2.1"));
    let told = Decision::deny(429).edit_response(|answer| answer.set_header("retry-after", "50"));
    assert_eq!(denied, told);
}

#[test]
fn the_key_is_made_of_any_facts_and_who_lacks_one_is_not_counted() {
    let config = r#"{"table": "clients", "by": [{"header": "x-api-key"}, "path"],
        "limit": [{"counter": "requests", "most": 1}]}"#;
    let mut plugin = loaded(config);
    let ask = |key: &str, path: &str| request().header("x-api-key", key).path(path);
    let mut passes =
        |request: weir_sdk::test::Request| plugin.on_request(&request) == Decision::pass();
    assert!(passes(ask("a", "/x")));
    assert!(passes(ask("a", "/y")));
    assert!(passes(ask("a|/x", "/")), "no mistaking it for the first");
    assert!(!passes(ask("a", "/x")));
    assert!(passes(request()) && passes(request()), "no key at all");
}

#[test]
fn everybody_can_be_counted_together() {
    let config = r#"{"table": "clients", "by": [], "limit": [{"counter": "requests", "most": 2}]}"#;
    let mut plugin = loaded(config);
    assert_eq!(row(&mut plugin, "192.0.2.1", 1), ".");
    assert_eq!(row(&mut plugin, "192.0.2.2", 2), ".x");
}

#[test]
fn only_the_named_paths_are_looked_at() {
    let config = r#"{"table": "clients", "paths": ["/api/", "/login"],
        "limit": [{"counter": "requests", "most": 1}]}"#;
    let mut plugin = loaded(config);
    let mut passes = |path: &str| plugin.on_request(&request().path(path)) == Decision::pass();
    assert!(passes("/") && passes("/") && passes("/apiary"));
    assert!(passes("/api/a"));
    assert!(!passes("/api/b") && !passes("/login"));
}

#[test]
fn errors_of_servers_can_be_counted_where_a_client_caused_them() {
    let config =
        r#"{"table": "clients", "limit": [{"counter": "errors", "most": 2, "of": "4xx"}]}"#;
    let mut plugin = loaded(config);
    let from = |client: &str| request().client(client);
    for status in [401, 200, 500, 404] {
        assert_eq!(row(&mut plugin, "192.0.2.1", 1), ".");
        let edits = plugin.on_response(&from("192.0.2.1"), &response(status));
        assert!(edits.is_empty());
    }
    assert_eq!(row(&mut plugin, "192.0.2.1", 1), "x");
    assert_eq!(row(&mut plugin, "192.0.2.2", 9), ".........");
    at(60_000);
    assert_eq!(row(&mut plugin, "192.0.2.1", 1), ".");
}

#[test]
fn counters_can_be_shown_to_later_filters_without_any_limit() {
    let config = r#"{"table": "clients", "limit": [{"counter": "requests"}],
        "set_vars": {"rate": "requests", "strikes": "strikes"}}"#;
    let mut plugin = loaded(config);
    row(&mut plugin, "192.0.2.1", 99);
    let decision = plugin.on_request(&request().client("192.0.2.1"));
    let told =
        Decision::pass().edit(|request| request.set_var("rate", "100").set_var("strikes", "0"));
    assert_eq!(decision, told);
}

#[test]
fn connections_are_counted_where_there_are_no_requests() {
    let config = r#"{"table": "clients", "at": "connection", "refuse": "close",
        "limit": [{"counter": "requests", "most": 1}], "set_vars": {"rate": "requests"}}"#;
    let mut plugin = loaded(config);
    assert_eq!(plugin.inputs(), ["client-address"]);
    let mut judge = |client: &str| plugin.on_connection(&connection().client(client));
    assert_eq!(
        judge("192.0.2.1"),
        ConnectionDecision::pass().with_var("rate", "1")
    );
    assert_eq!(
        judge("192.0.2.1"),
        ConnectionDecision::close().with_var("rate", "2")
    );
    assert_eq!(
        judge("192.0.2.2"),
        ConnectionDecision::pass().with_var("rate", "1")
    );
}

#[test]
fn answers_are_only_asked_for_where_they_count() {
    assert_eq!(loaded(FIVE).inputs(), ["client-address"]);
    let config = r#"{"table": "clients", "limit": [{"counter": "errors", "of": "5xx"}]}"#;
    assert_eq!(
        loaded(config).inputs(),
        ["client-address", "status", "client-address"]
    );
}

#[test]
fn mistakes_are_shown_at_their_place() {
    assert_eq!(
        refusal(r#"{"table": "client", "limit": [{"most": 1}]}"#),
        "/table: no table of counters `client` is granted; add `counters = [\"client\"]` beside `plugin`"
    );
    assert_eq!(
        refusal(r#"{"table": "clients", "limit": [{"most": 1}]}"#),
        "/limit/0: say which counter of the table `clients` is meant; it has `requests`, `errors`"
    );
    let twice = r#"{"table": "clients", "limit": [{"counter": "errors"}, {"counter": "errors"}]}"#;
    assert_eq!(refusal(twice), "/limit/1: `errors` would be counted twice");
    assert!(refusal(r#"{"table": "clients"}"#).starts_with("/limit: nothing would be counted"));
    let vars =
        r#"{"table": "clients", "limit": [{"counter": "errors"}], "set_vars": {"a": "err"}}"#;
    assert!(refusal(vars).starts_with("/set_vars/a: the table `clients` has no counter `err`"));
    let path = r#"{"table": "clients", "paths": ["api"], "limit": [{"counter": "errors"}]}"#;
    assert!(refusal(path).starts_with("/paths/0: `api` is no path"));
    let connection = r#"{"table": "clients", "at": "connection", "limit": [{"counter": "errors", "of": "4xx"}]}"#;
    assert!(refusal(connection).starts_with("/limit/0: answers belong to requests"));
}
