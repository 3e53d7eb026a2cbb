//! HTTP/2, with clients and servers that others wrote.

mod abuse;
mod front;
mod grpc;
mod secure;
mod servers;
mod websocket;

use std::net::SocketAddr;

use weir_tests::{Weir, simple};

/// A proxy that speaks HTTP/2 and 1 in clear text, before these servers.
async fn both(servers: &[SocketAddr], frontend: &str, backend: &str) -> Weir {
    Weir::start(&config(servers, frontend, backend)).await
}

fn config(servers: &[SocketAddr], frontend: &str, backend: &str) -> String {
    simple(servers, frontend, backend).replace(
        "bind = [\"127.0.0.1:0\"]",
        "bind = [{ address = \"127.0.0.1:0\", protocols = [\"h2\", \"http/1.1\"] }]",
    )
}

fn url(weir: &Weir, target: &str) -> String {
    format!("http://{}{target}", weir.address("web"))
}
