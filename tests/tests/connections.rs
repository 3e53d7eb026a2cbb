//! How many clients are let in.

use tokio::task::JoinSet;
use weir_tests::{Origin, Weir, fill};

async fn start(origin: &Origin, max_connections: usize) -> Weir {
    let text = r#"
        workers = 4
        max_connections = @most@

        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0", "127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
    "#;
    let values: [(&str, &dyn std::fmt::Display); 2] =
        [("most", &max_connections), ("a", &origin.address())];
    Weir::start(&fill(text, &values)).await
}

#[tokio::test]
async fn a_limit_of_one_lets_clients_in_one_after_the_other_wherever_they_arrive() {
    let origin = Origin::start("a").await;
    let weir = start(&origin, 1).await;
    for _ in 0..16 {
        assert_eq!(weir.get("/").await.status(), 200);
    }
}

#[tokio::test]
async fn who_comes_while_the_proxy_is_full_waits_and_is_served() {
    let origin = Origin::start("a").await;
    let weir = start(&origin, 1).await;
    let mut first = weir.client().await;
    assert_eq!(first.get("/first").await.status(), 200);
    let mut others = JoinSet::new();
    for number in 0..8 {
        let mut client = weir.client().await;
        client
            .send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        others.spawn(async move { client.response().await.status() });
    }
    assert_eq!(first.get("/still").await.status(), 200);
    assert_eq!(origin.requests().len(), 2, "nobody else was let in");
    drop(first);
    assert_eq!(others.join_all().await, [200; 8]);
}

#[tokio::test]
async fn the_log_counts_the_clients_that_are_there() {
    let origin = Origin::start("a").await;
    let weir = start(&origin, 100).await;
    let mut client = weir.client().await;
    client.get("/alone").await;
    let line = weir.stdout_line("/alone").await;
    assert!(line.contains(" 1/1/0/0/0 0/0 "), "{line}");
    let _second = weir.get("/two").await;
    let line = weir.stdout_line("/two").await;
    assert!(line.contains(" 2/2/0/0/0 0/0 "), "{line}");
}
