//! `examples/remote-by-path`: both machines, the other one being 127.0.0.2.

use weir_tests::{Origin, Weir};

use crate::set_up::{Example, origins};

async fn start_a() -> (Weir, [Origin; 3]) {
    let servers = origins(["app3", "app4", "default"]).await;
    let weir = Example::named("remote-by-path")
        .listening("*:80")
        .with_servers(
            &["10.0.0.2:8080", "10.0.0.2:8081", "127.0.0.1:8000"],
            &servers,
        )
        .with("10.0.0.2", "127.0.0.2")
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn paths_go_to_the_other_machines_applications_and_the_rest_stays_here() {
    let (weir, _servers) = start_a().await;
    for (target, server) in [
        ("/app3", "app3"),
        ("/app3/x?y", "app3"),
        ("/app4/", "app4"),
        ("/app44", "app4"),
        ("/", "default"),
        ("/app", "default"),
        ("/x/app3", "default"),
        ("/App3", "default"),
    ] {
        let response = weir.get(target).await;
        assert_eq!(response.origin(), server, "{target}");
        assert_eq!(response.echo()["target"], target, "nothing is cut off");
    }
}

#[tokio::test]
async fn a_request_passes_both_proxies_at_the_port_that_the_client_used() {
    let (machine_a, _servers) = start_a().await;
    let port = machine_a.address("http-in").port();
    let behind_b = Origin::start("behind-b").await;
    let machine_b = Example::file("remote-by-path", "machine-b.toml")
        .with("10.0.0.2:80", format_args!("127.0.0.2:{port}"))
        .with("127.0.0.1:8000", behind_b.address())
        .start()
        .await;

    let response = machine_a.get("/remote/some/resource?q").await;
    assert_eq!(response.origin(), "behind-b");
    assert_eq!(response.echo()["target"], "/remote/some/resource?q");
    machine_b.stdout_line("http-in default/default").await;
    machine_a.stdout_line("http-in remote/remote").await;
}
