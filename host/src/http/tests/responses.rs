//! Responses: what a server may answer, and what it may not.

use super::super::{
    bad::BadResponse,
    fields::BadLine,
    framing::{BadConnection, BadFraming},
    response::BadStatus,
};
use super::*;

fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    let line = line.as_ref();
    [b"HTTP/1.1 200 OK\r\n", line, b"\r\n\r\n"].concat()
}

#[test]
fn a_plain_response_is_read() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    let response = accepted_answer(text, Asked::Other);
    assert_eq!(response.status, 200);
    assert_eq!(response.framing, Framing::Length(5));
    assert!(response.persistent);
    assert_eq!(response.sent, text.as_bytes());
}

#[test]
fn the_status_line_is_a_version_a_status_and_maybe_a_reason() {
    for (line, status, sent) in [
        ("HTTP/1.1 200 OK", 200, "HTTP/1.1 200 OK"),
        ("HTTP/1.1 200 ", 200, "HTTP/1.1 200 "),
        ("HTTP/1.1 200", 200, "HTTP/1.1 200 OK"),
        ("HTTP/1.0 404 Nope", 404, "HTTP/1.1 404 Not Found"),
        ("HTTP/1.1 599 a\tb  c", 599, "HTTP/1.1 599 a\tb  c"),
        ("HTTP/1.1 299 é", 299, "HTTP/1.1 299 é"),
    ] {
        let response =
            accepted_answer(format!("{line}\r\nContent-Length: 0\r\n\r\n"), Asked::Other);
        assert_eq!(response.status, status);
        let wanted = format!("{sent}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&response.sent), wanted);
    }
    for line in [
        "HTTP/1.1 20",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 600 OK",
        "HTTP/1.1 999 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/1.",
        "HTTP/1.11 200 OK",
        "HTTP/1.1 200 a\0b",
        "HTTP/1.1 200 a\rb",
        "HTTP/1.1 200 OK\r",
        "HTTP/1.1 200 \x7f",
        "HTTP/1.1 ２00 OK",
    ] {
        let bad = refused_answer(format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        assert!(
            matches!(
                bad,
                BadResponse::StatusLine { .. }
                    | BadResponse::Status { .. }
                    | BadResponse::Version { .. }
                    | BadResponse::Reason { .. }
            ),
            "{line:?}: {bad:?}"
        );
    }
}

#[test]
fn what_is_not_http_1_is_refused_at_the_first_byte_that_shows_it() {
    for text in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "<html>",
        " HTTP/1.1",
        "HTTPS",
        "ICY 200 OK",
        "\0",
        "HT\nTP",
        "HTTP/2.0 200 OK\r\n",
    ] {
        assert!(
            matches!(refused_answer(text), BadResponse::NotHttp { .. }),
            "{text:?}"
        );
    }
    assert_eq!(
        refused_answer("\r\nHTTP/1.1 200 OK\r\n\r\n"),
        BadResponse::EmptyLine
    );
    assert_eq!(
        refused_answer("\nHTTP/1.1 200 OK\r\n\r\n"),
        BadResponse::BareLf
    );
    assert_eq!(
        read_answer(b"HTTP/1.1 200 OK\r\nX: y\r\n", Asked::Other),
        Ok(None)
    );
    assert_eq!(read_answer(b"HTT", Asked::Other), Ok(None));
}

#[test]
fn servers_are_held_to_the_same_framing_rules() {
    let refused_framing = |line: &str| match refused_answer(with_line(line)) {
        BadResponse::Framing(bad) => bad,
        bad => panic!("{line}: {bad:?}"),
    };
    assert_eq!(
        refused_framing("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        BadFraming::LengthAndCoding
    );
    assert_eq!(
        refused_framing("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        BadFraming::LengthAndCoding
    );
    assert_eq!(
        refused_framing("Content-Length: 5\r\nContent-Length: 5"),
        BadFraming::RepeatedLength
    );
    assert_eq!(
        refused_framing("Content-Length: 5\r\nContent-Length: 6"),
        BadFraming::RepeatedLength
    );
    for value in ["5, 5", "+5", "-1", "0x5", "", "5 5", "1_0"] {
        let bad = refused_framing(&format!("Content-Length: {value}"));
        assert!(matches!(bad, BadFraming::Length { .. }), "{value}");
    }
    for value in [
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551621",
    ] {
        let bad = refused_framing(&format!("Content-Length: {value}"));
        assert!(matches!(bad, BadFraming::LengthTooLarge { .. }), "{value}");
    }
    for value in [
        "gzip, chunked",
        "identity",
        "xchunked",
        "",
        "chunked, chunked",
        "\"chunked\"",
        "chunked;a=b",
    ] {
        let bad = refused_framing(&format!("Transfer-Encoding: {value}"));
        assert!(matches!(bad, BadFraming::Coding { .. }), "{value}");
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        refused_answer(old),
        BadResponse::Framing(BadFraming::CodingInHttp10)
    );
}

#[test]
fn servers_are_held_to_the_same_field_rules() {
    for line in [
        &b"X : y"[..],
        b"X",
        b": y",
        b" X: y",
        b"X: a\0b",
        b"X: a\rb",
        b"X: a\r\n b",
        b"X\0: y",
        b"X(: y",
        b"X: \x07",
        b"Content_Length: 5",
        b"Transfer_Encoding: chunked",
    ] {
        let bad = refused_answer(with_line(line));
        assert!(
            matches!(bad, BadResponse::Field(_)),
            "{}: {bad:?}",
            show(line)
        );
    }
    let folded = refused_answer(with_line("X: y\r\n\tz"));
    assert!(matches!(folded, BadResponse::Field(BadLine::Folded { .. })));
    for text in [
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nX: y\n\r\n",
        "HTTP/1.1 200 OK\r\nX: y\r\n\n",
    ] {
        assert_eq!(refused_answer(text), BadResponse::BareLf);
    }
    let options = refused_answer(with_line("Connection: a b"));
    assert!(matches!(
        options,
        BadResponse::Connection(BadConnection::Option { .. })
    ));
}

#[test]
fn heads_of_servers_are_limited_too() {
    let fields = "X: y\r\n".repeat(21);
    let bad = refused_answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
    assert_eq!(bad, BadResponse::TooManyFields { limit: 20 });
    let bad = refused_answer(with_line(format!("X: {}", "y".repeat(5000))));
    assert_eq!(bad, BadResponse::HeadTooLarge { limit: 4096 });
    let bad = refused_answer(format!("HTTP/1.1 200 {}", "y".repeat(1_000_000)));
    assert!(matches!(bad, BadResponse::StatusLine { .. }));
}

#[test]
fn whether_a_body_follows_depends_on_what_was_asked_and_on_the_status() {
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (status, fields, asked, framing, persistent) in [
        (200, length, Asked::Other, Framing::Length(5), true),
        (200, length, Asked::Head, Framing::None, true),
        (200, chunked, Asked::Other, Framing::Chunked, true),
        (200, chunked, Asked::Head, Framing::None, true),
        (200, "", Asked::Other, Framing::UntilClose, false),
        (200, "", Asked::Head, Framing::None, true),
        (404, "", Asked::Other, Framing::UntilClose, false),
        (204, "", Asked::Other, Framing::None, true),
        (
            204,
            "Content-Length: 0\r\n",
            Asked::Other,
            Framing::None,
            true,
        ),
        (204, length, Asked::Other, Framing::None, false),
        (204, chunked, Asked::Other, Framing::None, false),
        (304, "", Asked::Other, Framing::None, true),
        (304, length, Asked::Other, Framing::None, true),
        (100, "", Asked::Other, Framing::None, true),
        (103, length, Asked::Other, Framing::None, false),
        (101, "", Asked::Other, Framing::None, true),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let response = accepted_answer(&text, asked);
        assert_eq!(response.framing, framing, "{text:?}");
        assert_eq!(response.persistent, persistent, "{text:?}");
    }
}

#[test]
fn a_length_without_a_body_is_kept_where_it_means_something() {
    for (status, asked, kept) in [
        (200, Asked::Head, true),
        (304, Asked::Other, true),
        (204, Asked::Other, false),
        (103, Asked::Other, false),
    ] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
        let sent = accepted_answer(&text, asked).sent;
        assert_eq!(
            memchr::memmem::find(&sent, b"Content-Length: 5").is_some(),
            kept,
            "{status}"
        );
    }
    let coded = accepted_answer(
        "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n",
        Asked::Other,
    );
    assert_eq!(coded.sent, b"HTTP/1.1 304 X\r\n\r\n");
}

#[test]
fn a_server_that_names_transfer_encoding_in_connection_means_no_harm() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\nConnection: Transfer-Encoding, Set-Cookie\r\n\r\n";
    let response = accepted_answer(text, Asked::Other);
    let wanted = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&response.sent), wanted);
}

