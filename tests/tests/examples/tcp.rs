//! `examples/tcp`

use weir_tests::{Client, ManualServer, Weir};

use crate::set_up::Example;

async fn start() -> (Weir, [ManualServer; 4]) {
    let servers = [
        ManualServer::start().await,
        ManualServer::start().await,
        ManualServer::start().await,
        ManualServer::start().await,
    ];
    let addresses = [
        "127.0.0.1:15432",
        "127.0.0.1:25432",
        "127.0.0.1:9443",
        "127.0.0.1:9444",
    ];
    let example = Example::named("tcp")
        .listening("127.0.0.1:5432")
        .listening("127.0.0.1:8443");
    let pairs = addresses.iter().zip(&servers);
    let example = pairs.fold(example, |example, (address, server)| {
        example.with(address, server.address())
    });
    (example.start().await, servers)
}

#[tokio::test]
async fn a_client_of_the_database_stays_with_its_replica() {
    let (weir, [pg1, pg2, ..]) = start().await;
    let mut reached = Vec::new();
    for _ in 0..4 {
        let client = Client::connect(weir.address("postgres")).await;
        reached.push(tokio::select! {
            _ = pg1.accept() => 1,
            _ = pg2.accept() => 2,
        });
        drop(client);
    }
    assert!(
        reached.iter().all(|server| *server == reached[0]),
        "{reached:?}"
    );
}

#[tokio::test]
async fn who_says_no_hello_is_reset() {
    let (weir, _servers) = start().await;
    let mut client = Client::connect(weir.address("sites")).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    client.expect_close().await;
    weir.stdout_line("sites/<NOSRV>").await;
}
