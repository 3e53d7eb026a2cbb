//! `examples/sticky-cookie`

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

use weir_tests::{Answer, Client, Origin, Response, Weir, eventually};

use crate::set_up::{Example, NO_SERVER_PAGE, origins};

/// `interval` is that of the checks.
async fn start_with(interval: &str) -> (Weir, [Origin; 2]) {
    let servers = origins(["web-a", "web-b"]).await;
    let first = two_ports();
    let weir = Example::named("sticky-cookie")
        .with(
            "*:60000-60001",
            format_args!("127.0.0.1:{first}-{}", first + 1),
        )
        .with("2s", interval)
        .with_servers(&["127.0.0.1:5001", "127.0.0.1:5002"], &servers)
        .start()
        .await;
    (weir, servers)
}

async fn start() -> (Weir, [Origin; 2]) {
    start_with("2s").await
}

/// The first of two ports that are free, below those that the system hands out itself.
fn two_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 12_000 + (std::process::id() % 1_000) as u16 * 16;
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    loop {
        let first = start + NEXT.fetch_add(2, Ordering::Relaxed);
        if is_free(first) && is_free(first + 1) {
            return first;
        }
    }
}

async fn get_with_cookies(weir: &Weir, cookies: &str) -> Response {
    weir.get_with("/", &[("Cookie", cookies)]).await
}

#[tokio::test]
async fn both_ports_serve_the_same_servers() {
    let (weir, _servers) = start().await;
    let addresses: Vec<SocketAddr> = weir
        .addresses("http_front")
        .iter()
        .map(|address| address.parse().expect("a socket address"))
        .collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0].port() + 1, addresses[1].port());
    let mut servers = Vec::new();
    for address in [addresses[0], addresses[1], addresses[0], addresses[1]] {
        let response = Client::connect(address).await.get("/").await;
        servers.push(response.origin().to_owned());
    }
    assert_eq!(servers, ["web-a", "web-b", "web-a", "web-b"], "one rotor");
}

#[tokio::test]
async fn a_new_client_gets_a_cookie_and_stays() {
    let (weir, _servers) = start().await;
    for server in ["web-a", "web-b"] {
        let response = weir.get("/").await;
        assert_eq!(response.origin(), server);
        assert_eq!(
            response.headers("set-cookie"),
            [format!("SERVER={server}; path=/")]
        );
        for _ in 0..3 {
            let response = get_with_cookies(&weir, &format!("SERVER={server}")).await;
            assert_eq!(response.origin(), server);
            assert_eq!(response.headers("set-cookie"), [""; 0], "it has one");
        }
    }
    weir.stdout_line(" --NI ").await;
    weir.stdout_line(" --VN ").await;
}

#[tokio::test]
async fn the_cookie_is_hidden_from_the_application_and_others_are_not() {
    let (weir, _servers) = start().await;
    for (sent, server, forwarded) in [
        ("SERVER=web-b", "web-b", None),
        ("x=1; SERVER=web-b; y=2", "web-b", Some("x=1; y=2")),
        ("SERVER=web-a; x=1", "web-a", Some("x=1")),
        ("x=1; SERVER=nobody", "web-a", Some("x=1")),
    ] {
        let response = get_with_cookies(&weir, sent).await;
        assert_eq!(
            response.forwarded("cookie"),
            Vec::from_iter(forwarded),
            "{sent}"
        );
        if sent != "x=1; SERVER=nobody" {
            assert_eq!(response.origin(), server, "{sent}");
        }
    }
    let other_case = get_with_cookies(&weir, "server=web-b").await;
    assert_eq!(other_case.forwarded("cookie"), ["server=web-b"]);
    assert_eq!(other_case.headers("set-cookie").len(), 1);
}

#[tokio::test]
async fn a_value_that_names_no_server_is_replaced() {
    let (weir, _servers) = start().await;
    for value in ["", "nobody", "\"web-a\"", "web-a ", "WEB-A"] {
        let response = get_with_cookies(&weir, &format!("a=b; SERVER={value}; c=d")).await;
        assert_eq!(response.status(), 200, "{value:?}");
        if value == "web-a " {
            // Blanks around a value are no part of it.
            assert_eq!(response.headers("set-cookie"), [""; 0]);
            continue;
        }
        let wanted = format!("SERVER={}; path=/", response.origin());
        assert_eq!(response.headers("set-cookie"), [wanted], "{value:?}");
        assert_eq!(response.forwarded("cookie"), ["a=b; c=d"], "{value:?}");
    }
    weir.stdout_line(" --II ").await;
}

#[tokio::test]
async fn a_cookie_of_that_name_that_the_application_sets_is_taken_out() {
    let (weir, servers) = start().await;
    for server in &servers {
        server.answer(
            Answer::body("")
                .header("Set-Cookie", "SERVER=own; path=/x")
                .header("Set-Cookie", "SID=1"),
        );
    }
    let response = weir.get("/").await;
    assert_eq!(
        response.headers("set-cookie"),
        ["SID=1", "SERVER=web-a; path=/"]
    );
}

