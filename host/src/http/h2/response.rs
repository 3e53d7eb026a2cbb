//! Responses that come or go over HTTP/2.

use http::{HeaderMap, Response, StatusCode, response::Parts};

use super::{
    super::{
        bad::BadResponse,
        base64::base64,
        framing::Framing,
        known::Known,
        response::{Asked, ResponseHead, read_response as read_http1},
        scan::{HeadLimits, Progress, Read},
        sha1::sha1,
        syntax::push_number,
    },
    Follows,
    fields::{append, push_line},
};

/// Takes a response over into `head`. `text` is scratch space.
pub fn read_response(
    parts: &Parts,
    follows: Follows,
    asked: Asked,
    limits: &HeadLimits,
    text: &mut Vec<u8>,
    head: &mut ResponseHead,
) -> Result<(), BadResponse> {
    text.clear();
    text.extend_from_slice(b"HTTP/1.1 ");
    push_number(text, u64::from(parts.status.as_u16()));
    text.extend_from_slice(b"\r\n");
    push_fields(parts, text)?;
    let read = read_http1(text, &mut Progress::default(), head, limits, asked)?;
    debug_assert_eq!(read, Read::Complete, "the text ends in an empty line");
    let framing = match (head.framing(), follows) {
        (Framing::Length(1..), Follows::Nothing) => return Err(BadResponse::LengthWithoutBody),
        (Framing::None, _) => Framing::None,
        (_, Follows::Nothing) => Framing::Length(0),
        (Framing::Length(length), Follows::Body) => Framing::Length(length),
        (Framing::Chunked | Framing::UntilClose, Follows::Body) => Framing::Chunked,
    };
    head.came_over_h2(framing);
    Ok(())
}

/// What shows a client of HTTP/1 that its WebSocket was opened (RFC 6455 §4.2.2); HTTP/2 does without.
fn websocket_accept(key: &[u8]) -> String {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    base64(&sha1(&[key, GUID].concat()))
}

/// Takes the answer to an extended CONNECT over as the 101 that it is in HTTP/1. `key` is the client's.
pub fn read_opening(
    parts: &Parts,
    protocol: &str,
    key: Option<&[u8]>,
    limits: &HeadLimits,
    text: &mut Vec<u8>,
    head: &mut ResponseHead,
) -> Result<(), BadResponse> {
    text.clear();
    text.extend_from_slice(b"HTTP/1.1 101\r\nconnection: Upgrade\r\nupgrade: ");
    text.extend_from_slice(protocol.as_bytes());
    text.extend_from_slice(b"\r\n");
    if let Some(key) = key {
        text.extend_from_slice(b"sec-websocket-accept: ");
        text.extend_from_slice(websocket_accept(key).as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    push_fields(parts, text)?;
    read_http1(text, &mut Progress::default(), head, limits, Asked::Other)?;
    head.came_over_h2(Framing::None);
    Ok(())
}

fn push_fields(parts: &Parts, text: &mut Vec<u8>) -> Result<(), BadResponse> {
    for (name, value) in &parts.headers {
        if !push_line(text, name.as_str().as_bytes(), value.as_bytes()) {
            return Err(BadResponse::Value {
                name: name.as_str().to_owned(),
            });
        }
    }
    text.extend_from_slice(b"\r\n");
    Ok(())
}

/// A final answer as the library sends it. `framing` is how its body will come. A 101 is said as the 200 that
/// extended CONNECT has in its place.
pub fn write_response(head: &ResponseHead, framing: Framing) -> Response<()> {
    let switches = head.status() == 101;
    let mut response = Response::new(());
    *response.status_mut() = match switches {
        true => StatusCode::OK,
        // The codec lets no other number than 100 to 599 through.
        false => StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY),
    };
    let map = response.headers_mut();
    map.reserve(head.fields.len());
    for field in head.fields.iter() {
        let of_http1 = switches && field.name.eq_ignore_ascii_case("sec-websocket-accept");
        if !is_of_the_connection(field.known) && !of_http1 {
            append(map, &field);
        }
    }
    if let Some(length) = head.stated_length(framing) {
        map.insert(http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// An interim answer as the library sends it.
pub fn write_interim(head: &ResponseHead) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).unwrap_or(StatusCode::CONTINUE);
    let map: &mut HeaderMap = response.headers_mut();
    for field in head.fields.iter() {
        if !is_of_the_connection(field.known) {
            append(map, &field);
        }
    }
    response
}

/// What is left out, the length since it is stated anew.
fn is_of_the_connection(known: Known) -> bool {
    matches!(
        known,
        Known::Nominated
            | Known::Connection
            | Known::ContentLength
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_the_rfcs_example_comes_out() {
        let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
