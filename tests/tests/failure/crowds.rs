//! More clients than there is room for, and servers that go down while some wait.

use std::time::Instant;

use weir_tests::{After, Answer, Origin, Weir, closed_port, eventually, fill, simple};

use super::ms;

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
