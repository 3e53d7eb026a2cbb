//! `mode = "tcp"`: bytes that nobody looks into, passed on both ways; and who may connect at all.

#[path = "tcp/filters.rs"]
mod filters;
#[path = "tcp/life.rs"]
mod life;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use weir_tests::{Client, ManualServer, Weir, eventually};

/// A frontend and a backend that pass bytes on, with further lines of either.
fn tcp(servers: &[SocketAddr], frontend: &str, backend: &str) -> String {
    weir_tests::simple(
        servers,
        &format!("mode = \"tcp\"\n{frontend}"),
        &format!("mode = \"tcp\"\n{backend}"),
    )
}

/// Reads until so many bytes have come.
async fn read_exactly(client: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let some = client.read_some().await;
        assert!(
            !some.is_empty(),
            "the end after {} of {count} bytes",
            bytes.len()
        );
        bytes.extend(some);
    }
    bytes
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut mail = server.accept().await;
    mail.send("220 mail.example ESMTP\r\n").await;
    assert_eq!(
        read_exactly(&mut client, 24).await,
        b"220 mail.example ESMTP\r\n"
    );
    client.send("EHLO client\r\n").await;
    assert_eq!(mail.read_until("\r\n").await, "EHLO client\r\n");
    mail.send("250-mail.example\r\n250 PIPELINING\r\n").await;
    assert_eq!(read_exactly(&mut client, 34).await.len(), 34);
    client.send("QUIT\r\n").await;
    mail.read_until("QUIT\r\n").await;
    mail.send("221 Bye\r\n").await;
    drop(mail);
    assert_eq!(client.read_to_close().await, b"221 Bye\r\n");
}

/// The system would keep the connection back for 200 ms if the proxy were believed to have the first word.
#[tokio::test]
async fn a_server_hears_of_a_silent_client_at_once() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let began = Instant::now();
        let _client = weir.client().await;
        server.accept().await;
        quickest = quickest.min(began.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}

#[tokio::test]
async fn either_side_may_finish_first_while_the_other_goes_on() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.send("last words").await;
    client.finish_sending().await;
    assert_eq!(connection.read_to_close().await, "last words");
    connection.send("and the answer").await;
    drop(connection);
    assert_eq!(client.read_to_close().await, b"and the answer");

    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    connection.finish_sending().await;
    client.expect_close().await;
    client.send("still listening?").await;
    connection.read_until("still listening?").await;
}

#[tokio::test]
async fn much_passes_both_ways_at_once_unchanged() {
    const PIECES: usize = 64;
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    let piece =
        |of: usize| -> Vec<u8> { (0..256 * 1024).map(|n| (n * 7 + of) as u8 | 0x80).collect() };
    let upload = async {
        for of in 0..PIECES {
            client.send(piece(of)).await;
        }
        client.send("end").await;
        let mut read = Vec::new();
        for _ in 0..PIECES {
            let bytes = read_exactly(&mut client, 256 * 1024 - read.len()).await;
            read.extend(bytes);
            let rest = read.split_off(256 * 1024);
            assert!(read == vec![b'd'; 256 * 1024], "downloaded bytes differ");
            read = rest;
        }
    };
    let serve = async {
        // One after the other: what is tested is that each direction waits for its own reader alone.
        let download = vec![b'd'; 256 * 1024];
        let got = connection.read_until("end").await;
        for _ in 0..PIECES {
            connection.send(&download).await;
        }
        got
    };
    let ((), got) = tokio::join!(upload, serve);
    let expected: Vec<u8> = (0..PIECES).flat_map(piece).collect();
    assert_eq!(
        got.len(),
        String::from_utf8_lossy(&[&expected[..], b"end"].concat()).len()
    );
}

#[tokio::test]
async fn a_session_is_logged_as_haproxys_tcplog_has_it() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.send("ping").await;
    connection.read_until("ping").await;
    connection.send("pong!").await;
    drop(connection);
    assert_eq!(client.read_to_close().await, b"pong!");
    let port = client.local_address().port();
    drop(client);
    let line = weir.stdout_line(&format!("127.0.0.1:{port} [")).await;
    let (_, rest) = line.split_once("] ").expect("a date stands in brackets");
    let words: Vec<&str> = rest.split(' ').collect();
    assert_eq!(words[..2], ["web", "apps/s1"], "{line}");
    assert_eq!(words[2].split('/').count(), 3, "{line}");
    assert_eq!(words[3..], ["5", "--", "1/1/0/0/0", "0/0"], "{line}");
}

