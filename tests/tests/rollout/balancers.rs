//! Balancers and persistence of which a new version is tried out.

use std::fs;

use weir_tests::{Load, Origin, Weir, component, eventually, fill};
use weir_wat_guests::{Guest, Kind};

use super::stage::{rollout, said_with_both_digests};

const CONFIG: &str = r#"
    workers = 2
    watch = false
    admin = "unix:admin.sock"

    [plugins]
    deadline = "5s"

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[backend]]
    name = "apps"
    @lines@
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
"#;

struct Stage {
    weir: Weir,
    _origins: [Origin; 2],
}

impl Stage {
    async fn set(lines: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let origins = [Origin::start("a").await, Origin::start("b").await];
        let config = fill(
            CONFIG,
            &[
                ("lines", &lines),
                ("a", &origins[0].address()),
                ("b", &origins[1].address()),
            ],
        );
        let mut builder = Weir::builder();
        for (name, bytes) in files {
            builder = builder.file(name, bytes.clone());
        }
        Self {
            weir: builder.start(&config).await,
            _origins: origins,
        }
    }
}

/// Picks something that is not there when it is asked by a request.
fn nonsense() -> Vec<u8> {
    Guest::new(Kind::Balancer)
        .inputs("pick", &["path"])
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store (i32.const 132) (i32.const 0))
             (if (i32.load8_u (local.get $values))
                (then (i32.store (i32.const 132) (i32.const 77))))
             (i32.const 128)",
        )
        .build()
}

fn trapping() -> Vec<u8> {
    Guest::new(Kind::Balancer)
        .inputs("pick", &["path"])
        .with(
            "pick",
            "(if (i32.load8_u (local.get $values)) (then (unreachable))) (i32.const 16)",
        )
        .build()
}

fn bundled(name: &str) -> Vec<u8> {
    fs::read(component(name)).expect("the component is built")
}

#[tokio::test]
async fn a_balancer_that_picks_what_is_not_there_is_given_up_before_anybody_notices() {
    for (mode, share) in [
        ("shadow", ""),
        ("canary", "share = \"50%\", on = \"query-param(client)\","),
    ] {
        for next in [nonsense(), trapping()] {
            let lines = format!(
                "balance = {{ plugin = \"round-robin\", next = {{ plugin = \"./next.wasm\", {share} mode = \"{mode}\" }} }}"
            );
            let stage = Stage::set(&lines, &[("next.wasm", next)]).await;
            let weir = &stage.weir;
            let targets = super::clients(50);
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            let load = Load::start(weir.address("web"), 4, &targets, std::time::Duration::ZERO);
            eventually("it is given up", async || {
                (rollout(weir).await["state"] == "given-up").then_some(())
            })
            .await;
            load.another(100).await;
            let report = load.stop().await;
            assert_eq!(report.failed(), 0, "{mode}: {report:?}");
            said_with_both_digests(weir, "new version given up", &rollout(weir).await).await;
        }
    }
}

#[tokio::test]
async fn a_balancer_that_picks_alike_agrees_on_every_turn() {
    let lines = "balance = { plugin = \"round-robin\", next = { plugin = \"./next.wasm\", mode = \"shadow\" } }";
    // The same rotation with no promise to go by the turn alone, so asked turn by turn.
    let next = Guest::new(Kind::Balancer)
        .item("(global $servers (mut i32) (i32.const 1))")
        .with("update", "(global.set $servers (local.get $count))")
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store (i32.const 132)
                (i32.rem_u (i32.wrap_i64 (local.get $turn)) (global.get $servers)))
             (i32.const 128)",
        );
    let stage = Stage::set(lines, &[("next.wasm", next.build())]).await;
    for _ in 0..100 {
        assert_eq!(stage.weir.get("/").await.status(), 200);
    }
    let found = eventually("all picks compared", async || {
        let found = rollout(&stage.weir).await;
        (found["compared"] == 100).then_some(found)
    })
    .await;
    assert_eq!(found["disagreements"], 0, "{found}");
    assert_eq!(found["current"]["picks"], found["next"]["picks"], "{found}");
}

