//! Connections on both sides: requests one after the other, and versions of HTTP/1 that end them.

use std::time::Duration;

use weir_tests::{After, Answer, DEADLINE, ManualServer, Origin, Weir, eventually, simple};

use super::pattern;

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order_over_one_server_connection() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for target in ["/1", "/2", "/3"] {
        let response = client.get(target).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.echo()["target"], target);
        assert_eq!(response.header("connection"), None);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn pipelined_requests_with_and_without_bodies_are_answered_in_order() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
             POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nfirst\
             POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n\
             GET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    for (target, body) in [("/1", ""), ("/2", "first"), ("/3", "second"), ("/4", "")] {
        let response = client.response().await;
        assert_eq!(response.echo()["target"], target);
        assert_eq!(response.echo()["body"], body);
    }
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_one_request() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for byte in b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.send([*byte]).await;
    }
    assert_eq!(client.response().await.echo()["body"], "abc");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn connection_close_ends_the_connection_after_the_answer() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send(
            "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_close().await;
    assert_eq!(
        origin.requests().len(),
        1,
        "nothing after close is a request"
    );
    assert_eq!(
        origin.requests()[0].header("connection"),
        None,
        "the server's connection goes on"
    );
}

#[tokio::test]
async fn a_client_that_goes_on_sending_after_close_still_gets_its_whole_answer() {
    let origin = Origin::start("a").await;
    let body = pattern(200 * 1024);
    origin.answer(Answer::body(body.clone()).after(Duration::from_millis(100)));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    eventually("the request at the server", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    client.send("GET /more HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // Only read once the proxy is done: a reset would take away what is still on its way.
    weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(client.response().await.body() == body);
    client.expect_close().await;
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_closes_after_its_answer_does_not_close_the_clients_connection() {
    let origin = Origin::start("a").await;
    origin.answer(
        Answer::body("x")
            .header("Connection", "close")
            .then(After::Close),
    );
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for _ in 0..3 {
        let response = client.get("/").await;
        assert_eq!(
            (response.status(), response.header("connection")),
            (200, None)
        );
    }
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::body("late").after(Duration::from_millis(100)));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.finish_sending().await;
    assert_eq!(client.response().await.text(), "late");
    client.expect_close().await;
}

#[tokio::test]
async fn an_http_1_0_client_is_closed_after_its_answer_unless_it_asks_to_stay() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.header("connection"), Some("close"));
    client.expect_close().await;

    let mut client = weir.client().await;
    for _ in 0..2 {
        client
            .send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let response = client.response().await;
        assert_eq!(response.header("connection"), Some("keep-alive"));
        assert_eq!(response.echo()["version"], "HTTP/1.1");
    }
}

#[tokio::test]
async fn an_http_1_0_client_gets_a_chunked_answer_without_chunks_until_the_end() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::chunks(&[b"one ", b"two"]));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.text(), "one two");
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("connection"), Some("close"));
}

#[tokio::test]
async fn an_http_1_0_client_is_reset_when_a_chunked_answer_breaks_off() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = std_client(&weir);
    use std::io::{Read, Write};
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    drop(connection);
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).map(|_| bytes)
    });
    let error = read.await.unwrap().expect_err("an end would look complete");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// A client that can tell a reset from an end.
fn std_client(weir: &Weir) -> std::net::TcpStream {
    let client = std::net::TcpStream::connect(weir.address("web")).expect("the proxy listens");
    let limit = Some(DEADLINE);
    client.set_read_timeout(limit).expect("a limit can be set");
    client
}

#[tokio::test]
async fn a_server_of_http_1_0_is_asked_on_a_new_connection_unless_it_keeps_the_old_one() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let mut client = weir.client().await;
    for (fields, connections) in [("", 2), ("Connection: keep-alive\r\n", 3)] {
        let answer = format!("HTTP/1.0 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        origin.answer(Answer::bytes(answer.clone()).then(After::KeepAlive));
        for _ in 0..2 {
            let response = client.get("/").await;
            assert_eq!(response.text(), "ok");
            assert!(response.head.start_line.starts_with("HTTP/1.1 200"));
        }
        assert_eq!(origin.connections(), connections, "after {answer:?}");
    }
}

#[tokio::test]
async fn a_request_whose_body_is_still_to_come_is_sent_again_with_its_head() {
    let server = ManualServer::start().await;
    let config = simple(&[server.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let mut client = weir.client().await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut first = server.accept().await;
    first.read_head().await;
    first
        .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 200);

    client
        .send("PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        .await;
    let head = first.read_head().await;
    assert!(head.starts_with("PUT /2 "), "{head}");
    drop(first);
    let mut second = server.accept().await;
    let again = second.read_head().await;
    assert_eq!(again, head);
    client.send("body").await;
    second.read_until("body").await;
    second
        .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 201);
}
