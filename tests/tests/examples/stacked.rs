//! `examples/stacked`: both machines, the other one being 127.0.0.2.

use weir_tests::Client;

use crate::set_up::{Example, origins};

#[tokio::test]
async fn the_second_proxy_and_its_applications_know_the_client() {
    let servers = origins(["default", "behind-b"]).await;
    let [default, behind_b] = &servers;
    let machine_a = Example::named("stacked")
        .listening("*:80")
        .with("127.0.0.1:8000", default.address())
        .with("10.0.0.2", "127.0.0.2")
        .start()
        .await;
    let port = machine_a.address("http-in").port();
    let machine_b = Example::file("stacked", "machine-b.toml")
        .with("10.0.0.2:80", format_args!("127.0.0.2:{port}"))
        .with("10.0.0.1", "127.0.0.0/8")
        .with("127.0.0.1:8000", behind_b.address())
        .start()
        .await;

    let mut client =
        Client::connect_from([127, 0, 0, 77].into(), machine_a.address("http-in")).await;
    let answer = client.get("/remote/x").await;
    assert_eq!(answer.origin(), "behind-b");
    let requests = behind_b.requests();
    assert_eq!(requests[0].header("x-forwarded-for"), Some("127.0.0.77"));
    machine_b.stdout_line("127.0.0.77:").await;
    assert_eq!(client.get("/").await.origin(), "default");
}
