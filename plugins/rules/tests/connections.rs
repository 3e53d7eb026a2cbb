//! What connections meet, from a config to the decision.

use rules::Rules;
use serde_json::{Value, json};
use weir_sdk::{
    ConnectionDecision,
    test::{Connection, Loaded, connection, host, request},
};

fn load(config: Value) -> Loaded<Rules> {
    Loaded::new(config).unwrap()
}

/// The backend that the connection gets, `-` for none.
fn backend(rules: &mut Loaded<Rules>, connection: &Connection) -> String {
    let decision = rules.on_connection(connection);
    let backend = rules.backend_of_connection(&decision);
    backend.unwrap_or("-").to_owned()
}

#[test]
fn the_first_rule_that_decides_wins() {
    let mut rules = load(json!({
        "match": {
            "office": { "client": "10.0.0.0/8" },
            "shop": { "tls_sni": { "exact": ["shop.example", "www.shop.example"] } },
            "mail": { "listener_port": 25 },
        },
        "connection_rule": [
            { "when": "not office and mail", "refuse": "reset" },
            { "when": "shop", "use": "shop" },
            { "when": { "tls_sni": { "suffix": ".example" } }, "use": "rest" },
            { "when": "office", "stop": true },
            { "refuse": "close" },
        ],
    }));
    let office = || connection().client("10.1.1.1");
    assert_eq!(backend(&mut rules, &office().sni("shop.example")), "shop");
    assert_eq!(backend(&mut rules, &connection().sni("a.example")), "rest");
    let mail = connection().sni("shop.example").listener_port(25);
    assert_eq!(rules.on_connection(&mail), ConnectionDecision::reset());
    assert_eq!(rules.on_connection(&office()), ConnectionDecision::pass());
    assert_eq!(
        rules.on_connection(&connection()),
        ConnectionDecision::close()
    );
}

#[test]
fn first_bytes_and_what_a_proxy_said_can_be_looked_at() {
    let mut rules = load(json!({ "connection_rule": [
        { "when": { "value": { "of": "{first_bytes(4)}", "exact": "SSH-" } }, "use": "ssh" },
        { "when": { "value": { "of": "{proxy(authority)|lower}", "suffix": ".example" } }, "use": "web" },
    ]}));
    assert_eq!(
        backend(&mut rules, &connection().first_bytes(b"SSH-2.0")),
        "ssh"
    );
    assert_eq!(
        backend(&mut rules, &connection().proxy("authority", "A.Example")),
        "web"
    );
    assert_eq!(backend(&mut rules, &connection()), "-");
}

#[test]
fn a_map_can_name_the_backend() {
    host::set_map("tenants", &[("a.example", "a"), ("b.example", "gone")]);
    let mut rules = load(json!({ "connection_rule": [{
        "use_one_of": { "name": "{tls_sni|map(tenants)}", "backends": ["a", "b"] },
    }, { "use": "b" }]}));
    assert_eq!(backend(&mut rules, &connection().sni("a.example")), "a");
    assert_eq!(backend(&mut rules, &connection().sni("b.example")), "b");
    assert_eq!(backend(&mut rules, &connection()), "b");
}

#[test]
fn variables_outlive_the_decision() {
    let mut rules = load(json!({ "connection_rule": [
        { "set_var": { "from": "{client_address}" } },
        { "when": { "client": "192.0.2.7" }, "use": "x" },
    ]}));
    let decision = rules.on_connection(&connection().client("192.0.2.7"));
    assert_eq!(decision.vars, [("from".to_owned(), "192.0.2.7".to_owned())]);
    assert_eq!(rules.backend_of_connection(&decision), Some("x"));
}

#[test]
fn rules_for_connections_and_for_requests_stand_side_by_side() {
    let mut rules = load(json!({
        "connection_rule": [{ "when": { "client": "192.0.2.7" }, "refuse": "reset" }],
        "rule": [{ "deny": 403 }],
    }));
    let stranger = connection().client("192.0.2.7");
    assert_eq!(rules.on_connection(&stranger), ConnectionDecision::reset());
    assert_eq!(rules.on_request(&request()), weir_sdk::Decision::deny(403));
}

#[track_caller]
fn assert_complains(rule: Value, expected: &str) {
    let complaint = Loaded::<Rules>::new(json!({ "connection_rule": [rule] }))
        .expect_err("it is refused")
        .0;
    assert!(
        complaint.contains(expected),
        "{expected} is not in {complaint}"
    );
}

#[test]
fn mistakes_are_shown_at_their_place() {
    assert_complains(
        json!({ "when": { "path": { "prefix": "/a" } }, "use": "b" }),
        "/connection_rule/0/when: looks at `path`, which only a request has; move the rule to `rule`",
    );
    assert_complains(
        json!({ "when": { "status": 404 }, "use": "b" }),
        "only a response has",
    );
    assert_complains(
        json!({ "when": { "value": { "of": "{scheme}", "exact": "http" } }, "use": "b" }),
        "looks at `scheme`, which only a request has",
    );
    assert_complains(
        json!({ "use": "b", "refuse": "close" }),
        "/connection_rule/0: `use` and `refuse`: a rule has one outcome",
    );
    assert_complains(json!({}), "/connection_rule/0: a rule that does nothing");
    assert_complains(
        json!({ "set_var": { "a": "{path}" } }),
        "/connection_rule/0/set_var/a: `path` is a fact that only a request has",
    );
    assert_complains(json!({ "set_var": { "": "x" } }), "a variable needs a name");
    assert_complains(json!({ "deny": 403 }), "deny");
}

#[test]
fn facts_of_the_moment_are_known_of_connections_too() {
    let mut rules = load(json!({
        "match": { "gone": { "value": { "of": "{usable_servers(app)}", "at_most": 0 } } },
        "connection_rule": [{ "when": "gone", "use": "sorry" }],
    }));
    let with = |count: &str| connection().live("usable-servers(app)", count);
    assert_eq!(backend(&mut rules, &with("0")), "sorry");
    assert_eq!(backend(&mut rules, &with("3")), "-");
}
