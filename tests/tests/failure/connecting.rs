//! Connections to servers that cannot be made: how often, where, and when it is given up.

use std::time::Instant;

use weir_tests::{Origin, Weir, closed_port, simple};

use super::ms;

#[tokio::test]
async fn a_refused_connection_is_tried_again_as_often_as_told_and_then_is_a_503() {
    let backend = r#"
        retries = 2
        timeouts = { connect = "150ms" }
    "#;
    let weir = Weir::start(&simple(&[closed_port()], "", backend)).await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.status(), 503);
    let took = start.elapsed();
    assert!(
        (ms(300)..ms(3000)).contains(&took),
        "two pauses of the connect timeout, not {took:?}"
    );
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(line.contains(" 503 ") && line.contains(" SC-- "), "{line}");
    assert!(line.contains("/2 0/0 \"GET"), "two retries: {line}");
}

#[tokio::test]
async fn without_redispatch_the_chosen_server_is_the_only_one_tried() {
    let origin = Origin::start("b").await;
    let backend = r#"
        balance = "first"
        retries = 2
        timeouts = { connect = "20ms" }
    "#;
    let weir = Weir::start(&simple(&[closed_port(), origin.address()], "", backend)).await;
    assert_eq!(weir.get("/").await.status(), 503);
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn redispatch_at_the_last_retry_tries_the_same_server_before() {
    let origin = Origin::start("b").await;
    let backend = r#"
        balance = "first"
        retries = 3
        redispatch = "last-retry"
        timeouts = { connect = "100ms" }
    "#;
    let weir = Weir::start(&simple(&[closed_port(), origin.address()], "", backend)).await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.origin(), "b");
    let took = start.elapsed();
    assert!(
        (ms(200)..ms(2000)).contains(&took),
        "two pauses, not {took:?}"
    );
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(
        line.contains(" apps/s2 ") && line.contains("/+3 0/0"),
        "{line}"
    );
}

#[tokio::test]
async fn redispatch_always_goes_to_another_server_at_once() {
    let origin = Origin::start("b").await;
    let backend = r#"
        balance = "first"
        redispatch = "always"
        timeouts = { connect = "5s" }
    "#;
    let weir = Weir::start(&simple(&[closed_port(), origin.address()], "", backend)).await;
    let start = Instant::now();
    let response = weir.request("POST", "/", &[], b"body").await;
    assert_eq!(
        response.echo()["body"],
        "body",
        "nothing had been sent, so a POST may go on"
    );
    assert!(start.elapsed() < ms(900), "took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_connection_that_nobody_takes_times_out() {
    let full = FullBacklog::new();
    let backend = r#"
        retries = 1
        timeouts = { connect = "200ms" }
    "#;
    let weir = Weir::start(&simple(&[full.address], "", backend)).await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.status(), 503);
    let took = start.elapsed();
    assert!(
        (ms(400)..ms(3000)).contains(&took),
        "twice the connect timeout, not {took:?}"
    );
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(line.contains(" sC-- "), "{line}");
}

/// A listener that never accepts and whose backlog is full, so that the kernel leaves connecting clients
/// without an answer.
struct FullBacklog {
    address: std::net::SocketAddr,
    _listener: std::os::fd::OwnedFd,
    _fill: Vec<std::os::fd::OwnedFd>,
}

impl FullBacklog {
    fn new() -> Self {
        use rustix::net::{
            AddressFamily, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
        };
        let socket = || {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
        };
        let listener = socket();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        bind(&listener, &any).unwrap();
        listen(&listener, 0).unwrap();
        let address: std::net::SocketAddr = getsockname(&listener).unwrap().try_into().unwrap();
        let fill = (0..4).map(|_| {
            let client = socket();
            // In progress, and it stays so once the backlog is full.
            let _ = connect(&client, &address);
            client
        });
        let fill = fill.collect();
        Self {
            address,
            _listener: listener,
            _fill: fill,
        }
    }
}
