//! Requests that go over HTTP/2, and what those that come over it cannot say in HTTP/1.

use http::{
    Method, Request, Uri, Version as HttpVersion,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    super::{
        bad::BadRequest,
        framing::Framing,
        known::Known,
        request::RequestHead,
        syntax::shown,
        write::{ConnectionField, ExpectField, RequestWrite},
    },
    fields::{append, append_as},
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
