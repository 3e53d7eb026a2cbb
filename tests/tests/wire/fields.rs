//! Fields: what is added, what ends here, what is left as it came.

use weir_tests::{After, Answer, Origin, Weir, simple};

#[tokio::test]
async fn the_clients_address_is_added_to_x_forwarded_for_unless_it_is_excepted() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "forwarded_for = true", "")).await;
    let response = weir.get_with("/", &[("X-Forwarded-For", "10.1.2.3")]).await;
    assert_eq!(
        response.forwarded("x-forwarded-for"),
        ["10.1.2.3", "127.0.0.1"]
    );

    let except = r#"forwarded_for = { header = "X-Real", except = ["127.0.0.0/8"] }"#;
    let weir = Weir::start(&simple(&[origin.address()], except, "")).await;
    assert!(weir.get("/").await.forwarded("x-real").is_empty());
}

#[tokio::test]
async fn fields_of_one_hop_end_there() {
    let origin = Origin::start("a").await;
    origin.answer(
        Answer::echo()
            .header("Connection", "X-Server-Hop")
            .header("X-Server-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("X-End", "kept"),
    );
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let fields = [
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "300"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
        ("X-End", "kept"),
    ];
    let response = weir.get_with("/", &fields).await;
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
    ] {
        assert!(response.forwarded(name).is_empty(), "{name} was forwarded");
    }
    assert_eq!(response.forwarded("x-end"), ["kept"]);
    for name in ["connection", "x-server-hop", "keep-alive"] {
        assert_eq!(response.header(name), None, "{name} came back");
    }
    assert_eq!(response.header("x-end"), Some("kept"));
}

#[tokio::test]
async fn fields_keep_their_order_their_case_and_their_repetitions() {
    let origin = Origin::start("a").await;
    let answer = "HTTP/1.1 200 OK\r\nX-B: 1\r\nset-cookie: a=1\r\nX-b: 2\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    origin.answer(Answer::bytes(answer).then(After::KeepAlive));
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let response = weir
        .get_with(
            "/",
            &[
                ("X-B", "1"),
                ("cookie", "a"),
                ("x-B", " 2\t"),
                ("X-Empty", ""),
            ],
        )
        .await;
    assert_eq!(String::from_utf8_lossy(&response.head.raw), answer);
    let seen = &origin.requests()[0].head.fields;
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-B", "cookie", "x-B", "X-Empty"]);
    assert_eq!(seen[3].1, "2");
}

#[tokio::test]
async fn a_request_has_an_id_that_the_server_and_the_log_both_have() {
    let origin = Origin::start("a").await;
    let config = simple(
        &[origin.address()],
        "request_id_header = \"X-Request-Id\"",
        "",
    );
    let config = format!("log = [{{ to = \"stdout\", format = \"json\" }}]\n{config}");
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    let first = client.get("/").await.forwarded("x-request-id");
    let second = client.get("/").await.forwarded("x-request-id");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    weir.stdout_line(&format!("\"request_id\":\"{}\"", second[0]))
        .await;
}
