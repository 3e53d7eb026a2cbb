//! Bodies: where they end, and what is not one.

use super::super::{
    chunk::{write_chunk, write_last_chunk},
    fields::{BadLine, Fields},
};
use super::*;

fn chunked(input: impl AsRef<[u8]>) -> Result<Body, BadBody> {
    read_body(input.as_ref(), Framing::Chunked, None)
}

fn refused(input: impl AsRef<[u8]>) -> BadBody {
    let input = input.as_ref();
    match chunked(input) {
        Err(bad) => bad,
        Ok(body) => panic!("{} was not refused: {body:?}", show(input)),
    }
}

/// A first chunk with this size line, of which all three bytes are data if the size is 3.
fn sized(size: impl AsRef<[u8]>) -> Vec<u8> {
    [size.as_ref(), b"\r\nabc\r\n0\r\n\r\n"].concat()
}

#[test]
fn a_message_without_a_body_takes_no_byte() {
    for framing in [Framing::None, Framing::Length(0)] {
        let body = read_body(b"GET /", framing, None);
        assert_eq!(body.map(|b| (b.data, b.used)), Ok((Vec::new(), Some(0))));
    }
}

#[test]
fn a_length_takes_its_bytes_and_no_more() {
    let body = read_body(b"helloGET /", Framing::Length(5), None).expect("a sound body");
    assert_eq!((body.data, body.used), (b"hello".to_vec(), Some(5)));
    let body = read_body(b"hell", Framing::Length(5), None).expect("so far");
    assert_eq!((body.data, body.used), (b"hell".to_vec(), None));
}

#[test]
fn the_end_of_the_connection_ends_only_what_may_end_so() {
    for (framing, input, end) in [
        (Framing::None, "", Ok(())),
        (Framing::Length(5), "hell", Err(BadBody::Truncated)),
        (Framing::Length(5), "hello", Ok(())),
        (Framing::UntilClose, "hell", Ok(())),
        (Framing::Chunked, "", Err(BadBody::Truncated)),
        (Framing::Chunked, "5\r\nhe", Err(BadBody::Truncated)),
        (Framing::Chunked, "5\r\nhello\r\n", Err(BadBody::Truncated)),
        (
            Framing::Chunked,
            "5\r\nhello\r\n0\r\n",
            Err(BadBody::Truncated),
        ),
        (
            Framing::Chunked,
            "5\r\nhello\r\n0\r\nX: y\r\n",
            Err(BadBody::Truncated),
        ),
        (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\n", Ok(())),
    ] {
        let mut reader = BodyReader::new(framing, None).expect("no limit");
        let mut rest = input.as_bytes();
        while let BodyEvent::Data(data) = reader.next(rest).expect("a sound body") {
            rest = &rest[data.end..];
        }
        assert_eq!(reader.eof(), end, "{framing:?} {input:?}");
    }
}

#[test]
fn chunks_are_taken_apart() {
    for (input, data) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
        ("003\r\nabc\r\n000\r\n\r\n", "abc"),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=b\r\nabc\r\n0;c=d;e=\"f;\\\"\\\\g\"\r\n\r\n", "abc"),
        ("3 ; a = b ; c\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3\t;a=\"\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ] {
        let followed = format!("{input}GET /next");
        let body = chunked(&followed).unwrap_or_else(|bad| panic!("{input:?}: {bad}"));
        assert_eq!(String::from_utf8_lossy(&body.data), data, "{input:?}");
        assert_eq!(body.used, Some(input.len()), "{input:?}");
        assert!(body.trailers.is_empty());
    }
}

