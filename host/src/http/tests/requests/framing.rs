//! How long a body is: two readers must not differ about it.

use super::{
    super::{accepted, refused, show},
    with_line,
};
use crate::http::{
    bad::BadRequest,
    fields::BadLine,
    framing::{BadFraming, Framing},
};

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
