//! `examples/random-draws`

use std::{collections::BTreeMap, time::Duration};

use weir_tests::{Answer, Client, Origin, Weir};

use crate::set_up::{Example, origins};

const ADDRESSES: [&str; 3] = ["127.0.0.1:5001", "127.0.0.1:5002", "127.0.0.1:5003"];

async fn start() -> (Weir, [Origin; 3]) {
    let servers = origins(["server1", "server2", "server3"]).await;
    let weir = Example::named("random-draws")
        .listening("*:8080")
        .with_servers(&ADDRESSES, &servers)
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn idle_servers_get_about_as_much_but_in_no_order() {
    let (weir, _servers) = start().await;
    let mut client = weir.client().await;
    let (mut counts, mut order) = (BTreeMap::<String, u32>::new(), Vec::new());
    for _ in 0..300 {
        let server = client.get("/").await.origin().to_owned();
        *counts.entry(server.clone()).or_default() += 1;
        order.push(server);
    }
    assert_eq!(counts.len(), 3);
    // Three standard deviations of 300 draws are 24.5.
    assert!(
        counts.values().all(|count| (75..=125).contains(count)),
        "{counts:?}"
    );
    let repeats = order.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(
        (60..=140).contains(&repeats),
        "a rotation has none, chance 100: {repeats}"
    );
}

#[tokio::test]
async fn a_server_that_is_slow_is_mostly_spared() {
    let (weir, [server1, server2, server3]) = start().await;
    server1.answer(Answer::echo().after(Duration::from_secs(60)));
    let (mut client, mut held) = (weir.client().await, Vec::<Client>::new());
    for sent in 1..=60 {
        let before = server1.requests().len();
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
        let all = || server1.requests().len() + server2.requests().len() + server3.requests().len();
        weir_tests::eventually("the request at a server", async || {
            (all() == sent).then_some(())
        })
        .await;
        if server1.requests().len() == before {
            assert_eq!(client.response().await.status(), 200);
        } else {
            held.push(std::mem::replace(&mut client, weir.client().await));
        }
    }
    // It gets a request where both draws are it: one in nine, about 7 of 60, and never a third.
    assert!((1..=14).contains(&held.len()), "{} of 60", held.len());
}