#[tokio::test]
async fn json_lines_count_bytes_in_both_directions() {
    let server = ManualServer::start().await;
    let log = "[[log]]\nto = \"stdout\"\nformat = \"json\"\n\n";
    let weir = Weir::start(&format!("{log}{}", tcp(&[server.address()], "", ""))).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.send("ping").await;
    connection.read_until("ping").await;
    connection.send("pong!").await;
    drop(connection);
    client.read_to_close().await;
    drop(client);
    let line = weir.stdout_line("bytes_received").await;
    let line: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!(line["bytes"], 5);
    assert_eq!(line["bytes_received"], 4);
    assert!(
        line.get("status").is_none() && line.get("method").is_none(),
        "{line}"
    );
}

#[tokio::test]
async fn sessions_take_turns_and_a_dead_server_is_passed_over() {
    let servers = [ManualServer::start().await, ManualServer::start().await];
    let dead = weir_tests::closed_port();
    let addresses = [servers[0].address(), dead, servers[1].address()];
    let config = tcp(&addresses, "", "redispatch = \"always\"");
    let weir = Weir::start(&config).await;
    let mut seen = [0, 0];
    for _ in 0..6 {
        let client = weir.client().await;
        tokio::select! {
            _ = servers[0].accept() => seen[0] += 1,
            _ = servers[1].accept() => seen[1] += 1,
        }
        drop(client);
    }
    assert!(seen.iter().all(|count| *count >= 2), "{seen:?}");
}

#[tokio::test]
async fn one_source_stays_with_its_server() {
    let servers = [ManualServer::start().await, ManualServer::start().await];
    let addresses = [servers[0].address(), servers[1].address()];
    let hash = "balance = { plugin = \"hash\", config = { on = \"source\" } }";
    let weir = Weir::start(&tcp(&addresses, "", hash)).await;
    let mut reached = Vec::new();
    for last in [2, 3, 2, 3, 2, 3] {
        let client = Client::connect_from([127, 0, 0, last].into(), weir.address("web")).await;
        reached.push(tokio::select! {
            _ = servers[0].accept() => 0,
            _ = servers[1].accept() => 1,
        });
        drop(client);
    }
    assert_eq!(reached[0], reached[2]);
    assert_eq!(reached[0], reached[4]);
    assert_eq!(reached[1], reached[3]);
    assert_ne!(reached[0], reached[1], "neighbours have different servers");
}

#[tokio::test]
async fn at_its_limit_a_server_makes_sessions_wait() {
    let server = ManualServer::start().await;
    let config = format!("{}max_connections = 1\n", tcp(&[server.address()], "", ""));
    let weir = Weir::start(&config).await;
    let first = weir.client().await;
    let held = server.accept().await;
    let mut second = weir.client().await;
    second.send("me too").await;
    drop(first);
    drop(held);
    let mut connection = server.accept().await;
    connection.read_until("me too").await;
}

#[tokio::test]
async fn a_client_that_nobody_serves_is_closed_and_the_log_says_why() {
    let dead = weir_tests::closed_port();
    let config = tcp(&[dead], "", "retries = 0");
    let weir = Weir::start(&config).await;
    weir.client().await.expect_close().await;
    let line = weir.stdout_line("apps/s1").await;
    assert!(line.contains(" 0 SC "), "{line}");
}

#[tokio::test]
async fn ten_thousand_short_connections_leave_nothing_behind() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&format!("log = []\n{}", tcp(&[server.address()], "", ""))).await;
    let round = async |count: usize| {
        for _ in 0..count {
            let mut client = weir.client().await;
            let mut connection = server.accept().await;
            connection.send("hi").await;
            drop(connection);
            assert_eq!(client.read_to_close().await, b"hi");
        }
    };
    round(1_000).await;
    let (before, memory) = (weir.descriptors(), weir.memory());
    round(9_000).await;
    eventually("all descriptors closed", async || {
        (weir.descriptors() <= before + 8).then_some(())
    })
    .await;
    let grown = weir.memory().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more");
}
