//! A proxy that is told to end.

use std::time::Instant;

use weir_tests::{After, Answer, Client, Origin, Weir, eventually, simple};

use super::ms;

#[tokio::test]
async fn a_proxy_told_to_end_takes_no_more_clients_and_lets_go_of_idle_ones() {
    let origin = Origin::start("a").await;
    origin.answer_with(|request| match request.path() {
        "/late" => Answer::body("late").after(ms(500)),
        _ => Answer::echo(),
    });
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let address = weir.address("web");
    let (mut idle, mut fresh, mut busy) = (
        weir.client().await,
        weir.client().await,
        weir.client().await,
    );
    idle.get("/").await;
    busy.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request at the server", async || {
        origin
            .requests()
            .iter()
            .any(|r| r.target == "/late")
            .then_some(())
    })
    .await;
    let start = Instant::now();
    weir.terminate();
    idle.expect_close().await;
    fresh.expect_close().await;
    eventually("new clients refused", async || {
        Client::try_connect(address).await.is_err().then_some(())
    })
    .await;
    let last = busy.response().await;
    assert_eq!(
        (last.text().as_str(), last.header("connection")),
        ("late", Some("close"))
    );
    busy.expect_close().await;
    drop((idle, fresh, busy));
    let exited = weir.exited().await;
    assert_eq!(exited.status.code(), Some(0));
    assert!(exited.stderr.contains("drained"), "{}", exited.stderr);
    let took = start.elapsed();
    assert!(took < ms(2400), "nobody is waited for: {took:?}");
}

#[tokio::test]
async fn draining_ends_at_its_limit() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let config = simple(&[origin.address()], "", "");
    let weir = Weir::start(&format!("drain_timeout = \"300ms\"\n{config}")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request at the server", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    weir.terminate();
    client.read_to_close().await;
    let exited = weir.exited().await;
    assert_eq!(exited.status.code(), Some(0));
    assert!(exited.stderr.contains("still open"), "{}", exited.stderr);
}
