//! What operators ask of rules, pages and log lines: rules that go by the state of the proxy, refusals that
//! take their time, named servers, pages and lines of their own.

use std::time::{Duration, Instant};

use weir_tests::{Answer, Client, Origin, Weir, eventually, fill, simple};

const SORRY: &str = r#"
[[frontend]]
name = "web"
bind = ["127.0.0.1:0"]
default_backend = "app"
[[frontend.filter]]
plugin = "rules"
[frontend.filter.config]
match.gone = { value = { of = "{usable_servers(app)}", at_most = 0 } }
rule = [
  { when = "gone", use = "sorry" },
  { set_header = { X-Up = "{server_up(app/a)}", X-Usable = "{usable_servers(app)}", X-Here = "{frontend_connections(web)}" } },
]
[[backend]]
name = "app"
check = { http = "GET /status", interval = "50ms", fall = 1, rise = 1 }
server = [{ name = "a", address = "@app@" }]
[[backend]]
name = "sorry"
server = [{ name = "s", address = "@sorry@" }]
"#;

#[tokio::test]
async fn a_rule_can_go_by_how_many_servers_are_usable() {
    let (app, sorry) = (Origin::start("app").await, Origin::start("sorry").await);
    let config = fill(
        SORRY,
        &[("app", &app.address()), ("sorry", &sorry.address())],
    );
    let weir = Weir::start(&config).await;
    let usual = weir.get("/").await;
    assert_eq!(usual.origin(), "app");
    for (field, expected) in [("x-up", "true"), ("x-usable", "1"), ("x-here", "1")] {
        assert_eq!(usual.forwarded(field), [expected], "{field}");
    }
    app.set_healthy(false);
    eventually("nobody is left", async || {
        let answer = weir.get("/").await;
        (answer.origin() == "sorry").then_some(())
    })
    .await;
    app.set_healthy(true);
    eventually("somebody is back", async || {
        let answer = weir.get("/").await;
        (answer.origin() == "app").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_fact_about_something_that_is_not_there_is_an_error_when_it_is_loaded() {
    for (fact, expected) in [
        (
            "usable_servers(ap)",
            "asks for `usable-servers(ap)`, and no backend is called `ap`; did you mean `app`?",
        ),
        (
            "server_up(app/b)",
            "asks for `server-up(app/b)`, and no server of `app` is called `b`",
        ),
        (
            "frontend_connections(wob)",
            "no frontend is called `wob`; did you mean `web`?",
        ),
    ] {
        let config = fill(SORRY, &[("app", &"127.0.0.1:1"), ("sorry", &"127.0.0.1:1")]);
        let config = config.replace(
            "usable_servers(app)}\", at_most",
            &format!("{fact}}}\", at_most"),
        );
        let checked = Weir::check(&config).await;
        assert_eq!(checked.status.code(), Some(1));
        let told = &checked.stderr;
        assert!(told.contains("weir.toml:7:"), "it is pointed at\n{told}");
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
}

#[tokio::test]
async fn a_refusal_can_take_its_time() {
    let frontend = r#"
        timeouts = { tarpit = "400ms" }
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [
          { when = { path = { exact = "/pit" } }, deny = 429, set_var = { tarpit = "yes" } },
          { deny = 403 },
        ] }
    "#;
    let weir = Weir::start(&simple(&[], frontend, "")).await;
    let asked = Instant::now();
    assert_eq!(weir.get("/other").await.status(), 403);
    let at_once = asked.elapsed();
    let asked = Instant::now();
    assert_eq!(weir.get("/pit").await.status(), 429);
    let held = asked.elapsed();
    assert!(held >= Duration::from_millis(400), "{held:?}");
    assert!(at_once < held, "only who is to wait does");
    let line = weir.stdout_line("/pit").await;
    assert!(line.contains(" PT-- "), "{line}");
}

#[tokio::test]
async fn nobody_who_has_left_is_held() {
    let frontend = r#"
        timeouts = { tarpit = "1h" }
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [{ deny = 500, set_var = { tarpit = "yes" } }] }
    "#;
    let weir = Weir::start(&simple(&[], frontend, "")).await;
    let mut client: Client = weir.client().await;
    client.send("GET /pit HTTP/1.1\r\nHost: a\r\n\r\n").await;
    drop(client);
    // The line is written when the exchange is over.
    weir.stdout_line("/pit").await;
}

#[tokio::test]
async fn a_rule_can_name_the_server() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "app"
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [{ when = { header = { name = "x-server", present = true } }, set_var = { to = "{header(x-server)}" } }] }
        [[backend]]
        name = "app"
        server_from = "to"
        server = [
          { name = "one", address = "@a@" },
          { name = "two", address = "@b@" },
          { name = "off", address = "@b@", state = "maintenance" },
        ]
        "#,
        &[("a", &a.address()), ("b", &b.address())],
    ))
    .await;
    for _ in 0..3 {
        let named = weir.get_with("/", &[("X-Server", "two")]).await;
        assert_eq!(named.origin(), "b");
    }
    for name in ["off", "none"] {
        let picked = weir.get_with("/", &[("X-Server", name)]).await;
        assert_eq!(picked.status(), 200, "{name}: the balancer picks");
    }
}

