//! Requests: what is read, how, and what is refused.

use super::super::{
    fields::BadLine,
    framing::{BadConnection, BadFraming},
};
use super::*;

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

#[test]
fn versions_other_than_1_0_and_1_1_are_refused() {
    let get = |version: &str| format!("GET / {version}\r\nHost: a\r\n\r\n");
    for version in [
        "HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0",
    ] {
        let bad = refused(get(version));
        assert_eq!(
            bad,
            BadRequest::Version {
                found: version.to_owned()
            }
        );
        assert_eq!(bad.status(), 505);
    }
    for version in [
        "http/1.1",
        "Http/1.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.1.",
        "HTTP/11",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/1.10",
        "HTTP/1,1",
        "HTTP-1.1",
        "HTTP/ 1.1",
        "HTTP/1.1 ",
        " HTTP/1.1",
        "HTTPS/1.1",
        "HTP/1.1",
        "ICAP/1.0",
        "HTTP/1.x",
        "HTTP/1.1\t",
        "HTTP/1.1\0",
        "HTTP/１.1",
        "HTTP /1.1",
        "XHTTP/1.1",
        "HTTP/-1.1",
        "HTTP/+1.1",
        "",
        "HTTP/2",
    ] {
        let bad = refused(get(version));
        assert!(
            matches!(
                bad,
                BadRequest::VersionSyntax { .. } | BadRequest::RequestLine { .. }
            ),
            "{version:?}: {bad:?}"
        );
        assert_eq!(bad.status(), 400);
    }
    for text in ["GET /\r\n", "GET /\r\nHost: a\r\n\r\n", "GET /a/b\r\n\r\n"] {
        assert!(matches!(refused(text), BadRequest::NoVersion { .. }));
    }
}

#[test]
fn the_parts_of_a_request_line_are_divided_by_one_space_and_nothing_else() {
    for line in [
        "GET",
        "GET ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET\x0b/ HTTP/1.1",
        "GET /\x0cHTTP/1.1",
        "GET\r/ HTTP/1.1",
        "GET /\rHTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET / a HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET / HTTP/1.1 ",
        "GET\u{a0}/ HTTP/1.1",
        "GET\0/ HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET, / HTTP/1.1",
        "G ET / HTTP/1.1",
        "GET: / HTTP/1.1",
        "GE(T / HTTP/1.1",
        "Gé / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "GET/ HTTP/1.1",
        "GET /HTTP/1.1",
    ] {
        let bad = refused(format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(bad.status(), 400, "{line:?}: {bad:?}");
    }
    for text in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\nHTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(refused(text), BadRequest::BareLf);
    }
}

