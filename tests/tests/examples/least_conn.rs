//! `examples/least-conn`

use std::time::Duration;

use weir_tests::{Answer, Origin, Weir, eventually};

use crate::set_up::{Example, origins, reached};

const ADDRESSES: [&str; 3] = ["127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003"];

async fn start() -> (Weir, [Origin; 3]) {
    let servers = origins(["server1", "server2", "server3"]).await;
    let weir = Example::named("least-conn")
        .listening("*:8080")
        .with_servers(&ADDRESSES, &servers)
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn equals_take_turns() {
    let (weir, _servers) = start().await;
    assert_eq!(
        reached(&weir, 24).await,
        ["server1", "server2", "server3"].repeat(8)
    );
}

#[tokio::test]
async fn of_twelve_requests_at_a_time_the_slow_servers_get_one_each() {
    let (weir, [server1, server2, server3]) = start().await;
    for slow in [&server1, &server3] {
        slow.answer(Answer::echo().after(Duration::from_secs(60)));
    }
    let (mut client, mut held) = (weir.client().await, Vec::new());
    for sent in 1..=12 {
        let fast_before = server2.requests().len();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
        let all = || server1.requests().len() + server2.requests().len() + server3.requests().len();
        eventually("the request at a server", async || {
            (all() == sent).then_some(())
        })
        .await;
        if server2.requests().len() > fast_before {
            assert_eq!(client.response().await.origin(), "server2");
        } else {
            held.push(std::mem::replace(&mut client, weir.client().await));
        }
    }
    let counts = [&server1, &server2, &server3].map(|server| server.requests().len());
    assert_eq!(counts, [1, 10, 1]);
}
