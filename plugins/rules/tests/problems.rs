//! What an operator is told about a config that cannot be meant.

use rules::Rules;
use serde_json::{Value, json};
use weir_sdk::{
    log::Level,
    test::{Loaded, host},
};

fn complaint(config: Value) -> String {
    Loaded::<Rules>::new(&config)
        .err()
        .unwrap_or_else(|| panic!("{config} was accepted"))
        .0
}

#[track_caller]
fn assert_complains(config: Value, expected: &str) {
    let complaint = complaint(config);
    assert!(
        complaint.contains(expected),
        "expected `{expected}` in:\n{complaint}"
    );
}

#[track_caller]
fn assert_matcher_complains(matcher: Value, expected: &str) {
    assert_complains(
        json!({ "match": { "m": matcher }, "rule": [{ "when": "m", "deny": 403 }] }),
        expected,
    );
}

#[track_caller]
fn assert_rule_complains(rule: Value, expected: &str) {
    assert_complains(json!({ "rule": [rule] }), expected);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    let config = json!({
        "match": { "is_static": { "path": { "prefix": "/static" } } },
        "rule": [{ "when": "is_statc", "use": "static" }],
    });
    assert_eq!(
        complaint(config),
        "/rule/0/when: no matcher named `is_statc`; did you mean `is_static`?"
    );
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let config = json!({
        "match": { "a": { "path": { "prefix": "static" } }, "b": { "client": "lan" } },
        "rule": [{ "when": "a and", "deny": 200 }, { "when": "c or b", "redirect": { "to": "x" } }, { "when": "a" }],
    });
    let complaint = complaint(config);
    let places: Vec<&str> = complaint
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "/rule/0/when",
            "/rule/0/deny",
            "/rule/1/when",
            "/rule/1/redirect/to",
            "/match/a/path/prefix",
            "/rule/2",
            "/match/b/client"
        ]
    );
}

#[test]
fn a_matcher_that_cannot_hold_is_refused() {
    assert_matcher_complains(json!({}), "/match/m: an empty matcher");
    assert_matcher_complains(json!({ "path": {} }), "/match/m/path: says nothing");
    assert_matcher_complains(
        json!({ "path": { "prefix": [] } }),
        "/match/m/path/prefix: an empty list",
    );
    assert_matcher_complains(json!({ "method": [] }), "/match/m/method: an empty list");
    assert_matcher_complains(json!({ "any": [] }), "/match/m/any: an empty list");
    assert_matcher_complains(json!({ "path": { "prefix": "" } }), "an empty text");
    assert_matcher_complains(json!({ "path": { "exact": "static" } }), "begins with `/`");
    assert_matcher_complains(json!({ "path": { "exact": "/a?b=1" } }), "ends before `?`");
    assert_matcher_complains(
        json!({ "path": { "prefix": "/a/../b" } }),
        "dot segments are removed",
    );
    assert_matcher_complains(
        json!({ "path": { "prefix": "//a" } }),
        "doubled slashes are merged",
    );
    assert_matcher_complains(json!({ "path": { "prefix": "/%61" } }), "see `raw_path`");
    assert_matcher_complains(
        json!({ "path": { "prefix": "/é" } }),
        "is sent percent-encoded",
    );
    assert_matcher_complains(
        json!({ "host": { "exact": "a.example:80" } }),
        "without its port",
    );
    assert_matcher_complains(
        json!({ "host": { "suffix": "*.a.example" } }),
        "say `domain`",
    );
    assert_matcher_complains(json!({ "method": "get" }), "write `GET`");
    assert_matcher_complains(json!({ "scheme": "ftp" }), "they are `http` and `https`");
    assert_matcher_complains(
        json!({ "client": "10.1.2.3/8" }),
        "the network is `10.0.0.0/8`",
    );
    assert_matcher_complains(
        json!({ "header": { "name": "x y", "present": true } }),
        "cannot be the name of a header",
    );
    assert_matcher_complains(
        json!({ "cookie": { "name": "", "present": true } }),
        "cannot be the name of a cookie",
    );
}

#[test]
fn a_matcher_that_contradicts_itself_is_refused() {
    assert_matcher_complains(
        json!({ "path": { "exact": "/a", "prefix": "/b" } }),
        "leaves nothing for `prefix`",
    );
    assert_matcher_complains(
        json!({ "header": { "name": "a", "present": false, "exact": "b" } }),
        "`present` stands alone",
    );
    assert_matcher_complains(
        json!({ "header": { "name": "a", "present": true, "ignore_case": true } }),
        "`ignore_case` without",
    );
    assert_matcher_complains(
        json!({ "any": [{ "method": "GET" }], "path": { "exact": "/a" } }),
        "/match/m: `any` stands alone",
    );
    assert_matcher_complains(
        json!({ "any": ["m"] }),
        "/match/m: `m` needs `m`: a matcher cannot need itself",
    );
    let round = json!({ "a": { "not": "b" }, "b": { "not": "a" } });
    assert_complains(
        json!({ "match": round, "rule": [{ "when": "a", "deny": 403 }] }),
        "`a` needs `b` needs `a`",
    );
}

