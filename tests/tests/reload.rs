//! Generations, seen from outside: what the harness promises about them holds for the real proxy.

use std::time::Duration;

use weir_tests::{Load, Origin, Reload, Weir, fill};

const ONE_BACKEND: &str = r#"
[[frontend]]
name = "web"
bind = ["127.0.0.1:0"]
default_backend = "apps"

[[backend]]
name = "apps"
balance = "@balance@"
server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
"#;

async fn two_origins() -> (Origin, Origin) {
    tokio::join!(Origin::start("a"), Origin::start("b"))
}

fn config(balance: &str, a: &Origin, b: &Origin) -> String {
    fill(
        ONE_BACKEND,
        &[
            ("balance", &balance),
            ("a", &a.address()),
            ("b", &b.address()),
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_file_takes_over_and_no_request_fails() {
    let (a, b) = two_origins().await;
    let weir = Weir::start(&config("round-robin", &a, &b)).await;
    let load = Load::start(weir.address("web"), 4, &["/"], Duration::ZERO);
    for balance in ["first", "least-conn", "round-robin"] {
        load.another(50).await;
        let mark = weir.log_length();
        weir.write_config(&config(balance, &a, &b));
        assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    }
    load.another(50).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_shown_with_its_place() {
    let (a, b) = two_origins().await;
    let weir = Weir::start(&config("round-robin", &a, &b)).await;
    weir.write_config(&config("rond-robin", &a, &b));
    let Reload::Refused(why) = weir.reload().await else {
        panic!("the mistake was taken")
    };
    assert!(
        why.contains("rond-robin") && why.contains("weir.toml:9:"),
        "{why}"
    );
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_proxy_told_to_end_finishes_what_runs_and_says_so() {
    let (a, b) = two_origins().await;
    for origin in [&a, &b] {
        origin.answer_with(|_| weir_tests::Answer::echo().after(Duration::from_millis(200)));
    }
    let weir = Weir::start(&config("round-robin", &a, &b)).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    weir_tests::eventually("the request at an origin", async || {
        (a.requests().len() + b.requests().len() == 1).then_some(())
    })
    .await;
    weir.terminate();
    assert_eq!(client.response().await.status(), 200);
    client.expect_close().await;
    assert!(weir.exited().await.status.success());
}
