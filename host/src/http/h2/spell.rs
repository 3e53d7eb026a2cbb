//! Spells a head that comes over HTTP/2 out as the HTTP/1 message it means, a field at a time, for the one
//! codec to read.

use std::ops::Range;

use super::{
    super::{
        bad::BadRequest,
        body::BadBody,
        chunk::TRAILERS_LIMIT,
        fields::Fields,
        framing::Framing,
        host,
        known::Known,
        request::{RequestHead, read_request as read_http1},
        scan::{HeadLimits, Progress, Read},
        syntax::{is_target, is_token, shown},
    },
    BadMapping, Follows,
    fields::push_line,
};

/// What a field costs in the count of a head's size (RFC 9113 §6.5.2).
pub const FIELD_OVERHEAD: usize = 32;

/// Why a head is none of HTTP/2, which the stream is reset for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a pseudo-field after a field, twice, or of no meaning here")]
    Pseudo,
    #[error("a request without its method, scheme or path")]
    Incomplete,
    #[error("a field name that is no token of small letters")]
    Name,
    #[error("TE with more than `trailers`")]
    Te,
}

/// What was said in front of the fields, each a part of `text`.
#[derive(Debug, Default)]
struct Pseudo {
    text: Vec<u8>,
    method: Option<Range<usize>>,
    scheme: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    protocol: Option<Range<usize>>,
}

impl Pseudo {
    fn part(&self, part: &Option<Range<usize>>) -> Option<&[u8]> {
        part.clone().map(|part| &self.text[part])
    }

    fn clear(&mut self) {
        self.text.clear();
        self.method = None;
        self.scheme = None;
        self.authority = None;
        self.path = None;
        self.protocol = None;
    }
}

/// A head on its way from one spelling to the other. Keeps its memory from head to head.
#[derive(Debug, Default)]
pub struct Spelling {
    pseudo: Pseudo,
    /// The message.
    text: Vec<u8>,
    /// Its Cookie, which may come in crumbs.
    cookie: Vec<u8>,
    /// The request line is written: there was a field.
    in_fields: bool,
    /// Fields after a body.
    trailers: bool,
    fields: usize,
    /// As the protocol counts it, beyond `most` too.
    size: usize,
    most: usize,
    malformed: Option<Malformed>,
    bad: Option<BadRequest>,
}

impl Spelling {
    /// Begins the head of a request. Of one that is larger than `most` bytes only the size is taken.
    pub fn begin(&mut self, most: usize) {
        self.pseudo.clear();
        self.text.clear();
        self.cookie.clear();
        self.in_fields = false;
        self.trailers = false;
        self.fields = 0;
        self.size = 0;
        self.most = most;
        self.malformed = None;
        self.bad = None;
    }

    /// Begins the fields after a body.
    pub fn begin_trailers(&mut self) {
        self.begin(TRAILERS_LIMIT);
        self.trailers = true;
        self.in_fields = true;
    }

