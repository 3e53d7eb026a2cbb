//! Leaving HTTP on a connection: tunnels after a 101, and everything that must not become one.

use std::time::Duration;

use weir_tests::{Answer, Client, ManualConnection, ManualServer, Origin, Weir, simple};

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn tunnelled(server: &ManualServer, weir: &Weir) -> (Client, ManualConnection) {
    let mut client = weir.client().await;
    client.send(WEBSOCKET).await;
    let mut connection = server.accept().await;
    let head = connection.read_head().await.to_lowercase();
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    connection.send(SWITCHING).await;
    let response = client.response().await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert!(
        response
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("upgrade"))
    );
    (client, connection)
}

#[tokio::test]
async fn bytes_pass_both_ways_after_a_101_whatever_they_look_like() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let (mut client, mut connection) = tunnelled(&server, &weir).await;
    client.send("GET /not-a-request HTTP/1.1\r\n\r\n").await;
    connection
        .read_until("GET /not-a-request HTTP/1.1\r\n\r\n")
        .await;
    connection.send("\x00\x01 no answer").await;
    assert_eq!(client.read_some().await, b"\x00\x01 no answer");
}

#[tokio::test]
async fn a_mebibyte_passes_a_tunnel_in_both_directions_at_once() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::upgrade("websocket"));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send(WEBSOCKET).await;
    assert_eq!(client.response().await.status(), 101);
    let piece = vec![b'x'; 64 * 1024];
    for _ in 0..16 {
        client.send(&piece).await;
        let mut echoed = 0;
        while echoed < piece.len() {
            let bytes = client.read_some().await;
            assert!(!bytes.is_empty() && bytes.iter().all(|b| *b == b'x'));
            echoed += bytes.len();
        }
        assert_eq!(echoed, piece.len());
    }
}

#[tokio::test]
async fn either_side_may_finish_first_while_the_other_goes_on() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let (mut client, mut connection) = tunnelled(&server, &weir).await;
    client.send("last words").await;
    client.finish_sending().await;
    assert_eq!(connection.read_to_close().await, "last words");
    connection.send("and the answer").await;
    drop(connection);
    assert_eq!(client.read_to_close().await, b"and the answer");

    let (mut client, mut connection) = tunnelled(&server, &weir).await;
    connection.finish_sending().await;
    client.expect_close().await;
    client.send("still listening?").await;
    connection.read_until("still listening?").await;
}

#[tokio::test]
async fn what_the_server_sends_with_its_101_belongs_to_the_tunnel() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send(WEBSOCKET).await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection.send(format!("{SWITCHING}first frame")).await;
    assert_eq!(client.response().await.status(), 101);
    assert_eq!(client.read_some().await, b"first frame");
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_after_its_time_and_a_busy_one_is_not() {
    let server = ManualServer::start().await;
    // Shorter than a tunnel may be silent: these must no longer count.
    let weir = Weir::start(&simple(
        &[server.address()],
        r#"timeouts = { client = "100ms", http_request = "200ms", http_keep_alive = "100ms" }"#,
        r#"timeouts = { server = "100ms", tunnel = "600ms" }"#,
    ))
    .await;
    let (mut client, mut connection) = tunnelled(&server, &weir).await;
    let start = std::time::Instant::now();
    for _ in 0..5 {
        // The pace of a client that keeps the tunnel busy for longer than it may be silent.
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.send("ping").await;
        connection.read_until("ping").await;
    }
    let busy = start.elapsed();
    client.expect_close().await;
    let silent = start.elapsed() - busy;
    assert!(
        silent >= Duration::from_millis(500),
        "closed after {silent:?} of silence"
    );
    assert_eq!(connection.read_to_close().await, "");
    let line = weir.stdout_line("\"GET /chat HTTP/1.1\"").await;
    assert!(line.contains(" 101 ") && line.contains(" cD"), "{line}");
}

#[tokio::test]
async fn a_refused_upgrade_leaves_an_ordinary_connection() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send(WEBSOCKET).await;
    assert_eq!(client.response().await.status(), 200);
    let next = client.get("/next").await;
    assert_eq!(
        (next.status(), &next.echo()["target"]),
        (200, &"/next".into())
    );
}

#[tokio::test]
async fn what_was_sent_with_a_refused_upgrade_is_the_next_request_and_is_judged_as_one() {
    let origin = Origin::start("a").await;
    let deny = r#"filter = [{ plugin = "rules", config = { rule = [{ when = { path = { prefix = "/admin" } }, deny = 403 }] } }]"#;
    let weir = Weir::start(&simple(&[origin.address()], deny, "")).await;
    let mut client = weir.client().await;
    client
        .send(format!("{WEBSOCKET}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"))
        .await;
    assert_eq!(client.response().await.status(), 200);
    assert_eq!(client.response().await.status(), 403);
    let targets: Vec<_> = origin.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/chat"]);
}

#[tokio::test]
async fn nothing_that_follows_an_upgrade_is_sent_before_the_server_agrees() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send(format!(
            "{WEBSOCKET}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        ))
        .await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection
        .send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 426);
    assert_eq!(connection.read_to_close().await, "");
    let mut next = server.accept().await;
    assert!(next.read_head().await.starts_with("GET /hidden "));
}

#[tokio::test]
async fn an_upgrade_to_http_2_in_clear_text_is_not_offered() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let fields = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ];
    let response = weir.get_with("/", &fields).await;
    assert_eq!(response.status(), 200);
    for name in ["upgrade", "connection", "http2-settings"] {
        assert!(response.forwarded(name).is_empty(), "{name} was forwarded");
    }
}

#[tokio::test]
async fn a_list_of_protocols_with_http_2_in_it_is_not_forwarded() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    for list in [
        "websocket, h2c",
        "h2c, websocket",
        "h2c,h2c",
        "h2",
        "TLS/1.2, H2C",
    ] {
        let response = weir
            .get_with("/", &[("Connection", "Upgrade"), ("Upgrade", list)])
            .await;
        let forwarded = response.forwarded("upgrade").join(",").to_lowercase();
        assert!(
            !forwarded.contains("h2"),
            "{list:?} was forwarded as {forwarded:?}"
        );
    }
}

#[tokio::test]
async fn an_http_1_0_client_cannot_upgrade() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.status(), 200);
    assert!(response.forwarded("upgrade").is_empty());
}

#[tokio::test]
async fn a_request_with_a_body_does_not_upgrade() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    let fields = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let response = client.request("POST", "/", &fields, b"body").await;
    assert!(response.forwarded("upgrade").is_empty());
    assert_eq!(response.echo()["body"], "body");
}

#[tokio::test]
async fn upgrade_without_connection_is_not_an_upgrade() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::upgrade("websocket"));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let response = weir.get_with("/", &[("Upgrade", "websocket")]).await;
    assert_eq!(response.status(), 502, "a 101 that nobody asked for");
}

#[tokio::test]
async fn a_client_that_is_lost_takes_the_servers_end_of_the_tunnel_with_it() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let (client, mut connection) = tunnelled(&server, &weir).await;
    drop(client);
    assert_eq!(connection.read_to_close().await, "");
    let (mut client, connection) = tunnelled(&server, &weir).await;
    connection.reset();
    assert_eq!(client.read_to_close().await, b"");
}
