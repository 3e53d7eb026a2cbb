//! The head of a response: a server's, or one that the proxy makes itself.

use memchr::memchr;

use super::{
    bad::BadResponse,
    fields::Fields,
    framing::{self, EndToEnd, Framing, Stated, Version},
    known::Known,
    scan::{BadExtent, Extent, HeadLimits, Progress, Read, Shape, scan},
    syntax::{is_value, is_value_byte, shown},
};

/// The longest status line without its reason's end; reasons beyond it are noise.
const LINE_LIMIT: usize = 1024;

/// A response's head. Like a request's it keeps its memory when it is read into again.
#[derive(Debug, Default, Clone)]
pub struct ResponseHead {
    pub fields: Fields,
    status: u16,
    /// How long the status line is, as long as it can be sent as it came.
    pub(super) whole_line: Option<u32>,
    version: Version,
    framing: Framing,
    pub(super) length: Option<u64>,
    persistent: bool,
    len: usize,
}

/// What was asked, as far as it decides whether the answer has a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Head,
    /// Anything but HEAD.
    Other,
}

impl Asked {
    pub fn by(method: &[u8]) -> Self {
        if method == b"HEAD" {
            Self::Head
        } else {
            Self::Other
        }
    }
}

/// A status that cannot be sent as an answer: not 200 to 599, or one for which the body that is there would
/// have to be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("status {0} cannot be set on this response")]
pub struct BadStatus(pub u16);

/// Reads the head of the next response from the start of `input`; see
/// [`read_request`](super::request::read_request) for the protocol.
///
/// Interim answers (1xx) are returned like others, without a body; the caller reads on until the final one.
/// 101 is returned too: whether it was asked for is the caller's to know.
pub fn read_response(
    input: &[u8],
    progress: &mut Progress,
    head: &mut ResponseHead,
    limits: &HeadLimits,
    asked: Asked,
) -> Result<Read, BadResponse> {
    if progress.is_fresh()
        && let Some(read) = head.read_clean(input, limits, asked)
    {
        return read.map(|()| Read::Complete);
    }
    let mut shape = ResponseShape { line: None };
    let found = scan(input, progress, limits, &mut shape)
        .map_err(|bad| refuse_extent(bad, input, limits))?;
    match found {
        None => Ok(Read::Partial),
        Some(extent) => {
            head.fill(input, &extent, shape.line, asked)?;
            Ok(Read::Complete)
        }
    }
}

impl ResponseHead {
    /// An answer of the proxy's own, without fields.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            persistent: true,
            ..Self::default()
        }
    }

    /// Forgets the response, keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.status = 0;
        self.whole_line = None;
        self.length = None;
        self.framing = Framing::None;
        self.len = 0;
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether another head follows for the same request.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// The version that the server spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body that follows ends, given what was asked.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The framing for a client of that version: one of 1.0 knows no chunks, and for others they spare the
    /// connection where the server ends the body by closing. HTTP/2 has frames for chunks, which come to the
    /// same: an end that cannot be mistaken, and trailers.
    pub fn framing_for(&self, client: Version) -> Framing {
        match (self.framing, client) {
            (Framing::Chunked | Framing::UntilClose, Version::Http10) => Framing::UntilClose,
            (Framing::UntilClose, Version::Http11 | Version::Http2) => Framing::Chunked,
            (framing, _) => framing,
        }
    }

    /// What the server's Content-Length says; also set where no body follows (HEAD, 304).
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the connection to the server can be used again once the body was read.
    pub fn persistent(&self) -> bool {
        self.persistent
    }

    /// The protocol that a 101 changes to.
    pub fn upgrade(&self) -> Option<&[u8]> {
        (self.status == 101)
            .then(|| self.fields.known(Known::Upgrade))
            .flatten()
    }

    /// Bytes of the input that were the head.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been read into it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Changes the status of an answer that is final. What has a body can't become 204 or 304, nor the other
    /// way round.
    pub fn set_status(&mut self, status: u16) -> Result<(), BadStatus> {
        let interim = self.status < 200;
        if interim || !(200..600).contains(&status) || has_body(status) != has_body(self.status) {
            return Err(BadStatus(status));
        }
        if status != self.status {
            self.status = status;
            self.whole_line = None;
        }
        Ok(())
    }

    /// Says of a head that was just read that it did not come over HTTP/1, and how its body will come.
    pub(super) fn came_over_h2(&mut self, framing: Framing) {
        self.version = Version::Http2;
        self.framing = framing;
    }

    fn fill(
        &mut self,
        input: &[u8],
        extent: &Extent,
        line: Option<ParsedLine>,
        asked: Asked,
    ) -> Result<(), BadResponse> {
        self.clear();
        let head = &input[extent.start..extent.end];
        let line_len = memchr(b'\n', head).map_or(head.len(), |lf| lf + 1);
        let line = match line {
            Some(line) => line,
            // It was complete in an earlier call.
            None => ParsedLine::parse(&head[..line_len - 2])?,
        };
        self.fields.read(head, line_len, extent.fields)?;
        self.len = extent.end;
        self.settle(&line, line_len, asked)
    }

    /// The quick way for a head that is all there and has no unusual line; see the one of requests.
    fn read_clean(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        asked: Asked,
    ) -> Option<Result<(), BadResponse>> {
        let line_len = memchr(b'\n', input)? + 1;
        let line = input[..line_len].strip_suffix(b"\r\n")?;
        if line.len() > LINE_LIMIT {
            return None;
        }
        let line = ParsedLine::parse(line).ok()?;
        self.clear();
        self.len = self.fields.read_clean(input, line_len, limits)?;
        Some(self.settle(&line, line_len, asked))
    }

    fn settle(
        &mut self,
        line: &ParsedLine,
        line_len: usize,
        asked: Asked,
    ) -> Result<(), BadResponse> {
        self.status = line.status;
        self.version = line.version;
        let as_it_came = line.version == Version::Http11 && line.has_reason;
        self.whole_line = as_it_came.then_some(line_len as u32);
        let options = framing::connection(&mut self.fields, EndToEnd::Keep)?;
        self.persistent = options.persistent(self.version);
        self.settle_framing(asked)?;
        Ok(())
    }

    fn settle_framing(&mut self, asked: Asked) -> Result<(), BadResponse> {
        let stated = framing::stated(&self.fields, self.version)?;
        if let Stated::Length(length) = stated {
            self.length = Some(length);
        }
        self.framing = if !has_body(self.status) || asked == Asked::Head {
            Framing::None
        } else {
            match stated {
                Stated::Length(length) => Framing::Length(length),
                Stated::Chunked => Framing::Chunked,
                Stated::Nothing => Framing::UntilClose,
            }
        };
        // A server that announces a body where none can be may well send it: as the start of an answer to
        // someone else.
        let announced = !matches!(stated, Stated::Nothing | Stated::Length(0));
        let never_has_one = self.status < 200 || self.status == 204;
        if self.framing == Framing::UntilClose || (announced && never_has_one) {
            self.persistent = false;
        }
        Ok(())
    }
}

fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

#[derive(Debug, Clone)]
struct ParsedLine {
    version: Version,
    status: u16,
    /// The space before the reason is there, though the reason may be empty.
    has_reason: bool,
}

impl ParsedLine {
    fn parse(line: &[u8]) -> Result<Self, BadResponse> {
        let malformed = || BadResponse::StatusLine { found: shown(line) };
        let (version, rest) = line.split_at_checked(8).ok_or_else(malformed)?;
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ => {
                return Err(BadResponse::Version {
                    found: shown(version),
                });
            }
        };
        let [b' ', rest @ ..] = rest else {
            return Err(malformed());
        };
        let (digits, reason) = rest.split_at_checked(3).ok_or_else(malformed)?;
        let (has_reason, reason) = match reason {
            [] => (false, reason),
            [b' ', reason @ ..] => (true, reason),
            _ => return Err(malformed()),
        };
        let status = match digits {
            [b'1'..=b'5', tens, ones] if tens.is_ascii_digit() && ones.is_ascii_digit() => digits
                .iter()
                .fold(0, |n, digit| n * 10 + u16::from(digit - b'0')),
            _ => {
                return Err(BadResponse::Status {
                    found: shown(digits),
                });
            }
        };
        if !is_value(reason) {
            let bad = reason.iter().find(|&&b| !is_value_byte(b));
            return Err(BadResponse::Reason {
                status,
                byte: bad.map_or(String::new(), |byte| format!("byte 0x{byte:02x}")),
            });
        }
        Ok(Self {
            version,
            status,
            has_reason,
        })
    }
}

struct ResponseShape {
    line: Option<ParsedLine>,
}

impl Shape for ResponseShape {
    type Error = BadResponse;
    const EMPTY_LINE_FIRST: bool = false;

    fn first_line_limit(&self) -> usize {
        LINE_LIMIT
    }

    fn check_start(&self, start: &[u8]) -> Result<(), BadResponse> {
        const START: &[u8] = b"HTTP/1.";
        let there = &start[..start.len().min(START.len())];
        if let [b'\r' | b'\n', ..] = there {
            return Ok(());
        }
        let same = there
            .iter()
            .zip(START)
            .take_while(|(found, wanted)| found == wanted)
            .count();
        if same < there.len() {
            return Err(BadResponse::NotHttp {
                found: shown(&there[..=same]),
            });
        }
        Ok(())
    }

    fn check_line(&mut self, line: &[u8]) -> Result<(), BadResponse> {
        self.line = Some(ParsedLine::parse(line)?);
        Ok(())
    }
}

fn refuse_extent(bad: BadExtent<BadResponse>, input: &[u8], limits: &HeadLimits) -> BadResponse {
    match bad {
        BadExtent::BareLf => BadResponse::BareLf,
        BadExtent::EmptyLine => BadResponse::EmptyLine,
        BadExtent::FirstLineTooLong { start } => BadResponse::StatusLine {
            found: shown(&input[start..start + LINE_LIMIT]),
        },
        BadExtent::TooLarge => BadResponse::HeadTooLarge {
            limit: limits.bytes,
        },
        BadExtent::TooManyFields => BadResponse::TooManyFields {
            limit: limits.fields,
        },
        BadExtent::FirstLine(bad) => bad,
    }
}
