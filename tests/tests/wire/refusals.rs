//! The proxy's own answers: error pages, limits, and the bodies that nobody reads.

use weir_tests::{Origin, Response, Weir, fill, simple};

use super::{chunked, pattern};

#[tokio::test]
async fn error_pages_are_the_backends_else_the_frontends_else_the_built_in_ones() {
    let weir = Weir::builder()
        .file("down.html", "<p>down")
        .file("late.http", "HTTP/1.1 503 Later\r\nRetry-After: 9\r\n\r\nlater")
        .start(&fill(
            r#"
            [[frontend]]
            name = "web"
            bind = ["127.0.0.1:0"]
            default_backend = "none"
            error_pages = { 503 = "down.html" }
            [[frontend.filter]]
            plugin = "rules"
            config = { match.own = { path = { prefix = "/own" } }, match.no = { path = { prefix = "/no" } }, rule = [{ when = "own", use = "own" }, { when = "no", deny = 403 }] }
            [[backend]]
            name = "none"
            [[backend]]
            name = "own"
            error_pages = { 503 = "late.http" }
            "#,
            &[],
        ))
        .await;
    let page = weir.get("/").await;
    assert_eq!((page.status(), page.text().as_str()), (503, "<p>down"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    let own = weir.get("/own").await;
    assert_eq!((own.status(), own.text().as_str()), (503, "later"));
    assert_eq!(own.header("retry-after"), Some("9"));
    let built_in = weir.get("/no").await;
    assert_eq!((built_in.status(), built_in.body().len()), (403, 93));
    assert!(built_in.text().contains("403 Forbidden"), "{built_in:?}");
}

#[tokio::test]
async fn an_error_can_send_clients_elsewhere() {
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "none"
        error_pages = { 503 = { redirect = "https://status.example/" } }
        [[frontend.filter]]
        plugin = "rules"
        config = { rule = [{ when = { path = { prefix = "/moved" } }, use = "moved" }] }
        [[backend]]
        name = "none"
        [[backend]]
        name = "moved"
        error_pages = { 503 = { redirect = "/later", status = 308 } }
        "#,
        &[],
    ))
    .await;
    let page = weir.get("/").await;
    assert_eq!(page.status(), 302);
    assert_eq!(page.header("location"), Some("https://status.example/"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    assert_eq!(page.body().len(), 0);
    let moved = weir.get("/moved").await;
    assert_eq!(moved.status(), 308);
    assert_eq!(moved.header("location"), Some("/later"));
    assert_eq!(moved.header("cache-control"), None, "it may be kept");
}

async fn refused(weir: &Weir, request: impl AsRef<[u8]>) -> Response {
    let mut client = weir.client().await;
    // The proxy may answer and close before it has everything.
    let _ = client.try_send(request).await;
    let response = client.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_close().await;
    response
}

#[tokio::test]
async fn what_is_larger_than_allowed_is_refused_and_never_forwarded() {
    let origin = Origin::start("a").await;
    let limits = r#"limits = { header_bytes = "2KiB", header_count = 10, uri_length = "300B", body = "100B" }"#;
    let weir = Weir::start(&simple(&[origin.address()], limits, "")).await;
    let long = "x".repeat(3000);
    for (request, status) in [
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10)),
            431,
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..400]),
            414,
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}",
                &long[..101]
            ),
            413,
        ),
    ] {
        assert_eq!(refused(&weir, &request).await.status(), status, "{request}");
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(origin.connections(), 0);
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn a_chunked_body_is_refused_once_it_exceeds_the_limit() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(
        &[origin.address()],
        r#"limits = { body = "100B" }"#,
        "",
    ))
    .await;
    let small = chunked("POST", "/", &pattern(100));
    let mut client = weir.client().await;
    client.send(small).await;
    assert_eq!(client.response().await.status(), 200);
    assert_eq!(
        refused(&weir, chunked("POST", "/", &pattern(101)))
            .await
            .status(),
        413
    );
    assert_eq!(
        origin.requests().len(),
        1,
        "a request that was cut off is no request"
    );
}

const NO_POST: &str = r#"filter = [{ plugin = "rules", config = { rule = [{ when = { method = "POST" }, deny = 403 }] } }]"#;

#[tokio::test]
async fn the_body_of_a_denied_request_is_skipped_if_it_is_there() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], NO_POST, "")).await;
    let mut client = weir.client().await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
            hidden.len()
        ))
        .await;
    assert_eq!(client.response().await.status(), 403);
    assert_eq!(client.response().await.echo()["target"], "/next");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_denied_request_whose_body_is_still_to_come_closes_the_connection() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], NO_POST, "")).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = weir.client().await;
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
            .await;
        let response = client.response().await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.header("connection"), Some("close"), "{framing}");
        let _ = client
            .try_send("GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        client.expect_close().await;
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_denied_head_request_gets_no_body() {
    let origin = Origin::start("a").await;
    let deny = NO_POST.replace("POST", "HEAD");
    let weir = Weir::start(&simple(&[origin.address()], &deny, "")).await;
    let mut client = weir.client().await;
    let response = client.request("HEAD", "/", &[], b"").await;
    assert_eq!(response.header("content-length"), Some("93"));
    assert_eq!(client.get("/").await.status(), 200);
}
