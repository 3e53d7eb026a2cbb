//! Listeners and servers of other kinds: paths, descriptors, ranges of ports.

use std::net::TcpListener;

use weir_tests::{Client, Origin, Weir, closed_port, eventually, fill, simple};

#[tokio::test]
async fn a_unix_socket_is_listened_on_and_connected_to() {
    let origin = Origin::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("inner.sock");
    let config = fill(
        r#"
        [[frontend]]
        name = "outer"
        bind = ["127.0.0.1:0"]
        default_backend = "inner"
        [[frontend]]
        name = "inner"
        bind = ["unix:@socket@"]
        default_backend = "apps"
        forwarded_for = true
        [[backend]]
        name = "inner"
        server = [{ name = "inner", address = "unix:@socket@" }]
        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
        "#,
        &[("socket", &socket.display()), ("a", &origin.address())],
    );
    let weir = Weir::start(&config).await;
    let response = weir.client_of("outer").await.get("/").await;
    assert_eq!(response.origin(), "a");
    let mut client = Client::connect_unix(&socket).await.unwrap();
    let response = client.get("/").await;
    assert_eq!(response.origin(), "a");
    assert!(
        response.forwarded("x-forwarded-for").is_empty(),
        "a Unix socket has no address"
    );
    weir.terminate();
    assert!(weir.exited().await.status.success());
    assert!(!socket.exists(), "the socket's file goes with the proxy");
}

#[tokio::test]
async fn a_descriptor_that_was_opened_for_the_proxy_is_listened_on() {
    use std::os::fd::AsRawFd;
    let origin = Origin::start("a").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let config = simple(&[origin.address()], "", "")
        .replace("127.0.0.1:0", &format!("fd@{}", listener.as_raw_fd()));
    let weir = Weir::start(&config).await;
    assert_eq!(weir.address("web"), listener.local_addr().unwrap());
    assert_eq!(weir.get("/").await.origin(), "a");
}

#[tokio::test]
async fn every_port_of_a_range_is_listened_on() {
    let origin = Origin::start("a").await;
    // The second port may be somebody else's; then another pair is tried.
    let weir = eventually("two free ports side by side", async || {
        let port = closed_port().port();
        let range = format!("127.0.0.1:{port}-{}", port.checked_add(1)?);
        let config = simple(&[origin.address()], "", "").replace("127.0.0.1:0", &range);
        Weir::builder().try_start(&config).await.ok()
    })
    .await;
    let addresses = weir.addresses("web").to_vec();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        let mut client = Client::connect(address.parse().unwrap()).await;
        assert_eq!(client.get("/").await.origin(), "a");
    }
}

#[tokio::test]
async fn a_server_without_a_port_is_asked_at_the_port_that_the_client_asked() {
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "same"
        [[backend]]
        name = "same"
        server = [{ name = "same", address = "127.0.0.2" }]
        "#,
        &[],
    ))
    .await;
    let address = format!("127.0.0.2:{}", weir.address("web").port());
    let origin = Origin::start_at("a", address.parse().unwrap()).await;
    assert_eq!(weir.get("/").await.origin(), origin.name());
}
