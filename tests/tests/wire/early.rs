//! Expect, answers for now, and answers before the request is over.

use weir_tests::{After, Answer, ManualServer, Origin, Weir, simple};

use super::{MIB, pattern};

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