#[tokio::test]
async fn what_caches_could_keep_is_made_private_when_it_carries_the_cookie() {
    let (weir, servers) = start().await;
    let answers: [(&str, Answer, &[&str]); 9] = [
        ("no freshness", Answer::body(""), &[]),
        (
            "only public",
            Answer::body("").header("Cache-Control", "public"),
            &["public"],
        ),
        (
            "an age",
            Answer::body("").header("Cache-Control", "max-age=60"),
            &["max-age=60", "private"],
        ),
        (
            "a validator",
            Answer::body("").header("ETag", "\"1\""),
            &["private"],
        ),
        (
            "a date",
            Answer::body("").header("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT"),
            &["private"],
        ),
        (
            "an end",
            Answer::body("").header("Expires", "Sat, 21 Nov 2026 10:00:00 GMT"),
            &["private"],
        ),
        (
            "404 with a validator",
            Answer::status(404).header("ETag", "\"1\""),
            &["private"],
        ),
        (
            "500 with a validator",
            Answer::status(500).header("ETag", "\"1\""),
            &[],
        ),
        (
            "not to be stored",
            Answer::body("")
                .header("ETag", "\"1\"")
                .header("Cache-Control", "no-store"),
            &["no-store"],
        ),
    ];
    for (what, answer, wanted) in answers {
        for server in &servers {
            server.answer(answer.clone());
        }
        let response = weir.get("/").await;
        assert_eq!(response.headers("set-cookie").len(), 1, "{what}");
        let mut fields = response.headers("cache-control");
        fields.sort_unstable();
        assert_eq!(fields, wanted, "{what}");
    }

    for server in &servers {
        server.answer(Answer::body("").header("ETag", "\"1\""));
    }
    let posted = weir.request("POST", "/", &[], b"x").await;
    assert_eq!(posted.headers("cache-control"), [""; 0], "a POST");
    let bound = get_with_cookies(&weir, "SERVER=web-a").await;
    assert_eq!(
        bound.headers("cache-control"),
        [""; 0],
        "no cookie, no reason"
    );
}

#[tokio::test]
async fn applications_learn_the_clients_address() {
    let (weir, _servers) = start().await;
    let source = Ipv4Addr::new(127, 0, 0, 77);
    let mut client = Client::connect_from(source, weir.address("http_front")).await;
    assert_eq!(
        client.get("/").await.forwarded("x-forwarded-for"),
        ["127.0.0.77"]
    );
    let claimed = client
        .get_with("/", &[("X-Forwarded-For", "10.1.1.1")])
        .await;
    assert_eq!(
        claimed.forwarded("x-forwarded-for"),
        ["10.1.1.1", "127.0.0.77"],
        "the last is ours"
    );
}

#[tokio::test]
async fn a_server_goes_at_its_first_bad_check_and_comes_back_after_five_good_ones() {
    let (weir, [web_a, _web_b]) = start_with("500ms").await;
    let bound = "SERVER=web-a";
    assert_eq!(get_with_cookies(&weir, bound).await.origin(), "web-a");

    web_a.set_healthy(false);
    let line = weir.stdout_line("Server flask_servers/web-a is DOWN").await;
    assert!(
        line.contains("1 active and 0 backup servers left"),
        "{line}"
    );
    for _ in 0..4 {
        let response = get_with_cookies(&weir, bound).await;
        assert_eq!(response.origin(), "web-b");
        assert_eq!(response.headers("set-cookie"), ["SERVER=web-b; path=/"]);
    }
    weir.stdout_line(" --DI ").await;

    let probes = web_a.probes();
    web_a.set_healthy(true);
    weir.stdout_line("Server flask_servers/web-a is UP").await;
    // The one under way when it recovered may have been bad still.
    let good = web_a.probes() - probes;
    assert!((5..=6).contains(&good), "up after {good} checks");
    let response = get_with_cookies(&weir, bound).await;
    assert_eq!(
        (response.origin(), response.headers("set-cookie").len()),
        ("web-a", 0)
    );
}

#[tokio::test]
async fn checks_ask_for_the_status_page_and_take_a_dead_server_out() {
    let (weir, [mut web_a, mut web_b]) = start_with("500ms").await;
    eventually("checks of both", async || {
        (web_a.probes() > 0 && web_b.probes() > 0).then_some(())
    })
    .await;
    web_a.stop().await;
    weir.stdout_line("Server flask_servers/web-a is DOWN").await;
    for _ in 0..4 {
        assert_eq!(weir.get("/").await.origin(), "web-b");
    }
    web_b.stop().await;
    weir.stdout_line("backend flask_servers has no server available!")
        .await;
    let response = get_with_cookies(&weir, "SERVER=web-a").await;
    assert_eq!(
        (response.status(), response.text().as_str()),
        (503, NO_SERVER_PAGE)
    );
    assert_eq!(response.headers("set-cookie"), [""; 0]);
}
