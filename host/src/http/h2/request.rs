//! Requests that come or go over HTTP/2.

use http::{
    HeaderMap, Method, Request, Uri, Version as HttpVersion,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    super::{
        bad::BadRequest,
        framing::Framing,
        host,
        known::Known,
        request::{RequestHead, read_request as read_http1},
        scan::{HeadLimits, Progress, Read},
        syntax::{is_token, shown},
        write::{ConnectionField, ExpectField, RequestWrite},
    },
    Follows,
    fields::{append, append_as, push_line},
};

/// What HTTP/2 can say and HTTP/1 cannot, so that it cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    #[error(":path `{found}` is neither a path nor the `*` of OPTIONS")]
    Path { found: String },
    #[error(":scheme `{found}` is neither http nor https")]
    Scheme { found: String },
    #[error("field `{name}` belongs to a connection of HTTP/1")]
    HopField { name: String },
    #[error("the value of `{name}` begins or ends with a blank, or has a control character in it")]
    Value { name: String },
    #[error("a Content-Length without a body")]
    LengthWithoutBody,
    #[error(":protocol `{found}`, where only `websocket` is understood")]
    Protocol { found: String },
    #[error("no :path or no authority")]
    Incomplete,
}

impl BadMapping {
    pub(in super::super) fn status(&self) -> u16 {
        match self {
            Self::Path { .. }
            | Self::Scheme { .. }
            | Self::HopField { .. }
            | Self::Value { .. }
            | Self::LengthWithoutBody
            | Self::Incomplete => 400,
            Self::Protocol { .. } => 501,
        }
    }
}

/// Takes a request over into `head`. `text` is scratch space. `key` is what a WebSocket's opening carries
/// over HTTP/1 and not over HTTP/2.
pub fn read_request(
    parts: &Parts,
    follows: Follows,
    key: &str,
    limits: &HeadLimits,
    text: &mut Vec<u8>,
    head: &mut RequestHead,
) -> Result<(), BadRequest> {
    let protocol = parts.extensions.get::<h2::ext::Protocol>();
    text.clear();
    spell_out(parts, protocol, key, text)?;
    let read = read_http1(text, &mut Progress::default(), head, limits)?;
    debug_assert_eq!(read, Read::Complete, "the text ends in an empty line");
    let framing = match (follows, head.framing()) {
        (Follows::Nothing, Framing::Length(1..)) => {
            return Err(BadMapping::LengthWithoutBody.into());
        }
        (Follows::Nothing, _) if protocol.is_some() => return Err(BadMapping::Incomplete.into()),
        // What follows the opening of a WebSocket isn't its body.
        _ if protocol.is_some() => Framing::None,
        (Follows::Nothing, _) if may_have_body(&parts.method) => Framing::Length(0),
        (Follows::Nothing, framing) => framing,
        (Follows::Body, framing @ Framing::Length(_)) => framing,
        (Follows::Body, _) => Framing::Chunked,
    };
    head.came_over_h2(framing);
    Ok(())
}

/// A server of HTTP/1 may want to be told that there is none (RFC 9110 §8.6).
fn may_have_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// The HTTP/1 message that means the same.
fn spell_out(
    parts: &Parts,
    protocol: Option<&h2::ext::Protocol>,
    key: &str,
    text: &mut Vec<u8>,
) -> Result<(), BadRequest> {
    let method = match protocol {
        None => parts.method.as_str(),
        Some(protocol) if protocol.as_str() == "websocket" => "GET",
        Some(protocol) => {
            return Err(BadMapping::Protocol {
                found: shown(protocol.as_str().as_bytes()),
            }
            .into());
        }
    };
    if method == "CONNECT" {
        return Err(BadRequest::Connect);
    }
    let target = parts.uri.path_and_query().ok_or(BadMapping::Incomplete)?;
    if !target.as_str().starts_with('/') && target.as_str() != "*" {
        return Err(BadMapping::Path {
            found: shown(target.as_str().as_bytes()),
        }
        .into());
    }
    text.extend_from_slice(method.as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_str().as_bytes());
    text.extend_from_slice(b" HTTP/1.1\r\n");
    let authority = parts.uri.authority().map(Authority::as_str);
    let default_port: &[u8] = match parts.uri.scheme_str() {
        None | Some("http") => b"80",
        Some("https") => b"443",
        Some(other) => {
            return Err(BadMapping::Scheme {
                found: shown(other.as_bytes()),
            }
            .into());
        }
    };
    if let Some(authority) = authority {
        push(text, "host", authority.as_bytes())?;
    }
    spell_out_fields(&parts.headers, authority, default_port, text)?;
    if protocol.is_some() {
        for (name, value) in [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", key),
        ] {
            push(text, name, value.as_bytes())?;
        }
    }
    text.extend_from_slice(b"\r\n");
    Ok(())
}

