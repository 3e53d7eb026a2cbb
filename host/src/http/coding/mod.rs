//! Content codings: which one a client prefers, which answers may get one, and what that changes in their
//! heads. Pure; the bytes are compressed by [`Encoder`].
//!
//! | left as it is | because |
//! |---|---|
//! | what has no body: HEAD, 1xx, 204, 304 | there is nothing to compress |
//! | 206, anything with Content-Range | the range is one of the bytes as the server has them |
//! | anything with Content-Encoding | it is compressed already |
//! | `no-transform`, in the answer or the request | RFC 9110 §7.7 |
//! | types that are not listed; multipart and gRPC always | they have frames of their own, or gain nothing |
//! | what is known to be shorter than the least size | it gains nothing |
//! | clients of HTTP/1.0 | they know no chunks, so a broken answer would look whole |

mod encoder;
mod preference;

use super::{
    fields::{BadField, Fields},
    framing::{Framing, Version},
    known::Known,
    request::RequestHead,
    response::ResponseHead,
    syntax::trim,
};
use crate::config::{Coding, Compression};

pub use encoder::Encoder;
pub use preference::preferred;

/// What a client's request says about codings; to be remembered before the request is sent on, since the
/// server may be told something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The best that both sides know.
    pub coding: Option<Coding>,
    may_transform: bool,
}

/// What is to be done with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Nothing: no client would get it compressed.
    Leave,
    /// Nothing for this client, but another would get it compressed, which caches must know.
    Vary,
    Compress(Coding),
}

impl Asked {
    pub fn by(head: &RequestHead, settings: &Compression) -> Self {
        let coding = match head.version() {
            Version::Http10 => None,
            Version::Http11 | Version::Http2 => {
                preferred(head.fields.all("accept-encoding"), &settings.algorithms)
            }
        };
        Self {
            coding,
            may_transform: !forbids_transforming(&head.fields),
        }
    }

    /// What this client's request means for an answer.
    pub fn treatment(&self, head: &ResponseHead, settings: &Compression) -> Treatment {
        if !self.may_transform || !may_be_compressed(head, settings) {
            return Treatment::Leave;
        }
        match self.coding {
            Some(coding) => Treatment::Compress(coding),
            None => Treatment::Vary,
        }
    }
}

fn may_be_compressed(head: &ResponseHead, settings: &Compression) -> bool {
    let long_enough = match head.framing() {
        Framing::None => false,
        Framing::Length(length) => length > 0 && length >= settings.min_size,
        Framing::Chunked | Framing::UntilClose => true,
    };
    let fields = &head.fields;
    long_enough
        && !matches!(head.status(), 206 | 416)
        && fields.known(Known::ContentRange).is_none()
        && fields.known(Known::ContentEncoding).is_none()
        && !forbids_transforming(fields)
        && has_listed_type(fields, settings)
}

fn forbids_transforming(fields: &Fields) -> bool {
    fields
        .all_known(Known::CacheControl)
        .flat_map(|list| list.split(|&byte| byte == b','))
        .any(|directive| trim(directive).eq_ignore_ascii_case(b"no-transform"))
}

fn has_listed_type(fields: &Fields, settings: &Compression) -> bool {
    let stated = fields.known(Known::ContentType).unwrap_or_default();
    let stated = stated
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    let mut halves = trim(stated).splitn(2, |&byte| byte == b'/');
    let kind = halves.next().unwrap_or_default();
    let of_kind = halves.next().unwrap_or_default();
    let framed = kind.eq_ignore_ascii_case(b"multipart")
        || of_kind
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"grpc"));
    !framed
        && settings
            .types
            .iter()
            .any(|pattern| pattern.matches(kind, of_kind))
}

/// Fields about the very bytes of a body, which are other bytes once it is compressed.
const OF_THE_BYTES: [&str; 5] = [
    "accept-ranges",
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
];

/// Makes the head that of the compressed answer. Its length is for the framing to say.
pub fn compress_head(head: &mut ResponseHead, coding: Coding) -> Result<(), BadField> {
    vary(head)?;
    weaken_etag(&mut head.fields)?;
    drop_digests(&mut head.fields)?;
    head.fields
        .set("content-encoding", coding.as_str().as_bytes())
}

