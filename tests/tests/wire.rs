//! HTTP/1 through the running proxy, byte by byte: framing, connections and fields on both sides.

use std::{net::TcpListener, time::Duration};

use weir_tests::{
    After, Answer, Client, ManualServer, Origin, Response, Weir, closed_port, eventually, fill,
    simple,
};

const MIB: usize = 1024 * 1024;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| b'a' + (n % 23) as u8).collect()
}

// Connections and pipelining

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

// HTTP/1.0

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
    let limit = Some(weir_tests::DEADLINE);
    client.set_read_timeout(limit).expect("a limit can be set");
    client
}

// Answers without bodies, and bodies of every kind

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

fn chunked(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    for chunk in body.chunks(70_001) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
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

// Expect, interim and early answers

#[tokio::test]
async fn the_server_answers_expect_100_continue() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status(), 100);
    client.send("body").await;
    let response = client.response().await;
    assert_eq!(
        (response.status(), &response.echo()["body"]),
        (200, &"body".into())
    );
    assert_eq!(response.forwarded("expect"), ["100-continue"]);
    assert_eq!(client.get("/next").await.status(), 200);
}

#[tokio::test]
async fn a_body_that_the_server_refuses_is_not_taken_for_a_request() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::status(403).before_the_body());
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            hidden.len()
        ))
        .await;
    let response = client.response().await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.header("connection"), Some("close"));
    // The proxy may have closed already.
    let _ = client.try_send(hidden).await;
    client.expect_close().await;
    let mut next = weir.client().await;
    origin.answer(Answer::echo());
    assert_eq!(next.get("/next").await.echo()["target"], "/next");
    assert!(origin.requests().iter().all(|r| r.target != "/hidden"));
    assert_eq!(
        origin.connections(),
        2,
        "a connection that is owed a body is not used again"
    );
}

#[tokio::test]
async fn interim_answers_reach_clients_of_http_1_1_only() {
    let origin = Origin::start("a").await;
    origin.answer(
        Answer::bytes(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
        .then(After::KeepAlive),
    );
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let hints = client.response().await;
    assert_eq!(
        (hints.status(), hints.header("link")),
        (103, Some("</a.css>"))
    );
    assert_eq!(client.response().await.status(), 102);
    assert_eq!(client.response().await.text(), "ok");

    let mut old = weir.client().await;
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert_eq!(old.response().await.status(), 200);
}

#[tokio::test]
async fn a_server_that_only_ever_answers_for_now_is_given_up() {
    let origin = Origin::start("a").await;
    let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000);
    origin.answer(Answer::bytes(endless).then(After::KeepAlive));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut interim = 0;
    let last = loop {
        match client.response().await.status() {
            102 => interim += 1,
            last => break last,
        }
    };
    assert_eq!((interim, last), (32, 502));
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_body_closes_both_connections() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::status(413).before_the_body().then(After::Hang));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nthe beginning")
        .await;
    let response = client.response().await;
    assert_eq!(response.status(), 413);
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_close().await;
    origin.answer(Answer::echo());
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_body_sent_after_the_head_of_an_answer_still_arrives() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
        .await;
    let mut connection = server.accept().await;
    connection.read_until("01234").await;
    connection
        .send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfirst ")
        .await;
    client.send("56789").await;
    connection.read_until("56789").await;
    connection.send("ok").await;
    assert_eq!(client.response().await.text(), "first ok");
}

#[tokio::test]
async fn a_server_that_refuses_an_upload_and_closes_is_still_heard() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::status(413).before_the_body().then(After::Close));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    for _ in 0..10 {
        let mut client = weir.client().await;
        let upload = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            8 * MIB
        );
        client.send(upload).await;
        // The proxy stops taking it somewhere on the way.
        let _ = client.try_send(pattern(256 * 1024)).await;
        let response = client.response().await;
        assert_eq!(response.status(), 413);
        assert_eq!(response.header("connection"), Some("close"));
    }
}

// A kept connection to a server that turns out to be closed

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

// Fields

#[tokio::test]
async fn the_clients_address_is_added_to_x_forwarded_for_unless_it_is_excepted() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "forwarded_for = true", "")).await;
    let response = weir.get_with("/", &[("X-Forwarded-For", "10.1.2.3")]).await;
    assert_eq!(
        response.forwarded("x-forwarded-for"),
        ["10.1.2.3", "127.0.0.1"]
    );

    let except = r#"forwarded_for = { header = "X-Real", except = ["127.0.0.0/8"] }"#;
    let weir = Weir::start(&simple(&[origin.address()], except, "")).await;
    assert!(weir.get("/").await.forwarded("x-real").is_empty());
}

