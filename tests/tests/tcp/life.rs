//! How long sessions live: silence, half-closed sides, servers that die, reloads and the proxy's end.

use std::time::{Duration, Instant};

use weir_tests::{ManualServer, Reload, Weir, within};

use super::{read_exactly, tcp};

#[tokio::test]
async fn a_silent_session_is_closed_after_its_time_and_a_busy_one_is_not() {
    let server = ManualServer::start().await;
    let timeouts = "timeouts = { tunnel = \"600ms\" }";
    let weir = Weir::start(&tcp(&[server.address()], "", timeouts)).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for turn in 0..12 {
        ticks.tick().await;
        match turn % 2 {
            0 => {
                client.send("x").await;
                connection.read_until("x").await;
            }
            _ => {
                connection.send("y").await;
                assert_eq!(read_exactly(&mut client, 1).await, b"y");
            }
        }
    }
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "it outlived the limit"
    );
    client.expect_close().await;
    connection.read_to_close().await;
    assert!(weir.stdout_line("apps/s1").await.contains(" 6 cD "));
}

#[tokio::test]
async fn a_side_that_is_left_alone_has_a_limit_of_its_own() {
    let server = ManualServer::start().await;
    let config = tcp(
        &[server.address()],
        "timeouts = { client_fin = \"300ms\" }",
        "timeouts = { server_fin = \"300ms\" }",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.finish_sending().await;
    assert_eq!(connection.read_to_close().await, "");
    client.expect_close().await;
    assert!(weir.stdout_line(" sD ").await.contains("apps/s1"));

    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    connection.finish_sending().await;
    client.expect_close().await;
    connection.read_to_close().await;
    assert!(weir.stdout_line(" cD ").await.contains("apps/s1"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let server = ManualServer::start().await;
    let config = tcp(&[server.address()], "timeouts = { client = \"400ms\" }", "");
    let weir = Weir::start(&config).await;
    let client = weir.client().await;
    let mut connection = server.accept().await;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async { while connection.try_send(&piece).await.is_ok() {} };
    within("the end of the session", sending).await;
    assert!(weir.stdout_line("apps/s1").await.contains(" cD "));
    drop(client);
}

#[tokio::test]
async fn a_server_that_dies_is_not_taken_for_one_that_has_finished() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    connection.send("half of").await;
    assert_eq!(read_exactly(&mut client, 7).await, b"half of");
    connection.reset();
    let error = client.read_error().await;
    assert_eq!(error, std::io::ErrorKind::ConnectionReset);
    assert!(weir.stdout_line("apps/s1").await.contains(" 7 SD "));
}

#[tokio::test]
async fn sessions_outlive_reloads() {
    let (old, new) = (ManualServer::start().await, ManualServer::start().await);
    let weir = Weir::start(&tcp(&[old.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = old.accept().await;
    for _ in 0..2 {
        weir.write_config(&tcp(&[new.address()], "", ""));
        assert_eq!(weir.reload().await, Reload::Loaded);
        client.send("still here?").await;
        connection.read_until("still here?").await;
        connection.send("yes").await;
        assert_eq!(read_exactly(&mut client, 3).await, b"yes");
    }
    let _client = weir.client().await;
    new.accept().await;
}

#[tokio::test]
async fn a_stopping_proxy_lets_sessions_finish() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&tcp(&[server.address()], "", "")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.send("a").await;
    connection.read_until("a").await;
    weir.terminate();
    weir.log_line("draining").await;
    client.send("last wish").await;
    connection.read_until("last wish").await;
    connection.send("granted").await;
    drop(connection);
    assert_eq!(client.read_to_close().await, b"granted");
    drop(client);
    assert!(weir.exited().await.status.success());
}
