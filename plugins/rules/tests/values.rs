//! Converters, replacements and backends by name, from a config to the decision.

use rules::Rules;
use serde_json::{Value, json};
use weir_sdk::{
    Decision, Reply, RequestEdits, ResponseEdits,
    test::{Loaded, Request, host, request},
};

fn decide(config: Value, request: &Request) -> Decision {
    Loaded::<Rules>::new(config).unwrap().on_request(request)
}

fn matches(matcher: Value, request: &Request) -> bool {
    let config = json!({ "match": { "m": matcher }, "rule": [{ "when": "m", "deny": 403 }] });
    decide(config, request) == Decision::deny(403)
}

#[test]
fn a_matcher_can_look_at_what_converters_make_of_a_fact() {
    let first_label =
        json!({ "value": { "of": "{header(Host)|lower|field(1,.)}", "exact": "shop" } });
    assert!(matches(
        first_label.clone(),
        &request().header("Host", "SHOP.example")
    ));
    assert!(!matches(
        first_label.clone(),
        &request().header("Host", "www.example")
    ));
    assert!(!matches(first_label, &request()));

    let length = json!({ "value": { "of": "{raw_path|length}", "at_least": 3, "at_most": 5 } });
    assert!(matches(length.clone(), &request().raw_path("/abc")));
    assert!(!matches(length.clone(), &request().raw_path("/")));
    assert!(!matches(length, &request().raw_path("/abcdefg")));

    let network =
        json!({ "value": { "of": "{header(X-Real-IP)|ipmask(8)}", "network": "10.0.0.0/8" } });
    assert!(matches(
        network.clone(),
        &request().header("X-Real-IP", "10.1.2.3")
    ));
    assert!(!matches(
        network,
        &request().header("X-Real-IP", "11.1.2.3")
    ));

    let any = json!({ "header": { "name": "X-Forwarded-For", "network": "10.0.0.0/8" } });
    assert!(matches(
        any.clone(),
        &request().header("X-Forwarded-For", "1.1.1.1, 10.2.3.4")
    ));
    assert!(!matches(
        any,
        &request().header("X-Forwarded-For", "1.1.1.1")
    ));
}

#[test]
fn a_matcher_can_hold_always_or_never() {
    assert!(matches(json!({ "always": true }), &request()));
    assert!(!matches(json!({ "always": false }), &request()));
    assert!(matches(json!({ "not": { "always": false } }), &request()));
}

#[test]
fn a_backend_can_be_named_by_the_request() {
    host::set_map("hosts", &[("shop", "shop"), ("odd", "nowhere")]);
    let one_of =
        json!({ "name": "{header(Host)|field(1,.)|map(hosts)}", "backends": ["shop", "www"] });
    let config = json!({ "rule": [{ "use_one_of": one_of }, { "use": "www" }] });
    let mut rules = Loaded::<Rules>::new(config).unwrap();
    for (name, wanted) in [
        ("shop.example", "shop"),
        ("odd.example", "www"),
        ("new.example", "www"),
    ] {
        let decision = rules.on_request(&request().header("Host", name));
        assert_eq!(rules.backend_of(&decision), Some(wanted), "{name}");
    }
}

#[test]
fn a_rule_can_end_the_search_without_deciding() {
    let config = json!({ "rule": [
        { "when": { "path": { "exact": "/open" } }, "stop": true },
        { "deny": 403 },
    ] });
    assert_eq!(
        decide(config.clone(), &request().path("/open")),
        Decision::pass()
    );
    assert_eq!(
        decide(config, &request().path("/shut")),
        Decision::deny(403)
    );
}

