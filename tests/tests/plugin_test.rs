//! `weir plugin test`, `bench` and `inspect`: a plugin without a proxy.

use weir_tests::WeirCommand;

/// `rules` with one rule, and one case.
fn with_case(case: &str) -> WeirCommand {
    let head = r#"
call = "on-request"

[config]
match.is_static = { path = { prefix = "/static" } }
match.is_gold = { header = { name = "x-tier", exact = "gold" } }
rule = [{ when = "is_static", use = "static" }, { when = "is_gold", set_header = { X-Seen = "yes" } }]

[[case]]
name = "the case"
"#;
    WeirCommand::default().file("cases.toml", format!("{head}{case}"))
}

async fn passes(case: &str) {
    let ran = with_case(case)
        .run(&["plugin", "test", "rules", "--case", "cases.toml"])
        .await;
    let shown = ran.succeeded();
    assert!(shown.contains("ok    the case"), "{shown}");
    assert!(shown.contains("1 case, all as expected"), "{shown}");
}

async fn fails(case: &str) -> String {
    let ran = with_case(case)
        .run(&["plugin", "test", "rules", "--case", "cases.toml"])
        .await;
    ran.failed()
}

#[tokio::test]
async fn a_request_is_read_as_the_proxy_reads_it() {
    passes("request = \"/a/../%73tatic/x\"\nverdict = \"use-backend static\"\nedits = []").await;
}

#[tokio::test]
async fn a_single_value_comes_before_the_request() {
    passes("request = \"/\"\ninputs = { path = \"/static/\" }\nverdict = \"use-backend static\"")
        .await;
}

