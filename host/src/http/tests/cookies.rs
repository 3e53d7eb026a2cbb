//! Cookies: found, removed and changed one by one.

use super::super::{
    cookies::{
        change_cookies, change_set_cookies, cookie, cookie_in, remove_cookies, remove_set_cookies,
        set_cookie,
    },
    fields::{BadField, Fields},
};
use super::*;

fn fields(name: &str, lines: &[&str]) -> Fields {
    let mut fields = Fields::default();
    for line in lines {
        fields.add(name, line.as_bytes()).expect("a sound field");
        fields.add("X", b"y").expect("a sound field");
    }
    fields
}

fn lines(fields: &Fields, name: &str) -> Vec<String> {
    let values = fields
        .all(name)
        .map(|value| String::from_utf8_lossy(value).into_owned());
    values.collect()
}

#[test]
fn cookies_are_found_byte_for_byte() {
    for (line, name, value) in [
        ("a=1", "a", Some("1")),
        ("a=1; b=2", "b", Some("2")),
        ("a=1;b=2", "b", Some("2")),
        ("a=1 ;  b = 2 ", "b", Some("2")),
        ("a=1; a=2", "a", Some("1")),
        ("a=\"1\"", "a", Some("\"1\"")),
        ("a=%41+b", "a", Some("%41+b")),
        ("a==", "a", Some("=")),
        ("a=", "a", Some("")),
        ("a", "a", None),
        ("A=1", "a", None),
        ("aa=1; ba=2", "a", None),
        ("x=\"; a=1\"", "a", Some("1\"")),
        (";;; a=1", "a", Some("1")),
        ("a=1,b=2", "a", Some("1,b=2")),
        ("", "a", None),
        ("=1", "", Some("1")),
    ] {
        let found = cookie_in(line.as_bytes(), name);
        assert_eq!(found, value.map(str::as_bytes), "{line} {name}");
    }
    let fields = fields("Cookie", &["a=1; b=2", "c=3; a=4"]);
    assert_eq!(cookie(&fields, "a"), Some(&b"1"[..]));
    assert_eq!(cookie(&fields, "c"), Some(&b"3"[..]));
    assert_eq!(cookie(&fields, "d"), None);
}

#[test]
fn a_removed_cookie_leaves_the_others_byte_for_byte() {
    for (before, after) in [
        (&["S=1"][..], &[][..]),
        (&["x=1; S=2; y=3"], &["x=1; y=3"]),
        (&["S=2; y=3"], &["y=3"]),
        (&["x=1; S=2"], &["x=1"]),
        (&["x=1;S=2;y=3"], &["x=1;y=3"]),
        (&["S=1; S=2; x=3; S=4"], &["x=3"]),
        (&["x=\"a b\";  S = 2 ;y = %41,"], &["x=\"a b\";y = %41,"]),
        (&["x=1; S=2", "S=3", "y=4"], &["x=1", "y=4"]),
        (&["s=1; SS=2; S"], &["s=1; SS=2; S"]),
        (&["x=1;; junk ;S=2;"], &["x=1;; junk ;"]),
    ] {
        let mut fields = fields("Cookie", before);
        let others = fields.all("X").count();
        remove_cookies(&mut fields, "S");
        assert_eq!(lines(&fields, "cookie"), after, "{before:?}");
        assert_eq!(fields.all("x").count(), others);
        assert_eq!(cookie(&fields, "S"), None);
    }
}

#[test]
fn a_changed_cookie_leaves_the_others_byte_for_byte() {
    let mut fields = fields("Cookie", &["x=1; S=2 ;  y=3; S=\"4\"", "s=5", "S="]);
    change_cookies(&mut fields, "S", b"new").expect("a sound value");
    assert_eq!(
        lines(&fields, "cookie"),
        ["x=1; S=new;  y=3; S=new", "s=5", "S=new"]
    );
    change_cookies(&mut fields, "none", b"new").expect("a sound value");
    assert_eq!(cookie(&fields, "none"), None, "nothing is added");
    let order: Vec<_> = fields.iter().map(|field| field.name.to_owned()).collect();
    assert_eq!(order, ["Cookie", "X", "Cookie", "X", "Cookie", "X"]);
}

#[test]
fn set_cookie_fields_are_found_changed_and_removed_by_name() {
    let mut fields = fields(
        "Set-Cookie",
        &["S=1; Path=/; HttpOnly", "T=2", "S = 3 ;Secure", "S", "s=4"],
    );
    assert_eq!(set_cookie(&fields, "S"), Some(&b"1"[..]));
    assert_eq!(set_cookie(&fields, "T"), Some(&b"2"[..]));
    assert_eq!(set_cookie(&fields, "Path"), None);
    change_set_cookies(&mut fields, "S", b"web~1").expect("a sound value");
    let changed = [
        "S=web~1; Path=/; HttpOnly",
        "T=2",
        "S =web~1;Secure",
        "S",
        "s=4",
    ];
    assert_eq!(lines(&fields, "set-cookie"), changed);
    remove_set_cookies(&mut fields, "S");
    assert_eq!(lines(&fields, "set-cookie"), ["T=2", "S", "s=4"]);
    assert_eq!(fields.all("X").count(), 5);
}

#[test]
fn a_value_that_would_be_more_than_one_is_refused() {
    let mut fields = fields("Cookie", &["S=1"]);
    for value in [&b"a;b"[..], b"a\r\nX: y", b"\0", b"a\n"] {
        assert!(
            matches!(
                change_cookies(&mut fields, "S", value),
                Err(BadField::Value { .. })
            ),
            "{}",
            show(value)
        );
        assert!(matches!(
            change_set_cookies(&mut fields, "S", value),
            Err(BadField::Value { .. })
        ));
    }
    let large = vec![b'x'; 20_000];
    assert!(matches!(
        change_cookies(&mut fields, "S", &large),
        Err(BadField::TooLarge { .. })
    ));
    assert_eq!(lines(&fields, "cookie"), ["S=1"]);
}
