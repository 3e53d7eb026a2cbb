//! The harness itself, without a proxy: what tests rely on is tested where it can be seen alone.

use std::time::Duration;

use weir_tests::{After, Answer, Client, Load, Origin, closed_port, curl, eventually};

#[tokio::test]
async fn an_origin_says_its_name_and_what_it_was_asked() {
    let origin = Origin::start("web-a").await;
    let mut client = Client::connect(origin.address()).await;
    let response = client
        .request("POST", "/a?b", &[("X-Case", "Kept")], b"hello")
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.origin(), "web-a");
    assert_eq!(response.echo()["target"], "/a?b");
    assert_eq!(response.echo()["body"], "hello");
    assert_eq!(response.forwarded("x-case"), ["Kept"]);
    assert_eq!(origin.requests()[0].method, "POST");
}

#[tokio::test]
async fn a_connection_is_kept_and_counted_once() {
    let origin = Origin::start("a").await;
    let mut client = Client::connect(origin.address()).await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    assert_eq!((origin.connections(), origin.requests().len()), (1, 3));
    drop(client);
    eventually("the end of the connection", async || {
        (origin.open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_origin_answers_as_it_was_told() {
    let origin = Origin::start("a").await;
    let get = async || Client::connect(origin.address()).await.get("/").await;

    origin.answer(Answer::status(418).header("x-pot", "tea"));
    let response = get().await;
    assert_eq!(
        (response.status(), response.header("X-Pot"), response.body()),
        (418, Some("tea"), &b""[..])
    );

    origin.answer(Answer::chunks(&[b"one", b"two"]).trailer("x-sum", "6"));
    let response = get().await;
    assert_eq!(
        (response.text().as_str(), response.trailers()),
        ("onetwo", &["x-sum: 6".to_owned()][..])
    );

    origin.answer(Answer::bytes("HTTP/1.1 200 Fine\r\n\r\nuntil the end"));
    assert_eq!(get().await.text(), "until the end");
}

#[tokio::test]
async fn an_origin_can_fail_in_the_ways_servers_do() {
    let origin = Origin::start("a").await;
    for answer in [Answer::nothing(), Answer::nothing().then(After::Reset)] {
        origin.answer(answer);
        let mut client = Client::connect(origin.address()).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.response_or_close().await.is_none());
    }
}

#[tokio::test]
async fn a_tunnel_sends_everything_back() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::upgrade("websocket"));
    let mut client = Client::connect(origin.address()).await;
    let response = client
        .get_with("/", &[("Upgrade", "websocket"), ("Connection", "upgrade")])
        .await;
    assert_eq!(response.status(), 101);
    client.send("ping").await;
    assert_eq!(client.read_some().await, b"ping");
}

#[tokio::test]
async fn probes_are_told_apart_from_requests() {
    let origin = Origin::start("a").await;
    assert_eq!(
        Client::connect(origin.address())
            .await
            .get("/status")
            .await
            .status(),
        200
    );
    origin.set_healthy(false);
    assert_eq!(
        Client::connect(origin.address())
            .await
            .get("/status")
            .await
            .status(),
        503
    );
    assert_eq!((origin.probes(), origin.requests().len()), (2, 0));
}

#[tokio::test]
async fn a_stopped_origin_refuses_and_comes_back_at_its_address() {
    let mut origin = Origin::start("a").await;
    let mut client = Client::connect(origin.address()).await;
    client.get("/").await;
    origin.stop().await;
    client.expect_close().await;
    assert!(Client::try_connect(origin.address()).await.is_err());
    origin.restart().await;
    assert_eq!(
        Client::connect(origin.address())
            .await
            .get("/")
            .await
            .origin(),
        "a"
    );
    assert!(Client::try_connect(closed_port()).await.is_err());
}

#[tokio::test]
async fn curl_is_told_nothing_by_the_users_settings() {
    let origin = Origin::start("a").await;
    let output = curl(&[
        "-w",
        "%{http_code}",
        "-o",
        "/dev/null",
        &format!("http://{}/", origin.address()),
    ])
    .await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, "200"),
        "{}",
        output.stderr
    );
    assert_eq!(curl(&[&format!("http://{}/", closed_port())]).await.code, 7);
}

#[tokio::test]
async fn load_counts_what_it_sees() {
    let origin = Origin::start("a").await;
    let load = Load::start(origin.address(), 4, &["/"], Duration::ZERO);
    load.another(50).await;
    origin.answer(Answer::status(500));
    load.another(50).await;
    let report = load.stop().await;
    assert!(
        report.ok >= 50 && report.by_origin["a"] == report.ok + report.failed(),
        "{report:?}"
    );
    assert_eq!(report.failures.keys().collect::<Vec<_>>(), ["status 500"]);
}
