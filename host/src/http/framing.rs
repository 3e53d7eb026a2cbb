//! What the fields say about where the message ends and whether the connection outlives it. The rules
//! of RFC 9112 §6 and §9 with every choice it leaves taken the strict way.

use super::{
    fields::Fields,
    known::{self, Known},
    syntax::{is_token, shown, trim},
};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body, and the message ends with its head.
    #[default]
    None,
    /// Exactly this many bytes. Zero says the same as `None`, aloud.
    Length(u64),
    Chunked,
    /// Until the connection ends; answers only.
    UntilClose,
}

/// What one side speaks. No version but 1.0 and 1.1 gets past the first line of a message; heads that came
/// over HTTP/2 are marked as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

/// Two parties could disagree about where the message ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFraming {
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndCoding,
    #[error("more than one Content-Length")]
    RepeatedLength,
    #[error("Content-Length `{found}` is not a number")]
    Length { found: String },
    #[error("Content-Length {found} is too large a number")]
    LengthTooLarge { found: String },
    #[error("Transfer-Encoding `{found}`, where only `chunked` is understood")]
    Coding { found: String },
    #[error("more than one Transfer-Encoding")]
    RepeatedCoding,
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    CodingInHttp10,
}

/// `Connection` says something that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConnection {
    #[error("Connection option `{found}` is not a token")]
    Option { found: String },
    #[error("Connection names `{found}`, which is for the other end")]
    Nominates { found: String },
}

/// What a message states about its own body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stated {
    Nothing,
    Length(u64),
    Chunked,
}

/// Larger numbers are negative to servers that count with signs.
const LARGEST_LENGTH: u64 = i64::MAX as u64;

pub(super) fn stated(fields: &Fields, version: Version) -> Result<Stated, BadFraming> {
    let both = Known::ContentLength.bit() | Known::TransferEncoding.bit();
    if !fields.has_any(both) {
        return Ok(Stated::Nothing);
    }
    let mut lengths = fields.all_known(Known::ContentLength);
    let mut codings = fields.all_known(Known::TransferEncoding);
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(BadFraming::LengthAndCoding),
        (Some(_), None) if lengths.next().is_some() => Err(BadFraming::RepeatedLength),
        (Some(length), None) => content_length(length).map(Stated::Length),
        (None, Some(_)) if codings.next().is_some() => Err(BadFraming::RepeatedCoding),
        (None, Some(_)) if version == Version::Http10 => Err(BadFraming::CodingInHttp10),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Stated::Chunked),
        (None, Some(coding)) => Err(BadFraming::Coding {
            found: shown(coding),
        }),
        (None, None) => Ok(Stated::Nothing),
    }
}

fn content_length(value: &[u8]) -> Result<u64, BadFraming> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BadFraming::Length {
            found: shown(value),
        });
    }
    let too_large = || BadFraming::LengthTooLarge {
        found: shown(value),
    };
    let mut length: u64 = 0;
    for digit in value {
        length = length
            .checked_mul(10)
            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
            .filter(|&n| n <= LARGEST_LENGTH)
            .ok_or_else(too_large)?;
    }
    Ok(length)
}

/// What `Connection` says, as far as the proxy acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
}

impl Options {
    pub(super) fn persistent(self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}

/// What to do with an option that names a field which is not for this hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndToEnd {
    /// A client has no honest reason for it.
    Refuse,
    /// The field stays. Old servers name `Transfer-Encoding`, meaning no harm.
    Keep,
}

/// Reads `Connection` and marks the fields that it names, so that they are not written.
pub(super) fn connection(
    fields: &mut Fields,
    end_to_end: EndToEnd,
) -> Result<Options, BadConnection> {
    let mut options = Options::default();
    if !fields.has_any(Known::Connection.bit()) {
        return Ok(options);
    }
    // Names are rare; almost all lists are one of `close`, `keep-alive` and `Upgrade`.
    let mut named: Vec<Vec<u8>> = Vec::new();
    let lists = fields.all_known(Known::Connection);
    for option in lists.flat_map(|list| list.split(|&b| b == b',')).map(trim) {
        if option.is_empty() {
            continue;
        }
        if option.eq_ignore_ascii_case(b"close") {
            options.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            options.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            options.upgrade = true;
        } else if !is_token(option) {
            return Err(BadConnection::Option {
                found: shown(option),
            });
        } else if !known::is_protected(option, Known::of(option)) {
            named.push(option.to_vec());
        } else if end_to_end == EndToEnd::Refuse {
            return Err(BadConnection::Nominates {
                found: shown(option),
            });
        }
    }
    for name in named {
        fields.nominate(&name);
    }
    Ok(options)
}