#[test]
fn methods_are_tokens_and_connect_is_not_offered() {
    for method in [
        "GET",
        "get",
        "PATCH",
        "M-SEARCH",
        "VERSION-CONTROL",
        "X!#$%&'*+-.^_`|~9",
        &"A".repeat(32),
    ] {
        let request = accepted(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(request.method, method);
    }
    let long = "A".repeat(33);
    assert!(matches!(
        refused(format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n")),
        BadRequest::Method { .. }
    ));
    assert!(matches!(
        refused("A".repeat(10_000)),
        BadRequest::Method { .. }
    ));
    for target in ["a:443", "/", "http://a/"] {
        let bad = refused(format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((&bad, bad.status()), (&BadRequest::Connect, 501));
    }
}

#[test]
fn targets_are_visible_ascii_without_a_fragment() {
    for target in ["/#", "/a#b", "/?a#b", "#"] {
        assert!(
            matches!(refused(with_target(target)), BadRequest::Fragment { .. }),
            "{target}"
        );
    }
    for target in [
        &b"/\x00"[..],
        b"/\x01",
        b"/\x7f",
        b"/\x80",
        b"/\xff",
        "/é".as_bytes(),
        "/\u{2215}".as_bytes(),
        b"/a\tb",
        b"/a\x0bb",
        b"/a\rb",
        b"/?\x00",
        b"/?\xc3\xa9",
    ] {
        assert!(
            matches!(refused(with_target(target)), BadRequest::TargetByte { .. }),
            "{}",
            show(target)
        );
    }
    for target in ["/a\\b", "/\\", "/..\\a", "http://a/b\\c"] {
        assert!(
            matches!(refused(with_target(target)), BadRequest::TargetByte { .. }),
            "{target}"
        );
    }
    for target in [
        "/",
        "//",
        "/a//b",
        "/./..",
        "/%2e%2F%00%zz%",
        "/a;b=c,d",
        "/\"<>^`{|}",
        "/?a\\b",
        "/??",
        "/a:b@c",
        "/http://b/",
    ] {
        let request = accepted(with_target(target));
        assert_eq!(request.target, target);
        assert_eq!(request.sent, with_target(target), "sent as it came");
    }
}

#[test]
fn targets_are_paths_http_urls_or_the_asterisk_of_options() {
    for target in [
        "a",
        "a/b",
        "?",
        "?a",
        "*",
        "**",
        "/*?".trim_start_matches('/'),
        "a:80",
        "a.com",
        "ftp://a/",
        "ws://a/",
        "http:/a",
        "http:a",
        "http//a",
        "://a",
        "mailto:a",
        "http:",
        "\\",
        "%2f",
        "//".trim_start_matches('/').trim_end_matches('/'),
    ] {
        let bad = refused(with_target(target));
        assert!(
            matches!(
                bad,
                BadRequest::Target { .. } | BadRequest::RequestLine { .. }
            ),
            "{target:?}: {bad:?}"
        );
        assert_eq!(bad.status(), 400);
    }
    let options = accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((options.path.as_str(), options.query), ("*", None));
    assert_eq!(options.sent, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(
        refused("OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n"),
        BadRequest::Target { .. }
    ));
}

#[test]
fn an_absolute_target_is_sent_on_as_path_and_host() {
    for (target, host, sent) in [
        ("http://a/b?c", "a", "/b?c HTTP/1.1\r\nHost: a"),
        ("http://a", "a", "/ HTTP/1.1\r\nHost: a"),
        ("http://a?b/c", "a", "/?b/c HTTP/1.1\r\nHost: a"),
        ("HTTP://a/", "a", "/ HTTP/1.1\r\nHost: a"),
        ("https://a:443/", "a", "/ HTTP/1.1\r\nHost: a:443"),
        ("http://A/", "a:80", "/ HTTP/1.1\r\nHost: A"),
        ("http://a:/x", "a", "/x HTTP/1.1\r\nHost: a:"),
        (
            "http://[::1]:8080/x",
            "[::1]:8080",
            "/x HTTP/1.1\r\nHost: [::1]:8080",
        ),
        ("http://a//b/../c", "a", "//b/../c HTTP/1.1\r\nHost: a"),
    ] {
        let request = accepted(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(request.target, target);
        // Whatever stood there, a rewritten Host is a line of the proxy's own.
        let sent = format!("GET {sent}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&request.sent), sent, "{target}");
    }
    let options = accepted("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(options.path, "*");
    let root = accepted("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(root.path, "/");
    let old = accepted("GET http://a:81/ HTTP/1.0\r\n\r\n");
    assert_eq!(old.authority.as_deref(), Some("a:81"));
    assert_eq!(old.sent, b"GET / HTTP/1.1\r\nHost: a:81\r\n\r\n");
}

#[test]
fn an_absolute_target_that_is_unsound_or_contradicts_host_is_refused() {
    for target in [
        "http://b/",
        "http://a.b/",
        "http://a:81/",
        "https://a:80/",
        "http://a./",
        "https://b",
    ] {
        let bad = refused(with_target(target));
        assert!(
            matches!(bad, BadRequest::OtherHost { .. }),
            "{target}: {bad:?}"
        );
    }
    for target in [
        "http://u@a/",
        "http://u:p@a/",
        "http://@a/",
        "http://b@a",
        "http://a:80@b/",
        "http://a@/",
    ] {
        let bad = refused(with_target(target));
        assert!(
            matches!(bad, BadRequest::UserInfo { .. }),
            "{target}: {bad:?}"
        );
    }
    for target in [
        "http://",
        "http:///",
        "http:///a",
        "http://?a",
        "http://:80/",
        "http://a:b/",
        "http://a,b/",
        "http://a\\b/",
        "http://[::1/",
        "http://a%41/",
    ] {
        let bad = refused(with_target(target));
        assert!(
            matches!(bad, BadRequest::Authority { .. }),
            "{target}: {bad:?}"
        );
    }
    assert_eq!(
        refused("GET http://a/ HTTP/1.1\r\n\r\n"),
        BadRequest::NoHost
    );
    let two = "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    assert_eq!(refused(two), BadRequest::RepeatedHost);
}

#[test]
fn a_request_has_exactly_one_sound_host() {
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), BadRequest::NoHost);
    assert_eq!(
        refused("GET / HTTP/1.1\r\nHos: a\r\n\r\n"),
        BadRequest::NoHost
    );
    let old = accepted("GET / HTTP/1.0\r\nX: y\r\n\r\n");
    assert_eq!(old.authority, None);
    assert_eq!(old.sent, b"GET / HTTP/1.1\r\nX: y\r\nHost:\r\n\r\n");
    for text in [
        "Host: a\r\nHost: a",
        "Host: a\r\nX: y\r\nhOST: b",
        "host:a\r\nhost:",
    ] {
        for version in ["1.0", "1.1"] {
            let text = format!("GET / HTTP/{version}\r\n{text}\r\n\r\n");
            assert_eq!(refused(text), BadRequest::RepeatedHost);
        }
    }
    for host in [
        "",
        " ",
        "\t",
        "a b",
        " a b ",
        "a,b",
        "a, b",
        "a/b",
        "/a",
        "http://a",
        "a@b",
        "u:p@a",
        "a?b",
        "a#b",
        "a\\b",
        "a\"",
        "<a>",
        "a:b",
        "a:80:81",
        ":80",
        "a:99999",
        "a:-1",
        "a:8 0",
        "a :80",
        "a%00",
        "a%2eb",
        "[::1",
        "::1",
        "[a]",
        "..",
        ".",
        "a..b",
        "é",
        "a;b",
        "*",
        "a\u{ff0e}b",
    ] {
        let bad = refused(with_host(host));
        assert!(matches!(bad, BadRequest::Host { .. }), "{host:?}: {bad:?}");
        assert_eq!(bad.status(), 400);
    }
    for host in [&b"a\0b"[..], b"\0", b"a\x0b", b"a\rb", b"a\x7f"] {
        assert!(matches!(
            refused(with_host(host)),
            BadRequest::Field(BadLine::ValueByte { .. })
        ));
    }
    assert!(matches!(
        refused(with_host(" a\r\n b")),
        BadRequest::Field(BadLine::Folded { .. })
    ));
    assert!(matches!(
        refused(with_host("\r\n a")),
        BadRequest::Field(BadLine::Folded { .. })
    ));
    for host in [
        " a",
        "a",
        "\ta\t",
        " A.B.c. ",
        " 127.0.0.1:80",
        " a:",
        " [::1]:1",
        " a_b",
    ] {
        assert_eq!(
            accepted(with_host(host)).authority.as_deref(),
            Some(host.trim())
        );
    }
}

#[test]
fn a_content_length_is_a_number_and_there_is_one() {
    for (text, length) in [
        ("0", 0),
        ("5", 5),
        (" 5 ", 5),
        ("\t5\t", 5),
        ("9223372036854775807", i64::MAX as u64),
    ] {
        let request = accepted(with_line(format!("Content-Length:{text}")));
        assert_eq!(request.framing, Framing::Length(length));
    }
    for text in [
        "+5", "-5", "-0", "+0", "0x5", "0X5", "5x", "1_0", "\"5\"", "'5'", "5,6", "5,5", "5, 5",
        "5,", ",5", "5 5", "5;", "5.0", "5e1", "5.", ".5", "", " ", ",", "５", "٥", "\u{a0}5",
        "5\u{a0}", "five", "0b1", "0o5", "5\u{85}", "NaN", "5h", "(5)", "5/5", "5=5", "%35", "5\\",
    ] {
        let bad = refused(with_line(format!("Content-Length:{text}")));
        assert!(
            matches!(bad, BadRequest::Framing(BadFraming::Length { .. })),
            "{text:?}: {bad:?}"
        );
        assert_eq!(bad.status(), 400);
    }
    for text in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999",
        &"9".repeat(300),
    ] {
        let bad = refused(with_line(format!("Content-Length: {text}")));
        assert!(
            matches!(bad, BadRequest::Framing(BadFraming::LengthTooLarge { .. })),
            "{text}: {bad:?}"
        );
    }
    for text in [
        &b"Content-Length: 5\x0b"[..],
        b"Content-Length: \x0b5",
        b"Content-Length: 5\x0c",
        b"Content-Length: 5\0",
        b"Content-Length: \x005",
        b"Content-Length: 5\r6",
    ] {
        let bad = refused(with_line(text));
        assert!(
            matches!(bad, BadRequest::Field(BadLine::ValueByte { .. })),
            "{}: {bad:?}",
            show(text)
        );
    }
    for text in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "content-length: 0\r\nX: y\r\nCONTENT-LENGTH: 5",
        "Content-Length: 5\r\nContent-Length:",
    ] {
        assert_eq!(
            refused(with_line(text)),
            BadRequest::Framing(BadFraming::RepeatedLength)
        );
    }
    for text in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Content-Length 5",
        "Content-Length",
        "Content Length: 5",
        " Content-Length: 5",
        "Content-Length:\r\n 5",
        "Content-Length: 5\r\n 6",
        "Content_Length: 5",
        "Content-Length\u{a0}: 5",
        "Content-Length\0: 5",
    ] {
        let bad = refused(with_line(text));
        assert!(matches!(bad, BadRequest::Field(_)), "{text:?}: {bad:?}");
    }
}

#[test]
fn leading_zeros_are_not_passed_on() {
    for (text, sent) in [
        ("007", "7"),
        ("00", "0"),
        ("0000000000000000000000000000005", "5"),
    ] {
        let request = accepted(with_line(format!("Content-Length: {text}\r\nX: y")));
        let wanted =
            format!("POST /x HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: {sent}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&request.sent), wanted);
    }
}

#[test]
fn length_and_coding_together_are_refused_in_either_order() {
    for text in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "transfer-encoding: CHUNKED\r\nX: y\r\ncontent-length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nTransfer-Encoding:",
        "Content-Length: x\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(
            refused(with_line(text)),
            BadRequest::Framing(BadFraming::LengthAndCoding),
            "{text:?}"
        );
    }
}

/// Lines that some parser takes for `Transfer-Encoding: chunked`.
const CODINGS: &[&[u8]] = &[
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: x-chunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: chunk",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked,chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding:",
    b"Transfer-Encoding:\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: , chunked",
    b"Transfer-Encoding: chunked ,",
    b"Transfer-Encoding: chunked;",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked; a=b",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: (chunked)",
    b"Transfer-Encoding: chunked (a)",
    b"Transfer-Encoding: chun ked",
    b"Transfer-Encoding: chunked chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: chunked\x0c",
    b"Transfer-Encoding: chunked\0",
    b"Transfer-Encoding: \0chunked",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\xa0",
    b"Transfer-Encoding: \x85chunked",
    b"Transfer-Encoding: \xc2\xa0chunked",
    b"Transfer-Encoding: chun\xe2\x84\xaaed",
    b"Transfer-Encoding: \xef\xbd\x83hunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding:\r\n\tchunked",
    b"Transfer-Encoding: chunked\r\n a",
    b"Transfer-Encoding: x\r\n chunked",
    b"Transfer-Encoding: chunked\r",
    b"Transfer-Encoding: \rchunked",
    b"Transfer-Encoding:\rchunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\n\rTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\n",
    b"Transfer-Encoding:\nchunked",
    b"Transfer_Encoding: chunked",
    b"transfer_encoding: chunked",
    b"Transfer-Encoding",
    b"Transfer-Encoding chunked",
    b"Transfer-Encoding\0: chunked",
    b"Transfer-Encoding\xa0: chunked",
    b"Transfer\r-Encoding: chunked",
    b"Transfer\n-Encoding: chunked",
    b"Transfer\r\n-Encoding: chunked",
    b"Transfer\r\n -Encoding: chunked",
    b"Transfer-\r\nEncoding: chunked",
    b"Transfer Encoding: chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ",
    b"Transfer-Encoding: null",
    b"Transfer-Encoding: chunked\xff",
    b"\"Transfer-Encoding\": chunked",
    b"Transfer-Encoding=chunked: a b\r\nTransfer-Encoding :chunked",
    b":Transfer-Encoding: chunked",
    b": chunked",
    b"\0Transfer-Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked",
    b"Trans\xe2\x80\x90fer-Encoding: chunked",
];

#[test]
fn disguises_of_chunked_are_refused_with_and_without_a_length_that_covers_them() {
    for line in CODINGS {
        for around in [
            line.to_vec(),
            [b"Content-Length: 5\r\n", *line].concat(),
            [*line, b"\r\nContent-Length: 5"].concat(),
        ] {
            let bad = refused(with_line(&around));
            assert_eq!(bad.status(), 400, "{}: {bad:?}", show(&around));
        }
    }
}

#[test]
fn chunked_is_understood_in_any_case_and_passed_on_in_the_usual_one() {
    for text in ["chunked", "CHUNKED", "Chunked", "  chunked\t"] {
        let request = accepted(with_line(format!("transfer-ENCODING:{text}")));
        assert_eq!(request.framing, Framing::Chunked);
        let sent = String::from_utf8_lossy(&request.sent).to_ascii_lowercase();
        assert_eq!(sent.matches("transfer-encoding").count(), 1);
        assert_eq!(sent.matches("chunked").count(), 1);
    }
    let request = accepted(with_line("Transfer-Encoding: cHunked"));
    assert!(
        request
            .sent
            .ends_with(b"Transfer-Encoding: chunked\r\n\r\n")
    );
}

#[test]
fn http_1_0_knows_no_coding() {
    let text = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        refused(text),
        BadRequest::Framing(BadFraming::CodingInHttp10)
    );
}