#[tokio::test]
async fn a_page_can_be_said_in_place() {
    let frontend = r#"
        [frontend.error_pages]
        503 = { body = '{"error": "later"}', content_type = "application/json", headers = { Retry-After = "30" } }
        429 = { file = "busy.json", content_type = "application/json" }
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [{ when = { path = { exact = "/busy" } }, deny = 429 }] }
    "#;
    let weir = Weir::builder()
        .file("busy.json", r#"{"error": "busy"}"#)
        .start(&simple(&[], frontend, ""))
        .await;
    let later = weir.get("/").await;
    assert_eq!(later.status(), 503);
    assert_eq!(later.text(), r#"{"error": "later"}"#);
    assert_eq!(later.header("content-type"), Some("application/json"));
    assert_eq!(later.header("retry-after"), Some("30"));
    let busy = weir.get("/busy").await;
    assert_eq!(
        (busy.status(), busy.text().as_str()),
        (429, r#"{"error": "busy"}"#)
    );
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused_with_its_place() {
    let page = |page: &str| simple(&[], &format!("error_pages = {{ 503 = {page} }}"), "");
    for (text, expected) in [
        ("{ body = \"x\", file = \"y\" }", "stands beside `body`"),
        (
            "{ body = \"x\", content_type = \"json\" }",
            "is no media type",
        ),
        (
            "{ body = \"x\", headers = { Connection = \"close\" } }",
            "says how the message is framed",
        ),
        (
            "{ body = \"x\", headers = { Content-Type = \"a/b\" } }",
            "has a key of its own",
        ),
        (
            "{ body = \"x\", redirect = \"/\" }",
            "unknown key `redirect`",
        ),
        ("{ file = \"nowhere.html\" }", "cannot be read"),
    ] {
        let checked = Weir::check(&page(text)).await;
        assert_eq!(checked.status.code(), Some(1), "{text}");
        assert!(
            checked.stderr.contains("weir.toml:5:") && checked.stderr.contains(expected),
            "{text}: {}",
            checked.stderr
        );
    }
}

#[tokio::test]
async fn lines_of_the_log_look_as_their_frontend_says() {
    let app = Origin::start("app").await;
    let frontend = r#"
        log_format = '{client_address} {backend}/{server} {status} {method} {raw_path} "{header(User-Agent)}" {var(kind)} {{{usable_servers(apps)}}}'
        [[frontend.filter]]
        plugin = "rules"
        config = { response_rule = [{ set_var = { kind = "{response_header(x-origin)}" } }] }
    "#;
    let weir = Weir::start(&simple(&[app.address()], frontend, "")).await;
    weir.get_with("/one", &[("User-Agent", "a \"b\"")]).await;
    let line = weir.stdout_line("/one").await;
    assert_eq!(line, "127.0.0.1 apps/s1 200 GET /one \"a #22b#22\" app {1}");
    let checked = Weir::check(&simple(&[], "log_format = \"{statsu}\"", "")).await;
    assert!(
        checked.stderr.contains("weir.toml:5:")
            && checked.stderr.contains("did you mean `status`?"),
        "{}",
        checked.stderr
    );
}

#[tokio::test]
async fn what_went_well_need_not_be_logged() {
    let app = Origin::start("app").await;
    app.answer_with(|request| match request.path() {
        "/boom" => Answer::status(500),
        _ => Answer::echo(),
    });
    let weir = Weir::start(&simple(&[app.address()], "log_normal = false", "")).await;
    weir.get("/fine").await;
    weir.get("/boom").await;
    weir.stdout_line("/boom").await;
    let lines = weir.stdout();
    assert!(
        lines.iter().all(|line| !line.contains("/fine")),
        "{lines:?}"
    );
}

/// As docs/haproxy.md tells how to have the statistics page at a frontend.
#[tokio::test]
async fn the_statistics_page_can_be_had_at_a_frontend() {
    let page = weir_tests::repository().join("docs/haproxy.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let section = page.split("### The statistics page").nth(1);
    let block = section.and_then(|rest| rest.split("```toml\n").nth(1));
    let block = block.and_then(|rest| rest.split("```").next());
    let config = block.expect("the page shows how");
    let weir = Weir::start(&config.replace("*:8404", "127.0.0.1:0")).await;
    assert_eq!(weir.get("/stats").await.status(), 401);
    let login = [("Authorization", "Basic YWRtaW46c2VjcmV0")];
    let page = weir.get_with("/stats", &login).await;
    assert_eq!(page.status(), 200);
    assert!(
        page.text().contains("<title>Weir statistics"),
        "{}",
        page.text()
    );
    let csv = weir.get_with("/stats;csv", &login).await;
    assert!(csv.text().starts_with("# pxname,svname"), "{}", csv.text());
    let metrics = weir.get_with("/metrics", &login).await;
    assert!(metrics.text().contains("weir_"), "{}", metrics.text());
    for path in ["/status", "/reload", "/"] {
        assert_eq!(weir.get_with(path, &login).await.status(), 404, "{path}");
    }
}
