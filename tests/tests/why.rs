//! `weir why`: what became of a request, who was asked about it, and with what; and what is never told.

use serde_json::Value;
use weir_tests::{Load, Origin, Ran, Weir, WeirCommand, closed_port, eventually, fill};
use weir_wat_guests::{Guest, Kind};

/// Two filters: one that changes the request, one that goes by what the first has made of it.
const CONFIG: &str = r#"
    workers = 1
    admin = "unix:admin.sock"

    [[log]]
    to = "stdout"
    format = "json"

    [why]
    @why@

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[frontend.filter]]
    plugin = "rules"
    [frontend.filter.config]
    rule = [
        { when = { path = { prefix = "/old" } }, set_path = "/new{path}", set_header = { X-Tier = "gold" }, set_var = { tier = "gold" } },
    ]

    [[frontend.filter]]
    plugin = "rules"
    [frontend.filter.config]
    rule = [
        { when = { path = { prefix = "/new/old/secret" } }, deny = 403 },
        { when = { header = { name = "x-tier", exact = "gold" } }, set_header = { X-Seen = "yes" } },
    ]

    [[backend]]
    name = "apps"
    persistence = { plugin = "cookie", config = { name = "SERVER" } }
    retries = 2
    redispatch = "always"
    server = [@servers@]
    [backend.timeouts]
    connect = "200ms"
"#;

async fn start(why: &str, servers: &[&str]) -> Weir {
    let servers: Vec<String> = (b'a'..)
        .zip(servers)
        .map(|(name, address)| {
            let name = char::from(name);
            format!("{{ name = \"{name}\", address = \"{address}\" }}")
        })
        .collect();
    let servers = servers.join(", ");
    Weir::start(&fill(CONFIG, &[("why", &why), ("servers", &servers)])).await
}

/// The id of the request for `target`, as an operator finds it: in the log.
async fn id_of(weir: &Weir, target: &str) -> String {
    let line = weir.stdout_line(&format!("\"target\":\"{target}\"")).await;
    let line: Value = serde_json::from_str(&line).expect("the log is JSON");
    line["request_id"]
        .as_str()
        .expect("each line has one")
        .to_owned()
}

async fn ask(weir: &Weir, words: &[&str]) -> Ran {
    let config = weir.folder().join("weir.toml");
    let config = config.to_str().expect("the path is plain");
    WeirCommand::default()
        .run(&[words, &["-c", config]].concat())
        .await
}

async fn told(weir: &Weir, id: &str) -> String {
    ask(weir, &["why", id]).await.succeeded()
}