#[test]
fn names_are_tokens_right_before_the_colon() {
    for line in [
        &b"X : y"[..],
        b"X\t: y",
        b"X",
        b"X y",
        b": y",
        b":",
        b" X: y",
        b"\tX: y",
        b"X Y: z",
        b"X\tY: z",
        b"(X): y",
        b"X@: y",
        b"X[: y",
        b"X]: y",
        b"X{: y",
        b"X}: y",
        b"X\": y",
        b"X,: y",
        b"X;: y",
        b"X<: y",
        b"X=: y",
        b"X>: y",
        b"X?: y",
        b"X/: y",
        b"X\\: y",
        b"X\0: y",
        b"X\x01: y",
        b"X\x7f: y",
        b"X\x80: y",
        b"X\xff: y",
        "é: y".as_bytes(),
        b"X\r: y",
        b"\rX: y",
        b"X\x0b: y",
        b"\r",
        b"\r\r",
        b"\0",
        b" ",
        b"\t",
    ] {
        let bad = refused(with_line(line));
        assert!(
            matches!(bad, BadRequest::Field(_)),
            "{}: {bad:?}",
            show(line)
        );
    }
    assert!(matches!(
        refused(with_line("X : y")),
        BadRequest::Field(BadLine::BlankBeforeColon { .. })
    ));
    assert!(matches!(
        refused(with_line("X")),
        BadRequest::Field(BadLine::NoColon { .. })
    ));
    assert!(matches!(
        refused(with_line(": y")),
        BadRequest::Field(BadLine::EmptyName { .. })
    ));
    assert!(matches!(
        refused(with_line("X(: y")),
        BadRequest::Field(BadLine::NameByte { byte: b'(', .. })
    ));
    accepted(with_line("!#$%&'*+-.^_`|~0aZ: y"));
}

