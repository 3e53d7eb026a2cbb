//! The request line: its parts, versions, methods, targets, and the host it agrees with.

use super::{
    super::{accepted, refused, show},
    with_host, with_target,
};
use crate::http::{bad::BadRequest, fields::BadLine};

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
