//! Writing heads for the next hop: what belongs to this hop is left out, framing is stated once and by the
//! proxy, and everything else leaves as it came.

use super::{
    framing::Framing,
    known::Known,
    reason::reason,
    request::RequestHead,
    response::ResponseHead,
    syntax::{is_token, is_value, push_number, trim},
};

/// What the head says about the connection that it is sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionField {
    /// Nothing: HTTP/1.1 goes on by itself.
    #[default]
    Implied,
    /// For HTTP/1.0 clients that asked for it.
    KeepAlive,
    Close,
    /// Passes `Upgrade` on. Only for a request or a 101 whose bytes after the head are to be tunnelled.
    Upgrade,
}

/// What becomes of a client's `Expect: 100-continue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpectField {
    /// The proxy has asked the client for the body itself, or will.
    #[default]
    Drop,
    /// The server is to answer it. Has no effect unless the client waits for it.
    Forward,
}

/// How a request is sent to a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestWrite<'a> {
    pub connection: ConnectionField,
    pub expect: ExpectField,
    /// Fields of the proxy's own, appended after the client's. They must be sound.
    pub extra: &'a [(&'a str, &'a [u8])],
}

/// How a response is sent to a client.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseWrite<'a> {
    pub connection: ConnectionField,
    /// How the body will be sent; see [`ResponseHead::framing_for`]. `UntilClose` wants
    /// [`ConnectionField::Close`].
    pub framing: Framing,
    /// Fields of the proxy's own, appended after the server's. They must be sound.
    pub extra: &'a [(&'a str, &'a [u8])],
}

/// Fields that end at this hop whatever they say.
const HOP: u64 = Known::Nominated.bit()
    | Known::Connection.bit()
    | Known::KeepAlive.bit()
    | Known::ProxyConnection.bit()
    | Known::Te.bit()
    | Known::Upgrade.bit();

impl RequestHead {
    /// Appends the head as an HTTP/1.1 request in origin form. Can be called again for a retry.
    pub fn write(&self, out: &mut Vec<u8>, how: &RequestWrite<'_>) {
        let fields = &self.fields;
        let mut without = HOP;
        if how.connection == ConnectionField::Upgrade {
            without &= !Known::Upgrade.bit();
        }
        if !(self.expects_continue() && how.expect == ExpectField::Forward) {
            without |= Known::Expect.bit();
        }
        let restate = restated(
            self.framing(),
            fields.known(Known::ContentLength),
            fields.known(Known::TransferEncoding),
        );
        if restate {
            without |= Known::ContentLength.bit() | Known::TransferEncoding.bit();
        }
        let before = match &self.line().whole {
            Some(whole) => whole.clone(),
            None => {
                self.write_line(out);
                0..0
            }
        };
        fields.write(out, before, without);
        if !fields.has_any(Known::Host.bit()) {
            // An HTTP/1.0 client left open whom it asks, and that is how HTTP/1.1 says so (RFC 9112 §3.2).
            out.extend_from_slice(b"Host:\r\n");
        }
        let trailers = fields.has_any(Known::Te.bit()) && self.takes_trailers();
        if trailers {
            out.extend_from_slice(b"TE: trailers\r\n");
        }
        write_connection(out, how.connection, trailers);
        if restate {
            write_framing(out, self.framing());
        }
        write_extra(out, how.extra);
        out.extend_from_slice(b"\r\n");
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.raw_path().as_bytes());
        if let Some(query) = self.query() {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }

    /// Whether the client said `TE: trailers`; the only part of TE that holds beyond one hop's codings.
    pub(super) fn takes_trailers(&self) -> bool {
        self.fields
            .all_known(Known::Te)
            .flat_map(|list| list.split(|&b| b == b','))
            .any(|coding| trim(coding).eq_ignore_ascii_case(b"trailers"))
    }
}