#[test]
fn a_field_behind_an_empty_name_is_not_lost() {
    let bad = refused("GET / HTTP/1.1\r\nHost: a\r\n: x\r\nContent-Length: 5\r\n\r\n");
    assert!(matches!(bad, BadRequest::Field(BadLine::EmptyName { .. })));
}

#[test]
fn long_names_are_read_in_full_or_refused() {
    let longest = "x".repeat(256);
    let request = accepted(with_line(format!("{longest}: y\r\nContent-Length: 5")));
    assert_eq!(request.fields[1], (longest, b"y".to_vec()));
    assert_eq!(request.framing, Framing::Length(5));
    for len in [257, 270, 512, 513, 2048] {
        let name = format!("content-length{}", "x".repeat(len - 14));
        let bad = refused(with_line(format!("{name}: 5")));
        assert!(
            matches!(bad, BadRequest::Field(BadLine::NameTooLong { .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn values_hold_no_control_characters_but_tab() {
    for byte in (0..=255_u8).filter(|&b| b != b'\r' && b != b'\n') {
        let line = [b"X: a", &[byte][..], b"b"].concat();
        let fine = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if fine {
            assert_eq!(accepted(with_line(&line)).fields[1].1, line[3..]);
        } else {
            let bad = refused(with_line(&line));
            assert!(
                matches!(bad, BadRequest::Field(BadLine::ValueByte { .. })),
                "{bad:?}"
            );
        }
    }
    for line in [
        &b"X: a\rb"[..],
        b"X: a\r",
        b"X: \r",
        b"X:\r",
        b"X:\rY: z",
        b"X: a\r\rb",
    ] {
        let bad = refused(with_line(line));
        assert!(
            matches!(bad, BadRequest::Field(BadLine::ValueByte { .. })),
            "{}: {bad:?}",
            show(line)
        );
    }
}

#[test]
fn lines_end_in_crlf_everywhere() {
    for text in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n",
    ] {
        assert_eq!(refused(text), BadRequest::BareLf, "{text:?}");
    }
    // The end of a head that some take a lone CR for.
    for text in [
        "GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\rGET /b HTTP/1.1\r\n\r\n",
    ] {
        assert!(matches!(refused(text), BadRequest::Field(_)), "{text:?}");
    }
}

#[test]
fn folded_lines_are_refused() {
    for line in [
        "X: y\r\n z",
        "X: y\r\n\tz",
        "X:\r\n z",
        "X: y\r\n ",
        "X: y\r\n \r\n z",
    ] {
        let bad = refused(with_line(line));
        assert!(
            matches!(bad, BadRequest::Field(BadLine::Folded { .. })),
            "{line:?}: {bad:?}"
        );
    }
    let first = "GET / HTTP/1.1\r\n Host: a\r\n\r\n";
    assert!(matches!(
        refused(first),
        BadRequest::Field(BadLine::Folded { .. })
    ));
}

#[test]
fn heads_are_limited_in_every_direction_and_as_early_as_can_be() {
    let long = |n: usize| format!("/{}", "a".repeat(n - 1));
    accepted(with_target(long(256)));
    for n in [257, 300, 4000, 5000, 100_000] {
        let bad = refused(with_target(long(n)));
        assert_eq!(
            (&bad, bad.status()),
            (&BadRequest::TargetTooLong { limit: 256 }, 414)
        );
    }
    let endless = format!("GET /{}", "a".repeat(1000));
    assert_eq!(refused(endless), BadRequest::TargetTooLong { limit: 256 });

    let fields = |n: usize| (1..n).map(|n| format!("X: {n}\r\n")).collect::<String>();
    accepted(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(20)));
    for n in [21, 22, 100] {
        let bad = refused(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(n)));
        assert_eq!(
            (&bad, bad.status()),
            (&BadRequest::TooManyFields { limit: 20 }, 431)
        );
    }

    let sized = |n: usize| {
        let around = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "a".repeat(n - around)
        )
    };
    assert_eq!(accepted(sized(4096)).len, 4096);
    for n in [4097, 4098, 4099, 10_000] {
        let bad = refused(sized(n));
        assert_eq!(
            (&bad, bad.status()),
            (&BadRequest::HeadTooLarge { limit: 4096 }, 431)
        );
    }
    assert_eq!(
        refused(&sized(10_000)[..4096]),
        BadRequest::HeadTooLarge { limit: 4096 }
    );
}

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
