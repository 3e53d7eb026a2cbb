//! `examples/source-hash` and `examples/uri-hash`

use std::{collections::BTreeMap, net::Ipv4Addr};

use weir_tests::{Client, Origin, Weir, eventually};

use crate::set_up::{Example, origins};

const ADDRESSES: [&str; 3] = ["127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003"];

async fn start(example: &str) -> (Weir, [Origin; 3]) {
    let servers = origins(["server1", "server2", "server3"]).await;
    let weir = Example::named(example)
        .listening("*:8080")
        .with("2s", "500ms")
        .with_servers(&ADDRESSES, &servers)
        .start()
        .await;
    (weir, servers)
}

/// Key by key the server that it has.
type Mapping = BTreeMap<String, String>;

async fn by_client_address(weir: &Weir) -> Mapping {
    let mut mapping = Mapping::new();
    for last in 1..=40 {
        let source = Ipv4Addr::new(127, 0, 0, last);
        let mut client = Client::connect_from(source, weir.address("http_front")).await;
        let response = client.get("/").await;
        mapping.insert(source.to_string(), response.origin().to_owned());
    }
    mapping
}

async fn by_path(weir: &Weir) -> Mapping {
    let (mut mapping, mut client) = (Mapping::new(), weir.client().await);
    for number in 0..40 {
        let path = format!("/films/{number}");
        let response = client.get(&path).await;
        mapping.insert(path, response.origin().to_owned());
    }
    mapping
}

/// Takes server2 away and back, and looks where the keys go meanwhile.
async fn only_keys_of_a_lost_server_move(
    weir: &Weir,
    server2: &mut Origin,
    map: impl AsyncFn(&Weir) -> Mapping,
) {
    let before = map(weir).await;
    for server in ["server1", "server2", "server3"] {
        let share = before.values().filter(|name| *name == server).count();
        assert!((4..=24).contains(&share), "{server} has {share} of 40 keys");
    }

    server2.stop().await;
    weir.stdout_line("Server servers/server2 is DOWN").await;
    let without = map(weir).await;
    for (key, server) in &before {
        match server.as_str() {
            "server2" => assert_ne!(without[key], "server2", "{key}"),
            _ => assert_eq!(
                &without[key], server,
                "{key} has nothing to do with server2"
            ),
        }
    }

    server2.restart().await;
    weir.stdout_line("Server servers/server2 is UP").await;
    eventually("every key at its old server", async || {
        (map(weir).await == before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_address_keeps_its_server() {
    let (weir, _servers) = start("source-hash").await;
    let first = by_client_address(&weir).await;
    assert_eq!(by_client_address(&weir).await, first);
}

#[tokio::test]
async fn only_clients_of_a_lost_server_move_and_they_come_back() {
    let (weir, [_server1, mut server2, _server3]) = start("source-hash").await;
    only_keys_of_a_lost_server_move(&weir, &mut server2, by_client_address).await;
}

#[tokio::test]
async fn a_path_keeps_its_server_whatever_the_query_and_the_client() {
    let (weir, _servers) = start("uri-hash").await;
    let first = by_path(&weir).await;
    for (path, server) in &first {
        for query in ["", "?q=1", "?q=2&r", "?"] {
            let response = weir.get(&format!("{path}{query}")).await;
            assert_eq!(response.origin(), server, "{path}{query}");
        }
    }
    let other_client = Ipv4Addr::new(127, 0, 0, 9);
    let mut client = Client::connect_from(other_client, weir.address("http_front")).await;
    for (path, server) in &first {
        assert_eq!(client.get(path).await.origin(), server, "{path}");
    }
}

#[tokio::test]
async fn only_paths_of_a_lost_server_move_and_they_come_back() {
    let (weir, [_server1, mut server2, _server3]) = start("uri-hash").await;
    only_keys_of_a_lost_server_move(&weir, &mut server2, by_path).await;
}