impl ResponseHead {
    /// Appends the head as an HTTP/1.1 response.
    pub fn write(&self, out: &mut Vec<u8>, how: &ResponseWrite<'_>) {
        let fields = &self.fields;
        let mut without = HOP;
        if how.connection == ConnectionField::Upgrade {
            without &= !Known::Upgrade.bit();
        }
        let framing = match self.stated_length(how.framing) {
            Some(length) => Framing::Length(length),
            None => how.framing,
        };
        let same_length = self.length.map(Framing::Length) == Some(framing);
        let restate = restated(
            framing,
            fields.known(Known::ContentLength),
            fields.known(Known::TransferEncoding),
        );
        let restate = restate || (matches!(framing, Framing::Length(_)) && !same_length);
        if restate {
            without |= Known::ContentLength.bit() | Known::TransferEncoding.bit();
        }
        let before = match self.whole_line {
            Some(len) => 0..len,
            None => {
                self.write_line(out);
                0..0
            }
        };
        fields.write(out, before, without);
        write_connection(out, how.connection, false);
        if restate {
            write_framing(out, framing);
        }
        write_extra(out, how.extra);
        out.extend_from_slice(b"\r\n");
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        push_number(out, u64::from(self.status()));
        out.push(b' ');
        out.extend_from_slice(reason(self.status()).as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// What Content-Length will say, if the body will come like that. A length without a body is the one that
    /// GET would have had (HEAD, 304).
    pub(super) fn stated_length(&self, framing: Framing) -> Option<u64> {
        match framing {
            Framing::Length(length) => Some(length),
            Framing::None if !matches!(self.status(), 100..=199 | 204) => self.length,
            Framing::None | Framing::Chunked | Framing::UntilClose => None,
        }
    }
}

/// Whether the framing fields that were read can't stay as they are: they say something else, or say it in
/// other words than the usual ones.
fn restated(framing: Framing, length: Option<&[u8]>, coding: Option<&[u8]>) -> bool {
    match (framing, length, coding) {
        (Framing::None | Framing::UntilClose, None, None) => false,
        (Framing::Length(number), Some(text), None) => {
            // It was read as this number, so only zeros in front could differ.
            text.first() == Some(&b'0') && (number != 0 || text.len() > 1)
        }
        (Framing::Chunked, None, Some(text)) => text != b"chunked",
        _ => true,
    }
}

fn write_framing(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            push_number(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

fn write_connection(out: &mut Vec<u8>, connection: ConnectionField, te: bool) {
    let option = match connection {
        ConnectionField::Implied if te => "TE",
        ConnectionField::Implied => return,
        ConnectionField::KeepAlive => "keep-alive",
        ConnectionField::Close => "close",
        ConnectionField::Upgrade => "Upgrade",
    };
    out.extend_from_slice(b"Connection: ");
    out.extend_from_slice(option.as_bytes());
    if te && connection != ConnectionField::Implied {
        out.extend_from_slice(b", TE");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_extra(out: &mut Vec<u8>, extra: &[(&str, &[u8])]) {
    for (name, value) in extra {
        debug_assert!(is_token(name.as_bytes()) && is_value(value), "{name}");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        heads::{request_head, response_head},
        response::Asked,
    };
    use super::*;

    fn sent(head: &RequestHead, how: RequestWrite<'_>) -> String {
        let mut out = Vec::new();
        head.write(&mut out, &how);
        String::from_utf8(out).expect("the test's text is UTF-8")
    }

    fn answered(head: &ResponseHead, how: ResponseWrite<'_>) -> String {
        let mut out = Vec::new();
        head.write(&mut out, &how);
        String::from_utf8(out).expect("the test's text is UTF-8")
    }

    #[test]
    fn what_nobody_touched_leaves_as_it_came() {
        let text = "GET /a?b=c&d HTTP/1.1\r\nhOST:  Example.com \r\nX-Empty:\r\nAccept:*/*\r\n\r\n";
        assert_eq!(sent(&request_head(text), RequestWrite::default()), text);
        let text = "HTTP/1.1 200 Very Fine\r\ncontent-LENGTH: 5\r\nX: y\r\n\r\n";
        let how = ResponseWrite {
            framing: Framing::Length(5),
            ..ResponseWrite::default()
        };
        assert_eq!(answered(&response_head(text, Asked::Other), how), text);
    }

    #[test]
    fn what_belongs_to_the_hop_is_left_out() {
        let head = request_head(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n\
             X: y\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTE: gzip\r\n\r\n",
        );
        let how = RequestWrite {
            extra: &[("X-Forwarded-For", b"10.0.0.1")],
            ..RequestWrite::default()
        };
        assert_eq!(
            sent(&head, how),
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
        );
    }
}