#[test]
fn sizes_are_hex_digits_and_nothing_else() {
    for size in [
        "0x3", "0X3", "x3", "+3", "-3", "-0", "_3", "3_0", "3.0", "3h", "g", "3g", "3,3", "\"3\"",
        "'3'", "３", "3\u{a0}", "\u{a0}3", "\0", "3\0", "3\x0b", "\x0b3", "3\x0c", "\x7f", "#3",
        "3#", "3/", "3:", "3=", "3\\", "3@", "3`", "{3}", "(3)",
    ] {
        let bad = refused(sized(size));
        assert!(
            matches!(bad, BadBody::ChunkSize { .. }),
            "{size:?}: {bad:?}"
        );
        assert_eq!(bad.status(), 400);
    }
    for size in ["", " ", "\t", " 3", "\t3", ";a", " ;a"] {
        assert_eq!(refused(sized(size)), BadBody::NoChunkSize, "{size:?}");
    }
    for size in [
        "00000000000000003",
        "8000000000000000",
        "ffffffffffffffff",
        "FFFFFFFFFFFFFFFF",
        "10000000000000000",
        "10000000000000003",
        "1000000000000000000000003",
        &"0".repeat(1000),
        &format!("{}3", "0".repeat(1000)),
    ] {
        assert_eq!(refused(sized(size)), BadBody::ChunkSizeTooLarge, "{size}");
    }
    // What wraps to 3 in 32 bits is a size like any other: it just is not over.
    let wraps = chunked(sized("100000003")).expect("a large chunk");
    assert_eq!(wraps.used, None);
    assert_eq!(chunked(sized("7fffffffffffffff")).map(|b| b.used), Ok(None));
}

#[test]
fn every_line_and_every_chunk_ends_in_crlf() {
    for input in [
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3\r\rabc\r\n0\r\n\r\n",
        "3\n\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabc\r\r0\r\n\r\n",
        "3\r\nabc\n\r0\r\n\r\n",
        "3\r\nabcXX0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\n\r\n",
        "3\r\nabc\r\n0\r\r\n",
        "3\r\nabc\r\n0\n\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\r\nX: y\n\r\n",
        "3\r\nabc\r\n0\r\nX: y\r\n\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a=b\nabc\r\n0\r\n\r\n",
        "3;a=\"b\nc\"\r\nabc\r\n0\r\n\r\n",
        "3;a\r\rabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3 \nabc\r\n0\r\n\r\n",
    ] {
        let bad = refused(input);
        assert!(matches!(bad, BadBody::LineEnd { .. }), "{input:?}: {bad:?}");
    }
    let bad = refused("3\r\nabc\r\n\r\n0\r\n\r\n");
    assert_eq!(bad, BadBody::NoChunkSize);
}

#[test]
fn no_two_bytes_but_crlf_end_a_chunk() {
    for pair in 0..=u16::MAX {
        let [one, two] = pair.to_be_bytes();
        let input = [
            b'1', b'\r', b'\n', b'a', one, two, b'0', b'\r', b'\n', b'\r', b'\n',
        ];
        let read = read_body_in(&input, Framing::Chunked, None, usize::MAX / 2);
        assert_eq!(read.is_ok(), [one, two] == *b"\r\n", "{pair:04x}");
    }
}

#[test]
fn extensions_are_read_strictly_and_dropped() {
    for extension in [
        ";",
        "; ",
        ";;",
        ";a;",
        ";=",
        ";=b",
        ";a=",
        ";a=;",
        ";a=b=c",
        ";a b",
        ";a=b c",
        ";a=\"b",
        ";a=\"b\"c",
        ";a\"b\"",
        ";\"a\"",
        ";a=b\"c\"",
        ";(a)",
        ";a=(b)",
        ";a,b",
        ";a=@",
        ";a=b ",
        ";a ",
        " ",
        "\t",
        " a",
        " 3",
        ";a\0",
        ";a=\0",
        ";a=\"\0\"",
        ";a=\"\r\n\"",
        ";a=\"\x7f\"",
        ";é",
        ";a=\"\\\r\n\"",
        ";a\x0b",
        ";a=\x0cb",
        ";a=\"\\\x01\"",
    ] {
        let bad = refused(sized(format!("3{extension}")));
        assert!(
            matches!(
                bad,
                BadBody::ChunkExtension { .. }
                    | BadBody::LineEnd { .. }
                    | BadBody::ChunkSize { .. }
            ),
            "{extension:?}: {bad:?}"
        );
    }
    assert!(chunked(sized(format!("3;{}", "a".repeat(254)))).is_ok());
    for length in [257, 1000, 100_000] {
        let bad = refused(sized(format!("3;{}", "a".repeat(length))));
        assert!(
            matches!(bad, BadBody::ChunkExtensionTooLong { .. }),
            "{bad:?}"
        );
        let bad = refused(sized(format!("3{}", " ".repeat(length))));
        assert!(
            matches!(bad, BadBody::ChunkExtensionTooLong { .. }),
            "{bad:?}"
        );
    }
}

