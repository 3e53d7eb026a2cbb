//! A new version of a plugin beside the one in use: a shadow that nobody notices, a canary for a share of
//! clients, and the way back by itself.

#[path = "rollout/balancers.rs"]
mod balancers;
#[path = "rollout/command.rs"]
mod command;
#[path = "rollout/operators.rs"]
mod operators;
#[path = "rollout/refused.rs"]
mod refused;
#[path = "rollout/stage.rs"]
mod stage;

use std::{net::Ipv4Addr, time::Duration};

use serde_json::Value;
use weir_tests::{Load, LoadReport, Origin, Weir, eventually, fill};
use weir_wat_guests::{Guest, Kind};

use self::stage::{clients, deny, filter, rollout, said_with_both_digests, started, with_path};

/// What it takes to answer while a shadow misbehaves: far less than the deadline that the shadow runs into.
const PATIENCE: Duration = Duration::from_secs(3);

/// Traffic of many clients, until `enough` is seen.
async fn traffic_until(weir: &Weir, enough: impl Fn(&Value) -> bool) -> LoadReport {
    let targets = clients(200);
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let load = Load::start(weir.address("web"), 4, &targets, Duration::from_millis(1));
    load.another(50).await;
    eventually("what the traffic is for", async || {
        enough(&rollout(weir).await).then_some(())
    })
    .await;
    load.another(100).await;
    load.stop().await
}