#[test]
fn hostile_regexes_and_endless_references_do_not_get_in() {
    assert_matcher_complains(
        json!({ "path": { "regex": "(" } }),
        "/match/m/path/regex: `(` is no regular expression",
    );
    assert_matcher_complains(
        json!({ "path": { "regex": "(?:a{1000}){1000}" } }),
        "size limit",
    );
    let mut bomb = serde_json::Map::from_iter([("m0".to_owned(), json!({ "method": "GET" }))]);
    for n in 1..40 {
        let below = format!("m{}", n - 1);
        bomb.insert(format!("m{n}"), json!({ "any": [below, below] }));
    }
    assert_complains(
        json!({ "match": bomb, "rule": [{ "when": "m39", "deny": 403 }] }),
        "more than 10000 tests",
    );
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused() {
    assert_rule_complains(json!({}), "/rule/0: a rule that does nothing");
    assert_rule_complains(
        json!({ "use": "a", "deny": 403 }),
        "/rule/0: `use` and `deny`: a rule has one outcome",
    );
    assert_rule_complains(
        json!({ "deny": 302 }),
        "/rule/0/deny: `302` is not 400 to 599",
    );
    assert_rule_complains(
        json!({ "reply": { "status": 101 } }),
        "/rule/0/reply/status: `101` is not 200 to 599",
    );
    assert_rule_complains(
        json!({ "reply": { "status": 204, "body": "x" } }),
        "status 204 has no body",
    );
    assert_rule_complains(
        json!({ "redirect": { "to": "/", "status": 304 } }),
        "301, 302, 303, 307 and 308",
    );
    assert_rule_complains(
        json!({ "redirect": { "to": "{host}/x" } }),
        "neither a whole URL",
    );
    assert_rule_complains(
        json!({ "deny": 403, "set_header": { "a": "b" } }),
        "there is `set_response_header`",
    );
    assert_rule_complains(
        json!({ "set_path": "x" }),
        "/rule/0/set_path: a path begins with `/`",
    );
    assert_rule_complains(json!({ "set_path": "/x?y" }), "there is `set_query`");
    assert_rule_complains(json!({ "set_query": "?y" }), "without its `?`");
    assert_rule_complains(json!({ "set_method": "a b" }), "is no method");
    assert_rule_complains(
        json!({ "set_header": { "a b": "c" } }),
        "cannot be the name of a header",
    );
    assert_rule_complains(
        json!({ "set_header": { "Transfer-Encoding": "chunked" } }),
        "the proxy's own business",
    );
    assert_rule_complains(
        json!({ "remove_response_header": "Content-Length" }),
        "the proxy's own business",
    );
    assert_rule_complains(
        json!({ "set_header": { "a": "b\r\nc: d" } }),
        "/rule/0/set_header/a: control characters",
    );
    assert_rule_complains(
        json!({ "set_header": { "a": "{pth}" } }),
        "did you mean `path`?",
    );
    assert_rule_complains(json!({ "set_var": { "": "x" } }), "a variable needs a name");
    assert_complains(
        json!({ "response_rule": [{}] }),
        "/response_rule/0: a rule that does nothing",
    );
    assert_complains(
        json!({ "response_rule": [{ "set_status": 99 }] }),
        "/response_rule/0/set_status: `99`",
    );
}

#[test]
fn a_request_rule_cannot_wait_for_the_response() {
    let config = json!({ "match": { "bad": { "status": "5xx" } }, "rule": [{ "when": "bad", "deny": 403 }] });
    assert_complains(
        config,
        "/rule/0/when: looks at `status`, which only a response has; move the rule to `response_rule`",
    );
    assert_rule_complains(
        json!({ "set_header": { "a": "{response_header(b)}" } }),
        "use it in `response_rule`",
    );
    let class = json!({ "response_rule": [{ "when": { "status": "6xx" }, "set_status": 500 }] });
    assert_complains(class, "`6xx` is no class of statuses");
}

#[test]
fn a_map_that_was_not_granted_is_said_with_the_line_to_add() {
    let lookup = json!({ "lookup": { "map": "tiers", "key": "client_address", "present": true } });
    assert_matcher_complains(
        lookup,
        r#"/match/m/lookup/map: no map `tiers` is granted to this filter; add `maps = ["tiers"]`"#,
    );
}

#[test]
fn names_that_when_could_not_say_are_refused_and_unused_ones_are_logged() {
    assert_complains(
        json!({ "match": { "a b": { "method": "GET" } } }),
        "/match/a b: `a b` cannot be a matcher's name",
    );
    assert_complains(
        json!({ "match": { "not": { "method": "GET" } } }),
        "cannot be a matcher's name",
    );
    assert_complains(
        json!({ "match": { "lost": { "path": { "regex": "(" } } } }),
        "/match/lost/path/regex",
    );
    host::take_log();
    Loaded::<Rules>::new(json!({ "match": { "lost": { "status": 404 } } })).unwrap();
    assert_eq!(
        host::take_log(),
        [(
            Level::Warn,
            "matcher `lost` is not used by any rule".to_owned()
        )]
    );
}

#[test]
fn a_config_of_the_wrong_shape_says_where() {
    assert_complains(json!({ "rules": [] }), "unknown field `rules`");
    assert_complains(
        json!({ "rule": [{ "when": 7, "deny": 403 }] }),
        "/rule/0/when: ",
    );
    assert_complains(json!({ "rule": [{ "deny": "no" }] }), "/rule/0/deny: ");
    assert_complains(
        json!({ "match": { "m": { "paht": {} } } }),
        "unknown field `paht`",
    );
    assert_complains(
        json!({ "match": { "m": { "method": 5 } } }),
        "/match/m/method: ",
    );
}
