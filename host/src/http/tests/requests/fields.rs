//! Fields: names, values, ends of lines, and how many there may be.

use super::{
    super::{accepted, refused, show},
    with_line, with_target,
};
use crate::http::{bad::BadRequest, fields::BadLine, framing::Framing};

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
