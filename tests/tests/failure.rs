//! Servers and clients that fail, are slow or come in crowds: who is told what, and when.

use std::time::{Duration, Instant};

use weir_tests::{
    After, Answer, Client, ManualServer, Origin, Weir, closed_port, eventually, fill, simple,
};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

// Connections that cannot be made

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

// Servers that connect and then fail

#[tokio::test]
async fn a_server_that_closes_or_resets_without_an_answer_is_a_502() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    for after in [After::Close, After::Reset] {
        origin.answer(Answer::nothing().then(after));
        let response = weir.get("/").await;
        assert_eq!(response.status(), 502, "{after:?}");
    }
    assert_eq!(
        origin.requests().len(),
        2,
        "a fresh connection is not worth a second try"
    );
    let line = weir.stdout_line(" 502 ").await;
    assert!(line.contains(" SH-- "), "{line}");
}

#[tokio::test]
async fn a_silent_server_is_a_504_after_the_server_timeout() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"timeouts = { server = "300ms" }"#,
    ))
    .await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.status(), 504);
    assert!(
        (ms(300)..ms(3000)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    let line = weir.stdout_line(" 504 ").await;
    assert!(line.contains(" sH-- "), "{line}");
}

#[tokio::test]
async fn a_server_that_fails_does_not_cost_the_client_its_connection() {
    let origin = Origin::start("a").await;
    let backend = r#"timeouts = { server = "200ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], "", backend)).await;
    let mut client = weir.client().await;
    for (answer, status) in [
        (Answer::nothing(), 502),
        (Answer::bytes("SSH-2.0-OpenSSH_9.2\r\n"), 502),
        (Answer::nothing().then(After::Hang), 504),
        (Answer::echo(), 200),
    ] {
        origin.answer(answer);
        let response = client.get("/").await;
        assert_eq!(
            (response.status(), response.header("connection")),
            (status, None)
        );
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_in_its_answer_is_cut_off() {
    let origin = Origin::start("a").await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    origin.answer(Answer::bytes(answer).then(After::Hang));
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"timeouts = { server = "300ms" }"#,
    ))
    .await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.read_to_close().await.ends_with(b"half"));
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(line.contains(" sD-- "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_downloads_cuts_them_all_off_visibly() {
    let mut origin = Origin::start("a").await;
    let half = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}",
        "x".repeat(500_000)
    );
    origin.answer(Answer::bytes(half).then(After::Hang));
    let weir = Weir::start(&simple(&[origin.address()], "", "retries = 0")).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = weir.client().await;
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        assert!(client.read_some().await.starts_with(b"HTTP/1.1 200 OK"));
    }
    origin.stop().await;
    for client in &mut clients {
        let rest = client.read_to_close().await;
        assert!(rest.len() < 500_000, "{} bytes", rest.len());
    }
    assert_eq!(weir.get("/").await.status(), 503);
    origin.answer(Answer::echo());
    origin.restart().await;
    assert_eq!(weir.get("/").await.status(), 200);
}

// Kept connections that turn out to be closed

