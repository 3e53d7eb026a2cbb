//! Plugins that mean harm, in a running proxy: their own requests get the answer that the configuration
//! says, everybody else's go on, and the log tells who it was.

use std::{fs, time::Duration};

use weir_tests::{Client, Load, Origin, Reload, Response, Weir, component, eventually, fill};
use weir_wat_guests::{Guest, Kind};

/// How long a call of a plugin may take here.
const DEADLINE: Duration = Duration::from_millis(100);

/// What others may have to wait: a plugin has its worker for the deadline, and is sometimes asked twice.
const PATIENCE: Duration = Duration::from_secs(3);

const CONFIG: &str = r#"
    watch = false
    workers = 2
    log = [{ to = "stdout", format = "json" }]
    plugins = { deadline = "100ms", memory = "16MiB" }

    [[frontend]]
    name = "denies"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"
    filter = [{ plugin = "./hostile.wasm" }]

    [[frontend]]
    name = "skips"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"
    filter = [{ plugin = "./hostile.wasm", on_failure = "skip" }]

    [[frontend]]
    name = "balanced"
    bind = ["127.0.0.1:0"]
    default_backend = "balanced"

    [[frontend]]
    name = "others"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[backend]]
    name = "apps"
    server = [{ name = "a", address = "@a@" }]

    [[backend]]
    name = "balanced"
    balance = "@balance@"
    persistence = "./hostile.wasm"
    server = [{ name = "a", address = "@a@" }]
"#;

fn config(origin: &Origin, balance: &str) -> String {
    fill(CONFIG, &[("a", &origin.address()), ("balance", &balance)])
}

/// A proxy with the hostile plugin in every place, and others' traffic through it.
struct Stage {
    origin: Origin,
    weir: Weir,
    others: Load,
    memory: u64,
}

impl Stage {
    async fn set() -> Self {
        let origin = Origin::start("a").await;
        let weir = Weir::builder()
            .file("hostile.wasm", fs::read(component("hostile")).unwrap())
            .start(&config(&origin, "./hostile.wasm"))
            .await;
        let pause = Duration::from_millis(5);
        let others = Load::start(weir.address("others"), 4, &["/others"], pause);
        others.another(20).await;
        let memory = weir.memory();
        Self {
            origin,
            weir,
            others,
            memory,
        }
    }

    /// Asks for `mood` in `hook` and checks that the next, honest, request on that frontend is served.
    async fn ask(&self, frontend: &str, hook: &str, mood: &str) -> Response {
        let mut client = self.weir.client_of(frontend).await;
        let header = format!("x-mood-{hook}");
        let response = client.get_with("/asked", &[(&header, mood)]).await;
        let mut client = self.weir.client_of(frontend).await;
        let honest = client.get("/honest").await;
        assert_eq!(honest.status(), 200, "after {mood} in {hook}: {honest:?}");
        response
    }

    /// A filter that does `mood` denies or is skipped, as configured.
    async fn filter(&self, hook: &str, mood: &str) {
        let denied = self.ask("denies", hook, mood).await;
        assert_eq!(denied.status(), 500, "{mood} in {hook}: {denied:?}");
        let skipped = self.ask("skips", hook, mood).await;
        assert_eq!(skipped.status(), 200, "{mood} in {hook}: {skipped:?}");
        untouched(&skipped);
    }

    /// Checks how the others fared.
    async fn end(self) {
        self.others.another(20).await;
        let report = self.others.stop().await;
        assert_eq!(report.failed(), 0, "{report:?}");
        assert!(report.slowest < PATIENCE, "others waited: {report:?}");
        let grown = self.weir.memory().saturating_sub(self.memory);
        assert!(grown < 100 * 1024 * 1024, "{grown} bytes more than before");
        drop(self.origin);
    }
}

