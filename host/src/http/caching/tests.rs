//! RFC 9111 in examples.

use super::*;
use crate::http::{
    heads::{request_head, response_head},
    response::Asked,
};

const MOST: Duration = Duration::from_secs(60);

fn request_of(method: &str, fields: &str) -> RequestHead {
    let text = format!("{method} /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    request_head(&text)
}

fn request(fields: &str) -> RequestHead {
    request_of("GET", fields)
}

fn answer_of(start: &str, fields: &str) -> ResponseHead {
    let text = format!("HTTP/1.1 {start}\r\n{fields}\r\n");
    response_head(&text, Asked::Other)
}

fn answer(fields: &str) -> ResponseHead {
    answer_of("200 OK", &format!("Content-Length: 5\r\n{fields}"))
}

fn now() -> SystemTime {
    parse_date(b"Sun, 06 Nov 1994 08:49:37 GMT").unwrap()
}

fn kept(request: &RequestHead, head: &ResponseHead) -> Option<(u64, u64)> {
    let found = keepable(request, head, now(), Duration::ZERO, MOST)?;
    Some((found.age.as_secs(), found.fresh_for.as_secs()))
}

#[test]
fn how_long_an_answer_is_kept() {
    for (fields, expected) in [
        ("Cache-Control: max-age=30\r\n", Some((0, 30))),
        ("Cache-Control: max-age=3000\r\n", Some((0, 60))),
        ("Cache-Control: max-age=3, s-maxage=30\r\n", Some((0, 30))),
        ("Cache-Control: s-maxage=0, max-age=30\r\n", None),
        ("Cache-Control: max-age=0\r\n", None),
        ("Cache-Control: max-age=30\r\nAge: 10\r\n", Some((10, 20))),
        ("Cache-Control: max-age=30\r\nAge: 30\r\n", None),
        ("Cache-Control: max-age=30\r\nAge: soon\r\n", None),
        (
            "Cache-Control: max-age=3000\r\nAge: 100\r\n",
            Some((100, 60)),
        ),
        (
            "Cache-Control: max-age=30\r\nDate: Sun, 06 Nov 1994 08:49:30 GMT\r\n",
            Some((7, 23)),
        ),
        (
            "Cache-Control: max-age=30\r\nDate: Sun, 06 Nov 1994 09:49:30 GMT\r\n",
            Some((0, 30)),
        ),
        (
            "Expires: Sun, 06 Nov 1994 08:50:00 GMT\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            Some((0, 23)),
        ),
        ("Expires: Sun, 06 Nov 1994 08:49:00 GMT\r\n", None),
        ("Expires: 0\r\nETag: \"a\"\r\n", None),
        ("Cache-Control: max-age=9\r\nExpires: 0\r\n", Some((0, 9))),
        ("ETag: \"a\"\r\n", Some((0, 60))),
        (
            "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n",
            Some((0, 60)),
        ),
        ("Cache-Control: public\r\n", None),
        ("", None),
    ] {
        assert_eq!(kept(&request(""), &answer(fields)), expected, "{fields}");
    }
}

#[test]
fn what_is_never_kept() {
    const FRESH: &str = "Cache-Control: max-age=30\r\n";
    for fields in [
        "Cache-Control: max-age=30, no-store\r\n",
        "Cache-Control: max-age=30, private\r\n",
        "Cache-Control: max-age=30, private=\"set-cookie\"\r\n",
        "Cache-Control: max-age=30, no-cache\r\n",
        "Cache-Control: max-age=30\r\nCache-Control: no-store\r\n",
        "Cache-Control: max-age=30\r\nSet-Cookie: a=b\r\n",
        "Cache-Control: max-age=30\r\nVary: *\r\n",
        "Cache-Control: max-age=30\r\nVary: accept, *\r\n",
        "Cache-Control: max-age=30\r\nContent-Encoding: gzip\r\n",
        "Pragma: no-cache\r\nETag: \"a\"\r\n",
    ] {
        assert_eq!(kept(&request(""), &answer(fields)), None, "{fields}");
    }
    for start in [
        "404 Not Found",
        "206 Partial Content",
        "500 Oops",
        "301 Moved Permanently",
    ] {
        let head = answer_of(start, &format!("Content-Length: 5\r\n{FRESH}"));
        assert_eq!(kept(&request(""), &head), None, "{start}");
    }
    let closed = answer_of("200 OK", FRESH);
    assert_eq!(
        kept(&request(""), &closed),
        None,
        "its end cannot be told from a break"
    );
    let whole = answer(FRESH);
    for method in ["HEAD", "OPTIONS"] {
        assert_eq!(kept(&request_of(method, ""), &whole), None, "{method}");
    }
    let guessed = answer("ETag: \"a\"\r\n");
    assert_eq!(
        kept(&request("Cookie: a=b\r\n"), &guessed),
        None,
        "a guess about one client"
    );
    assert!(
        kept(&request("Cookie: a=b\r\n"), &whole).is_some(),
        "the server said so"
    );
}

#[test]
fn what_credentials_asked_for_is_kept_if_the_server_says_so() {
    let asked = request("Authorization: Basic YTpi\r\n");
    for (fields, expected) in [
        ("Cache-Control: max-age=30\r\n", None),
        ("ETag: \"a\"\r\n", None),
        ("Cache-Control: max-age=30, proxy-revalidate\r\n", None),
        ("Cache-Control: max-age=30, public\r\n", Some((0, 30))),
        (
            "Cache-Control: max-age=30, must-revalidate\r\n",
            Some((0, 30)),
        ),
        ("Cache-Control: s-maxage=30\r\n", Some((0, 30))),
    ] {
        assert_eq!(kept(&asked, &answer(fields)), expected, "{fields}");
    }
}

#[test]
fn what_the_wait_took_counts_as_age() {
    let head = answer("Cache-Control: max-age=30\r\nAge: 5\r\n");
    let found = keepable(&request(""), &head, now(), Duration::from_secs(10), MOST).unwrap();
    assert_eq!((found.age.as_secs(), found.fresh_for.as_secs()), (15, 15));
}

#[test]
fn a_request_says_what_it_takes() {
    for (fields, lookup, keep) in [
        ("", Lookup::Yes, true),
        ("Cache-Control: no-cache\r\n", Lookup::Refresh, true),
        ("Cache-Control: max-age=0\r\n", Lookup::Refresh, true),
        ("Pragma: no-cache\r\n", Lookup::Refresh, true),
        (
            "Pragma: no-cache\r\nCache-Control: max-age=9\r\n",
            Lookup::Yes,
            true,
        ),
        ("Cache-Control: no-store\r\n", Lookup::Yes, false),
    ] {
        let terms = Terms::of(&request(fields)).unwrap();
        assert_eq!((terms.lookup, terms.keep), (lookup, keep), "{fields}");
    }
    let terms = Terms::of(&request("Cache-Control: max-age=10, min-fresh=5\r\n")).unwrap();
    let seconds = Duration::from_secs;
    assert!(terms.take(seconds(10), seconds(6)));
    assert!(!terms.take(seconds(11), seconds(6)), "too old");
    assert!(
        !terms.take(seconds(1), seconds(5)),
        "not fresh for long enough"
    );
    assert!(
        Terms::of(&request("Cache-Control: only-if-cached\r\n"))
            .unwrap()
            .only_if_cached
    );
}

#[test]
fn the_cache_has_no_part_in_other_requests() {
    for fields in [
        "Range: bytes=0-1\r\n",
        "If-Match: \"a\"\r\n",
        "If-Range: \"a\"\r\n",
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "Content-Length: 5\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
    ] {
        assert_eq!(Terms::of(&request(fields)), None, "{fields}");
    }
    assert_eq!(Terms::of(&request_of("POST", "")), None);
    assert!(Terms::of(&request_of("HEAD", "")).is_some_and(|terms| !terms.keep));
}

#[test]
fn conditions_are_judged_by_tags_and_by_dates_without_any() {
    let kept = answer("ETag: W/\"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    for (fields, expected) in [
        ("If-None-Match: \"a\"\r\n", true),
        ("If-None-Match: W/\"a\"\r\n", true),
        ("If-None-Match: \"b\", \"a\"\r\n", true),
        ("If-None-Match: *\r\n", true),
        ("If-None-Match: \"b\"\r\n", false),
        (
            "If-None-Match: \"b\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            false,
        ),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", true),
        ("If-Modified-Since: Mon, 07 Nov 1994 08:49:37 GMT\r\n", true),
        (
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
            false,
        ),
        ("If-Modified-Since: yesterday\r\n", false),
        ("", false),
    ] {
        assert_eq!(
            is_not_modified(&request(fields), &kept),
            expected,
            "{fields}"
        );
    }
    let head = not_modified(&answer(
        "ETag: \"a\"\r\nContent-Type: text/html\r\nAge: 3\r\n",
    ));
    assert_eq!(
        (head.status(), head.fields.get("etag")),
        (304, Some(&b"\"a\""[..]))
    );
    assert_eq!(head.fields.get("content-type"), None);
    assert_eq!(head.fields.get("age"), Some(&b"3"[..]));
}

#[test]
fn answers_vary_by_the_fields_that_they_name() {
    let head = answer("Vary: Accept, X-Kind\r\nVary: accept\r\n");
    let asked = request("Accept: a\r\nX-Kind: 1\r\nX-Other: 1\r\n");
    let variation = Variation::of(&head, &asked).unwrap();
    for (fields, expected) in [
        ("Accept: a\r\nX-Kind: 1\r\n", true),
        ("X-Kind:   1\r\nAccept: a\r\nX-Other: 2\r\n", true),
        ("Accept: a\r\nX-Kind: 2\r\n", false),
        ("Accept: a\r\n", false),
        ("Accept: a\r\nX-Kind:\r\n", false),
        ("Accept: a\r\nAccept: b\r\nX-Kind: 1\r\n", false),
    ] {
        assert_eq!(variation.matches(&request(fields)), expected, "{fields}");
    }
    let silent = Variation::of(&head, &request("")).unwrap();
    assert!(silent.matches(&request("")) && !silent.matches(&request("Accept:\r\n")));
}

#[test]
fn a_change_that_worked_invalidates() {
    for (method, status, expected) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("DELETE", 303, true),
        ("PATCH", 200, true),
        ("POST", 404, false),
        ("POST", 500, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
    ] {
        assert_eq!(
            invalidates(&request_of(method, ""), status),
            expected,
            "{method} {status}"
        );
    }
}