#[tokio::test]
async fn fields_of_one_hop_end_there() {
    let origin = Origin::start("a").await;
    origin.answer(
        Answer::echo()
            .header("Connection", "X-Server-Hop")
            .header("X-Server-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("X-End", "kept"),
    );
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let fields = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "300"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("X-End", "kept"),
    ];
    let response = weir.get_with("/", &fields).await;
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
    ] {
        assert!(response.forwarded(name).is_empty(), "{name} was forwarded");
    }
    assert_eq!(response.forwarded("x-end"), ["kept"]);
    for name in ["connection", "x-server-hop", "keep-alive"] {
        assert_eq!(response.header(name), None, "{name} came back");
    }
    assert_eq!(response.header("x-end"), Some("kept"));
}

#[tokio::test]
async fn fields_keep_their_order_their_case_and_their_repetitions() {
    let origin = Origin::start("a").await;
    let answer = "HTTP/1.1 200 OK\r\nX-B: 1\r\nset-cookie: a=1\r\nX-b: 2\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    origin.answer(Answer::bytes(answer).then(After::KeepAlive));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let response = weir
        .get_with(
            "/",
            &[
                ("X-B", "1"),
                ("cookie", "a"),
                ("x-B", " 2\t"),
                ("X-Empty", ""),
            ],
        )
        .await;
    assert_eq!(String::from_utf8_lossy(&response.head.raw), answer);
    let seen = &origin.requests()[0].head.fields;
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-B", "cookie", "x-B", "X-Empty"]);
    assert_eq!(seen[3].1, "2");
}

#[tokio::test]
async fn a_request_has_an_id_that_the_server_and_the_log_both_have() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        "request_id_header = \"X-Request-Id\"",
        "",
    );
    let config = format!("log = [{{ to = \"stdout\", format = \"json\" }}]\n{config}");
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    let first = client.get("/").await.forwarded("x-request-id");
    let second = client.get("/").await.forwarded("x-request-id");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    weir.stdout_line(&format!("\"request_id\":\"{}\"", second[0]))
        .await;
}

// Listeners and servers of other kinds

#[tokio::test]
async fn a_unix_socket_is_listened_on_and_connected_to() {
    let origin = Origin::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("inner.sock");
    let config = fill(
        r#"
        [[frontend]]
        name = "outer"
        bind = ["127.0.0.1:0"]
        default_backend = "inner"
        [[frontend]]
        name = "inner"
        bind = ["unix:@socket@"]
        default_backend = "apps"
        forwarded_for = true
        [[backend]]
        name = "inner"
        server = [{ name = "inner", address = "unix:@socket@" }]
        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
        "#,
        &[("socket", &socket.display()), ("a", &origin.address())],
    );
    let weir = Weir::start(&config).await;
    let response = weir.client_of("outer").await.get("/").await;
    assert_eq!(response.origin(), "a");
    let mut client = Client::connect_unix(&socket).await.unwrap();
    let response = client.get("/").await;
    assert_eq!(response.origin(), "a");
    assert!(
        response.forwarded("x-forwarded-for").is_empty(),
        "a Unix socket has no address"
    );
    weir.terminate();
    assert!(weir.exited().await.status.success());
    assert!(!socket.exists(), "the socket's file goes with the proxy");
}

#[tokio::test]
async fn a_descriptor_that_was_opened_for_the_proxy_is_listened_on() {
    use std::os::fd::AsRawFd;
    let origin = Origin::start("a").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let config = simple(&[origin.address()], "", "")
        .replace("127.0.0.1:0", &format!("fd@{}", listener.as_raw_fd()));
    let weir = Weir::start(&config).await;
    assert_eq!(weir.address("web"), listener.local_addr().unwrap());
    assert_eq!(weir.get("/").await.origin(), "a");
}

#[tokio::test]
async fn every_port_of_a_range_is_listened_on() {
    let origin = Origin::start("a").await;
    // The second port may be somebody else's; then another pair is tried.
    let weir = eventually("two free ports side by side", async || {
        let port = closed_port().port();
        let range = format!("127.0.0.1:{port}-{}", port.checked_add(1)?);
        let config = simple(&[origin.address()], "", "").replace("127.0.0.1:0", &range);
        Weir::builder().try_start(&config).await.ok()
    })
    .await;
    let addresses = weir.addresses("web").to_vec();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        let mut client = Client::connect(address.parse().unwrap()).await;
        assert_eq!(client.get("/").await.origin(), "a");
    }
}

#[tokio::test]
async fn a_server_without_a_port_is_asked_at_the_port_that_the_client_asked() {
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "same"
        [[backend]]
        name = "same"
        server = [{ name = "same", address = "127.0.0.2" }]
        "#,
        &[],
    ))
    .await;
    let address = format!("127.0.0.2:{}", weir.address("web").port());
    let origin = Origin::start_at("a", address.parse().unwrap()).await;
    assert_eq!(weir.get("/").await.origin(), origin.name());
}

// Error pages and limits

