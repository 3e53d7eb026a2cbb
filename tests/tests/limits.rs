//! How much is let in: per backend, with a queue, and per client.

use std::{net::Ipv4Addr, time::Duration};

use weir_tests::{Answer, Client, Origin, Reload, Weir, eventually, simple};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_backend_runs_as_many_requests_as_it_may_and_the_rest_waits_in_order() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    for origin in [&a, &b] {
        origin.answer(Answer::echo().after(Duration::from_millis(400)));
    }
    let config = simple(&[a.address(), b.address()], "", "max_connections = 1");
    let weir = Weir::start(&format!("watch = false\n{config}")).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = weir.client().await;
        client.send(GET).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.response().await.status(), 200);
    }
    // One after the other, though there are two servers with room.
    let line = weir.stdout_line(" 200 ").await;
    assert!(!line.is_empty());
    let waited = weir
        .stdout()
        .iter()
        .filter(|line| !line.contains(" 0/0/"))
        .count();
    assert!(waited >= 2, "{:?}", weir.stdout());

    // A reload gives more room.
    weir.write_config(&format!(
        "watch = false\n{}",
        config.replace("max_connections = 1", "max_connections = 2\nmax_queue = 0")
    ));
    assert_eq!(weir.reload().await, Reload::Loaded);
    let before = a.requests().len() + b.requests().len();
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut client = weir.client().await;
        client.send(GET).await;
        running.push(client);
    }
    eventually("two at once", async || {
        (a.requests().len() + b.requests().len() == before + 2).then_some(())
    })
    .await;
    assert_eq!(weir.get("/").await.status(), 503, "nobody may wait now");
    for client in &mut running {
        assert_eq!(client.response().await.status(), 200);
    }
}

#[tokio::test]
async fn waiting_for_room_in_a_backend_ends_with_503() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::echo().after(Duration::from_secs(2)));
    let backend = "max_connections = 1\ntimeouts = { queue = \"100ms\" }";
    let weir = Weir::start(&simple(&[origin.address()], "", backend)).await;
    let mut first = weir.client().await;
    first.send(GET).await;
    eventually("the first being served", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    assert_eq!(weir.get("/").await.status(), 503);
    let line = weir.stdout_line(" 503 ").await;
    assert!(line.contains(" sQ-- "), "{line}");
    assert_eq!(first.response().await.status(), 200);
}

#[tokio::test]
async fn a_client_with_too_many_connections_is_refused_and_others_are_not() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "max_connections_per_client = 2", "");
    let weir = Weir::start(&format!("workers = 2\n{config}")).await;
    let address = weir.address("web");
    let greedy = Ipv4Addr::new(127, 0, 0, 2);
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect_from(greedy, address).await;
        assert_eq!(client.get("/").await.status(), 200);
        kept.push(client);
    }
    let mut third = Client::connect_from(greedy, address).await;
    third.expect_close().await;
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 3), address).await;
    assert_eq!(other.get("/").await.status(), 200);

    kept.pop();
    eventually("room for another", async || {
        let mut again = Client::connect_from(greedy, address).await;
        // A refused client sees a close, perhaps as a reset.
        again.try_send(GET).await.ok()?;
        again.response_or_close().await.map(drop)
    })
    .await;
}