#[tokio::test]
async fn an_answer_that_differs_is_shown_line_by_line() {
    let shown = fails(
        "request = \"/\"\nheaders = { X-Tier = \"gold\" }\nverdict = \"deny 403\"\nedits = [\"set-header X-Seen: no\"]",
    )
    .await;
    for line in [
        "FAIL  the case",
        "cases.toml:9: on-request with path = \"/\", header-all(x-tier) = \"gold\"",
        "        - deny 403\n        + pass\n",
        "        - set-header X-Seen: no\n        + set-header X-Seen: yes\n",
        "1 case, 1 failed",
    ] {
        assert!(shown.contains(line), "no {line:?} in\n{shown}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_cases_is_shown_with_its_place_and_a_way_out() {
    let shown = fails("verdct = \"pass\"").await;
    assert!(
        shown.contains("cases.toml:11:1: case `the case`: unknown key `verdct`"),
        "{shown}"
    );
    assert!(shown.contains("did you mean `verdict`?"), "{shown}");
}

#[tokio::test]
async fn a_config_that_should_be_refused_must_be() {
    let wrong = "config = { rule = [{ when = \"nothing\", use = \"a\" }] }\n";
    passes(&format!("{wrong}refused = \"no matcher named `nothing`\"")).await;

    let shown = fails(&format!("{wrong}verdict = \"pass\"")).await;
    assert!(
        shown.contains("cases.toml:11:29: no matcher named `nothing`"),
        "{shown}"
    );

    let shown = fails("refused = \"anything\"").await;
    assert!(
        shown.contains("should be refused with `anything`"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_the_proxy_would_not_accept_is_no_case() {
    let shown = fails("request = \"/\"\nheaders = { \"Bad Name\" = \"x\" }").await;
    assert!(shown.contains("the proxy refuses this request"), "{shown}");
}

async fn balancer(name: &str, cases: &str) -> String {
    let command = WeirCommand::default().file("cases.toml", cases);
    let ran = command
        .run(&["plugin", "test", name, "--case", "cases.toml"])
        .await;
    ran.succeeded()
}

#[tokio::test]
async fn picks_follow_loads_and_updates() {
    let cases = r#"
call = "pick"
servers = ["a", "b", { name = "c", weight = 2 }]

[[case]]
name = "the least loaded for its weight"
loads = [1, 1, 1]
picks = ["c"]

[[case]]
name = "one that was tried comes last"
loads = [3, 2, 0]
tried = ["c"]
picks = ["b"]

[[case]]
name = "one that went is not picked"
steps = [
  { loads = [1, 1, 0], picks = ["c"] },
  { call = "update", servers = ["a", "b"] },
  { loads = [1, 0], picks = ["b"] },
  { call = "update", servers = [] },
]
"#;
    let shown = balancer("least-conn", cases).await;
    assert!(shown.contains("3 cases, all as expected"), "{shown}");
}

#[tokio::test]
async fn persistence_is_asked_both_ways_and_its_clock_stands_still() {
    let cases = r#"
config = { name = "SERVER", max_life = "30m" }

[[case]]
name = "a client gets a cookie, which binds it until it is too old"
steps = [
  { call = "lookup", finds = "" },
  { call = "assigned", server = "web-a", edits = ["remove-cookie SERVER", "add-header set-cookie: SERVER=web-a|aVW5A|aVW5A; path=/"] },
  { call = "lookup", headers = { Cookie = "SERVER=web-a|aVW5A|aVW5A" }, finds = "web-a" },
  { call = "wait", time = "31m" },
  { call = "lookup", headers = { Cookie = "SERVER=web-a|aVW5A|aVW5A" }, finds = "" },
]
"#;
    balancer("cookie", cases).await;
}

#[tokio::test]
async fn a_bench_names_every_call_with_its_inputs() {
    let command = WeirCommand::default();
    let ran = command
        .run(&["plugin", "bench", "cookie", "--millis", "5"])
        .await;
    let shown = ran.succeeded();
    for line in ["compile ", "instance ", "lookup ", "assigned "] {
        assert!(
            shown.lines().any(|l| l.starts_with(line)),
            "no {line} in\n{shown}"
        );
    }
    assert!(shown.contains("inputs cookie(SERVER)"), "{shown}");

    let ran = command
        .run(&[
            "plugin",
            "bench",
            "least-conn",
            "--servers",
            "10",
            "--millis",
            "5",
        ])
        .await;
    let shown = ran.succeeded();
    assert!(
        shown.contains("pick among 10 ") && shown.contains("update of 10 "),
        "{shown}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_component_is_refused_by_name() {
    let command = WeirCommand::default().file("x.wasm", b"\0asm\x01\0\0\0");
    let shown = command.run(&["plugin", "inspect", "x.wasm"]).await.failed();
    assert!(
        shown.contains("x.wasm") && shown.contains("a core module"),
        "{shown}"
    );
    let shown = command.run(&["plugin", "inspect", "y.wasm"]).await.failed();
    assert!(
        shown.contains("y.wasm: can't be read: No such file"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_connection_filter_is_asked_about_connections() {
    let cases = r#"
call = "on-connection"
[config]
deny = ["192.0.2.0/24"]

[[case]]
name = "from there"
client = "192.0.2.7"
verdict = "refuse reset"

[[case]]
name = "from elsewhere"
client = "198.51.100.1"
verdict = "pass"
edits = []
"#;
    let command = WeirCommand::default().file("cases.toml", cases);
    let words = ["plugin", "test", "ip-list", "--case", "cases.toml"];
    let shown = command.run(&words).await.succeeded();
    assert!(shown.contains("2 cases, all as expected"), "{shown}");

    command.write("cases.toml", cases.replace("refuse reset", "deny 403"));
    let shown = command.run(&words).await.failed();
    assert!(
        shown.contains("\"refuse close\" or \"refuse reset\""),
        "{shown}"
    );

    command.write("cases.toml", cases.replace("refuse reset", "refuse close"));
    let shown = command.run(&words).await.failed();
    assert!(
        shown.contains("        - refuse close\n        + refuse reset\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn inspecting_shows_the_world_and_the_signature_beside_the_file() {
    let guest = weir_wat_guests::Guest::new(weir_wat_guests::Kind::Balancer);
    let command = WeirCommand::default().file("x.wasm", guest.build());
    let inspect = ["plugin", "inspect", "x.wasm"];
    let shown = command.run(&inspect).await.succeeded();
    assert!(shown.contains("world     balancer-plugin"), "{shown}");
    assert!(shown.contains("signature none beside it"), "{shown}");

    for words in [
        &["plugin", "keygen", "team"][..],
        &["plugin", "keygen", "other"],
        &["plugin", "sign", "x.wasm", "--key", "team.key"],
    ] {
        command.run(words).await.succeeded();
    }
    let shown = command.run(&inspect).await.succeeded();
    assert!(shown.contains("x.wasm.sig, not checked"), "{shown}");
    let with = |key| [&inspect[..], &["--key", key]].concat();
    let shown = command.run(&with("team.pub")).await.succeeded();
    assert!(shown.contains("x.wasm.sig, by team.pub"), "{shown}");
    let shown = command.run(&with("other.pub")).await.failed();
    assert!(shown.contains("signature NOT GOOD"), "{shown}");
}
