//! Servers that connect and then fail: silent, closed, reset, dead.

use std::time::Instant;

use weir_tests::{After, Answer, Origin, Weir, simple};

use super::ms;

#[tokio::test]
async fn a_server_that_closes_or_resets_without_an_answer_is_a_502() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    for after in [After::Close, After::Reset] {
        origin.answer(Answer::nothing().then(after));
        let response = weir.get("/").await;
        assert_eq!(response.status(), 502, "{after:?}");
    }
    assert_eq!(
        origin.requests().len(),
        2,
        "a fresh connection is not worth a second try"
    );
    let line = weir.stdout_line(" 502 ").await;
    assert!(line.contains(" SH-- "), "{line}");
}

#[tokio::test]
async fn a_silent_server_is_a_504_after_the_server_timeout() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"timeouts = { server = "300ms" }"#,
    ))
    .await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.status(), 504);
    assert!(
        (ms(300)..ms(3000)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    let line = weir.stdout_line(" 504 ").await;
    assert!(line.contains(" sH-- "), "{line}");
}

#[tokio::test]
async fn a_server_that_fails_does_not_cost_the_client_its_connection() {
    let origin = Origin::start("a").await;
    let backend = r#"timeouts = { server = "200ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], "", backend)).await;
    let mut client = weir.client().await;
    for (answer, status) in [
        (Answer::nothing(), 502),
        (Answer::bytes("SSH-2.0-OpenSSH_9.2\r\n"), 502),
        (Answer::nothing().then(After::Hang), 504),
        (Answer::echo(), 200),
    ] {
        origin.answer(answer);
        let response = client.get("/").await;
        assert_eq!(
            (response.status(), response.header("connection")),
            (status, None)
        );
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_in_its_answer_is_cut_off() {
    let origin = Origin::start("a").await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    origin.answer(Answer::bytes(answer).then(After::Hang));
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"timeouts = { server = "300ms" }"#,
    ))
    .await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.read_to_close().await.ends_with(b"half"));
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(line.contains(" sD-- "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_downloads_cuts_them_all_off_visibly() {
    let mut origin = Origin::start("a").await;
    let half = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(500_000)
    );
    origin.answer(Answer::bytes(half).then(After::Hang));
    let weir = Weir::start(&simple(&[origin.address()], "", "retries = 0")).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = weir.client().await;
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        assert!(client.read_some().await.starts_with(b"HTTP/1.1 200 OK"));
    }
    origin.stop().await;
    for client in &mut clients {
        let rest = client.read_to_close().await;
        assert!(rest.len() < 500_000, "{} bytes", rest.len());
    }
    assert_eq!(weir.get("/").await.status(), 503);
    origin.answer(Answer::echo());
    origin.restart().await;
    assert_eq!(weir.get("/").await.status(), 200);
}