/// Takes out of trailers what is not true of compressed bytes.
pub fn drop_digests(fields: &mut Fields) -> Result<(), BadField> {
    OF_THE_BYTES.iter().try_for_each(|name| fields.remove(name))
}

/// Says that the answer depends on Accept-Encoding.
pub fn vary(head: &mut ResponseHead) -> Result<(), BadField> {
    const NAME: &str = "Accept-Encoding";
    let fields = &mut head.fields;
    let names = fields
        .all("vary")
        .flat_map(|list| list.split(|&byte| byte == b','))
        .map(trim)
        .filter(|name| !name.is_empty());
    let mut all = Vec::new();
    for name in names {
        if name == b"*" || name.eq_ignore_ascii_case(NAME.as_bytes()) {
            return Ok(());
        }
        all.extend_from_slice(name);
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(NAME.as_bytes());
    fields.set("vary", &all)
}

/// Two answers that differ in their bytes may not have the same strong tag (RFC 9110 §8.8.3).
fn weaken_etag(fields: &mut Fields) -> Result<(), BadField> {
    let weak = match fields.get("etag") {
        Some(tag) if !tag.starts_with(b"W/") => [b"W/", tag].concat(),
        Some(_) | None => return Ok(()),
    };
    fields.set("etag", &weak)
}

/// A client that has a compressed answer asks with the weak tag that it was given, and servers say `304` with
/// the strong one that they know: the client gets the one it asked with.
pub fn weaken_not_modified(head: &mut ResponseHead, request: &RequestHead) {
    let Some(tag) = head.fields.get("etag").filter(|_| head.status() == 304) else {
        return;
    };
    let weak = [b"W/", tag].concat();
    let asked = request
        .fields
        .all("if-none-match")
        .flat_map(|list| list.split(|&byte| byte == b','))
        .any(|one| trim(one) == weak);
    if asked {
        // A tag that was read is a sound value, and so is this one; if it has grown too long, it stays strong.
        let _ = head.fields.set("etag", &weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        heads::{request_head, response_head},
        response::Asked as Method,
    };

    fn request(fields: &str) -> RequestHead {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        request_head(&text)
    }

    fn answer_to(method: Method, start: &str, fields: &str) -> ResponseHead {
        let text = format!("HTTP/1.1 {start}\r\n{fields}\r\n");
        response_head(&text, method)
    }

    fn answer(start: &str, fields: &str) -> ResponseHead {
        answer_to(Method::Other, start, fields)
    }

    fn treatment(head: &ResponseHead) -> Treatment {
        let settings = Compression::default();
        let asked = Asked::by(&request("Accept-Encoding: gzip\r\n"), &settings);
        asked.treatment(head, &settings)
    }

    const TEXT: &str = "Content-Type: text/html; charset=utf-8\r\nContent-Length: 5000\r\n";

    #[test]
    fn a_page_is_compressed_and_what_must_not_be_is_not() {
        let yes = Treatment::Compress(Coding::Gzip);
        for (start, fields, expected) in [
            ("200 OK", TEXT.to_owned(), yes),
            ("404 Not Found", TEXT.to_owned(), yes),
            ("200 OK", "Content-Type: TEXT/Plain\r\n".to_owned(), yes),
            (
                "200 OK",
                "Content-Type: application/problem+json\r\nTransfer-Encoding: chunked\r\n"
                    .to_owned(),
                yes,
            ),
            ("206 Partial Content", TEXT.to_owned(), Treatment::Leave),
            (
                "204 No Content",
                "Content-Type: text/html\r\n".to_owned(),
                Treatment::Leave,
            ),
            ("304 Not Modified", TEXT.to_owned(), Treatment::Leave),
            (
                "200 OK",
                format!("{TEXT}Content-Encoding: br\r\n"),
                Treatment::Leave,
            ),
            (
                "200 OK",
                format!("{TEXT}Content-Range: bytes 0-1/2\r\n"),
                Treatment::Leave,
            ),
            (
                "200 OK",
                format!("{TEXT}Cache-Control: max-age=1, No-Transform\r\n"),
                Treatment::Leave,
            ),
            (
                "200 OK",
                "Content-Length: 5000\r\n".to_owned(),
                Treatment::Leave,
            ),
            (
                "200 OK",
                "Content-Type: image/png\r\nContent-Length: 5000\r\n".to_owned(),
                Treatment::Leave,
            ),
            (
                "200 OK",
                "Content-Type: text/html\r\nContent-Length: 1023\r\n".to_owned(),
                Treatment::Leave,
            ),
        ] {
            assert_eq!(
                treatment(&answer(start, &fields)),
                expected,
                "{start} {fields}"
            );
        }
        assert_eq!(
            treatment(&answer_to(Method::Head, "200 OK", TEXT)),
            Treatment::Leave
        );
    }

    #[test]
    fn what_has_frames_of_its_own_is_left_alone_even_where_all_types_are_listed() {
        let settings = Compression {
            types: vec![crate::config::TypePattern {
                kind: None,
                of_kind: crate::config::Subtype::Any,
            }],
            ..Compression::default()
        };
        let asked = Asked::by(&request("Accept-Encoding: gzip\r\n"), &settings);
        for (kind, expected) in [
            (
                "Content-Type: image/png\r\n",
                Treatment::Compress(Coding::Gzip),
            ),
            ("", Treatment::Compress(Coding::Gzip)),
            (
                "Content-Type: multipart/mixed; boundary=a\r\n",
                Treatment::Leave,
            ),
            ("Content-Type: application/grpc+proto\r\n", Treatment::Leave),
        ] {
            assert_eq!(
                asked.treatment(&answer("200 OK", kind), &settings),
                expected,
                "{kind}"
            );
        }
    }

    #[test]
    fn a_client_that_takes_no_coding_learns_that_others_do() {
        let settings = Compression::default();
        for fields in ["", "Accept-Encoding: identity\r\n", "Accept-Encoding:\r\n"] {
            let asked = Asked::by(&request(fields), &settings);
            let treatment = asked.treatment(&answer("200 OK", TEXT), &settings);
            assert_eq!(treatment, Treatment::Vary, "{fields}");
        }
        let asked = Asked::by(
            &request("Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n"),
            &settings,
        );
        let treatment = asked.treatment(&answer("200 OK", TEXT), &settings);
        assert_eq!(
            treatment,
            Treatment::Leave,
            "the client wants the server's bytes"
        );
    }

    #[test]
    fn the_head_says_what_became_of_the_body() {
        let mut head = answer(
            "200 OK",
            "Content-Type: text/html\r\nETag: \"a\"\r\nVary: Origin\r\nAccept-Ranges: bytes\r\n\
             Content-MD5: x\r\nRepr-Digest: y\r\n",
        );
        compress_head(&mut head, Coding::Brotli).unwrap();
        let text = |name| {
            head.fields
                .get(name)
                .map(|value| String::from_utf8_lossy(value))
        };
        assert_eq!(text("content-encoding").as_deref(), Some("br"));
        assert_eq!(text("etag").as_deref(), Some("W/\"a\""));
        assert_eq!(text("vary").as_deref(), Some("Origin, Accept-Encoding"));
        for gone in ["accept-ranges", "content-md5", "repr-digest"] {
            assert_eq!(text(gone), None, "{gone}");
        }
    }

    #[test]
    fn vary_is_merged_once() {
        for (before, after) in [
            ("", "Accept-Encoding"),
            ("Vary: *\r\n", "*"),
            ("Vary: accept-ENCODING\r\n", "accept-ENCODING"),
            ("Vary: Origin,accept-encoding\r\n", "Origin,accept-encoding"),
            (
                "Vary: Origin\r\nVary: Cookie\r\n",
                "Origin, Cookie, Accept-Encoding",
            ),
        ] {
            let mut head = answer("200 OK", before);
            vary(&mut head).unwrap();
            let found: Vec<_> = head.fields.all("vary").collect();
            assert_eq!(found, [after.as_bytes()], "{before}");
        }
    }

    #[test]
    fn a_304_keeps_the_tag_that_the_client_asked_with() {
        for (asked, expected) in [
            ("If-None-Match: W/\"a\"\r\n", "W/\"a\""),
            ("If-None-Match: \"b\", W/\"a\"\r\n", "W/\"a\""),
            ("If-None-Match: \"a\"\r\n", "\"a\""),
            ("", "\"a\""),
        ] {
            let mut head = answer("304 Not Modified", "ETag: \"a\"\r\n");
            weaken_not_modified(&mut head, &request(asked));
            assert_eq!(
                head.fields.get("etag"),
                Some(expected.as_bytes()),
                "{asked}"
            );
        }
    }
}
