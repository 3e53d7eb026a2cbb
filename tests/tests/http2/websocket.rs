//! WebSocket over both versions of HTTP.

use serde_json::Value;
use weir_tests::{Script, Weir, can_run};

use crate::config;

const WEBSOCKET: Script = Script {
    file: "ws_peer.py",
    modules: &["websockets", "h2"],
};
const SERVER: Script = Script {
    file: "h2_server.py",
    modules: &["h2"],
};

#[tokio::test]
async fn clients_of_both_versions_talk_to_a_server_of_http1() {
    if !can_run(WEBSOCKET) {
        return;
    }
    let server = WEBSOCKET.serve(&["serve"]).await;
    let weir = Weir::start(&config(&[server.address()], "", "")).await;
    let address = weir.address("web").to_string();
    let found = WEBSOCKET.run(&["h1", &address]).await;
    assert_eq!(found.trim(), "[true, true, true]");
    let found = WEBSOCKET.run(&["h2", &address]).await;
    let found: Value = serde_json::from_str(&found).expect("it prints JSON");
    assert_eq!(found["status"], 200, "{found}");
    assert_eq!(found["echoed"], serde_json::json!([true, true]), "{found}");
    assert_eq!(found["ended"], true, "{found}");
    for of_http1 in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(found["fields"][of_http1].is_null(), "{found}");
    }
}

#[tokio::test]
async fn a_client_of_http2_talks_to_a_server_of_http2() {
    if !can_run(WEBSOCKET) || !can_run(SERVER) {
        return;
    }
    let server = SERVER.serve(&[]).await;
    let backend = "protocol = \"h2\"";
    let weir = Weir::start(&config(&[server.address()], "", backend)).await;
    let address = weir.address("web").to_string();
    let found = WEBSOCKET.run(&["h2-raw", &address]).await;
    let found: Value = serde_json::from_str(&found).expect("it prints JSON");
    assert_eq!(found["status"], 200, "{found}");
    assert_eq!(found["fields"]["x-path"], "/chat", "{found}");
    assert_eq!(found["echoed"], serde_json::json!([true, true]), "{found}");
    assert_eq!(found["ended"], true, "{found}");
}

#[tokio::test]
async fn a_client_of_http1_talks_to_a_server_of_http2() {
    if !can_run(WEBSOCKET) || !can_run(SERVER) {
        return;
    }
    let server = SERVER.serve(&[]).await;
    let inner = Weir::start(&config(&[server.address()], "", "protocol = \"h2\"")).await;
    let mut client = inner.client().await;
    client
        .send(
            "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.status(), 101);
    let accept = response.header("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    client.send("over there").await;
    assert_eq!(client.read_some().await, b"over there");
}

#[tokio::test]
async fn a_filter_judges_the_opening_as_any_request() {
    if !can_run(WEBSOCKET) {
        return;
    }
    let server = WEBSOCKET.serve(&["serve"]).await;
    let rules = "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n\
        match.secret = { path = { prefix = \"/secret\" } }\nrule = [{ when = \"secret\", deny = 403 }]";
    let weir = Weir::start(&config(&[server.address()], rules, "")).await;
    let address = weir.address("web").to_string();
    let found = WEBSOCKET.run(&["h2-denied", &address]).await;
    assert_eq!(found.trim(), "{\"status\": 403}");
}
