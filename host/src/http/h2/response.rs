//! Responses that come over HTTP/2.

use http::{StatusCode, response::Parts};

use super::{
    super::{
        bad::BadResponse,
        base64::base64,
        framing::Framing,
        response::{Asked, ResponseHead, read_response as read_http1},
        scan::{HeadLimits, Progress, Read},
        sha1::sha1,
        syntax::push_number,
    },
    Follows,
    fields::push_line,
};

/// Takes a response over into `head`. `text` is scratch space. A 101 is none (RFC 9113 §8.6): a client of HTTP/1
/// would take what follows for another protocol.
pub fn read_response(
    parts: &Parts,
    follows: Follows,
    asked: Asked,
    limits: &HeadLimits,
    text: &mut Vec<u8>,
    head: &mut ResponseHead,
) -> Result<(), BadResponse> {
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(BadResponse::SwitchOverH2);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_the_rfcs_example_comes_out() {
        let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