#[tokio::test]
async fn error_pages_are_the_backends_else_the_frontends_else_the_built_in_ones() {
    let weir = Weir::builder()
        .file("down.html", "<p>down")
        .file("late.http", "HTTP/1.1 503 Later\r\nRetry-After: 9\r\n\r\nlater")
        .start(&fill(
            r#"
            [[frontend]]
            name = "web"
            bind = ["127.0.0.1:0"]
            default_backend = "none"
            error_pages = { 503 = "down.html" }
            [[frontend.filter]]
            plugin = "rules"
            config = { match.own = { path = { prefix = "/own" } }, match.no = { path = { prefix = "/no" } }, rule = [{ when = "own", use = "own" }, { when = "no", deny = 403 }] }
            [[backend]]
            name = "none"
            [[backend]]
            name = "own"
            error_pages = { 503 = "late.http" }
            "#,
            &[],
        ))
        .await;
    let page = weir.get("/").await;
    assert_eq!((page.status(), page.text().as_str()), (503, "<p>down"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    let own = weir.get("/own").await;
    assert_eq!((own.status(), own.text().as_str()), (503, "later"));
    assert_eq!(own.header("retry-after"), Some("9"));
    let built_in = weir.get("/no").await;
    assert_eq!((built_in.status(), built_in.body().len()), (403, 93));
    assert!(built_in.text().contains("403 Forbidden"), "{built_in:?}");
}

#[tokio::test]
async fn an_error_can_send_clients_elsewhere() {
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "none"
        error_pages = { 503 = { redirect = "https://status.example/" } }
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [{ when = { path = { prefix = "/moved" } }, use = "moved" }] }
        [[backend]]
        name = "none"
        [[backend]]
        name = "moved"
        error_pages = { 503 = { redirect = "/later", status = 308 } }
        "#,
        &[],
    ))
    .await;
    let page = weir.get("/").await;
    assert_eq!(page.status(), 302);
    assert_eq!(page.header("location"), Some("https://status.example/"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.body().len(), 0);
    let moved = weir.get("/moved").await;
    assert_eq!(moved.status(), 308);
    assert_eq!(moved.header("location"), Some("/later"));
    assert_eq!(moved.header("cache-control"), None, "it may be kept");
}

async fn refused(weir: &Weir, request: impl AsRef<[u8]>) -> Response {
    let mut client = weir.client().await;
    // The proxy may answer and close before it has everything.
    let _ = client.try_send(request).await;
    let response = client.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_close().await;
    response
}

#[tokio::test]
async fn what_is_larger_than_allowed_is_refused_and_never_forwarded() {
    let origin = Origin::start("a").await;
    let limits = r#"limits = { header_bytes = "2KiB", header_count = 10, uri_length = "300B", body = "100B" }"#;
    let weir = Weir::start(&simple(&[origin.address()], limits, "")).await;
    let long = "x".repeat(3000);
    for (request, status) in [
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10)),
            431,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..400]),
            414,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}",
                &long[..101]
            ),
            413,
        ),
    ] {
        assert_eq!(refused(&weir, &request).await.status(), status, "{request}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(origin.connections(), 0);
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_chunked_body_is_refused_once_it_exceeds_the_limit() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(
        &[origin.address()],
        r#"limits = { body = "100B" }"#,
        "",
    ))
    .await;
    let small = chunked("POST", "/", &pattern(100));
    let mut client = weir.client().await;
    client.send(small).await;
    assert_eq!(client.response().await.status(), 200);
    assert_eq!(
        refused(&weir, chunked("POST", "/", &pattern(101)))
            .await
            .status(),
        413
    );
    assert_eq!(
        origin.requests().len(),
        1,
        "a request that was cut off is no request"
    );
}

// Answers of the proxy's own, and the bodies that nobody reads

const NO_POST: &str = r#"filter = [{ plugin = "rules", config = { rule = [{ when = { method = "POST" }, deny = 403 }] } }]"#;

#[tokio::test]
async fn the_body_of_a_denied_request_is_skipped_if_it_is_there() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], NO_POST, "")).await;
    let mut client = weir.client().await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
            hidden.len()
        ))
        .await;
    assert_eq!(client.response().await.status(), 403);
    assert_eq!(client.response().await.echo()["target"], "/next");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_denied_request_whose_body_is_still_to_come_closes_the_connection() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], NO_POST, "")).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = weir.client().await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
            .await;
        let response = client.response().await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.header("connection"), Some("close"), "{framing}");
        let _ = client
            .try_send("GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        client.expect_close().await;
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_denied_head_request_gets_no_body() {
    let origin = Origin::start("a").await;
    let deny = NO_POST.replace("POST", "HEAD");
    let weir = Weir::start(&simple(&[origin.address()], &deny, "")).await;
    let mut client = weir.client().await;
    let response = client.request("HEAD", "/", &[], b"").await;
    assert_eq!(response.header("content-length"), Some("93"));
    assert_eq!(client.get("/").await.status(), 200);
}

// Servers of HTTP/1.0

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

// Memory

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

// Slow receivers

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
