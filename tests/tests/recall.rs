//! Answers that the proxy gives again without asking the plugin, and those that it must not.

use weir_tests::{Client, Origin, Weir, eventually, fill};
use weir_wat_guests::{Guest, Kind};

/// Denies with a status that counts its calls: 451, 452, 453, ... The first call is made while loading.
fn counting(features: &[&str]) -> Guest {
    Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path"])
        .features(features)
        .item("(global $calls (mut i32) (i32.const 449))")
        .with(
            "on-request",
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (i32.store8 (i32.const 128) (i32.const 3))
             (i32.store16 (i32.const 132) (global.get $calls))
             (i32.const 128)",
        )
}

const CONFIG: &str = r#"
    workers = 1

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"
    filter = [@filter@]

    [[backend]]
    name = "apps"
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
"#;

async fn start(guest: &Guest) -> Weir {
    let filter = r#"{ plugin = "./counting.wasm" }"#;
    let nobody = "127.0.0.1:1";
    Weir::builder()
        .file("counting.wasm", guest.build())
        .start(&fill(
            CONFIG,
            &[("filter", &filter), ("a", &nobody), ("b", &nobody)],
        ))
        .await
}

/// The statuses of requests for these paths, one after the other.
async fn statuses(client: &mut Client, paths: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in paths {
        statuses.push(client.get(path).await.status());
    }
    statuses
}

#[tokio::test]
async fn a_repeatable_answer_is_given_again_without_a_call() {
    let weir = start(&counting(&["repeatable"])).await;
    let mut client = weir.client().await;
    assert_eq!(
        statuses(&mut client, &["/a", "/a", "/a", "/b", "/a", "/b", "/b"]).await,
        [450, 451, 451, 452, 451, 453, 453],
        "an answer is kept once its question came twice"
    );
}

#[tokio::test]
async fn without_the_promise_every_request_is_a_call() {
    let weir = start(&counting(&[])).await;
    let mut client = weir.client().await;
    assert_eq!(
        statuses(&mut client, &["/a", "/a", "/a", "/a"]).await,
        [450, 451, 452, 453]
    );
}

#[tokio::test]
async fn a_changed_map_shows_in_answers_that_were_known() {
    let origin = Origin::start("a").await;
    let other = Origin::start("b").await;
    let config = r#"
        workers = 1

        [[map]]
        name = "tiers"
        file = "tiers.map"

        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "one"

        [[frontend.filter]]
        plugin = "group-map"
        maps = ["tiers"]
        config = { map = "tiers", input = "path", backends = ["one", "two"] }

        [[backend]]
        name = "one"
        server = [{ name = "a", address = "@a@" }]

        [[backend]]
        name = "two"
        server = [{ name = "b", address = "@b@" }]
    "#;
    let weir = Weir::builder()
        .file("tiers.map", "/x one\n")
        .start(&fill(
            config,
            &[("a", &origin.address()), ("b", &other.address())],
        ))
        .await;
    let mut client = weir.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/x").await.origin(), "a");
    }
    weir.write_file("tiers.map", "/x two\n");
    eventually("the changed map is seen", async || {
        (weir.get("/x").await.origin() == "b").then_some(())
    })
    .await;
}

#[tokio::test]
async fn picks_that_were_asked_for_ahead_keep_the_rotation() {
    let origins = [Origin::start("a").await, Origin::start("b").await];
    let weir = Weir::start(&fill(
        CONFIG,
        &[
            ("filter", &""),
            ("a", &origins[0].address()),
            ("b", &origins[1].address()),
        ],
    ))
    .await;
    let mut client = weir.client().await;
    let mut seen = String::new();
    for _ in 0..300 {
        seen += client.get("/").await.origin();
    }
    assert_eq!(seen, "ab".repeat(150));
}
