//! `examples/three-apps`

use weir_tests::{Origin, Weir};

use crate::set_up::{Example, NO_SERVER_PAGE, origins, reached};

const ADDRESSES: [&str; 3] = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"];

async fn start() -> (Weir, [Origin; 3]) {
    let servers = origins(["app1", "app2", "app3"]).await;
    let weir = Example::named("three-apps")
        .listening("*:80")
        .with_servers(&ADDRESSES, &servers)
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn instances_take_turns() {
    let (weir, _servers) = start().await;
    assert_eq!(reached(&weir, 24).await, ["app1", "app2", "app3"].repeat(8));
}

#[tokio::test]
async fn instances_take_turns_within_one_connection_too() {
    let (weir, _servers) = start().await;
    let mut client = weir.client().await;
    for turn in 0..9 {
        let wanted = ["app1", "app2", "app3"][turn % 3];
        assert_eq!(client.get("/").await.origin(), wanted);
    }
}

#[tokio::test]
async fn without_checks_a_dead_instance_keeps_its_turn() {
    let (weir, [_app1, mut app2, _app3]) = start().await;
    app2.stop().await;
    assert_eq!(weir.get("/").await.origin(), "app1");
    let began = std::time::Instant::now();
    let response = weir.get("/").await;
    assert_eq!(
        (response.status(), response.text().as_str()),
        (503, NO_SERVER_PAGE)
    );
    // Three more tries, a second before each.
    let took = began.elapsed().as_secs_f64();
    assert!((2.9..5.0).contains(&took), "it took {took} s");
    let line = weir.stdout_line(" 503 ").await;
    assert!(
        line.contains(" http-in servers/app2 ") && line.contains(" SC-- "),
        "{line}"
    );
    assert_eq!(reached(&weir, 2).await, ["app3", "app1"]);
}
