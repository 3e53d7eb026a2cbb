//! Edits: what a plugin may do to a head, and that it then is as if it had come like that.

use super::super::{
    cookies, facts,
    fields::{BadField, Fields},
    heads::request_head,
    known::Known,
    request::BadEdit,
    write::ExpectField,
};
use super::*;

fn plain() -> RequestHead {
    request_head("GET /a?b HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\nx: 3\r\n\r\n")
}

fn sent(head: &RequestHead) -> String {
    let mut out = Vec::new();
    head.write(&mut out, &RequestWrite::default());
    String::from_utf8(out).expect("the test's text is UTF-8")
}

#[test]
fn setting_a_field_replaces_all_of_its_name_where_the_first_one_stood() {
    let mut head = plain();
    head.fields.set("X", b" new ").expect("a sound field");
    assert_eq!(
        sent(&head),
        "GET /a?b HTTP/1.1\r\nHost: a\r\nX: new\r\nY: 2\r\n\r\n"
    );
    assert_eq!(head.fields.get("x"), Some(&b"new"[..]));
    head.fields.set("Z", b"").expect("a sound field");
    head.fields.set("X", b"newer").expect("a sound field");
    assert_eq!(
        sent(&head),
        "GET /a?b HTTP/1.1\r\nHost: a\r\nX: newer\r\nY: 2\r\nZ: \r\n\r\n"
    );
}

#[test]
fn adding_keeps_and_removing_takes_all_of_a_name() {
    let mut head = plain();
    head.fields.add("X", b"4").expect("a sound field");
    let all: Vec<_> = head.fields.all("x").collect();
    assert_eq!(all, [b"1", b"3", b"4"]);
    assert_eq!(head.fields.get("X"), Some(&b"4"[..]));
    head.fields.remove("x").expect("a removable name");
    assert_eq!(sent(&head), "GET /a?b HTTP/1.1\r\nHost: a\r\nY: 2\r\n\r\n");
    head.fields
        .remove("x")
        .expect("that there is none is no error");
    head.fields.add("Cookie", b"a=1").expect("a sound field");
    assert_eq!(cookies::cookie(&head.fields, "a"), Some(&b"1"[..]));
    head.fields.remove("cookie").expect("a removable name");
    assert_eq!(head.fields.known(Known::Cookie), None);
    assert_eq!(sent(&head), sent(&head), "a retry writes the same");
}