/// The story as JSON, once it is there.
async fn story(weir: &Weir, id: &str) -> Value {
    let text = ask(weir, &["why", id, "--json"]).await.succeeded();
    serde_json::from_str(&text).expect("a story is JSON")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// The inputs of a step as `name=value`.
fn inputs(step: &Value) -> Vec<String> {
    let inputs = step["inputs"].as_array().expect("they were kept");
    inputs
        .iter()
        .map(|given| match given["value"].as_str() {
            Some(value) => format!("{}={value}", given["input"].as_str().unwrap()),
            None => format!("no {}", given["input"].as_str().unwrap()),
        })
        .collect()
}

#[tokio::test]
async fn a_denied_request_tells_who_denied_it_and_what_each_filter_saw() {
    let origin = Origin::start("a").await;
    let weir = start("", &[&origin.address().to_string()]).await;
    assert_eq!(weir.get("/old/secret?a=1").await.status(), 403);
    let id = id_of(&weir, "/old/secret?a=1").await;

    let shown = told(&weir, &id).await;
    has(
        &shown,
        &[
            "GET /old/secret?a=1 HTTP/1.1",
            &id,
            "on-request  rules (frontend.web.filter.1)",
            "path = \"/old/secret\"",
            "→ set-path /new/old/secret",
            "on-request  rules (frontend.web.filter.2)",
            "path = \"/new/old/secret\"",
            "header-all(x-tier) = \"gold\"",
            "→ deny 403",
            "verdict    deny",
            "status     403",
        ],
    );
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn what_is_worked_out_of_a_failure_is_what_a_sampled_one_has_seen() {
    let origin = Origin::start("a").await;
    let address = origin.address().to_string();
    let mut seen = Vec::new();
    for why in ["share = \"0%\"", "share = \"100%\""] {
        let weir = start(why, &[&address]).await;
        let fields = [("Cookie", "SERVER=a; other=x"), ("X-Tier", "silver")];
        assert_eq!(weir.get_with("/old/secret", &fields).await.status(), 403);
        let story = story(&weir, &id_of(&weir, "/old/secret").await).await;
        assert_eq!(story["kept"], "failed");
        let steps = story["steps"].as_array().unwrap().clone();
        let timed = steps.iter().all(|step| step["took"].is_u64());
        assert_eq!(timed, why.contains("100"), "times need sampling: {story:#}");
        let parts = steps
            .iter()
            .map(|step| (inputs(step), step["answer"].clone()));
        seen.push(parts.collect::<Vec<_>>());
    }
    assert_eq!(seen[0].len(), 2);
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_sampled_request_tells_the_whole_way() {
    let origin = Origin::start("a").await;
    let weir = start("share = \"100%\"", &[&origin.address().to_string()]).await;
    assert_eq!(weir.get("/old/x").await.status(), 200);
    let id = id_of(&weir, "/old/x").await;
    let shown = told(&weir, &id).await;
    has(
        &shown,
        &[
            "kept       sampled, worker 0, generation 1",
            "→ set-header X-Tier: gold",
            "→ set-var tier: gold",
            "lookup  cookie (backend.apps.persistence)",
            "→ remembers no server",
            "pick  round-robin (backend.apps.balance)",
            "among a",
            "→ server a",
            "assigned  cookie (backend.apps.persistence)",
            "set-cookie: SERVER=***",
            "status     200",
            "backend    apps",
            "server     a",
        ],
    );
    assert!(shown.contains(" µs"), "calls are timed:\n{shown}");
}

#[tokio::test]
async fn servers_that_could_not_be_reached_are_told_with_the_reason() {
    let (one, other) = (closed_port().to_string(), closed_port().to_string());
    let weir = start("", &[&one, &other]).await;
    assert_eq!(weir.get("/x").await.status(), 503);
    let story = story(&weir, &id_of(&weir, "/x").await).await;
    let steps = story["steps"].as_array().unwrap();
    let of_kind = |kind: &str| steps.iter().filter(|step| step["step"] == kind).count();
    assert_eq!(of_kind("no-connection"), 3, "{story:#}");
    let picks = steps.iter().filter(|step| step["call"] == "pick").count();
    assert_eq!(picks, 3, "{story:#}");
    let outcome = &story["outcome"];
    assert_eq!(outcome["fault"], "server");
    assert_eq!(outcome["retries"], 2);
    assert_eq!(outcome["redispatched"], true);
    has(
        outcome["error"].as_str().unwrap(),
        &["refused the connection"],
    );
}

#[tokio::test]
async fn a_plugin_that_failed_is_told_even_where_the_request_went_well() {
    let origin = Origin::start("a").await;
    let trapping = Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path", "query-param(n)"])
        .later("on-request", "unreachable");
    let config = r#"
        workers = 1
        admin = "unix:admin.sock"
        [[log]]
        to = "stdout"
        format = "json"

        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"
        filter = [{ plugin = "./trapping.wasm", on_failure = "skip" }]

        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
    "#;
    let weir = Weir::builder()
        .file("trapping.wasm", trapping.build())
        .start(&fill(config, &[("a", &origin.address())]))
        .await;
    assert_eq!(weir.get("/well").await.status(), 200);
    assert_eq!(weir.get("/x?n=7").await.status(), 200);
    let weir_line = weir.log_line("plugin failed").await;
    let id = id_of(&weir, "/x?n=7").await;
    assert!(
        weir_line.contains(&id),
        "the plugin's own line names it, too"
    );
    has(
        &told(&weir, &id).await,
        &[
            "trapping.wasm (frontend.web.filter.1)",
            "path = \"/x\"",
            "query-param(n) = \"7\"",
            "→ FAILED: it failed",
            "status     200",
        ],
    );
    let listed = ask(&weir, &["why", "--failed"]).await.succeeded();
    has(&listed, &[&id, "GET /x?n=7", "apps/a"]);
}

/// All that can be had of a proxy's stories, in every form.
async fn everything(weir: &Weir, id: &str) -> String {
    let mut all = told(weir, id).await;
    all.push_str(&ask(weir, &["why", id, "--json"]).await.succeeded());
    all.push_str(&ask(weir, &["why"]).await.succeeded());
    all.push_str(&ask(weir, &["why", "--json"]).await.succeeded());
    all.push_str(&weir.admin("GET", "/why").await.text());
    all
}

#[tokio::test]
async fn secrets_are_nowhere_in_any_story() {
    let origin = Origin::start("a").await;
    for share in ["0%", "100%"] {
        let config = r#"
            workers = 1
            admin = "unix:admin.sock"
            [[log]]
            to = "stdout"
            format = "json"

            [why]
            share = "@share@"
            mask = ["header(x-api-key)", "query-param(token)"]

            [[frontend]]
            name = "web"
            bind = ["127.0.0.1:0"]
            default_backend = "apps"

            [[frontend.filter]]
            plugin = "rules"
            [frontend.filter.config]
            rule = [
                { set_header = { X-Copy = "{header(x-api-key)}", X-Session = "{cookie(sid)}" }, set_var = { who = "{header(authorization)}" } },
                { when = { query_param = { name = "token", present = true } }, set_path = "/by/{cookie(sid)}" },
            ]

            [[frontend.filter]]
            plugin = "rules"
            [frontend.filter.config]
            rule = [
                { when = { path = { prefix = "/by" } }, set_header = { X-Who = "{var(who)} {header(x-copy)}" } },
                { when = { header = { name = "authorization", present = true } }, deny = 403 },
            ]

            [[backend]]
            name = "apps"
            server = [{ name = "a", address = "@a@" }]
        "#;
        let values: [(&str, &dyn std::fmt::Display); 2] =
            [("share", &share), ("a", &origin.address())];
        let weir = Weir::start(&fill(config, &values)).await;
        let secrets = [
            "s3ss10n-4711",
            "k3y-0815-xyz",
            "b3ar3r.t0k3n.zzz",
            "t0k3n-qu3ry",
        ];
        let fields = [
            ("Cookie", "theme=dark; sid=s3ss10n-4711"),
            ("X-Api-Key", "k3y-0815-xyz"),
            ("Authorization", "Bearer b3ar3r.t0k3n.zzz"),
        ];
        let answer = weir.get_with("/x?token=t0k3n-qu3ry", &fields).await;
        assert_eq!(answer.status(), 403);
        let id = id_of(&weir, "/x?token=t0k3n-qu3ry").await;

        let all = everything(&weir, &id).await;
        for secret in secrets {
            assert!(!all.contains(secret), "{secret} is shown:\n{all}");
        }
        has(
            &all,
            &[
                "Bearer ***",
                "/x?token=***",
                "/by/***",
                "deny 403",
                "(masked)",
            ],
        );
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_however_many_requests_fail() {
    let closed = closed_port().to_string();
    let weir = start("keep = 8\nmax_bytes = \"2KiB\"", &[&closed]).await;
    let mut client = weir.client().await;
    let long = "x".repeat(6_000);
    for number in 0..100 {
        let target = format!("/old/secret/{number}?{long}");
        assert_eq!(client.get(&target).await.status(), 403);
    }
    let list: Value = eventually("the last story", async || {
        let list: Value =
            serde_json::from_str(&weir.admin("GET", "/why?limit=1000").await.text()).unwrap();
        (list["stories"].as_array()?.len() == 8).then_some(list)
    })
    .await;
    let stories = list["stories"].as_array().unwrap();
    for summary in stories {
        let id = summary["id"].as_str().unwrap();
        let story = weir.admin("GET", &format!("/why/{id}")).await;
        assert!(story.body().len() <= 2_048, "{}", story.body().len());
        has(&story.text(), &["\"cut\":true", "… ("]);
    }
    let untold = list["untold_failures"].as_u64().unwrap();
    assert!(
        untold > 0,
        "a hundred in a moment are more than eight a second: {list:#}"
    );
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_is_to_be_and_the_answer_says_so() {
    let origin = Origin::start("a").await;
    let weir = start("failures = false", &[&origin.address().to_string()]).await;
    assert_eq!(weir.get("/old/secret").await.status(), 403);
    let id = id_of(&weir, "/old/secret").await;
    let failed = ask(&weir, &["why", &id]).await.failed();
    has(&failed, &["no story of", &id, "of all requests 0% are"]);
    let none = ask(&weir, &["why"]).await.succeeded();
    has(&none, &["no story is kept"]);
    let wrong = ask(&weir, &["why", "not-an-id"]).await.failed();
    has(&wrong, &["no request id"]);
}

#[tokio::test]
async fn a_head_that_is_no_request_is_told_as_a_failure() {
    let origin = Origin::start("a").await;
    let weir = start("", &[&origin.address().to_string()]).await;
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 400);
    let list: Value = eventually("its story", async || {
        let list: Value = serde_json::from_str(&weir.admin("GET", "/why").await.text()).unwrap();
        (!list["stories"].as_array()?.is_empty()).then_some(list)
    })
    .await;
    let story = &list["stories"][0];
    assert_eq!(
        (&story["status"], &story["fault"]),
        (&400.into(), &"client".into())
    );
}

#[tokio::test]
async fn a_connection_that_was_refused_tells_what_was_seen_of_it() {
    let config = r#"
        workers = 1
        admin = "unix:admin.sock"

        [[frontend]]
        name = "tcp"
        mode = "tcp"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"
        filter = [{ plugin = "ip-list", config = { deny = ["127.0.0.0/8"], refuse = "close" } }]

        [[backend]]
        name = "apps"
        mode = "tcp"
        server = [{ name = "a", address = "@a@" }]
    "#;
    let weir = Weir::start(&fill(config, &[("a", &closed_port())])).await;
    let mut client = weir.client().await;
    client.expect_close().await;
    let list: Value = eventually("its story", async || {
        let list: Value = serde_json::from_str(&weir.admin("GET", "/why").await.text()).unwrap();
        (!list["stories"].as_array()?.is_empty()).then_some(list)
    })
    .await;
    let id = list["stories"][0]["id"].as_str().unwrap().to_owned();
    has(
        &told(&weir, &id).await,
        &[
            "a connection",
            "on-connection  ip-list (frontend.tcp.filter.1)",
            "client-address = \"127.0.0.1\"",
            "→ refuse",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_while_all_of_them_are_sampled_and_asked_about() {
    let origin = Origin::start("a").await;
    let weir = start(
        "share = \"100%\"\nkeep = 16",
        &[&origin.address().to_string()],
    )
    .await;
    let load = Load::start(
        weir.address("web"),
        4,
        &["/old/x", "/y"],
        std::time::Duration::from_millis(1),
    );
    for _ in 0..20 {
        load.another(10).await;
        let list: Value = serde_json::from_str(&weir.admin("GET", "/why").await.text()).unwrap();
        let stories = list["stories"].as_array().unwrap();
        assert!((1..=16).contains(&stories.len()), "{}", stories.len());
    }
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
}
