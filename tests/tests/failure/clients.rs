//! Clients that are slow, silent, or gone.

use std::time::Instant;

use weir_tests::{Answer, Origin, Weir, eventually, simple};

use super::ms;

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_gets_408() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_request = "300ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let start = Instant::now();
        let mut client = weir.client().await;
        client.send(beginning).await;
        assert_eq!(client.response().await.status(), 408, "{beginning:?}");
        client.expect_close().await;
        assert!(
            (ms(250)..ms(3000)).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
    }
    let line = weir.stdout_line(" 408 ").await;
    assert!(line.contains(" cR-- "), "{line}");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_gets_408_and_the_server_no_request() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { client = "300ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    assert_eq!(client.response().await.status(), 408);
    client.expect_close().await;
    assert_eq!(origin.requests().len(), 0);
    let line = weir.stdout_line(" 408 ").await;
    assert!(line.contains(" cD-- "), "{line}");
}

#[tokio::test]
async fn a_client_that_sends_its_body_slowly_but_steadily_is_served() {
    let origin = Origin::start("a").await;
    let frontend = r#"timeouts = { client = "400ms", http_request = "400ms" }"#;
    let backend = r#"timeouts = { server = "400ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], frontend, backend)).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        .await;
    for _ in 0..20 {
        // The client's pace: longer in all than any of the limits.
        tokio::time::sleep(ms(50)).await;
        client.send("x").await;
    }
    assert_eq!(client.response().await.echo()["body"], "x".repeat(20));
}

#[tokio::test]
async fn an_idle_client_is_closed_without_a_word() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_keep_alive = "200ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.get("/").await;
    client.expect_close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_dripping_clients_is_cut_off_while_others_are_served() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_request = "1s" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let begun = Instant::now();
    let mut drips = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = weir.client().await;
        drips.spawn(async move {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
            let mut count = 0;
            // Each byte is progress, and none of it buys more time.
            while client.try_send("X").await.is_ok() && count < 200 {
                count += 1;
                tokio::time::sleep(ms(50)).await;
            }
            count
        });
    }
    let mut slowest = ms(0);
    while begun.elapsed() < ms(900) {
        let start = Instant::now();
        assert_eq!(weir.get("/").await.status(), 200);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < ms(2000), "others waited {slowest:?}");
    while let Some(count) = drips.join_next().await {
        assert!(count.unwrap() < 200, "a dripping client was never cut off");
    }
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let origin = Origin::start("a").await;
    let pool = r#"pool = { idle_timeout = "100ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], "", pool)).await;
    weir.get("/").await;
    let before = weir.descriptors();
    origin.answer(Answer::body("late").after(ms(20)));
    for number in 0..100 {
        let mut client = weir.client().await;
        match number % 4 {
            0 => {}
            1 => client.send("GET / HT").await,
            2 => client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await,
            _ => {
                client
                    .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
                    .await
            }
        }
    }
    eventually("as few descriptors as before", async || {
        (weir.descriptors() <= before + 4).then_some(())
    })
    .await;
}
