//! What requests meet, from a config to the decision.

use rules::Rules;
use serde_json::{Value, json};
use weir_sdk::{
    Decision, Reply, RequestEdits, ResponseEdits, Verdict,
    test::{Loaded, Request, host, request},
};

fn load(config: Value) -> Loaded<Rules> {
    Loaded::new(config).unwrap()
}

/// The backend that the request gets, `-` for none.
fn backend(rules: &mut Loaded<Rules>, request: &Request) -> String {
    let decision = rules.on_request(request);
    rules.backend_of(&decision).unwrap_or("-").to_owned()
}

/// Rules with the matcher `m` and one rule that uses the backend `b` for it.
fn with_matcher(matcher: Value) -> Loaded<Rules> {
    load(json!({ "match": { "m": matcher }, "rule": [{ "when": "m", "use": "b" }] }))
}

fn assert_matches(matcher: Value, yes: &[Request], no: &[Request]) {
    let mut rules = with_matcher(matcher.clone());
    for request in yes {
        assert_eq!(
            backend(&mut rules, request),
            "b",
            "{matcher} should match {request:?}"
        );
    }
    for request in no {
        assert_eq!(
            backend(&mut rules, request),
            "-",
            "{matcher} should not match {request:?}"
        );
    }
}

fn at(path: &str) -> Request {
    request().path(path)
}

/// The decision of a single rule on a request.
fn decide(rule: Value, request: &Request) -> Decision {
    load(json!({ "rule": [rule] })).on_request(request)
}