/// A proxy with one worker, and a server connection that has served one request and is kept.
async fn with_kept_connection(
    server: &ManualServer,
) -> (Weir, Client, weir_tests::ManualConnection) {
    let config = simple(&[server.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let mut client = weir.client().await;
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut kept = server.accept().await;
    kept.read_head().await;
    kept.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
        .await;
    assert_eq!(client.response().await.text(), "first");
    (weir, client, kept)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_get_on_a_kept_connection_that_closes_is_sent_again_unnoticed() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_head().await;
    drop(kept);
    let mut fresh = server.accept().await;
    assert!(fresh.read_head().await.starts_with("GET /second "));
    fresh.send(OK).await;
    assert_eq!(client.response().await.text(), "ok");
}

#[tokio::test]
async fn a_request_is_sent_again_once_and_only_on_a_new_connection() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").await;
    kept.read_head().await;
    drop(kept);
    let mut fresh = server.accept().await;
    fresh.read_head().await;
    drop(fresh);
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn a_post_is_never_sent_again() {
    let server = ManualServer::start().await;
    for body in [
        "Content-Length: 4\r\n\r\nbody",
        "Content-Length: 0\r\n\r\n",
        "Content-Length: 4\r\n\r\n",
    ] {
        let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
        client
            .send(format!("POST /pay HTTP/1.1\r\nHost: a\r\n{body}"))
            .await;
        assert!(kept.read_head().await.starts_with("POST /pay "));
        drop(kept);
        assert_eq!(client.response().await.status(), 502);
    }
}

#[tokio::test]
async fn a_put_whose_body_has_begun_is_never_sent_again() {
    let server = ManualServer::start().await;
    let (_weir, mut client, mut kept) = with_kept_connection(&server).await;
    client
        .send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    kept.read_until("half").await;
    drop(kept);
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_before_is_not_used_even_for_a_post() {
    let server = ManualServer::start().await;
    let (_weir, mut client, kept) = with_kept_connection(&server).await;
    drop(kept);
    client
        .send("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    let mut fresh = server.accept().await;
    fresh.read_until("body").await;
    fresh.send(OK).await;
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn a_restarted_server_costs_no_request() {
    let mut origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = weir.client().await;
        assert_eq!(client.get("/").await.status(), 200);
        clients.push(client);
    }
    origin.restart().await;
    for (number, client) in clients.iter_mut().enumerate() {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        assert_eq!(client.request(method, "/", &[], b"").await.status(), 200);
    }
}

#[tokio::test]
async fn idle_connections_to_servers_are_closed_after_their_time() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(
        &[origin.address()],
        "",
        r#"pool = { idle_timeout = "100ms" }"#,
    ))
    .await;
    let mut client = weir.client().await;
    client.get("/").await;
    eventually("the idle connection closed", async || {
        (origin.open_connections() == 0).then_some(())
    })
    .await;
    assert_eq!(client.get("/").await.status(), 200);
}

// Clients that are slow or silent

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_gets_408() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_request = "300ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    for beginning in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let start = Instant::now();
        let mut client = weir.client().await;
        client.send(beginning).await;
        assert_eq!(client.response().await.status(), 408, "{beginning:?}");
        client.expect_close().await;
        assert!(
            (ms(250)..ms(3000)).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
    }
    let line = weir.stdout_line(" 408 ").await;
    assert!(line.contains(" cR-- "), "{line}");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_gets_408_and_the_server_no_request() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { client = "300ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    assert_eq!(client.response().await.status(), 408);
    client.expect_close().await;
    assert_eq!(origin.requests().len(), 0);
    let line = weir.stdout_line(" 408 ").await;
    assert!(line.contains(" cD-- "), "{line}");
}

#[tokio::test]
async fn a_client_that_sends_its_body_slowly_but_steadily_is_served() {
    let origin = Origin::start("a").await;
    let frontend = r#"timeouts = { client = "400ms", http_request = "400ms" }"#;
    let backend = r#"timeouts = { server = "400ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], frontend, backend)).await;
    let mut client = weir.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n")
        .await;
    for _ in 0..20 {
        // The client's pace: longer in all than any of the limits.
        tokio::time::sleep(ms(50)).await;
        client.send("x").await;
    }
    assert_eq!(client.response().await.echo()["body"], "x".repeat(20));
}

#[tokio::test]
async fn an_idle_client_is_closed_without_a_word() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_keep_alive = "200ms" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.get("/").await;
    client.expect_close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_dripping_clients_is_cut_off_while_others_are_served() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        r#"timeouts = { http_request = "1s" }"#,
        "",
    );
    let weir = Weir::start(&config).await;
    let begun = Instant::now();
    let mut drips = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let mut client = weir.client().await;
        drips.spawn(async move {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
            let mut count = 0;
            // Each byte is progress, and none of it buys more time.
            while client.try_send("X").await.is_ok() && count < 200 {
                count += 1;
                tokio::time::sleep(ms(50)).await;
            }
            count
        });
    }
    let mut slowest = ms(0);
    while begun.elapsed() < ms(900) {
        let start = Instant::now();
        assert_eq!(weir.get("/").await.status(), 200);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < ms(2000), "others waited {slowest:?}");
    while let Some(count) = drips.join_next().await {
        assert!(count.unwrap() < 200, "a dripping client was never cut off");
    }
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let origin = Origin::start("a").await;
    let pool = r#"pool = { idle_timeout = "100ms" }"#;
    let weir = Weir::start(&simple(&[origin.address()], "", pool)).await;
    weir.get("/").await;
    let before = weir.descriptors();
    origin.answer(Answer::body("late").after(ms(20)));
    for number in 0..100 {
        let mut client = weir.client().await;
        match number % 4 {
            0 => {}
            1 => client.send("GET / HT").await,
            2 => client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await,
            _ => {
                client
                    .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
                    .await
            }
        }
    }
    eventually("as few descriptors as before", async || {
        (weir.descriptors() <= before + 4).then_some(())
    })
    .await;
}

