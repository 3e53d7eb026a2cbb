//! What a request says of its connection: staying, going on, becoming something else.

use super::{
    super::{LIMITS, accepted, refused},
    with_line,
};
use crate::http::{
    bad::BadRequest,
    framing::BadConnection,
    request::{RequestHead, read_request},
    scan::{Progress, Read},
};

#[test]
fn the_connection_outlives_a_request_as_its_version_and_connection_say() {
    for (version, connection, persistent) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: , ,close,\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: x\r\n", false),
    ] {
        let request = accepted(format!(
            "GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n"
        ));
        assert_eq!(request.persistent, persistent, "{version} {connection:?}");
        assert_eq!(request.sent, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for option in [
        "a b",
        "close;",
        "\"close\"",
        "close x",
        "clos\u{e9}",
        "a=b",
        "close\u{a0}",
    ] {
        let bad = refused(with_line(format!("Connection: {option}")));
        assert!(
            matches!(bad, BadRequest::Connection(BadConnection::Option { .. })),
            "{option}: {bad:?}"
        );
    }
}

#[test]
fn connection_cannot_take_away_what_servers_rely_on() {
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Host",
        "X-Forwarded-Anything",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Authorization",
        "Cookie",
        "Via",
        "X-Remote-User",
        "X-SSL-Client-Verify",
        "X-Auth-User",
        "Content-Type",
        "Max-Forwards",
        "X-Request-Id",
    ] {
        for option in [
            name.to_owned(),
            format!("close, {name}"),
            format!("keep-alive,{}", name.to_lowercase()),
        ] {
            let bad = refused(with_line(format!("Connection: {option}")));
            assert!(
                matches!(bad, BadRequest::Connection(BadConnection::Nominates { .. })),
                "{option}: {bad:?}"
            );
        }
    }
    let request = accepted(with_line(
        "X-Mine: 1\r\nConnection: X-MINE\r\nx-mine: 2\r\nX-Other: 3",
    ));
    assert_eq!(
        request.sent,
        b"POST /x HTTP/1.1\r\nHost: a\r\nX-Other: 3\r\n\r\n"
    );
}

#[test]
fn expect_is_100_continue_and_only_counts_with_a_body() {
    let body = "Content-Length: 5\r\n";
    assert!(accepted(with_line(format!("{body}Expect: 100-continue"))).expects_continue);
    assert!(accepted(with_line(format!("{body}eXpect:100-CONTINUE"))).expects_continue);
    assert!(
        accepted(with_line(
            "Transfer-Encoding: chunked\r\nExpect: 100-continue"
        ))
        .expects_continue
    );
    assert!(!accepted(with_line("Expect: 100-continue")).expects_continue);
    assert!(!accepted(with_line("Content-Length: 0\r\nExpect: 100-continue")).expects_continue);
    let old = "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert!(!accepted(old).expects_continue);
    for value in [
        "",
        "200-ok",
        "100-continue, x",
        "100-continue,",
        "x100-continue",
        "100 continue",
        "\"100-continue\"",
        "100-continue;a",
        "y 100-continue",
    ] {
        let bad = refused(with_line(format!("{body}Expect: {value}")));
        assert_eq!(bad.status(), 417, "{value}: {bad:?}");
    }
    let twice = with_line(format!(
        "{body}Expect: 100-continue\r\nExpect: 100-continue"
    ));
    assert_eq!(refused(twice).status(), 417);
}

#[test]
fn an_upgrade_must_be_asked_for_properly() {
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket";
    let request = accepted(with_line(websocket));
    assert_eq!(request.upgrades, [b"websocket"]);
    assert_eq!(
        request.sent, b"POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "not passed on unless told so"
    );
    for line in [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Connection: close\r\nUpgrade: websocket",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked",
    ] {
        assert!(accepted(with_line(line)).upgrades.is_empty(), "{line}");
    }
    let old = format!("GET / HTTP/1.0\r\nHost: a\r\n{websocket}\r\n\r\n");
    assert!(accepted(old).upgrades.is_empty());
}

#[test]
fn pipelined_requests_are_read_one_after_the_other() {
    let stream = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut progress = Progress::default();
    let mut head = RequestHead::default();
    let mut rest = &stream[..];
    let mut paths = Vec::new();
    while !rest.is_empty() {
        let read = read_request(rest, &mut progress, &mut head, &LIMITS);
        assert_eq!(read, Ok(Read::Complete));
        paths.push(head.raw_path().to_owned());
        rest = &rest[head.len()..];
    }
    assert_eq!(paths, ["/1", "/2", "/3"]);
}