#[tokio::test]
async fn a_shadow_that_traps_loops_or_lies_costs_no_client_anything() {
    let origin = Origin::start("a").await;
    let wrong = [
        ("traps", with_path("(unreachable)"), true),
        ("loops", with_path("(loop $more (br $more))"), true),
        ("denies", deny(403), false),
        ("says nonsense", with_path("(return (i32.const -4))"), true),
    ];
    for (what, next, is_failure) in wrong {
        let weir = started(
            &origin,
            &filter("next = { plugin = \"./next.wasm\", mode = \"shadow\", deadline = \"50ms\" }"),
            &[("current.wasm", &passing()), ("next.wasm", &next)],
        )
        .await;
        let report = traffic_until(&weir, |rollout| match is_failure {
            true => rollout["state"] == "given-up",
            false => rollout["disagreements"].as_u64() > Some(100),
        })
        .await;
        assert_eq!(report.failed(), 0, "{what}: {report:?}");
        assert!(report.slowest < PATIENCE, "{what}: {report:?}");
        let rollout = rollout(&weir).await;
        assert_eq!(rollout["current"]["failures"], 0, "{what}: {rollout}");
        if is_failure {
            said_with_both_digests(&weir, "new version given up", &rollout).await;
        } else {
            assert_eq!(rollout["state"], "running", "{what}: {rollout}");
            assert_eq!(rollout["next"]["failures"], 0, "{what}: {rollout}");
            weir.log_line(
                "the current one says pass with no edits, the next deny 403 with no edits",
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_shadow_that_disagrees_too_much_is_given_up_if_the_file_says_so() {
    let origin = Origin::start("a").await;
    let next = "next = { plugin = \"./next.wasm\", mode = \"shadow\", give_up = { disagreements = \"10%\" } }";
    let weir = started(
        &origin,
        &filter(next),
        &[("current.wasm", &passing()), ("next.wasm", &deny(403))],
    )
    .await;
    let report = traffic_until(&weir, |rollout| rollout["state"] == "given-up").await;
    assert_eq!(report.failed(), 0, "{report:?}");
    let rollout = rollout(&weir).await;
    let why = rollout["why"].as_str().unwrap_or_default();
    assert!(
        why.contains("disagreements") && why.contains("10% is the limit"),
        "{why}"
    );
    said_with_both_digests(&weir, "new version given up", &rollout).await;
}

#[tokio::test]
async fn a_version_that_agrees_stays_in_the_shadow_for_as_long_as_it_is_left_there() {
    let origin = Origin::start("a").await;
    let weir = started(
        &origin,
        &filter("next = { plugin = \"./next.wasm\", mode = \"shadow\", give_up = { disagreements = \"0%\" } }"),
        &[
            ("current.wasm", &passing()),
            ("next.wasm", &passing().text_of("other")),
        ],
    )
    .await;
    let report = traffic_until(&weir, |rollout| rollout["compared"].as_u64() > Some(300)).await;
    assert_eq!(report.failed(), 0, "{report:?}");
    let rollout = rollout(&weir).await;
    assert_eq!(rollout["disagreements"], 0, "{rollout}");
    assert_eq!(rollout["state"], "running", "{rollout}");
    assert_ne!(rollout["current"]["digest"], rollout["next"]["digest"]);
    for version in ["current", "next"] {
        let times = &rollout[version]["microseconds"];
        assert!(times["p50"].as_f64() > Some(0.0), "{rollout}");
        assert!(times["p99"].as_f64() >= times["p50"].as_f64(), "{rollout}");
    }
}

#[tokio::test]
async fn a_canary_answers_its_share_of_clients_and_always_the_same() {
    let origin = Origin::start("a").await;
    let weir = started(
        &origin,
        &filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"20%\", on = \"query-param(client)\" }"),
        &[("current.wasm", &passing()), ("next.wasm", &deny(418))],
    )
    .await;
    let all = clients(200);
    let first = stage::denied(&weir, &all, 418).await;
    assert!(
        (20..=60).contains(&first.len()),
        "20% of 200: {}",
        first.len()
    );
    // On other connections, thus on other workers as well, and after a reload.
    assert_eq!(stage::denied(&weir, &all, 418).await, first);
    weir.reload().await;
    assert_eq!(stage::denied(&weir, &all, 418).await, first);
    let unknown = weir.get("/").await;
    assert_eq!(
        unknown.status(),
        200,
        "who cannot be told apart is not tried on"
    );
}

#[tokio::test]
async fn a_canary_that_fails_is_answered_by_the_current_version_and_given_up() {
    let origin = Origin::start("a").await;
    for (what, next) in [
        ("traps", with_path("(unreachable)")),
        ("loops", with_path("(loop $more (br $more))")),
        ("says nonsense", with_path("(return (i32.const -4))")),
        ("injects", injecting()),
    ] {
        let weir = started(
            &origin,
            &filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"20%\", on = \"query-param(client)\", deadline = \"50ms\" }"),
            &[("current.wasm", &passing()), ("next.wasm", &next)],
        )
        .await;
        let report = traffic_until(&weir, |rollout| rollout["state"] == "given-up").await;
        assert_eq!(report.failed(), 0, "{what}: {report:?}");
        let rollout = rollout(&weir).await;
        assert_eq!(rollout["next"]["answers"], 0, "{what}: {rollout}");
        said_with_both_digests(&weir, "new version given up", &rollout).await;
        let current = &weir.stderr().join("\n");
        assert!(
            !current.contains("plugin=./current.wasm hook"),
            "the current version is not blamed: {current}"
        );
    }
}

#[tokio::test]
async fn a_canary_that_lies_reaches_no_more_than_its_share_until_the_limit_and_then_nobody() {
    let origin = Origin::start("a").await;
    let weir = started(
        &origin,
        &filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"20%\", on = \"query-param(client)\", give_up = { disagreements = \"20%\", at_least = 100 } }"),
        &[("current.wasm", &passing()), ("next.wasm", &deny(418))],
    )
    .await;
    let report = traffic_until(&weir, |rollout| rollout["state"] == "given-up").await;
    let rollout = rollout(&weir).await;
    let lied = report.failures.get("status 418").copied().unwrap_or(0);
    assert_eq!(report.failed(), lied, "nothing else went wrong: {report:?}");
    // 20% of at least 100 calls are 20: the 21st disagreement ends it, and two workers may be at one each.
    assert!((1..=25).contains(&lied), "{lied} clients of {report:?}");
    said_with_both_digests(&weir, "new version given up", &rollout).await;
    assert!(stage::denied(&weir, &clients(200), 418).await.is_empty());
}

#[tokio::test]
async fn answers_that_are_given_again_are_those_of_the_version_that_is_asked() {
    let origin = Origin::start("a").await;
    let repeatable = |guest: Guest| guest.features(&["repeatable"]);
    let weir = started(
        &origin,
        &filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"50%\", on = \"query-param(client)\" }"),
        &[
            ("current.wasm", &repeatable(passing())),
            ("next.wasm", &repeatable(deny(418))),
        ],
    )
    .await;
    // The plugins are asked about the path alone, which is the same for all.
    let all = clients(40);
    let first = stage::denied(&weir, &all, 418).await;
    assert!((8..=32).contains(&first.len()), "{}", first.len());
    for _ in 0..3 {
        assert_eq!(stage::denied(&weir, &all, 418).await, first);
    }
}

