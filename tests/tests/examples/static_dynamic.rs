//! `examples/static-dynamic`

use regex::Regex;
use weir_tests::{Origin, Weir};

use crate::set_up::{Example, NO_SERVER_PAGE, origins};

async fn start() -> (Weir, [Origin; 2]) {
    let servers = origins(["static1", "dynamic1"]).await;
    let weir = Example::named("static-dynamic")
        .listening("*:8080")
        .with_servers(&["127.0.0.1:5001", "127.0.0.1:5002"], &servers)
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn paths_that_begin_with_static_byte_for_byte_go_to_the_static_server() {
    let (weir, _servers) = start().await;
    for (target, server) in [
        ("/static/logo.png", "static1"),
        ("/static", "static1"),
        ("/staticfoo", "static1"),
        ("/static?x", "static1"),
        ("/Static/x", "dynamic1"),
        ("/x/static", "dynamic1"),
        ("//static", "dynamic1"),
        ("/%73tatic", "dynamic1"),
        ("/./static", "dynamic1"),
        ("/", "dynamic1"),
        ("/api/data", "dynamic1"),
    ] {
        let response = weir.get(target).await;
        assert_eq!(
            (response.status(), response.origin()),
            (200, server),
            "{target}"
        );
        assert_eq!(
            response.echo()["target"],
            target,
            "forwarded as it was sent"
        );
    }
}

#[tokio::test]
async fn one_connection_serves_both() {
    let (weir, _servers) = start().await;
    let mut client = weir.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/static/a.css").await.origin(), "static1");
        assert_eq!(client.get("/a").await.origin(), "dynamic1");
    }
}

#[tokio::test]
async fn each_request_leaves_one_httplog_line_on_stdout() {
    let (weir, _servers) = start().await;
    weir.get("/static/a\"b?c").await;
    let line = weir.stdout_line("/static/a").await;
    let httplog = Regex::new(concat!(
        r#"^127\.0\.0\.1:[0-9]+ \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}\] "#,
        r#"http_front static_backend/static1 [0-9]+/[0-9]+/[0-9]+/[0-9]+/[0-9]+ 200 [0-9]+ - - ---- "#,
        r#"1/1/0/0/0 0/0 "GET /static/a#22b\?c HTTP/1\.1"$"#
    ))
    .expect("a sound expression");
    assert!(httplog.is_match(&line), "{line}");
}

#[tokio::test]
async fn a_connection_without_a_byte_leaves_no_line() {
    let (weir, _servers) = start().await;
    drop(weir.client().await);
    weir.get("/after").await;
    weir.stdout_line("/after").await;
    let lines = weir.stdout();
    let of_requests: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("http_front"))
        .collect();
    assert_eq!(of_requests.len(), 1, "{lines:?}");
}

#[tokio::test]
async fn a_backend_whose_only_server_is_down_answers_503_with_haproxys_page() {
    let (weir, [mut static1, _dynamic1]) = start().await;
    static1.stop().await;
    weir.stdout_line("Server static_backend/static1 is DOWN")
        .await;
    weir.stdout_line("backend static_backend has no server available!")
        .await;
    let response = weir.get("/static/logo.png").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.text(), NO_SERVER_PAGE);
    assert_eq!(response.body().len(), 107);
    let line = weir.stdout_line("/static/logo.png").await;
    assert!(
        line.contains(" http_front static_backend/<NOSRV> "),
        "{line}"
    );
    assert!(line.contains(" 503 ") && line.contains(" SC-- "), "{line}");
    assert_eq!(
        weir.get("/").await.origin(),
        "dynamic1",
        "the other is not touched"
    );
}
