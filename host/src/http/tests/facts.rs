//! Facts: the forms in which plugins are told about a head.

use std::borrow::Cow;

use super::super::{
    facts::{host, joined, normalised_path, query_param, text},
    heads::request_head,
};
use super::*;

fn request(lines: &str) -> RequestHead {
    request_head(&format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n"))
}

#[test]
fn paths_are_normalised() {
    for (raw, normal) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/a.b/c..d/...", "/a.b/c..d/..."),
        ("/.hidden", "/.hidden"),
        ("/a/./b", "/a/b"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/../../../b", "/b"),
        ("//", "/"),
        ("//a", "/a"),
        ("/a//b///c//", "/a/b/c/"),
        ("/a//../b", "/b"),
        ("/%61", "/a"),
        ("/%41%7e%2D%5f", "/A~-_"),
        ("/%2e%2e/a", "/a"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/.%2e/a", "/a"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2f..%2fb", "/a%2F..%2Fb"),
        ("/a%5cb", "/a%5Cb"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        ("/%00", "/%00"),
        ("/%c3%a9", "/%C3%A9"),
        ("/%zz%", "/%25zz%25"),
        ("/%%36%31", "/%2561"),
        ("/%2", "/%252"),
        ("/a;b=c", "/a;b=c"),
        ("/;/..;/a", "/;/..;/a"),
        ("*", "*"),
    ] {
        let found = normalised_path(raw);
        assert_eq!(found, normal, "{raw}");
        assert_eq!(normalised_path(&found), found, "{raw} twice");
    }
    assert!(matches!(normalised_path("/a/b.c/d"), Cow::Borrowed(_)));
}

#[test]
fn query_parameters_are_found_and_decoded() {
    for (query, name, value) in [
        ("a=1", "a", Some("1")),
        ("a=1&a=2", "a", Some("1")),
        ("b=1&a=2", "a", Some("2")),
        ("a", "a", Some("")),
        ("a=", "a", Some("")),
        ("a=b=c", "a", Some("b=c")),
        ("a=b+c%2Bd", "a", Some("b c+d")),
        ("%61=1", "a", Some("1")),
        ("a+b=1", "a b", Some("1")),
        ("a=%C3%A9", "a", Some("é")),
        ("a=%ff", "a", Some("\u{fffd}")),
        ("a=%zz%", "a", Some("%zz%")),
        ("a=%2", "a", Some("%2")),
        ("A=1", "a", None),
        ("aa=1", "a", None),
        ("", "a", None),
        ("", "", None),
        ("&&a=1", "a", Some("1")),
        ("a;b=1", "b", None),
        ("=1", "", Some("1")),
    ] {
        assert_eq!(query_param(query, name).as_deref(), value, "{query} {name}");
    }
}

#[test]
fn hosts_are_compared_without_case_port_and_final_dot() {
    for (line, name) in [
        ("a.b", "a.b"),
        ("A.B", "a.b"),
        ("a.b:80", "a.b"),
        ("a.b:", "a.b"),
        ("a.b.", "a.b"),
        ("A.b.:8080", "a.b"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]:80", "[2001:db8::1]"),
    ] {
        let head = request(&format!("Host: {line}"));
        assert_eq!(host(&head).as_deref(), Some(name), "{line}");
    }
}

#[test]
fn values_are_text_whatever_their_bytes() {
    assert_eq!(text(b"plain"), "plain");
    assert_eq!(text("é".as_bytes()), "é");
    assert_eq!(text(b"\xe9t\xe9"), "été");
    assert!(matches!(text(b"plain"), Cow::Borrowed(_)));
}

#[test]
fn all_values_of_a_name_are_joined() {
    let head = request("Host: a\r\nAccept: b\r\nX: y\r\naccept: c, d\r\nACCEPT:");
    assert_eq!(joined(&head.fields, "accept").as_deref(), Some("b, c, d, "));
    assert_eq!(joined(&head.fields, "x").as_deref(), Some("y"));
    assert_eq!(joined(&head.fields, "none"), None);
}