fn answer(text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let read = read_response(
        text.as_bytes(),
        &mut Progress::default(),
        &mut head,
        &LIMITS,
        Asked::Other,
    );
    assert_eq!(read, Ok(Read::Complete));
    head
}

fn sent(head: &ResponseHead, how: &ResponseWrite<'_>) -> String {
    let mut out = Vec::new();
    head.write(&mut out, how);
    String::from_utf8(out).expect("the test's text is UTF-8")
}

#[test]
fn a_client_of_http_1_0_is_sent_no_chunks() {
    let head = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n");
    assert_eq!(head.framing_for(Version::Http11), Framing::Chunked);
    assert_eq!(head.framing_for(Version::Http10), Framing::UntilClose);
    let how = ResponseWrite {
        connection: ConnectionField::Close,
        framing: Framing::UntilClose,
        extra: &[],
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn a_body_that_ends_with_the_connection_becomes_chunks() {
    let head = answer("HTTP/1.0 200 OK\r\nConnection: close\r\nX: y\r\n\r\n");
    let framing = head.framing_for(Version::Http11);
    assert_eq!(framing, Framing::Chunked);
    let how = ResponseWrite {
        framing,
        ..ResponseWrite::default()
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn a_body_of_another_length_is_stated_anew() {
    let head = answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n");
    let how = ResponseWrite {
        framing: Framing::Length(6),
        ..ResponseWrite::default()
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 6\r\n\r\n"
    );
}

#[test]
fn an_answer_of_the_proxys_own_is_written_from_nothing() {
    let mut head = ResponseHead::new(503);
    head.fields
        .add("Content-Type", b"text/html")
        .expect("a sound field");
    let how = ResponseWrite {
        connection: ConnectionField::Close,
        framing: Framing::Length(107),
        extra: &[("X-Request-Id", b"7")],
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 107\r\nX-Request-Id: 7\r\n\r\n"
    );
}

#[test]
fn a_change_of_protocol_is_passed_on_when_told_so() {
    let head = answer(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: y\r\n\r\n",
    );
    assert_eq!(head.upgrade(), Some(&b"websocket"[..]));
    assert!(!head.is_interim(), "nothing of HTTP follows it");
    let how = ResponseWrite {
        connection: ConnectionField::Upgrade,
        ..ResponseWrite::default()
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: y\r\nConnection: Upgrade\r\n\r\n"
    );
    assert_eq!(
        answer("HTTP/1.1 200 OK\r\nUpgrade: h2c\r\n\r\n").upgrade(),
        None
    );
    assert!(answer("HTTP/1.1 100 Continue\r\n\r\n").is_interim());
}

#[test]
fn a_status_can_be_changed_to_one_that_fits_the_body() {
    let mut head = answer("HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\n");
    for status in [0, 99, 100, 101, 199, 204, 304, 600, 999] {
        assert_eq!(head.set_status(status), Err(BadStatus(status)));
    }
    assert_eq!(head.set_status(503), Ok(()));
    let how = ResponseWrite {
        framing: head.framing(),
        ..ResponseWrite::default()
    };
    assert_eq!(
        sent(&head, &how),
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\n"
    );
    let mut interim = answer("HTTP/1.1 103 X\r\n\r\n");
    assert_eq!(interim.set_status(200), Err(BadStatus(200)));
    let mut empty = answer("HTTP/1.1 304 X\r\n\r\n");
    assert_eq!(empty.set_status(200), Err(BadStatus(200)));
    assert_eq!(empty.set_status(204), Ok(()));
}