fn spell_out_fields(
    fields: &HeaderMap,
    authority: Option<&str>,
    default_port: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), BadRequest> {
    for (name, value) in fields {
        let (name, value) = (name.as_str(), value.as_bytes());
        match (Known::of(name.as_bytes()), authority) {
            (Known::Host, Some(authority)) => {
                let authority = authority.as_bytes();
                if value != authority && !host::same(value, authority, default_port) {
                    return Err(BadRequest::OtherHost {
                        host: shown(value),
                        target: shown(authority),
                    });
                }
            }
            // Written below, all in one.
            (Known::Cookie, _) => {}
            (
                Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::TransferEncoding
                | Known::Upgrade,
                _,
            ) => {
                return Err(BadMapping::HopField {
                    name: name.to_owned(),
                }
                .into());
            }
            _ => push(text, name, value)?,
        }
    }
    push_cookies(fields, text)
}

/// HTTP/2 may send a Cookie in crumbs, and HTTP/1 has one (RFC 9113 §8.2.3).
fn push_cookies(fields: &HeaderMap, text: &mut Vec<u8>) -> Result<(), BadRequest> {
    let mut crumbs = fields.get_all(http::header::COOKIE).iter();
    let Some(first) = crumbs.next() else {
        return Ok(());
    };
    let mut cookie = first.as_bytes().to_vec();
    for crumb in crumbs {
        cookie.extend_from_slice(b"; ");
        cookie.extend_from_slice(crumb.as_bytes());
    }
    push(text, "cookie", &cookie)
}

fn push(text: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), BadRequest> {
    debug_assert!(is_token(name.as_bytes()));
    if push_line(text, name.as_bytes(), value) {
        return Ok(());
    }
    Err(BadMapping::Value {
        name: name.to_owned(),
    }
    .into())
}

/// A request as the library sends it. `authority` is said where the client, of HTTP/1.0, named none.
///
/// An upgrade that `how` passes on becomes an extended CONNECT (RFC 8441).
pub fn write_request(
    head: &RequestHead,
    how: &RequestWrite<'_>,
    scheme: Scheme,
    authority: &str,
) -> Result<Request<()>, BadRequest> {
    let refused = || BadMapping::Path {
        found: shown(head.raw_path().as_bytes()),
    };
    let mut target = head.raw_path().to_owned();
    if let Some(query) = head.query() {
        target.push('?');
        target.push_str(query);
    }
    let target = PathAndQuery::from_maybe_shared(target).map_err(|_| refused())?;
    let authority = head.authority().unwrap_or(authority);
    let authority = Authority::try_from(authority).map_err(|_| BadMapping::Incomplete)?;
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(target)
        .build()
        .map_err(|_| refused())?;
    let mut request = Request::new(());
    *request.version_mut() = HttpVersion::HTTP_2;
    *request.uri_mut() = uri;
    *request.method_mut() =
        Method::from_bytes(head.method().as_bytes()).map_err(|_| BadRequest::Method {
            found: shown(head.method().as_bytes()),
        })?;
    let upgrade = how.connection == ConnectionField::Upgrade;
    if upgrade && let Some(protocol) = head.upgrades().next() {
        let protocol = String::from_utf8_lossy(protocol).to_ascii_lowercase();
        *request.method_mut() = Method::CONNECT;
        let protocol = h2::ext::Protocol::from(protocol.as_str());
        request.extensions_mut().insert(protocol);
    }
    let forwards_expect = head.expects_continue() && how.expect == ExpectField::Forward;
    let map = request.headers_mut();
    for field in head.fields.iter() {
        match field.known {
            Known::Nominated
            | Known::Connection
            | Known::ContentLength
            | Known::Host
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade => {}
            Known::Expect if !forwards_expect => {}
            Known::Other if upgrade && field.name.eq_ignore_ascii_case("sec-websocket-key") => {}
            _ => append(map, &field),
        }
    }
    if head.takes_trailers() {
        append_as(map, "te", b"trailers");
    }
    if let Framing::Length(length) = head.framing() {
        map.insert(http::header::CONTENT_LENGTH, length.into());
    }
    for (name, value) in how.extra {
        append_as(map, name, value);
    }
    Ok(request)
}
