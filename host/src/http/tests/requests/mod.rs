//! Requests: what is read, how, and what is refused.

mod connection;
mod fields;
mod framing;
mod line;

use super::{LIMITS, accepted, read, refused, show};
use crate::http::{
    bad::BadRequest,
    framing::{Framing, Version},
    request::{RequestHead, read_request},
    scan::{Progress, Read},
};

fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    let line = line.as_ref();
    [b"POST /x HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat()
}

fn with_target(target: impl AsRef<[u8]>) -> Vec<u8> {
    let target = target.as_ref();
    [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
}

fn with_host(host: impl AsRef<[u8]>) -> Vec<u8> {
    let host = host.as_ref();
    [b"GET / HTTP/1.1\r\nHost:", host, b"\r\n\r\n"].concat()
}

#[test]
fn a_plain_request_is_read() {
    let text =
        "GET /a/b?c=d?e HTTP/1.1\r\nHost: Example.com:8080\r\nX-A: 1\r\nx-a:\t2 \r\nEmpty:\r\n\r\n";
    let request = accepted(text);
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/a/b?c=d?e");
    assert_eq!(request.path, "/a/b");
    assert_eq!(request.query.as_deref(), Some("c=d?e"));
    assert_eq!(request.authority.as_deref(), Some("Example.com:8080"));
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.framing, Framing::None);
    assert!(request.persistent);
    assert_eq!(request.len, text.len());
    assert_eq!(request.sent, text.as_bytes());
    let fields: Vec<_> = request
        .fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_slice()))
        .collect();
    let wanted: [(&str, &[u8]); 4] = [
        ("Host", b"Example.com:8080"),
        ("X-A", b"1"),
        ("x-a", b"2"),
        ("Empty", b""),
    ];
    assert_eq!(fields, wanted);
}

#[test]
fn a_head_that_is_not_over_is_not_an_error() {
    for text in [
        "",
        "\r",
        "\r\n",
        "\r\nG",
        "GET",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
    ] {
        assert_eq!(read(text.as_bytes()), Ok(None), "{text:?}");
    }
}

#[test]
fn a_request_has_begun_with_its_first_byte_and_not_with_an_empty_line() {
    for (text, begun) in [
        ("", false),
        ("\r\n", false),
        ("\r\nG", true),
        ("G", true),
        ("GET / HTTP/1.1\r\n", true),
    ] {
        let mut progress = Progress::default();
        let mut head = RequestHead::default();
        let read = read_request(text.as_bytes(), &mut progress, &mut head, &LIMITS);
        assert_eq!(read, Ok(Read::Partial));
        assert_eq!(progress.has_begun(), begun, "{text:?}");
    }
}

#[test]
fn one_empty_line_before_a_request_is_let_pass_and_no_more() {
    let request = accepted("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.sent, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(request.len, 29);
    assert_eq!(
        refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest::EmptyLine
    );
    assert_eq!(
        refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest::BareLf
    );
    assert!(matches!(
        refused("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest::Method { .. }
    ));
}

#[test]
fn bytes_that_are_no_request_are_refused_at_once() {
    for text in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"\0",
        b" GET / HTTP/1.1",
        b"\x80",
        b"(",
        b"\t",
    ] {
        assert!(
            matches!(refused(text), BadRequest::NotHttp { .. }),
            "{}",
            show(text)
        );
    }
    assert!(matches!(
        refused("SSH-2.0-OpenSSH_9\r\n"),
        BadRequest::RequestLine { .. }
    ));
    assert!(matches!(
        refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        BadRequest::Version { .. }
    ));
}