    /// How large the head is, as the protocol counts it.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes the next field.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + FIELD_OVERHEAD;
        if self.size > self.most || self.malformed.is_some() || self.bad.is_some() {
            return;
        }
        let taken = match name.first() {
            Some(b':') => self.take_pseudo(name, value).map_err(Refused::Malformed),
            _ => self.take_field(name, value),
        };
        match taken {
            Ok(()) => {}
            Err(Refused::Malformed(malformed)) => self.malformed = Some(malformed),
            Err(Refused::Bad(bad)) => self.bad = Some(bad),
        }
    }

    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if self.in_fields {
            return Err(Malformed::Pseudo);
        }
        let pseudo = &mut self.pseudo;
        let place = match name {
            b":method" => &mut pseudo.method,
            b":scheme" => &mut pseudo.scheme,
            b":authority" => &mut pseudo.authority,
            b":path" => &mut pseudo.path,
            b":protocol" => &mut pseudo.protocol,
            _ => return Err(Malformed::Pseudo),
        };
        if place.is_some() {
            return Err(Malformed::Pseudo);
        }
        let start = pseudo.text.len();
        pseudo.text.extend_from_slice(value);
        *place = Some(start..pseudo.text.len());
        Ok(())
    }

    fn take_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refused> {
        if !is_token(name) || name.iter().any(u8::is_ascii_uppercase) {
            return Err(Malformed::Name.into());
        }
        if !self.in_fields {
            self.in_fields = true;
            self.write_request_line()?;
        }
        let named = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match Known::of(name) {
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => {
                return Err(BadMapping::HopField { name: named(name) }.into());
            }
            Known::Te if !value.eq_ignore_ascii_case(b"trailers") => {
                return Err(Malformed::Te.into());
            }
            Known::Host if !self.trailers => {
                if let Some(authority) = self.pseudo.part(&self.pseudo.authority) {
                    return match value == authority
                        || host::same(value, authority, self.default_port())
                    {
                        // It is there already.
                        true => Ok(()),
                        false => Err(Refused::Bad(BadRequest::OtherHost {
                            host: shown(value),
                            target: shown(authority),
                        })),
                    };
                }
            }
            // HTTP/1 has one (RFC 9113 §8.2.3). It is written when all of it is here.
            Known::Cookie if !self.trailers => {
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
                return Ok(());
            }
            _ => {}
        }
        self.fields += 1;
        match push_line(&mut self.text, name, value) {
            true => Ok(()),
            false => Err(BadMapping::Value { name: named(name) }.into()),
        }
    }

    fn default_port(&self) -> &'static [u8] {
        match self.pseudo.part(&self.pseudo.scheme) {
            Some(b"https") => b"443",
            _ => b"80",
        }
    }

    /// Writes the request line and Host. Every byte of them is looked at here: a line end would start a
    /// message of its own.
    fn write_request_line(&mut self) -> Result<(), Refused> {
        let pseudo = &self.pseudo;
        let method = pseudo.part(&pseudo.method).ok_or(Malformed::Incomplete)?;
        let protocol = pseudo.part(&pseudo.protocol);
        let method: &[u8] = match (method, protocol) {
            (b"CONNECT", None) => return Err(BadRequest::Connect.into()),
            (b"CONNECT", Some(b"websocket")) => b"GET",
            (b"CONNECT", Some(protocol)) => {
                let found = shown(protocol);
                return Err(BadMapping::Protocol { found }.into());
            }
            (_, Some(_)) => return Err(Malformed::Pseudo.into()),
            (method, None) => method,
        };
        if !is_token(method) {
            let found = shown(method);
            return Err(BadRequest::Method { found }.into());
        }
        let scheme = pseudo.part(&pseudo.scheme).ok_or(Malformed::Incomplete)?;
        let path = pseudo.part(&pseudo.path).ok_or(Malformed::Incomplete)?;
        if !matches!(scheme, b"http" | b"https") {
            let found = shown(scheme);
            return Err(BadMapping::Scheme { found }.into());
        }
        let is_path = path.first() == Some(&b'/') || path == b"*";
        if !is_path || !is_target(path) {
            let found = shown(path);
            return Err(BadMapping::Path { found }.into());
        }
        let text = &mut self.text;
        text.extend_from_slice(method);
        text.push(b' ');
        text.extend_from_slice(path);
        text.extend_from_slice(b" HTTP/1.1\r\n");
        if let Some(authority) = pseudo.part(&pseudo.authority) {
            self.fields += 1;
            if !push_line(text, b"host", authority) {
                let name = ":authority".to_owned();
                return Err(BadMapping::Value { name }.into());
            }
        }
        Ok(())
    }

    /// Ends the head and reads it into `head`. `key` makes what a WebSocket's opening carries over HTTP/1 and
    /// not over HTTP/2.
    pub fn read_request(
        &mut self,
        follows: Follows,
        key: impl FnOnce() -> String,
        limits: &HeadLimits,
        head: &mut RequestHead,
    ) -> Result<(), Refused> {
        if !self.in_fields && self.malformed.is_none() && self.size <= self.most {
            self.write_request_line()?;
        }
        if self.size > self.most {
            let limit = limits.bytes;
            return Err(Refused::Bad(BadRequest::HeadTooLarge { limit }));
        }
        if let Some(malformed) = self.malformed {
            return Err(malformed.into());
        }
        if let Some(bad) = self.bad.take() {
            return Err(Refused::Bad(bad));
        }
        let cookie = std::mem::take(&mut self.cookie);
        if !cookie.is_empty() && !push_line(&mut self.text, b"cookie", &cookie) {
            let name = "cookie".to_owned();
            return Err(BadMapping::Value { name }.into());
        }
        self.cookie = cookie;
        let opens = self.pseudo.protocol.is_some();
        if opens {
            for (name, value) in [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-key", &key()),
            ] {
                let sound = push_line(&mut self.text, name.as_bytes(), value.as_bytes());
                debug_assert!(sound, "they are written here");
            }
        }
        self.text.extend_from_slice(b"\r\n");
        let read = read_http1(&self.text, &mut Progress::default(), head, limits)?;
        debug_assert_eq!(read, Read::Complete, "the text ends in an empty line");
        head.came_over_h2(framing(head, follows, opens)?);
        Ok(())
    }

    /// Ends fields after a body.
    pub fn read_trailers(&mut self) -> Result<Fields, BadTrailers> {
        if self.size > self.most {
            let limit = TRAILERS_LIMIT;
            return Err(BadTrailers::Bad(BadBody::TrailersTooLarge { limit }));
        }
        if self.malformed.is_some() {
            return Err(BadTrailers::Malformed);
        }
        if let Some(bad) = self.bad.take() {
            let reason = bad.to_string();
            return Err(BadTrailers::Bad(BadBody::Stream { reason }));
        }
        self.text.extend_from_slice(b"\r\n");
        let mut fields = Fields::default();
        fields
            .read_trailers(&self.text, self.fields)
            .map_err(BadTrailers::Bad)?;
        Ok(fields)
    }
}

/// How the body will come, by what the head says and by whether anything follows it.
fn framing(head: &RequestHead, follows: Follows, opens: bool) -> Result<Framing, BadMapping> {
    match (follows, head.framing()) {
        (Follows::Nothing, Framing::Length(1..)) => Err(BadMapping::LengthWithoutBody),
        (Follows::Nothing, _) if opens => Err(BadMapping::Incomplete),
        // What follows the opening of a WebSocket isn't its body.
        _ if opens => Ok(Framing::None),
        // A server of HTTP/1 may want to be told that there is none (RFC 9110 §8.6).
        (Follows::Nothing, _) if matches!(head.method_bytes(), b"POST" | b"PUT" | b"PATCH") => {
            Ok(Framing::Length(0))
        }
        (Follows::Nothing, framing) => Ok(framing),
        (Follows::Body, framing @ Framing::Length(_)) => Ok(framing),
        (Follows::Body, _) => Ok(Framing::Chunked),
    }
}

/// Why there is no request.
#[derive(Debug)]
pub enum Refused {
    /// The stream is reset.
    Malformed(Malformed),
    /// It is answered.
    Bad(BadRequest),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<BadRequest> for Refused {
    fn from(bad: BadRequest) -> Self {
        Self::Bad(bad)
    }
}

impl From<BadMapping> for Refused {
    fn from(bad: BadMapping) -> Self {
        Self::Bad(bad.into())
    }
}

/// Why a body has no sound end.
#[derive(Debug)]
pub enum BadTrailers {
    Malformed,
    Bad(BadBody),
}
