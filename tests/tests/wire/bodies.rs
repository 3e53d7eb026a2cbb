//! Bodies of every kind and size, answers without one, and receivers that are slow.

use std::time::Duration;

use weir_tests::{After, Answer, ManualServer, Origin, Weir, eventually, simple};

use super::{MIB, chunked, pattern};

#[tokio::test]
async fn an_answer_to_head_has_the_length_but_no_body() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::body("hello"));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    let response = client.request("HEAD", "/", &[], b"").await;
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(client.get("/").await.text(), "hello");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn answers_204_and_304_end_with_their_heads() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for answer in [
        "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 400\r\n\r\n",
    ] {
        origin.answer(Answer::bytes(answer).then(After::KeepAlive));
        let response = client.get("/").await;
        assert!(answer.contains(&response.status().to_string()));
        assert_eq!(response.header("transfer-encoding"), None);
    }
    origin.answer(Answer::body("after"));
    assert_eq!(client.get("/").await.text(), "after");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn chunks_and_trailers_pass_in_both_directions() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n\
             3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n",
        )
        .await;
    let mut connection = server.accept().await;
    let head = connection.read_head().await.to_lowercase();
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert!(head.contains("te: trailers\r\n"), "{head}");
    let body = connection.read_until("\r\n\r\n").await;
    assert!(body.ends_with("0\r\nX-Sum: 7\r\n\r\n"), "{body}");
    assert!(!body.contains("ext"), "extensions end at this hop: {body}");
    connection
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nback\r\n0\r\nX-Done: yes\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.text(), "back");
    assert_eq!(response.trailers(), ["X-Done: yes"]);
}

#[tokio::test]
async fn large_bodies_pass_unchanged_in_both_directions() {
    let origin = Origin::start("a").await;
    let body = pattern(MIB);
    let sent = body.clone();
    origin.answer_with(move |request| match request.path() {
        "/length" => Answer::body(sent.clone()),
        _ => Answer::chunks(&sent.chunks(9_999).collect::<Vec<_>>()),
    });
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for target in ["/length", "/chunks"] {
        let response = client.request("POST", target, &[], &body).await;
        assert!(response.body() == body, "the answer to {target} changed");
        client.send(chunked("PUT", target, &body)).await;
        let response = client.response().await;
        assert!(response.body() == body, "the answer to {target} changed");
    }
    for request in origin.requests() {
        assert!(
            request.body == body,
            "a request to {} changed",
            request.target
        );
    }
    assert_eq!(origin.requests().len(), 4);
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_leaves_the_clients_open() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::bytes("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    for _ in 0..2 {
        let response = client.get("/").await;
        assert_eq!(response.text(), "until the end");
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    }
    assert_eq!(origin.connections(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_without_being_kept() {
    let origin = Origin::start("a").await;
    origin.forget_requests();
    let body = pattern(32 * MIB);
    let answer = Answer::body(body.clone());
    origin.answer(answer);
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    weir.get("/warm").await;
    let before = weir.memory();
    let mut transfers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (mut client, body) = (weir.client().await, body.clone());
        transfers.spawn(async move {
            let response = client.request("POST", "/", &[], &body).await;
            response.body() == body
        });
    }
    while let Some(same) = transfers.join_next().await {
        assert!(same.unwrap(), "a body changed");
    }
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 16 * MIB as u64, "{grown} bytes kept of 256 MiB");
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let origin = Origin::start("a").await;
    let body = pattern(16 * MIB);
    origin.answer(Answer::body(body.clone()));
    let config = simple(
        &[origin.address()],
        r#"timeouts = { client = "300ms" }"#,
        r#"timeouts = { server = "300ms" }"#,
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let mut received = 0;
    let mut since_pause = 0;
    loop {
        let bytes = client.read_some().await;
        if bytes.is_empty() {
            break;
        }
        received += bytes.len();
        since_pause += bytes.len();
        if since_pause > MIB {
            // The client's pace, and no wait for anything: longer in all than the time limits.
            tokio::time::sleep(Duration::from_millis(50)).await;
            since_pause = 0;
        }
    }
    assert!(received > body.len(), "cut off after {received} bytes");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_given_up_and_so_is_the_server() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::body(pattern(32 * MIB)));
    let config = simple(
        &[origin.address()],
        r#"timeouts = { client = "200ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(line.contains(" cD"), "{line}");
    eventually("the server's connection closed", async || {
        (origin.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_whose_body_is_wrong_before_anything_was_sent_is_a_bad_gateway() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection
        .send(format!("{HEAD}2\r\nhi\r\nno size\r\n"))
        .await;
    assert_eq!(client.response().await.status(), 502);
    weir.stdout_line("PH--").await;

    // The same client is told otherwise once it has been sent some of the answer.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection.send(format!("{HEAD}2\r\nhi\r\n")).await;
    let begun = client.read_some().await;
    assert!(begun.starts_with(b"HTTP/1.1 200 OK\r\n"));
    connection.send("no size\r\n").await;
    let rest = client.read_to_close().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    weir.stdout_line("PD--").await;
}
