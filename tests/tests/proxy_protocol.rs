//! PROXY headers from those who are trusted, to servers that want them, and who a client is behind other
//! proxies.

#[path = "proxy_protocol/haproxy.rs"]
mod haproxy;
#[path = "proxy_protocol/trusted.rs"]
mod trusted;

use weir_tests::{ManualServer, Origin, Weir, simple};

const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";

/// The same in version 2, with an authority behind it.
fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1b".to_vec();
    header.extend([192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 1, 0xbb]);
    header.extend(b"\x02\0\x0cshop.example");
    header
}

/// Accepts PROXY headers from `from`.
fn accepting(config: &str, from: &str) -> String {
    let bind = format!(
        "bind = [{{ address = \"127.0.0.1:0\", accept_proxy = {{ from = [\"{from}\"], timeout = \"400ms\" }} }}]"
    );
    config.replacen("bind = [\"127.0.0.1:0\"]", &bind, 1)
}

#[tokio::test]
async fn a_trusted_header_says_who_the_client_is() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "forwarded_for = true", "");
    let weir = Weir::start(&accepting(&config, "127.0.0.0/8")).await;
    for header in [V1.as_bytes().to_vec(), v2()] {
        origin.forget_requests();
        let mut client = weir.client().await;
        // In two pieces, the second with the beginning of the request.
        client.send(&header[..9]).await;
        tokio::task::yield_now().await;
        client.send(&header[9..]).await;
        assert_eq!(client.get("/").await.status(), 200);
        assert_eq!(client.get("/again").await.status(), 200);
        for request in origin.requests() {
            assert_eq!(request.header("x-forwarded-for"), Some("192.0.2.7"));
        }
    }
    weir.stdout_line("192.0.2.7:40000 [").await;
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_keeps_its_own_address() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "forwarded_for = true", "");
    let weir = Weir::start(&accepting(&config, "127.0.0.0/8")).await;
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = weir.client().await;
        client.send(header).await;
        assert_eq!(client.get("/").await.status(), 200);
    }
    for request in origin.requests() {
        assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn what_is_no_header_ends_the_connection_and_the_log_says_why() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "", "");
    let weir = Weir::start(&accepting(&config, "127.0.0.0/8")).await;
    for (bytes, reason) in [
        (
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            "does not begin with a PROXY header",
        ),
        (
            b"PROXY TCP4 1.2.3.4 nonsense\r\n",
            "no addresses that make sense",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x31", "version and command 0x31"),
        (b"PROXY TCP4 192.0", "no whole PROXY header within 400ms"),
    ] {
        let mut client = weir.client().await;
        client.send(bytes).await;
        client.expect_close().await;
        weir.log_line(reason).await;
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn nobody_else_can_say_who_they_are() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "forwarded_for = true", "");
    let weir = Weir::start(&accepting(&config, "10.0.0.0/8")).await;
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(
        origin.requests()[0].header("x-forwarded-for"),
        Some("127.0.0.1")
    );
    let mut spoofer = weir.client().await;
    spoofer.send(V1).await;
    assert_eq!(spoofer.response().await.status(), 400);
}

#[tokio::test]
async fn servers_are_told_who_the_client_is() {
    let server = ManualServer::start().await;
    let config = |version: &str| {
        let backend = format!("mode = \"tcp\"\nsend_proxy = {version}");
        simple(&[server.address()], "mode = \"tcp\"", &backend)
    };
    let weir = Weir::start(&config("\"v1\"")).await;
    let mut client = weir.client().await;
    let mut connection = server.accept().await;
    client.send("hello").await;
    let (from, to) = (client.local_address().port(), weir.address("web").port());
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\nhello");
    assert_eq!(connection.read_until("hello").await, expected);

    let v2 = "{ version = \"v2\", add = [\"authority\", \"crc32c\"] }";
    let weir = Weir::start(&accepting(&config(v2), "127.0.0.0/8")).await;
    let mut client = weir.client().await;
    client.send(self::v2()).await;
    client.send("hello").await;
    let mut connection = server.accept().await;
    // What the first proxy said is passed on, and a checksum added.
    let header = connection.read_bytes(self::v2().len() + 7).await;
    assert_eq!(header[..14], self::v2()[..14]);
    assert_eq!(header[16..43], self::v2()[16..]);
    assert_eq!(header[43..46], [3, 0, 4]);
    connection.read_until("hello").await;
}

#[tokio::test]
async fn a_connection_with_a_header_serves_no_other_client() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&simple(&[server.address()], "", "send_proxy = \"v1\"")).await;
    for _ in 0..2 {
        let mut client = weir.client().await;
        let asking = client.get("/");
        let serving = async {
            let mut connection = server.accept().await;
            let head = connection.read_head().await;
            assert!(head.starts_with("PROXY TCP4 127.0.0.1 "), "{head}");
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await;
            connection
        };
        let (answer, _connection) = tokio::join!(asking, serving);
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn checks_introduce_themselves_too() {
    let server = ManualServer::start().await;
    let config = |version: &str, check: &str| {
        let backend =
            format!("send_proxy = \"{version}\"\ncheck = {{ interval = \"50ms\", {check} }}");
        simple(&[server.address()], "", &backend)
    };
    let weir = Weir::start(&config("v1", "http = \"GET /status\"")).await;
    let mut connection = server.accept().await;
    let head = connection.read_head().await;
    assert!(head.starts_with("PROXY UNKNOWN\r\nGET /status "), "{head}");
    drop(weir);
    let weir = Weir::start(&config("v2", "tcp = true")).await;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    loop {
        // One that the first proxy has made may still be waiting.
        let text = server.accept().await.read_to_close().await;
        if text.as_bytes() == local {
            break;
        }
        assert!(
            text.is_empty() || text.starts_with("PROXY UNKNOWN"),
            "{text:?}"
        );
    }
    drop(weir);
}