fn location(rule: Value, request: &Request) -> String {
    let decision = decide(rule, request);
    let text = format!("{:?}", decision.verdict);
    let (_, location) = text
        .split_once(r#"value: ""#)
        .unwrap_or_else(|| panic!("no redirect: {text}"));
    location.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn the_first_rule_that_decides_wins_and_no_rule_passes() {
    let mut rules = load(json!({
        "match": {
            "is_static": { "path": { "prefix": "/static" } },
            "from_lan": { "client": ["10.0.0.0/8", "fd00::/8"] },
        },
        "rule": [
            { "when": "is_static and not from_lan", "use": "static" },
            { "when": "is_static", "use": "inner" },
            { "when": "from_lan", "use": "static" },
        ],
    }));
    assert_eq!(rules.backends(), ["static", "inner"]);
    assert_eq!(
        backend(&mut rules, &at("/static/x").client("192.0.2.1")),
        "static"
    );
    assert_eq!(
        backend(&mut rules, &at("/static/x").client("10.1.1.1")),
        "inner"
    );
    assert_eq!(backend(&mut rules, &at("/").client("fd00::1")), "static");
    assert_eq!(
        rules.on_request(&at("/").client("192.0.2.1")),
        Decision::pass()
    );
}

#[test]
fn only_the_facts_that_the_rules_need_are_asked_for() {
    let paths = with_matcher(json!({ "path": { "prefix": "/a" } }));
    assert_eq!(paths.inputs(), ["path"]);
    let more = load(json!({ "rule": [
        { "when": { "header": { "name": "X-Api", "present": true } }, "set_header": { "X-From": "{client_address}" } },
        { "when": { "header": { "name": "x-api", "exact": "1" } }, "redirect": { "to": "https://{host}{path}{?query}" } },
    ]}));
    assert_eq!(
        more.inputs(),
        [
            "header-all(x-api)",
            "client-address",
            "host",
            "path",
            "query"
        ]
    );
    assert_eq!(load(json!({})).inputs(), [] as [&str; 0]);
}

#[test]
fn texts_of_a_path() {
    assert_matches(
        json!({ "path": { "exact": "/a" } }),
        &[at("/a")],
        &[at("/a/"), at("/A"), at("/ab")],
    );
    assert_matches(
        json!({ "path": { "prefix": ["/a", "/b"] } }),
        &[at("/a"), at("/abc"), at("/b/c")],
        &[at("/"), at("/c/a")],
    );
    assert_matches(
        json!({ "path": { "segment": "/app" } }),
        &[at("/app"), at("/app/"), at("/app/x")],
        &[at("/apple"), at("/ap"), at("/x/app")],
    );
    assert_matches(
        json!({ "path": { "suffix": [".png", ".gif"] } }),
        &[at("/x.png"), at("/.gif")],
        &[at("/x.PNG")],
    );
    assert_matches(
        json!({ "path": { "contains": "admin" } }),
        &[at("/x/admin2")],
        &[at("/adm/in")],
    );
    assert_matches(
        json!({ "path": { "regex": "^/v[0-9]+/" } }),
        &[at("/v12/x")],
        &[at("/v/x"), at("/x/v1/")],
    );
    assert_matches(
        json!({ "path": { "prefix": "/Img", "suffix": ".PNG", "ignore_case": true } }),
        &[at("/img/A.png"), at("/IMG.Png")],
        &[at("/img/a.gif"), at("/x/img.png")],
    );
}

#[test]
fn the_path_is_looked_at_normalised_and_the_raw_path_as_sent() {
    let sent = at("/static/x").raw_path("/%73tatic/./x");
    assert_matches(
        json!({ "path": { "prefix": "/static" } }),
        std::slice::from_ref(&sent),
        &[],
    );
    assert_matches(
        json!({ "raw_path": { "prefix": "/static" } }),
        &[],
        std::slice::from_ref(&sent),
    );
    assert_matches(
        json!({ "raw_path": { "contains": "/./" } }),
        &[sent],
        &[at("/static/x")],
    );
}

#[test]
fn texts_of_a_host() {
    let on = |host: &str| request().host(host);
    assert_matches(
        json!({ "host": { "exact": "A.example" } }),
        &[on("a.example")],
        &[on("b.a.example"), request()],
    );
    assert_matches(
        json!({ "host": { "suffix": ".api.example" } }),
        &[on("x.api.example")],
        &[on("api.example")],
    );
    assert_matches(
        json!({ "host": { "domain": "example.com" } }),
        &[on("example.com"), on("a.b.example.com")],
        &[on("badexample.com"), on("example.com.evil")],
    );
    assert_matches(
        json!({ "host": { "regex": "^A[0-9]" } }),
        &[on("a1.example")],
        &[on("b1")],
    );
}

#[test]
fn headers_cookies_parameters_and_variables() {
    let with = |value: &str| request().header("X-Api", value);
    assert_matches(
        json!({ "header": { "name": "x-api", "exact": "YES", "ignore_case": true } }),
        &[
            with("yes"),
            with("no, Yes"),
            with("no").header("x-api", "yes"),
        ],
        &[request(), with("no"), with("yess")],
    );
    assert_matches(
        json!({ "header": { "name": "X-Api", "present": true } }),
        &[with("")],
        &[request()],
    );
    assert_matches(
        json!({ "header": { "name": "X-Api", "present": false } }),
        &[request()],
        &[with("")],
    );
    assert_matches(
        json!({ "header": { "name": "user-agent", "regex": "KHTML, like" } }),
        &[request().header("User-Agent", "AppleWebKit/537 (KHTML, like Gecko)")],
        &[request().header("User-Agent", "curl")],
    );
    assert_matches(
        json!({ "cookie": { "name": "tier", "exact": ["gold", "silver"] } }),
        &[request().cookie("tier", "gold")],
        &[
            request().cookie("tier", "goldfish"),
            request().cookie("Tier", "gold"),
        ],
    );
    assert_matches(
        json!({ "query_param": { "name": "id", "prefix": "a" } }),
        &[request().query("x=1&id=abc")],
        &[
            request(),
            request().query("id=b"),
            request().query("ID=abc"),
        ],
    );
    assert_matches(
        json!({ "query": { "contains": "debug" } }),
        &[request().query("x&debug")],
        &[request()],
    );
    assert_matches(
        json!({ "var": { "name": "user", "exact": "ann" } }),
        &[request().var("user", "ann")],
        &[request().var("user", "bob"), request()],
    );
}

#[test]
fn methods_schemes_ports_and_clients() {
    let by = |method: &str| request().method(method);
    assert_matches(
        json!({ "method": "POST" }),
        &[by("POST")],
        &[by("GET"), by("post")],
    );
    assert_matches(
        json!({ "method": ["GET", "HEAD"] }),
        &[by("GET"), by("HEAD")],
        &[by("PUT")],
    );
    assert_matches(
        json!({ "scheme": "https" }),
        &[request().scheme("https")],
        &[request()],
    );
    assert_matches(json!({ "listener_port": [80, 8080] }), &[request()], &[]);
    assert_matches(json!({ "listener_port": 80 }), &[], &[request()]);
    let from = |client: &str| request().client(client);
    assert_matches(
        json!({ "client": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"] }),
        &[
            from("10.255.0.1"),
            from("fd01::1"),
            from("192.0.2.7"),
            from("::ffff:10.0.0.1"),
        ],
        &[
            from("11.0.0.1"),
            from("fe80::1"),
            from("192.0.2.8"),
            from("not an address"),
        ],
    );
}

#[test]
fn a_map_answers_for_a_fact() {
    host::set_map("tiers", &[("ann", "gold"), ("bob", "iron")]);
    let visitor = |user: &str| request().cookie("user", user);
    let lookup = |extra: Value| {
        let mut lookup = json!({ "map": "tiers", "key": { "cookie": "user" } });
        lookup
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({ "lookup": lookup })
    };
    assert_matches(
        lookup(json!({ "exact": ["gold", "silver"] })),
        &[visitor("ann")],
        &[visitor("bob"), visitor("eve"), request()],
    );
    assert_matches(
        lookup(json!({ "present": true })),
        &[visitor("bob")],
        &[visitor("eve"), request()],
    );
    assert_matches(
        lookup(json!({ "present": false })),
        &[visitor("eve"), request()],
        &[visitor("bob")],
    );

    let mut rules = with_matcher(lookup(json!({ "exact": "gold" })));
    host::set_map("tiers", &[("bob", "gold")]);
    assert_eq!(
        backend(&mut rules, &visitor("bob")),
        "b",
        "a changed map shows at once"
    );
    assert_eq!(backend(&mut rules, &visitor("ann")), "-");
}

#[test]
fn matchers_combine_in_place_and_by_name() {
    assert_matches(
        json!({ "any": [{ "host": { "suffix": ".api" } }, { "header": { "name": "x-api", "present": true } }] }),
        &[request().host("a.api"), request().header("X-Api", "1")],
        &[request().host("a.app")],
    );
    assert_matches(
        json!({ "all": [{ "path": { "prefix": "/a" } }, { "not": { "method": "GET" } }] }),
        &[at("/a").method("PUT")],
        &[at("/a"), at("/b").method("PUT")],
    );
    assert_matches(
        json!({ "path": { "prefix": "/a" }, "method": "PUT" }),
        &[at("/a").method("PUT")],
        &[at("/a"), at("/b").method("PUT")],
    );
    let mut rules = load(json!({
        "match": {
            "base": { "path": { "prefix": "/a" } },
            "odd": { "any": ["base and not safe", { "path": { "exact": "/odd" } }] },
            "safe": { "method": ["GET", "HEAD"] },
        },
        "rule": [
            { "when": { "all": ["odd", { "client": "127.0.0.1" }] }, "use": "odd" },
            { "when": { "path": { "suffix": ".css" } }, "use": "css" },
        ],
    }));
    assert_eq!(backend(&mut rules, &at("/a").method("PUT")), "odd");
    assert_eq!(backend(&mut rules, &at("/odd")), "odd");
    assert_eq!(backend(&mut rules, &at("/a.css")), "css");
    assert_eq!(backend(&mut rules, &at("/odd").client("127.0.0.2")), "-");
}

#[test]
fn edits_gather_until_a_rule_decides() {
    let mut rules = load(json!({
        "match": { "api": { "path": { "segment": "/api" } } },
        "rule": [
            {
                "when": "api",
                "set_header": { "X-Tier": "gold", "X-Path": "{path}{?query}" },
                "add_header": { "Via": ["1.1 a", "1.1 b"] },
                "remove_header": "X-Debug",
                "set_path": "/v2{path}",
                "set_query": "from={query_param(id)}",
                "set_method": "POST",
                "set_var": { "tier": "gold-{header(x-id)}" },
                "set_response_header": { "X-Served-By": "weir" },
                "add_response_header": { "Vary": "Cookie" },
                "remove_response_header": ["Server", "X-Powered-By"],
            },
            { "use": "all" },
            { "set_header": { "X-Too": "late" } },
        ],
    }));
    let decision = rules.on_request(&at("/api/x").query("id=a%26b&c").header("x-id", "7"));
    assert_eq!(rules.backend_of(&decision), Some("all"));
    let mut edits = RequestEdits::none();
    edits
        .remove_header("X-Debug")
        .set_header("X-Path", "/api/x?id=a%26b&c")
        .set_header("X-Tier", "gold")
        .add_header("Via", "1.1 a")
        .add_header("Via", "1.1 b")
        .set_var("tier", "gold-7")
        .set_path("/v2/api/x")
        .set_query("from=a%2526b")
        .set_method("POST");
    assert_eq!(decision.edits, edits);
    let mut response_edits = ResponseEdits::none();
    response_edits
        .remove_header("Server")
        .remove_header("X-Powered-By")
        .set_header("X-Served-By", "weir")
        .add_header("Vary", "Cookie");
    assert_eq!(decision.response_edits, response_edits);
}

#[test]
fn rules_see_the_request_as_it_came_whatever_others_change() {
    let mut rules = load(json!({ "rule": [
        { "set_path": "/new", "set_header": { "X-A": "new" } },
        { "when": { "path": { "exact": "/new" } }, "use": "new" },
        { "when": { "header": { "name": "x-a", "exact": "new" } }, "use": "new" },
        { "when": { "path": { "exact": "/old" } }, "use": "old" },
    ]}));
    assert_eq!(backend(&mut rules, &at("/old")), "old");
}

#[test]
fn denials_and_replies_end_the_exchange() {
    assert_eq!(
        decide(json!({ "deny": 403 }), &request()),
        Decision::deny(403)
    );
    let teapot = json!({ "reply": {
        "status": 418, "headers": { "Content-Type": "text/plain", "X-Host": "{host}" }, "body": "short {and} stout",
    }});
    let reply = Reply::new(418)
        .header("Content-Type", "text/plain")
        .header("X-Host", "a.example")
        .body("short {and} stout");
    assert_eq!(
        decide(teapot, &request().host("a.example")),
        Decision::reply(reply)
    );
    let marked = decide(
        json!({ "deny": 429, "set_response_header": { "Retry-After": "5" } }),
        &request(),
    );
    assert_eq!(marked.verdict, Verdict::Deny(429));
    assert!(!marked.response_edits.is_empty());
}

#[test]
fn redirects_carry_the_request_over() {
    let to_https = json!({ "redirect": { "to": "https://{host}{path}{?query}", "status": 301 } });
    let came = at("/a/b").host("a.example").query("x=1&y=%20");
    assert_eq!(
        location(to_https.clone(), &came),
        "https://a.example/a/b?x=1&y=%20"
    );
    assert_eq!(
        location(to_https.clone(), &at("/").host("a.example")),
        "https://a.example/"
    );
    assert_eq!(
        decide(to_https, &at("/x")),
        Decision::deny(400),
        "without a host there is nowhere to go"
    );
    let found = Reply::new(302).header("location", "/login");
    let found = Decision::reply(found.header("cache-control", "no-cache"));
    assert_eq!(
        decide(json!({ "redirect": { "to": "/login" } }), &request()),
        found
    );
}

#[test]
fn a_redirect_cannot_be_bent_to_another_site() {
    let raw = |path: &str| request().raw_path(path).host("a.example");
    for to in ["{raw_path}", "/{raw_path}"] {
        let rule = || json!({ "redirect": { "to": to } });
        assert_eq!(
            location(rule(), &raw("//evil.example/x")),
            "/evil.example/x"
        );
        assert_eq!(location(rule(), &raw("///evil.example")), "/evil.example");
        assert!(!location(rule(), &raw("/\\evil.example")).contains('\\'));
    }
    let split = location(
        json!({ "redirect": { "to": "/go?to={query_param(to)}" } }),
        &request().query("to=x\r\nSet-Cookie: a=b"),
    );
    assert_eq!(split, "/go?to=x%0D%0ASet-Cookie:%20a%3Db");
    let chosen = location(
        json!({ "redirect": { "to": "//cdn.example{path}" } }),
        &at("/x"),
    );
    assert_eq!(chosen, "//cdn.example/x", "what the operator wrote stays");
}

#[test]
fn set_path_always_makes_a_path() {
    let edits = |rule: Value, request: &Request| decide(rule, request).edits;
    let mut path = RequestEdits::none();
    path.set_path("/evil/x");
    assert_eq!(
        edits(
            json!({ "set_path": "/{raw_path}" }),
            &request().raw_path("//evil/x")
        ),
        path
    );
    let star = request().method("OPTIONS").path("*");
    assert_eq!(
        edits(json!({ "set_path": "{path}" }), &star),
        RequestEdits::none()
    );
}

#[test]
fn a_thousand_rules_are_told_apart() {
    let matchers: serde_json::Map<String, Value> = (0..1000)
        .map(|n| {
            (
                format!("m{n:04}"),
                json!({ "path": { "prefix": format!("/p{n:04}/") } }),
            )
        })
        .collect();
    let list: Vec<Value> = (0..1000)
        .map(|n| json!({ "when": format!("m{n:04}"), "use": format!("b{}", n % 10) }))
        .collect();
    let mut rules = load(json!({ "match": matchers, "rule": list }));
    assert_eq!(rules.inputs(), ["path"]);
    for n in [0, 1, 10, 499, 998, 999] {
        assert_eq!(
            backend(&mut rules, &at(&format!("/p{n:04}/x"))),
            format!("b{}", n % 10)
        );
    }
    assert_eq!(backend(&mut rules, &at("/p1000/x")), "-");
}

#[test]
fn facts_of_the_moment_are_compared_as_numbers_and_texts() {
    let usable = |count: &str| request().live("usable-servers(app)", count);
    assert_matches(
        json!({ "value": { "of": "{usable_servers(app)}", "at_most": 1 } }),
        &[usable("0"), usable("1")],
        &[usable("2"), usable("10"), request()],
    );
    let up = |up: &str| request().live("server-up(app/a1)", up);
    assert_matches(
        json!({ "value": { "of": "{server_up(app/a1)}", "exact": "true" } }),
        &[up("true")],
        &[up("false"), request()],
    );
}