#[tokio::test]
async fn what_a_balancer_would_have_picked_is_counted_by_server() {
    let lines = "balance = { plugin = \"round-robin\", next = { plugin = \"./first.wasm\", mode = \"shadow\" } }";
    let stage = Stage::set(lines, &[("first.wasm", bundled("first"))]).await;
    for _ in 0..40 {
        assert_eq!(stage.weir.get("/").await.status(), 200);
    }
    let found = eventually("all picks compared", async || {
        let found = rollout(&stage.weir).await;
        (found["compared"] == 40).then_some(found)
    })
    .await;
    assert_eq!(found["current"]["picks"]["a"], 20, "{found}");
    assert_eq!(found["next"]["picks"]["a"], 40, "{found}");
    assert_eq!(found["disagreements"], 20, "{found}");
}

#[tokio::test]
async fn a_balancer_in_the_shadow_learns_how_picks_turn_out() {
    let lines = "balance = { plugin = \"./current.wasm\", next = { plugin = \"./next.wasm\", mode = \"shadow\" } }";
    // Picks the second server once it was told that an exchange with the first one went well.
    let learning = Guest::new(Kind::FeedbackBalancer)
        .item("(global $position (mut i32) (i32.const 0))")
        .item("(global $heard (mut i32) (i32.const 0))")
        .with(
            "observe",
            "(if (i32.eqz (local.get $index)) (then (global.set $position (i32.const 1))))",
        )
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store (i32.const 132) (global.get $position))
             (i32.const 128)",
        );
    let files = [
        ("current.wasm", bundled("first")),
        ("next.wasm", learning.build()),
    ];
    let stage = Stage::set(lines, &files).await;
    let found = eventually("it has learnt", async || {
        assert_eq!(stage.weir.get("/").await.origin(), "a");
        let found = rollout(&stage.weir).await;
        (found["next"]["picks"]["b"].as_u64() > Some(0)).then_some(found)
    })
    .await;
    assert_eq!(found["next"]["failures"], 0, "{found}");
    assert_eq!(found["current"]["picks"]["b"], 0, "{found}");
}

#[tokio::test]
async fn persistence_is_tried_out_on_a_share_of_clients() {
    let lines = "persistence = { plugin = \"cookie\", config = { name = \"OLD\" }, next = { plugin = \"cookie\", mode = \"canary\", share = \"30%\", on = \"query-param(client)\", config = { name = \"NEW\" } } }";
    let stage = Stage::set(lines, &[]).await;
    let mut new = 0;
    for target in super::clients(100) {
        let response = stage.weir.get(&target).await;
        let cookie = response.header("set-cookie").expect("either sets one");
        let again = stage.weir.get(&target).await;
        let same = again.header("set-cookie").expect("either sets one");
        let name = |cookie: &str| cookie.split('=').next().map(str::to_owned);
        assert_eq!(name(cookie), name(same), "{target}");
        new += usize::from(cookie.starts_with("NEW="));
    }
    assert!((15..=45).contains(&new), "30% of 100: {new}");
}

#[tokio::test]
async fn persistence_in_the_shadow_leaves_no_trace_in_answers() {
    let lines = "persistence = { plugin = \"cookie\", config = { name = \"OLD\" }, next = { plugin = \"cookie\", mode = \"shadow\", config = { name = \"NEW\" } } }";
    let stage = Stage::set(lines, &[]).await;
    for target in super::clients(20) {
        let response = stage.weir.get(&target).await;
        let cookie = response.header("set-cookie").expect("it is set");
        assert!(cookie.starts_with("OLD="), "{cookie}");
    }
    let found = eventually("all compared", async || {
        let found = rollout(&stage.weir).await;
        // Asked for the server before, and told of it after.
        (found["compared"] == 40).then_some(found)
    })
    .await;
    assert_eq!(found["disagreements"], 20, "the cookies' names: {found}");
    assert_eq!(
        found["current"]["digest"], found["next"]["digest"],
        "only the config is new"
    );
}
