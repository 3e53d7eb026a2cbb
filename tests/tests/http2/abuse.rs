//! Clients that break the rules, and clients that keep them to the letter to do harm.

use serde_json::{Value, json};
use weir_tests::{Answer, Origin, Script, Weir, can_run, curl};

use crate::{both, config, url};

const FRAMES: Script = Script {
    file: "h2_frames.py",
    modules: &["hpack"],
};

#[tokio::test]
async fn what_is_malformed_is_refused_and_no_server_hears_of_it() {
    if !can_run(FRAMES) {
        return;
    }
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    let address = weir.address("web").to_string();
    let found: Value = serde_json::from_str(&FRAMES.run(&[&address, "malformed"]).await)
        .expect("the script prints JSON");
    let cases = found.as_object().expect("an object of cases");
    assert!(cases.len() > 60, "{}", cases.len());
    for (name, outcome) in cases {
        let status = outcome["status"].as_u64();
        let refused = status.is_some_and(|status| (400..600).contains(&status));
        let reset = ["PROTOCOL_ERROR", "ENHANCE_YOUR_CALM", "COMPRESSION_ERROR"];
        let ended = |key: &str| reset.iter().any(|reason| outcome[key] == *reason);
        assert!(
            refused || ended("reset") || ended("goaway"),
            "{name}: {outcome}"
        );
    }
    // Those that have a body may have been begun; none may have been taken for complete.
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
}

async fn flooded(name: &str) {
    if !can_run(FRAMES) {
        return;
    }
    let origin = Origin::start("a").await;
    let config = config(&[origin.address()], "", "");
    let weir = Weir::start(&format!("admin = \"unix:admin.sock\"\n{config}")).await;
    let url = url(&weir, "/");
    let args = [
        "--http2-prior-knowledge",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &url,
    ];
    let ask = || curl(&args);
    assert_eq!(ask().await.stdout, "200");
    let before = weir.memory();
    let address = weir.address("web").to_string();
    let flood = [address.as_str(), "flood", name];
    let flooding = FRAMES.run(&flood);
    let (printed, meanwhile) = tokio::join!(flooding, ask());
    assert_eq!(meanwhile.stdout, "200", "{name}: others are served");
    let outcome: Value = serde_json::from_str(&printed).expect("the script prints JSON");
    assert_eq!(outcome["closed"], true, "{name}: {outcome}");
    let sent = outcome["sent"].as_u64().expect("a number");
    assert!(sent < 100_000, "{name}: {outcome}");
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{name}: grown by {grown} bytes");
    assert_eq!(ask().await.stdout, "200");
    let metrics = weir.admin("GET", "/metrics").await.text();
    let counted = ["floods", "protocol_errors"].into_iter().any(|family| {
        let line = format!("weir_frontend_http2_{family}_total{{frontend=\"web\"}} 1");
        metrics.contains(&line)
    });
    assert!(counted, "{name}:\n{}", metrics);
}

#[tokio::test]
async fn floods_of_frames_without_content_end_the_connection() {
    for name in [
        "pings",
        "settings",
        "priorities",
        "window updates",
        "empty data",
        "unknown frames",
    ] {
        flooded(name).await;
    }
}

#[tokio::test]
async fn heads_that_never_end_and_heads_that_swell_end_the_connection() {
    for name in ["continuations", "empty continuations", "header bomb"] {
        flooded(name).await;
    }
}

#[tokio::test]
async fn streams_given_up_in_masses_end_the_connection() {
    for name in ["resets", "provoked resets"] {
        flooded(name).await;
    }
}

#[tokio::test]
async fn a_client_that_cancels_now_and_then_is_served_on() {
    if !can_run(FRAMES) {
        return;
    }
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    let address = weir.address("web").to_string();
    let outcome: Value = serde_json::from_str(&FRAMES.run(&[&address, "smooth"]).await)
        .expect("the script prints JSON");
    assert_eq!(outcome["status"], 200, "{outcome}");
}

/// What becomes of a client that does one thing and then waits.
async fn outcome(frontend: &str, name: &str) -> Option<Value> {
    if !can_run(FRAMES) {
        return None;
    }
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], frontend, "").await;
    let address = weir.address("web").to_string();
    let found = FRAMES.run(&[&address, "ended", name]).await;
    Some(serde_json::from_str(&found).expect("the script prints JSON"))
}

#[tokio::test]
async fn who_does_not_go_on_in_time_is_let_go() {
    let quick =
        "timeouts = { http_request = \"300ms\", http_keep_alive = \"300ms\", client = \"300ms\" }";
    for (name, key, expected) in [
        ("no request", "closed", Value::from(true)),
        ("half a head", "closed", Value::from(true)),
        ("half a body", "status", Value::from(408)),
        ("closed window", "reset", Value::from("INTERNAL_ERROR")),
    ] {
        let Some(found) = outcome(quick, name).await else {
            return;
        };
        assert_eq!(found[key], expected, "{name}: {found}");
    }
    let found = outcome(quick, "idle").await.expect("the others ran");
    assert_eq!(found["first"]["status"], 200, "{found}");
    assert_eq!(found["then"]["goaway"], "NO_ERROR", "told before: {found}");
    assert_eq!(found["then"]["closed"], true, "{found}");
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_unprocessed() {
    let Some(found) = outcome("http2 = { max_streams = 3 }", "too many").await else {
        return;
    };
    assert_eq!(found["reset"], "REFUSED_STREAM", "{found}");
}

#[tokio::test]
async fn the_end_of_an_answer_is_not_held_back_by_a_window_that_is_spent() {
    if !can_run(FRAMES) {
        return;
    }
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    let address = weir.address("web").to_string();
    for (answer, trailers) in [
        (Answer::chunks(&[b"hello"]), Value::Null),
        (
            Answer::chunks(&[b"hel", b"lo"]).trailer("x-sum", "5"),
            json!({ "x-sum": "5" }),
        ),
    ] {
        origin.answer(answer);
        let found = FRAMES.run(&[&address, "ended", "spent window"]).await;
        let found: Value = serde_json::from_str(&found).expect("the script prints JSON");
        assert_eq!(found["status"], 200, "{found}");
        assert_eq!(found["trailers"], trailers, "{found}");
        assert_eq!(found["reset"], Value::Null, "{found}");
        assert_eq!(found["closed"], Value::Null, "{found}");
    }
}
