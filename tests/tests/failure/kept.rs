//! Kept connections that turn out to be closed: what is sent again, and what never is.

use weir_tests::{Client, ManualConnection, ManualServer, Origin, Weir, eventually, simple};

/// A proxy with one worker, and a server connection that has served one request and is kept.
async fn with_kept_connection(server: &ManualServer) -> (Weir, Client, ManualConnection) {
    let config = simple(&[server.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let mut client = weir.client().await;
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut kept = server.accept().await;
    kept.read_head().await;
    kept.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
        .await;
    assert_eq!(client.response().await.text(), "first");
    (weir, client, kept)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_get_on_a_kept_connection_that_closes_is_sent_again_unnoticed() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_head().await;
    drop(kept);
    let mut fresh = server.accept().await;
    assert!(fresh.read_head().await.starts_with("GET /second "));
    fresh.send(OK).await;
    assert_eq!(client.response().await.text(), "ok");
}

#[tokio::test]
async fn a_request_is_sent_again_once_and_only_on_a_new_connection() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_head().await;
    drop(kept);
    let mut fresh = server.accept().await;
    fresh.read_head().await;
    drop(fresh);
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn a_post_is_never_sent_again() {
    let server = ManualServer::start().await;
    for body in [
        "Content-Length: 4\r\n\r\nbody",
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 4\r\n\r\n",
    ] {
        let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
        client
            .send(format!("POST /pay HTTP/1.1\r\nHost: a\r\n{body}"))
            .await;
        assert!(kept.read_head().await.starts_with("POST /pay "));
        drop(kept);
        assert_eq!(client.response().await.status(), 502);
    }
}

#[tokio::test]
async fn a_put_whose_body_has_begun_is_never_sent_again() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client
        .send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    kept.read_until("half").await;
    drop(kept);
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_before_is_not_used_even_for_a_post() {
    let server = ManualServer::start().await;
    let (_weir, mut client, kept) = with_kept_connection(&server).await;
    drop(kept);
    client
        .send("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    let mut fresh = server.accept().await;
    fresh.read_until("body").await;
    fresh.send(OK).await;
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn a_restarted_server_costs_no_request() {
    let mut origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = weir.client().await;
        assert_eq!(client.get("/").await.status(), 200);
        clients.push(client);
    }
    origin.restart().await;
    for (number, client) in clients.iter_mut().enumerate() {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(client.request(method, "/", &[], b"").await.status(), 200);
    }
}

#[tokio::test]
async fn idle_connections_to_servers_are_closed_after_their_time() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"pool = { idle_timeout = "100ms" }"#,
    ))
    .await;
    let mut client = weir.client().await;
    client.get("/").await;
    eventually("the idle connection closed", async || {
        (origin.open_connections() == 0).then_some(())
    })
    .await;
    assert_eq!(client.get("/").await.status(), 200);
}