// Crowds

fn limited(servers: &[&Origin], backend: &str) -> String {
    let mut config = simple(&[], "", backend);
    for origin in servers {
        config += &fill(
            "[[backend.server]]\nname = \"@name@\"\naddress = \"@address@\"\nmax_connections = 1\n",
            &[("name", &origin.name()), ("address", &origin.address())],
        );
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_waited_for_and_too_long_a_wait_is_a_503() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::body("done").after(ms(600)));
    let weir = Weir::start(&limited(&[&origin], r#"timeouts = { queue = "900ms" }"#)).await;
    let start = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut client = weir.client().await;
        clients.spawn(async move { (client.get("/").await.status(), start.elapsed()) });
    }
    let mut answers = Vec::new();
    while let Some(answer) = clients.join_next().await {
        answers.push(answer.unwrap());
    }
    // One at 0.6 s, two in vain at 0.9 s, one that waited and was done at 1.2 s.
    let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 503, 503, 200], "{answers:?}");
    assert!(answers[1].1 >= ms(900), "{answers:?}");
    assert!(answers[3].1 >= ms(1200), "{answers:?}");
    let line = weir.stdout_line(" 503 ").await;
    assert!(
        line.contains(" sQ-- ") && line.contains(" apps/<NOSRV> "),
        "{line}"
    );
}

#[tokio::test]
async fn a_queue_that_is_full_takes_nobody_else() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let weir = Weir::start(&limited(&[&origin], "max_queue = 1")).await;
    let (mut first, mut second) = (weir.client().await, weir.client().await);
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the first at the server", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // Whether the second stands in the queue already shows by others being turned away.
    eventually("a full queue", async || {
        let mut third = weir.client().await;
        third.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answered = tokio::time::timeout(ms(100), third.response()).await;
        answered
            .ok()
            .filter(|answer| answer.status() == 503)
            .map(drop)
    })
    .await;
    let line = weir.stdout_line("GET /3 ").await;
    assert!(line.contains(" SQ-- ") || line.contains(" CQ-- "), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_wait_for_a_server_that_goes_down_go_to_another() {
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("b"));
    for origin in [&a, &b] {
        origin.answer_with(|request| match request.path() {
            "/hold" => Answer::body("held").after(ms(1500)),
            _ => Answer::echo(),
        });
    }
    let backend = r#"
        timeouts = { queue = "8s" }
        check = { http = "GET /status", interval = "50ms", fall = 1, rise = 1 }
    "#;
    let weir = Weir::start(&limited(&[&a, &b], backend)).await;
    let mut holding = Vec::new();
    for _ in 0..2 {
        let mut client = weir.client().await;
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
        holding.push(client);
    }
    eventually("both servers held", async || {
        (a.requests().len() + b.requests().len() == 2).then_some(())
    })
    .await;
    let mut waiting = weir.client().await;
    waiting
        .send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    a.set_healthy(false);
    weir.stdout_line("Server apps/a is DOWN").await;
    assert_eq!(waiting.response().await.origin(), "b");
    for mut client in holding {
        assert_eq!(
            client.response().await.text(),
            "held",
            "what runs is not cut by a check"
        );
    }
}

#[tokio::test]
async fn those_who_wait_for_the_last_server_are_told_as_soon_as_it_goes_down() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let backend = r#"
        timeouts = { queue = "9s" }
        check = { http = "GET /status", interval = "50ms", fall = 1 }
    "#;
    let weir = Weir::start(&limited(&[&origin], backend)).await;
    let mut held = weir.client().await;
    held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the server held", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    let mut waiting = weir.client().await;
    waiting
        .send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let start = Instant::now();
    origin.set_healthy(false);
    assert_eq!(waiting.response().await.status(), 503);
    assert!(start.elapsed() < ms(4000), "{:?}", start.elapsed());
}

