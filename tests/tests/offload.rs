//! `offload = true`: a slow plugin keeps those waiting who asked for it, and nobody else.

use std::time::{Duration, Instant};

use weir_tests::{Load, Origin, Weir, fill, simple};
use weir_wat_guests::{Guest, Kind};

/// A filter that is busy for so many milliseconds and then passes. While it is loaded it is quick.
fn busy(milliseconds: u32) -> Vec<u8> {
    Guest::new(Kind::RequestFilter)
        .import("clock", "now", "(result i64)")
        .item("(global $until (mut i64) (i64.const 0)) (global $spins (mut i32) (i32.const 0))")
        .later(
            "on-request",
            &format!(
                "(global.set $until (i64.add (call $clock.now) (i64.const {milliseconds})))
                 (loop $more
                    (global.set $spins (i32.const 300000))
                    (loop $spin
                        (global.set $spins (i32.sub (global.get $spins) (i32.const 1)))
                        (br_if $spin (global.get $spins)))
                    (br_if $more (i64.lt_u (call $clock.now) (global.get $until))))"
            ),
        )
        .build()
}

/// Two frontends on one worker: `slow` has the filter, `fast` has none.
fn config(origin: &Origin, keys: &str) -> String {
    let text = format!(
        "workers = 1
         [[frontend]]
         name = \"slow\"
         bind = [\"127.0.0.1:0\"]
         default_backend = \"apps\"
         [[frontend.filter]]
         plugin = \"./busy.wasm\"
         grant = [\"clock\"]
         {keys}
         [[frontend]]
         name = \"fast\"
         bind = [\"127.0.0.1:0\"]
         default_backend = \"apps\"
         [[backend]]
         name = \"apps\"
         server = [{{ name = \"app\", address = \"@app@\" }}]
         "
    );
    fill(&text, &[("app", &origin.address())])
}

async fn started(origin: &Origin, milliseconds: u32, keys: &str) -> Weir {
    Weir::builder()
        .file("busy.wasm", busy(milliseconds))
        .start(&config(origin, keys))
        .await
}

/// How long requests to `fast` take while four clients use `slow`, in order.
async fn beside_a_slow_frontend(origin: &Origin, keys: &str) -> Vec<Duration> {
    const ASKED: usize = 200;
    let weir = started(origin, 20, keys).await;
    let slow = Load::start(weir.address("slow"), 4, &["/"], Duration::ZERO);
    slow.another(8).await;
    let mut client = weir.client_of("fast").await;
    let mut times = Vec::new();
    while times.len() < ASKED {
        let began = Instant::now();
        assert_eq!(client.get("/").await.status(), 200);
        times.push(began.elapsed());
    }
    let report = slow.stop().await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
    times.sort();
    times
}

#[tokio::test]
async fn the_99th_percentile_of_another_frontend_does_not_move() {
    let origin = Origin::start("app").await;
    let inline = beside_a_slow_frontend(&origin, "").await;
    let offloaded = beside_a_slow_frontend(&origin, "offload = { threads = 1, queue = 64 }").await;
    let (half, most) = (inline.len() / 2, inline.len() * 99 / 100);
    eprintln!(
        "a frontend beside one with a 20 ms filter, on one worker: \
         inline p50 {:?} p99 {:?}, offloaded p50 {:?} p99 {:?}",
        inline[half], inline[most], offloaded[half], offloaded[most]
    );
    assert!(
        inline[half] >= Duration::from_millis(15),
        "inline, it waits behind the filter: {:?}",
        inline[half]
    );
    assert!(
        offloaded[most] < Duration::from_millis(15),
        "offloaded, it does not: {:?}",
        offloaded[most]
    );
}

#[tokio::test]
async fn when_the_queue_is_full_the_failure_rule_of_the_use_decides() {
    let origin = Origin::start("app").await;
    for (rule, refused) in [("deny", 500), ("skip", 200)] {
        let keys = format!(
            "deadline = \"5s\"\non_failure = \"{rule}\"\noffload = {{ threads = 1, queue = 1 }}"
        );
        let weir = started(&origin, 1_000, &keys).await;
        let mut held = Vec::new();
        for _ in 0..6 {
            let mut client = weir.client_of("slow").await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            held.push(client);
        }
        weir.log_line("1 calls wait for its threads, and that is the limit")
            .await;
        let mut statuses = Vec::new();
        for mut client in held {
            statuses.push(client.response().await.status());
        }
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(statuses.contains(&refused), "{statuses:?}");
        // Too many calls are no reason for a quarantine.
        let began = Instant::now();
        assert_eq!(weir.client_of("slow").await.get("/").await.status(), 200);
        assert!(
            began.elapsed() >= Duration::from_millis(900),
            "it was asked"
        );
    }
}

#[tokio::test]
async fn the_deadline_counts_from_when_the_call_was_asked_for() {
    let origin = Origin::start("app").await;
    let keys = "deadline = \"400ms\"\noffload = { threads = 1, queue = 64 }";
    let weir = started(&origin, 300, keys).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = weir.client_of("slow").await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        clients.push(client);
    }
    let began = Instant::now();
    let mut statuses = Vec::new();
    for mut client in clients {
        statuses.push(client.response().await.status());
    }
    assert!(statuses.contains(&500), "{statuses:?}");
    assert!(
        began.elapsed() < Duration::from_millis(1_200),
        "four calls one after the other take longer: {:?}",
        began.elapsed()
    );
    weir.log_line("its threads were busy for 400ms").await;
}

#[tokio::test]
async fn decisions_edits_and_stickiness_are_those_of_the_inline_plugin() {
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("b"));
    let frontend = r#"
        [[frontend.filter]]
        plugin = "rules"
        offload = true
        [frontend.filter.config]
        rule = [{ when = { path = { prefix = "/no" } }, deny = 403 }, { set_header = { X-Seen = "yes" } }]
        response_rule = [{ when = { status = "2xx" }, set_header = { X-Answered = "yes" } }]
    "#;
    let backend = r#"persistence = { plugin = "cookie", offload = { threads = 1 } }"#;
    let config = simple(&[a.address(), b.address()], frontend, backend);
    let weir = Weir::start(&config).await;
    assert_eq!(weir.get("/no").await.status(), 403);
    let first = weir.get("/").await;
    assert_eq!(first.header("x-answered"), Some("yes"));
    let cookie = first.header("set-cookie").expect("a cookie to be known by");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    for _ in 0..4 {
        let again = weir.get_with("/", &[("Cookie", &cookie)]).await;
        assert_eq!(again.origin(), first.origin());
    }
    let seen = a.requests().into_iter().chain(b.requests());
    for request in seen {
        assert_eq!(request.header("x-seen"), Some("yes"));
    }
}

#[tokio::test]
async fn a_balancer_is_not_offloaded_and_the_message_says_so() {
    let origin = Origin::start("app").await;
    let backend = r#"balance = { plugin = "least-conn", offload = true }"#;
    let checked = Weir::check(&simple(&[origin.address()], "", backend)).await;
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        checked
            .stderr
            .contains("only filters and persistence can be"),
        "{}",
        checked.stderr
    );
}