#[test]
fn trailers_are_collected() {
    let input = "1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum:\t2 \r\nEmpty:\r\n\r\nGET";
    let body = chunked(input).expect("a sound body");
    assert_eq!(body.used, Some(input.len() - 3));
    let wanted: [(String, Vec<u8>); 3] = [
        ("X-Sum".to_owned(), b"1".to_vec()),
        ("x-sum".to_owned(), b"2".to_vec()),
        ("Empty".to_owned(), Vec::new()),
    ];
    assert_eq!(body.trailers, wanted);
}

#[test]
fn trailers_are_fields_that_do_not_come_too_late() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Trailer",
        "TE",
        "Upgrade",
        "Expect",
        "Authorization",
        "Proxy-Authorization",
        "WWW-Authenticate",
        "Cookie",
        "Set-Cookie",
        "Cache-Control",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Keep-Alive",
        "Max-Forwards",
        "X-Forwarded-For",
        "Forwarded",
        "content-length",
    ] {
        let bad = refused(format!("0\r\nX: y\r\n{name}: 5\r\n\r\n"));
        assert_eq!(
            bad,
            BadBody::TrailerField {
                name: name.to_owned()
            }
        );
    }
    for line in [
        &b"X"[..],
        b": y",
        b"X : y",
        b"X: a\0b",
        b"X: a\rb",
        b" X: y",
        b"X: y\r\n z",
        b"X(: y",
        b"\r",
        b"\0",
        b"Content_Length: 5",
    ] {
        let bad = refused([b"0\r\n", line, b"\r\n\r\n"].concat());
        assert!(
            matches!(bad, BadBody::Trailer(_)),
            "{}: {bad:?}",
            show(line)
        );
    }
    let folded = refused("0\r\n X: y\r\n\r\n");
    assert!(matches!(folded, BadBody::Trailer(BadLine::Folded { .. })));
    for many in [
        "X: y\r\n".repeat(2000),
        format!("X: {}\r\n", "y".repeat(9000)),
        "X".repeat(9000),
    ] {
        let bad = refused(format!("0\r\n{many}\r\n"));
        assert!(matches!(bad, BadBody::TrailersTooLarge { .. }), "{bad:?}");
        assert_eq!(bad.status(), 431);
    }
}

#[test]
fn bodies_are_limited_in_data_whatever_their_framing() {
    let too_large = BadBody::TooLarge { limit: 4 };
    assert_eq!(too_large.status(), 413);
    assert_eq!(
        read_body(b"hello", Framing::Length(5), Some(4)),
        Err(too_large.clone())
    );
    assert!(read_body(b"hell", Framing::Length(4), Some(4)).is_ok());
    assert_eq!(
        read_body(b"hello", Framing::UntilClose, Some(4)),
        Err(too_large.clone())
    );
    let ones = "1\r\na\r\n".repeat(5);
    assert_eq!(
        read_body(ones.as_bytes(), Framing::Chunked, Some(4)),
        Err(too_large)
    );
    let fours = "2\r\nab\r\n2;x=y\r\ncd\r\n0\r\nX: y\r\n\r\n";
    assert!(read_body(fours.as_bytes(), Framing::Chunked, Some(4)).is_ok());
}

#[test]
fn what_is_written_as_chunks_is_read_back() {
    let mut trailers = Fields::default();
    trailers.add("X-Sum", b"7").expect("a sound field");
    for with_trailers in [None, Some(&trailers)] {
        let mut out = Vec::new();
        let mut data = Vec::new();
        for size in [1, 15, 16, 255, 256, 0, 4096, 70_000] {
            write_chunk(&mut out, &vec![b'x'; size]);
            data.resize(data.len() + size, b'x');
        }
        write_last_chunk(&mut out, with_trailers);
        let body = chunked(&out).expect("a sound body");
        assert!(body.data == data);
        assert_eq!(body.used, Some(out.len()));
        assert_eq!(body.trailers.len(), with_trailers.map_or(0, Fields::len));
    }
}