#[test]
fn a_path_is_replaced_where_an_expression_matches_it() {
    let rule = json!({ "rule": [{ "replace_path": { "regex": "^/api/(v[0-9])/(.*)", "with": "/\\1/api/\\2" } }] });
    let edited = |path: &str| decide(rule.clone(), &request().raw_path(path)).edits;
    let mut wanted = RequestEdits::none();
    wanted.set_path("/v2/api/x");
    assert_eq!(edited("/api/v2/x"), wanted);
    assert_eq!(edited("/other"), RequestEdits::none());
    let mut local = RequestEdits::none();
    local.set_path("/evil.example");
    let bent = json!({ "rule": [{ "replace_path": { "regex": "^/go/(.*)", "with": "/\\1" } }] });
    assert_eq!(
        decide(bent, &request().raw_path("/go//evil.example")).edits,
        local
    );
}

#[test]
fn fields_are_replaced_where_an_expression_matches_them() {
    let edit = json!({ "X-Real": { "regex": "^(.*):[0-9]+$", "with": "\\1 by {method}" } });
    let decision = decide(
        json!({ "rule": [{ "replace_header": edit }] }),
        &request().method("PUT").header("X-Real", "a:80"),
    );
    let mut wanted = RequestEdits::none();
    wanted.set_header("X-Real", "a by PUT");
    assert_eq!(decision.edits, wanted);

    let edit = json!({ "Location": { "regex": "^http://(.*)", "with": "https://\\1" } });
    let config = json!({ "response_rule": [{ "replace_header": edit }] });
    let edits = Loaded::<Rules>::new(config).unwrap().on_response(
        &request(),
        &weir_sdk::test::response(302).header("Location", "http://a/"),
    );
    let mut wanted = ResponseEdits::none();
    wanted.set_header("Location", "https://a/");
    assert_eq!(edits, wanted);
}

#[test]
fn a_reply_can_hold_facts() {
    let reply = json!({ "status": 200, "body_template": "{method} {url}\n" });
    let decision = decide(
        json!({ "rule": [{ "reply": reply }] }),
        &request().raw_path("/a").query("b=1"),
    );
    assert_eq!(
        decision,
        Decision::reply(Reply::new(200).body("GET /a?b=1\n"))
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let complaint = |config: Value| Loaded::<Rules>::new(config).err().unwrap().0;
    let matcher = |matcher: Value| {
        complaint(json!({ "match": { "m": matcher }, "rule": [{ "when": "m", "deny": 403 }] }))
    };
    for (value, what) in [
        (
            json!({ "of": "host", "exact": "a" }),
            "/match/m/value/of: not one fact in braces",
        ),
        (
            json!({ "of": "{host}{path}", "exact": "a" }),
            "not one fact in braces",
        ),
        (
            json!({ "of": "{host|lowr}", "exact": "a" }),
            "did you mean `lower`?",
        ),
        (
            json!({ "of": "{host|map(none)}", "exact": "a" }),
            "no map `none` is granted",
        ),
        (
            json!({ "of": "{host|length}", "at_least": 5, "at_most": 4 }),
            "nothing can match",
        ),
        (
            json!({ "of": "{host|length}", "at_least": 5, "exact": "4" }),
            "compare numbers",
        ),
        (json!({ "of": "{host}" }), "says nothing about the value"),
    ] {
        let complaint = matcher(json!({ "value": value }));
        assert!(complaint.contains(what), "{complaint}");
    }
    for (rule, what) in [
        (
            json!({ "use_one_of": { "name": "{host}", "backends": [] } }),
            "an empty list",
        ),
        (
            json!({ "use_one_of": { "name": "{hst}", "backends": ["a"] } }),
            "did you mean `host`?",
        ),
        (
            json!({ "replace_path": { "regex": "(", "with": "/" } }),
            "/rule/0/replace_path/regex",
        ),
        (
            json!({ "stop": true, "deny": 403 }),
            "a rule has one outcome",
        ),
        (
            json!({ "redirect": { "to": "{header(X)}" } }),
            "neither a whole URL",
        ),
    ] {
        let complaint = complaint(json!({ "rule": [rule] }));
        assert!(complaint.contains(what), "{complaint}");
    }
}
