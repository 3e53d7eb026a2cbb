//! gRPC as its own library speaks it, both sides of the proxy.

use serde_json::{Value, json};
use weir_tests::{Script, Weir, can_run};

use crate::config;

const GRPC: Script = Script {
    file: "grpc_peer.py",
    modules: &["grpc"],
};

#[tokio::test]
async fn calls_of_all_four_kinds_deadlines_and_large_messages_pass() {
    if !can_run(GRPC) {
        return;
    }
    let mut server = GRPC.serve(&["serve"]).await;
    let weir = Weir::start(&config(&[server.address()], "", "protocol = \"h2\"")).await;
    let address = weir.address("web").to_string();
    let found: Value =
        serde_json::from_str(&GRPC.run(&["call", &address]).await).expect("it prints JSON");
    for (what, expected) in [
        ("unary", json!("hello")),
        (
            "trailers",
            json!({"x-length": "'5'", "x-proof-bin": "b'\\x00\\xff'"}),
        ),
        ("8 MiB", json!(true)),
        ("server streaming", json!(["0", "1", "2", "3", "4"])),
        ("client streaming", json!("5000000")),
        (
            "bidirectional",
            json!(["re: 0", "re: 1", "re: 2", "re: 3", "re: 4"]),
        ),
        (
            "failed",
            json!(["FAILED_PRECONDITION", "as asked: 100% ä", "asked to"]),
        ),
        ("unknown", json!(["UNIMPLEMENTED", "Method not found!", ""])),
        (
            "deadline",
            json!(["DEADLINE_EXCEEDED", "Deadline Exceeded", ""]),
        ),
        ("deadline kept", json!(true)),
        ("at a time", json!(true)),
    ] {
        assert_eq!(found[what], expected, "{what}: {found}");
    }
    assert_eq!(server.line().await, "given up", "the server hears of it");
}

#[tokio::test]
async fn a_slow_client_slows_the_server_and_the_proxy_keeps_little() {
    if !can_run(GRPC) {
        return;
    }
    let mut server = GRPC.serve(&["serve"]).await;
    let weir = Weir::start(&config(&[server.address()], "", "protocol = \"h2\"")).await;
    let address = weir.address("web").to_string();
    let before = weir.memory();
    let reader = tokio::spawn(async move { GRPC.run(&["slow", &address]).await });
    let mut sent = 0;
    while sent < 1000 {
        sent = server.line().await.parse().expect("a number");
    }
    // Of 250 MB it has sent 64 by now, all of which the client has taken.
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "grown by {grown} bytes");
    let printed = reader.await.expect("the reader does not panic");
    assert_eq!(printed.lines().last(), Some("4000"), "nothing is lost");
}