#[tokio::test]
async fn checks_take_a_server_down_and_bring_it_back() {
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("b"));
    let backend = r#"check = { http = "GET /status", interval = "50ms", fall = 2, rise = 3 }"#;
    let weir = Weir::start(&simple(&[a.address(), b.address()], "", backend)).await;
    eventually("checks of both", async || {
        (a.probes() > 0 && b.probes() > 0).then_some(())
    })
    .await;
    a.set_healthy(false);
    weir.stdout_line("Server apps/s1 is DOWN, reason: Layer7 wrong status, code: 503")
        .await;
    for _ in 0..4 {
        assert_eq!(weir.get("/").await.origin(), "b");
    }
    let before = a.probes();
    a.set_healthy(true);
    weir.stdout_line("Server apps/s1 is UP").await;
    assert!(a.probes() >= before + 3, "three good checks bring it back");
    let both = [weir.get("/").await, weir.get("/").await];
    assert!(both.iter().any(|answer| answer.origin() == "a"), "{both:?}");
}

#[tokio::test]
async fn without_any_server_the_answer_is_503_at_once() {
    let backend = r#"
        check = { tcp = true, interval = "50ms" }
        timeouts = { connect = "5s", queue = "5s" }
    "#;
    let weir = Weir::start(&simple(&[closed_port(), closed_port()], "", backend)).await;
    weir.stdout_line("backend apps has no server available!")
        .await;
    let start = Instant::now();
    assert_eq!(weir.get("/").await.status(), 503);
    assert!(start.elapsed() < ms(2500), "{:?}", start.elapsed());
    let line = weir.stdout_line("\"GET / HTTP/1.1\"").await;
    assert!(
        line.contains(" apps/<NOSRV> ") && line.contains(" SC-- "),
        "{line}"
    );
}

#[tokio::test]
async fn clients_beyond_the_limit_wait_and_are_not_refused() {
    let origin = Origin::start("a").await;
    let of_process = format!(
        "max_connections = 1\n{}",
        simple(&[origin.address()], "", "")
    );
    let of_frontend = simple(&[origin.address()], "max_connections = 1", "");
    for config in [of_process, of_frontend] {
        let weir = Weir::start(&config).await;
        let mut first = weir.client().await;
        assert_eq!(first.get("/").await.status(), 200);
        let mut second = weir.client().await;
        second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let early = tokio::time::timeout(ms(200), second.response()).await;
        assert!(
            early.is_err(),
            "the second client was served beside the first"
        );
        assert_eq!(first.get("/").await.status(), 200);
        drop(first);
        assert_eq!(second.response().await.status(), 200);
    }
}

// The end

#[tokio::test]
async fn a_proxy_told_to_end_takes_no_more_clients_and_lets_go_of_idle_ones() {
    let origin = Origin::start("a").await;
    origin.answer_with(|request| match request.path() {
        "/late" => Answer::body("late").after(ms(500)),
        _ => Answer::echo(),
    });
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let address = weir.address("web");
    let (mut idle, mut fresh, mut busy) = (
        weir.client().await,
        weir.client().await,
        weir.client().await,
    );
    idle.get("/").await;
    busy.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request at the server", async || {
        origin
            .requests()
            .iter()
            .any(|r| r.target == "/late")
            .then_some(())
    })
    .await;
    let start = Instant::now();
    weir.terminate();
    idle.expect_close().await;
    fresh.expect_close().await;
    eventually("new clients refused", async || {
        Client::try_connect(address).await.is_err().then_some(())
    })
    .await;
    let last = busy.response().await;
    assert_eq!(
        (last.text().as_str(), last.header("connection")),
        ("late", Some("close"))
    );
    busy.expect_close().await;
    drop((idle, fresh, busy));
    let exited = weir.exited().await;
    assert_eq!(exited.status.code(), Some(0));
    assert!(exited.stderr.contains("drained"), "{}", exited.stderr);
    let took = start.elapsed();
    assert!(took < ms(2400), "nobody is waited for: {took:?}");
}

#[tokio::test]
async fn draining_ends_at_its_limit() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::nothing().then(After::Hang));
    let config = simple(&[origin.address()], "", "");
    let weir = Weir::start(&format!("drain_timeout = \"300ms\"\n{config}")).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request at the server", async || {
        (origin.requests().len() == 1).then_some(())
    })
    .await;
    weir.terminate();
    client.read_to_close().await;
    let exited = weir.exited().await;
    assert_eq!(exited.status.code(), Some(0));
    assert!(exited.stderr.contains("still open"), "{}", exited.stderr);
}