#[tokio::test]
async fn each_version_means_the_backends_that_it_has_named_itself() {
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("b"));
    let routes = |backends: &[&str], position: u32| {
        Guest::new(Kind::RequestFilter)
            .inputs("on-request", &["path"])
            .backends(backends)
            .with(
                "on-request",
                &format!(
                    "(i32.store8 (i32.const 128) (i32.const 1))
                     (i32.store (i32.const 132) (i32.const {position}))
                     (i32.const 128)"
                ),
            )
    };
    let config = |next: &str| {
        format!(
            "{}\n[[backend]]\nname = \"other\"\nserver = [{{ name = \"b\", address = \"{}\" }}]\n",
            filter(next),
            b.address()
        )
    };
    let canary = "next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"100%\", give_up = { disagreements = \"0%\" } }";
    let weir = started(
        &a,
        &config(canary),
        &[
            ("current.wasm", &routes(&["other"], 0)),
            ("next.wasm", &routes(&["apps", "other"], 1)),
        ],
    )
    .await;
    for _ in 0..5 {
        assert_eq!(weir.get("/").await.origin(), "b");
    }
    let found = rollout(&weir).await;
    assert_eq!(found["compared"], 5, "{found}");
    assert_eq!(found["disagreements"], 0, "the same backend: {found}");
    let shadow = "next = { plugin = \"./next.wasm\", mode = \"shadow\" }";
    weir.write_config(&fill(&config(shadow), &[("a", &a.address())]));
    weir.reload().await;
    assert_eq!(weir.get("/").await.origin(), "b");
    eventually("the shadow's answer", async || {
        (rollout(&weir).await["compared"] == 1).then_some(())
    })
    .await;
    assert_eq!(rollout(&weir).await["disagreements"], 0);
}

#[tokio::test]
async fn a_version_that_begins_to_judge_responses_does_so_for_its_clients_alone() {
    let origin = Origin::start("a").await;
    let mut next = Guest::new(Kind::Filter)
        .inputs("on-request", &["path"])
        .inputs("on-response", &["status"]);
    let (name, value) = (next.text("x-new"), next.text("yes"));
    let edit = next.words(&[0, name.0, name.1, value.0, value.1]);
    let edits = next.words(&[edit, 1]);
    let next = next.with("on-response", &format!("(i32.const {edits})"));
    let weir = started(
        &origin,
        &filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"20%\", on = \"query-param(client)\" }"),
        &[("current.wasm", &passing()), ("next.wasm", &next)],
    )
    .await;
    let mut marked = 0;
    for target in clients(100) {
        let response = weir.get(&target).await;
        assert_eq!(response.status(), 200);
        marked += usize::from(response.header("x-new").is_some());
    }
    assert!((5..=40).contains(&marked), "{marked} of 100");
}

#[tokio::test]
async fn offloaded_plugins_are_tried_out_on_threads_of_their_own() {
    let origin = Origin::start("a").await;
    for (mode, denied) in [("canary", true), ("shadow", false)] {
        let next = format!(
            "offload = {{ threads = 1 }}\nnext = {{ plugin = \"./next.wasm\", mode = \"{mode}\", share = \"50%\", on = \"query-param(client)\" }}"
        );
        let weir = started(
            &origin,
            &filter(&next),
            &[("current.wasm", &passing()), ("next.wasm", &deny(418))],
        )
        .await;
        let found = stage::denied(&weir, &clients(40), 418).await;
        assert_eq!(!found.is_empty(), denied, "{mode}: {found:?}");
        assert!(found.len() < 40, "{mode}");
        eventually("both versions asked", async || {
            let rollout = rollout(&weir).await;
            let asked = |version: &str| rollout[version]["answers"].as_u64() >= Some(8);
            (asked("current") && asked("next")).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_filter_is_tried_out_by_the_clients_address() {
    let origin = Origin::start("a").await;
    let refusing = Guest::new(Kind::ConnectionFilter).with(
        "on-connection",
        "(i32.store8 (i32.const 128) (i32.const 2))
         (i32.const 128)",
    );
    let config = filter("next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"20%\" }");
    let files = [
        ("current.wasm", &Guest::new(Kind::ConnectionFilter)),
        ("next.wasm", &refusing),
    ];
    let weir = started(&origin, &config, &files).await;
    let mut refused = Vec::new();
    for host in 1..=100 {
        let client = Ipv4Addr::new(127, 0, 7, host);
        if !stage::answers(&weir, client).await {
            refused.push(client);
        }
    }
    assert!((5..=40).contains(&refused.len()), "20% of 100: {refused:?}");
    for client in refused {
        assert!(!stage::answers(&weir, client).await, "{client}, as before");
    }
}

/// A filter that passes everything, and asks for the path.
fn passing() -> Guest {
    Guest::new(Kind::RequestFilter).inputs("on-request", &["path"])
}

/// A filter that puts a line end into a header.
fn injecting() -> Guest {
    let mut guest = passing();
    let (name, value) = (guest.text("x-a"), guest.text("a\r\nx-smuggled: yes"));
    let edit = guest.words(&[0, name.0, name.1, value.0, value.1]);
    let mut words = [0; 10];
    (words[6], words[7]) = (edit, 1);
    let decision = guest.words(&words);
    guest.with("on-request", &format!("(i32.const {decision})"))
}

trait Renamed {
    fn text_of(self, text: &str) -> Self;
}

impl Renamed for Guest {
    /// The same behaviour in another component.
    fn text_of(mut self, text: &str) -> Self {
        self.text(text);
        self
    }
}