/// Nothing of what the plugin wanted to smuggle in is there.
fn untouched(response: &Response) {
    assert_eq!(response.echo()["target"], "/asked");
    for name in ["x-a", "x-smuggled", "content-length", "transfer-encoding"] {
        assert!(
            response.forwarded(name).is_empty(),
            "{name} reached the server"
        );
    }
    for name in ["x-a", "x-smuggled", "x-flood"] {
        assert_eq!(response.header(name), None, "{name} reached the client");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_in_a_filter_costs_its_own_request_the_deadline() {
    let stage = Stage::set().await;
    stage.filter("on-request", "loop").await;
    stage.filter("on-response", "loop").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_recursion_in_a_filter_is_a_failure_of_its_own() {
    let stage = Stage::set().await;
    stage.filter("on-request", "recurse").await;
    stage.filter("on-response", "recurse").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_without_end_in_a_filter_ends_at_its_limit() {
    let stage = Stage::set().await;
    stage.filter("on-request", "memory").await;
    stage.filter("on-response", "memory").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trap_in_a_filter_is_a_failure_of_its_own() {
    let stage = Stage::set().await;
    stage.filter("on-request", "panic").await;
    stage.filter("on-response", "panic").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_ends_in_an_edit_reach_neither_server_nor_client() {
    let stage = Stage::set().await;
    stage.filter("on-request", "inject").await;
    stage.filter("on-response", "inject").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framing_is_not_a_plugins_to_change() {
    let stage = Stage::set().await;
    stage.filter("on-request", "framing").await;
    stage.filter("on-response", "framing").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_ten_megabytes_is_refused() {
    let stage = Stage::set().await;
    stage.filter("on-request", "flood").await;
    stage.filter("on-response", "flood").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_does_not_exist_is_refused() {
    let stage = Stage::set().await;
    stage.filter("on-request", "nonsense").await;
    stage.filter("on-response", "nonsense").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_lines_is_thinned_out_and_cannot_forge_others() {
    let stage = Stage::set().await;
    stage.ask("skips", "on-request", "chatter").await;
    let lines = stage.weir.stderr();
    assert!(lines.len() < 5000, "{} lines", lines.len());
    assert!(lines.iter().all(|line| !line.contains('\x1b')));
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_fails_is_a_503_for_its_own_request() {
    let stage = Stage::set().await;
    for mood in ["loop", "panic"] {
        let answer = stage.ask("balanced", "pick", mood).await;
        assert_eq!(answer.status(), 503, "{mood}: {answer:?}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_that_takes_all_it_can_get_is_a_503_for_its_own_request() {
    let stage = Stage::set().await;
    for mood in ["memory", "recurse"] {
        let answer = stage.ask("balanced", "pick", mood).await;
        assert_eq!(answer.status(), 503, "{mood}: {answer:?}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_out_of_range_is_no_server() {
    let stage = Stage::set().await;
    let answer = stage.ask("balanced", "pick", "nonsense").await;
    assert_eq!(answer.status(), 503, "{answer:?}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_former_balancer_stands_in_for_one_that_fails() {
    let origin = Origin::start("a").await;
    let weir = Weir::builder()
        .file("hostile.wasm", fs::read(component("hostile")).unwrap())
        .start(&config(&origin, "round-robin"))
        .await;
    weir.write_config(&config(&origin, "./hostile.wasm"));
    assert_eq!(weir.reload().await, Reload::Loaded);
    let mut client = weir.client_of("balanced").await;
    let answer = client.get_with("/", &[("x-mood-pick", "panic")]).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persistence_that_fails_remembers_nobody_and_costs_no_request() {
    for mood in ["loop", "memory", "panic", "nonsense", "flood"] {
        let stage = Stage::set().await;
        let answer = stage.ask("balanced", "lookup", mood).await;
        assert_eq!(answer.status(), 200, "{mood} in lookup: {answer:?}");
        stage.end().await;
    }
    for mood in ["loop", "recurse", "inject", "framing", "flood"] {
        let stage = Stage::set().await;
        let answer = stage.ask("balanced", "assigned", mood).await;
        assert_eq!(answer.status(), 200, "{mood} in assigned: {answer:?}");
        untouched(&answer);
        stage.end().await;
    }
}

#[tokio::test]
async fn the_log_says_which_plugin_failed_where_and_in_which_request() {
    let stage = Stage::set().await;
    for (frontend, hook) in [
        ("denies", "on-request"),
        ("denies", "on-response"),
        ("balanced", "pick"),
    ] {
        stage.ask(frontend, hook, "panic").await;
        let line = stage.weir.log_line(&format!("hook={hook}")).await;
        assert!(line.contains("/hostile.wasm hook="), "{line}");
        assert!(line.contains(&format!("frontend=\"{frontend}\"")), "{line}");
        let id = line.split("request_id=").nth(1).expect("an id");
        let id = id.split_whitespace().next().expect("an id");
        let access = stage
            .weir
            .stdout_line(&format!("\"request_id\":\"{id}\""))
            .await;
        assert!(access.contains("\"target\":\"/asked\""), "{access}");
        assert!(access.contains("\"fault\":\"plugin\""), "{access}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_keeps_failing_is_left_alone_for_a_while_and_then_tried_again() {
    let stage = Stage::set().await;
    let mut client = stage.weir.client_of("denies").await;
    let looping = [("x-mood-on-request", "loop")];
    for _ in 0..5 {
        assert_eq!(client.get_with("/", &looping).await.status(), 500);
    }
    stage.weir.log_line("plugin failed too often").await;
    let start = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(client.get_with("/", &looping).await.status(), 500);
    }
    let took = start.elapsed();
    assert!(took < 4 * DEADLINE, "it was still asked: {took:?}");
    eventually("it is asked again", async || {
        let mut client = stage.weir.client_of("denies").await;
        (client.get("/").await.status() == 200).then_some(())
    })
    .await;
    stage.weir.log_line("plugin works again").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_a_request_that_a_plugin_fails_at_has_it_fail_for_nobody_else() {
    let stage = Stage::set().await;
    for (mood, times) in [("inject", 20), ("panic", 20)] {
        for _ in 0..times {
            // It checks that the next honest request is served.
            let response = stage.ask("denies", "on-request", mood).await;
            assert_eq!(response.status(), 500, "{mood}");
        }
    }
    // Refused edits are no step towards a quarantine, whether or not others are served meanwhile.
    let mut client = stage.weir.client_of("denies").await;
    for _ in 0..20 {
        let response = client
            .get_with("/", &[("x-mood-on-request", "inject")])
            .await;
        assert_eq!(response.status(), 500);
    }
    assert_eq!(client.get("/").await.status(), 200);
    stage.end().await;
}

// While loading

/// Has a running proxy load `component` as a filter with `config`; hands back why it was refused. The
/// running generation must go on.
async fn refused(weir: &Weir, origin: &Origin, bytes: &[u8], options: &str) -> String {
    let mut client = weir.client().await;
    weir.write_file("evil.wasm", bytes);
    weir.write_config(&plain(
        origin,
        &format!("filter = [{{ plugin = \"./evil.wasm\"{options} }}]"),
    ));
    let Reload::Refused(why) = weir.reload().await else {
        panic!("it was loaded");
    };
    assert!(why.contains("weir.toml:") && why.contains("evil"), "{why}");
    assert_eq!(client.get("/").await.status(), 200);
    why
}

fn plain(origin: &Origin, frontend: &str) -> String {
    let config = weir_tests::simple(&[origin.address()], frontend, "");
    format!("watch = false\nplugins = {{ deadline = \"100ms\", memory = \"16MiB\" }}\n{config}")
}

async fn serving() -> (Origin, Weir) {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&plain(&origin, "")).await;
    (origin, weir)
}

#[tokio::test]
async fn what_misbehaves_while_it_is_configured_is_not_loaded() {
    let (origin, weir) = serving().await;
    let hostile = fs::read(component("hostile")).unwrap();
    for mood in ["panic", "loop", "memory", "recurse"] {
        let options = format!(", config = {{ configure = \"{mood}\" }}");
        let why = refused(&weir, &origin, &hostile, &options).await;
        assert!(why.contains("configure"), "{why}");
    }
}

#[tokio::test]
async fn what_loops_before_it_is_asked_anything_is_not_loaded() {
    let (origin, weir) = serving().await;
    let guest = Guest::new(Kind::RequestFilter).with("start", "(loop br 0)");
    refused(&weir, &origin, &guest.build(), "").await;
}

#[tokio::test]
async fn another_world_or_version_is_not_loaded_and_the_message_says_what_would_do() {
    let (origin, weir) = serving().await;
    let balancer = Guest::new(Kind::Balancer).build();
    let why = refused(&weir, &origin, &balancer, "").await;
    assert!(why.contains("filter"), "{why}");
    let newer = Guest::new(Kind::RequestFilter).version("0.9.0").build();
    let why = refused(&weir, &origin, &newer, "").await;
    assert!(why.contains("0.9.0") && why.contains("0.1"), "{why}");
}

#[tokio::test]
async fn files_that_are_no_components_are_not_loaded() {
    let (origin, weir) = serving().await;
    let whole = Guest::new(Kind::RequestFilter).build();
    let flipped: Vec<u8> = whole.iter().map(|byte| byte ^ 0x40).collect();
    let module = b"\0asm\x01\0\0\0";
    for bytes in [
        b"",
        &whole[..whole.len() / 2],
        &whole[..8],
        &flipped,
        module,
        b"#!/bin/sh\n",
    ] {
        refused(&weir, &origin, bytes, "").await;
    }
}

#[tokio::test]
async fn memory_beyond_the_limit_from_the_start_is_not_loaded() {
    let (origin, weir) = serving().await;
    let guest = Guest::new(Kind::RequestFilter).pages(1000);
    let why = refused(&weir, &origin, &guest.build(), "").await;
    assert!(why.contains("memory"), "{why}");
}

#[tokio::test]
async fn a_proxy_does_not_start_with_a_plugin_that_does_not_load() {
    let origin = Origin::start("a").await;
    let exited = Weir::builder()
        .file("evil.wasm", &b"\0asm\x0d\0\x01\0rubbish"[..])
        .try_start(&plain(&origin, "filter = [{ plugin = \"./evil.wasm\" }]"))
        .await
        .err()
        .expect("it must not start");
    assert_ne!(exited.status.code(), Some(0));
    assert!(exited.stderr.contains("evil.wasm"), "{}", exited.stderr);
}

#[tokio::test]
async fn what_misbehaves_in_update_fails_its_backend_and_no_other() {
    let origin = Origin::start("a").await;
    let guest = Guest::new(Kind::Balancer).later("update", "(loop br 0)");
    let config = fill(
        r#"
        plugins = { deadline = "100ms" }
        [[frontend]]
        name = "others"
        bind = ["127.0.0.1:0"]
        default_backend = "others"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "evil"
        [[backend]]
        name = "others"
        server = [{ name = "a", address = "@a@" }]
        [[backend]]
        name = "evil"
        balance = "./evil.wasm"
        check = { http = "GET /status", interval = "50ms", fall = 1, rise = 1 }
        server = [{ name = "a", address = "@a@" }, { name = "b", address = "@a@", check = false }]
        "#,
        &[("a", &origin.address())],
    );
    let weir = Weir::builder()
        .file("evil.wasm", guest.build())
        .start(&config)
        .await;
    origin.set_healthy(false);
    weir.stdout_line("Server evil/a is DOWN").await;
    let mut web: Client = weir.client_of("web").await;
    let answer = web.get("/").await;
    assert!([200, 503].contains(&answer.status()), "{answer:?}");
    weir.log_line("hook=update").await;
    for _ in 0..5 {
        assert_eq!(weir.client_of("others").await.get("/").await.status(), 200);
    }
}