#[test]
fn a_field_that_connection_named_is_gone_but_one_set_since_is_sent() {
    let mut head =
        request_head("GET / HTTP/1.1\r\nHost: a\r\nConnection: x-mine\r\nX-Mine: 1\r\n\r\n");
    assert_eq!(sent(&head), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    head.fields.set("X-Mine", b"2").expect("a sound field");
    assert_eq!(
        sent(&head),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Mine: 2\r\n\r\n"
    );
}

#[test]
fn names_of_the_hop_and_of_framing_are_the_proxys_own() {
    let mut head = plain();
    for name in [
        "Connection",
        "keep-alive",
        "Proxy-Connection",
        "Transfer-Encoding",
        "content-length",
        "TE",
        "Trailer",
        "UPGRADE",
        "Expect",
    ] {
        let own = BadField::ProxysOwn {
            name: name.to_owned(),
        };
        assert_eq!(head.fields.set(name, b"5"), Err(own.clone()));
        assert_eq!(head.fields.add(name, b"5"), Err(own.clone()));
        assert_eq!(head.fields.remove(name), Err(own));
    }
}

#[test]
fn a_host_can_be_set_to_a_host_but_not_doubled_or_removed() {
    let mut head = plain();
    head.fields
        .set("host", b"b.example:8080")
        .expect("a sound host");
    assert_eq!(head.authority(), Some("b.example:8080"));
    assert_eq!(facts::host(&head).as_deref(), Some("b.example"));
    for host in [&b""[..], b"a b", b"a,b", b"u@a", b"a/b", b"http://a"] {
        assert!(
            matches!(head.fields.set("Host", host), Err(BadField::Host { .. })),
            "{}",
            show(host)
        );
    }
    assert_eq!(head.fields.add("Host", b"c"), Err(BadField::HostCount));
    assert_eq!(head.fields.remove("HOST"), Err(BadField::HostCount));
}

#[test]
fn edits_bring_in_no_line_ends_and_no_bad_names() {
    let mut head = plain();
    let before = sent(&head);
    for name in [
        "",
        " ",
        "a b",
        "a:",
        "a\r\nb",
        "a\0",
        "é",
        "a\n",
        "(",
        " a",
        "a ",
        "Content_Length",
        "transfer_encoding",
    ] {
        for edit in [Fields::set, Fields::add] {
            assert!(
                matches!(
                    edit(&mut head.fields, name, b"v"),
                    Err(BadField::Name { .. })
                ),
                "{name:?}"
            );
        }
        assert!(head.fields.remove(name).is_err());
    }
    for value in [
        &b"a\r\nb"[..],
        b"a\rb",
        b"a\nb",
        b"\0",
        b"a\x0b",
        b"\x7f",
        b"a\r\n\r\nGET / HTTP/1.1",
        b"\n",
        b"\x1b[31m",
    ] {
        for edit in [Fields::set, Fields::add] {
            let refused = edit(&mut head.fields, "X", value);
            assert!(
                matches!(refused, Err(BadField::Value { .. })),
                "{}",
                show(value)
            );
        }
    }
    assert_eq!(sent(&head), before, "a refused edit changes nothing");
    head.fields
        .set("X", "ü\t~".as_bytes())
        .expect("8-bit text and tabs may stand in a value");
}

#[test]
fn edits_are_bounded() {
    let mut head = plain();
    let large = vec![b'x'; 17_000];
    assert!(matches!(
        head.fields.set("X", &large),
        Err(BadField::TooLarge { .. })
    ));
    assert!(matches!(
        head.fields.set(&"x".repeat(257), b""),
        Err(BadField::TooLarge { .. })
    ));
    let ended = (0..2000).find_map(|_| head.fields.add("X", b"y").err());
    assert_eq!(ended, Some(BadField::TooMany));
    let mut head = plain();
    let ended = (0..2000).find_map(|_| head.fields.set("X", &large[..16_000]).err());
    assert!(
        matches!(ended, Some(BadField::TooLarge { .. })),
        "the arena does not grow for ever"
    );
}

#[test]
fn path_query_and_method_are_set_for_who_reads_later() {
    let mut head = plain();
    head.set_path("/new").expect("a sound path");
    assert_eq!(
        (head.raw_path(), head.query(), head.target()),
        ("/new", Some("b"), "/a?b")
    );
    head.set_query("q=1").expect("a sound query");
    head.set_method("POST").expect("a sound method");
    head.fields.set("Y", b"").expect("a sound field");
    assert_eq!(
        sent(&head),
        "POST /new?q=1 HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: \r\nx: 3\r\n\r\n"
    );
    head.set_query("").expect("none is fine");
    assert_eq!(head.query(), None);
    assert!(sent(&head).starts_with("POST /new HTTP/1.1\r\n"));
}

#[test]
fn a_request_line_cannot_be_broken_by_an_edit() {
    let mut head = plain();
    for path in [
        "",
        "a",
        "a/b",
        "*",
        "/a b",
        "/a\r\nX: y",
        "/a?b",
        "/a#b",
        "/a\0",
        "/é",
        "http://b/",
        "/a\\b",
        "/a\t",
    ] {
        assert!(
            matches!(head.set_path(path), Err(BadEdit::Path { .. })),
            "{path:?}"
        );
    }
    for query in ["a b", "a#b", "a\r\n", "a\0", "é", " ", "\t"] {
        assert!(
            matches!(head.set_query(query), Err(BadEdit::Query { .. })),
            "{query:?}"
        );
    }
    for method in [
        "",
        "A B",
        "GET\r\n",
        "CONNECT",
        "GÉT",
        "A:",
        "HEAD",
        &"A".repeat(33),
    ] {
        assert!(
            matches!(head.set_method(method), Err(BadEdit::Method { .. })),
            "{method:?}"
        );
    }
    assert_eq!(sent(&head), sent(&plain()));
    let mut head = request_head("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        head.set_method("GET").is_err(),
        "the answer would be read wrongly"
    );
    let mut head = request_head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        head.set_method("GET").is_err(),
        "only OPTIONS is for the whole server"
    );
    assert!(head.set_query("a").is_err());
    let long = format!("/{}", "a".repeat(20_000));
    assert!(matches!(head.set_path(&long), Err(BadEdit::TooLong { .. })));
}

#[test]
fn what_the_proxy_states_about_the_connection_is_stated_once() {
    let head = request_head(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: deflate, Trailers\r\nTE: gzip\r\n\r\n",
    );
    for (connection, stated) in [
        (ConnectionField::Implied, "Connection: TE\r\n"),
        (ConnectionField::KeepAlive, "Connection: keep-alive, TE\r\n"),
        (ConnectionField::Close, "Connection: close, TE\r\n"),
    ] {
        let mut out = Vec::new();
        let how = RequestWrite {
            connection,
            ..RequestWrite::default()
        };
        head.write(&mut out, &how);
        let wanted = format!("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n{stated}\r\n");
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }
}

#[test]
fn an_upgrade_is_passed_on_when_told_so() {
    let head = request_head(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let mut out = Vec::new();
    let how = RequestWrite {
        connection: ConnectionField::Upgrade,
        ..RequestWrite::default()
    };
    head.write(&mut out, &how);
    let wanted = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), wanted);
}

#[test]
fn an_expectation_is_forwarded_when_told_so() {
    let text = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let head = request_head(text);
    let how = RequestWrite {
        expect: ExpectField::Forward,
        ..RequestWrite::default()
    };
    let mut out = Vec::new();
    head.write(&mut out, &how);
    assert_eq!(String::from_utf8_lossy(&out), text);
    assert!(!sent(&head).contains("Expect"));
    let without_body = request_head("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    let mut out = Vec::new();
    without_body.write(&mut out, &how);
    assert!(!String::from_utf8_lossy(&out).contains("Expect"));
}

#[test]
fn a_head_can_be_had_as_it_came_however_unusual() {
    // An underscore and a blank before the end are read by the thorough way.
    for fields in ["X: 1\r\n", "X.Y: 1\r\n", "X!: 1 \t\r\n"] {
        let text = format!("GET /a?b HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = request_head(&text);
        head.fields.set("Z", b"new").expect("a sound field");
        head.set_path("/other").expect("a sound path");
        assert_ne!(sent(&head), text);
        let came = head.as_it_came();
        assert_eq!(came.raw_path(), "/a");
        assert_eq!(came.fields.get("Z"), None);
        assert_eq!(came.fields.len(), head.fields.len() - 1, "{fields:?}");
    }
}
