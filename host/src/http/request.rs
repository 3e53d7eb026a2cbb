//! The head of a request: what was asked, of whom, and where the message ends.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::{
    bad::BadRequest,
    fields::Fields,
    framing::{self, EndToEnd, Framing, Stated, Version},
    host,
    known::Known,
    scan::{BadExtent, Extent, HeadLimits, Progress, Read, Shape, scan},
    syntax::{is_target, is_target_byte, is_token, is_token_byte, shown, trim},
};

/// The longest method that is passed on; the longest registered one has 17 bytes.
pub(super) const METHOD_LIMIT: usize = 32;
/// The method, two spaces and the version.
const LINE_AROUND_TARGET: usize = METHOD_LIMIT + 2 + "HTTP/1.1".len();

/// A request's head. Make one per connection and read into it again and again: it keeps its memory.
#[derive(Debug, Default, Clone)]
pub struct RequestHead {
    pub fields: Fields,
    line: Line,
    version: Version,
    framing: Framing,
    persistent: bool,
    expects_continue: bool,
    wants_upgrade: bool,
    len: usize,
}

/// The parts of the request line, as places in the arena of `fields`.
#[derive(Debug, Default, Clone)]
pub(super) struct Line {
    pub method: Range<u32>,
    /// As it was sent; edits don't change it.
    pub target: Range<u32>,
    /// What goes to the server: path and query, or `*`.
    pub path: Range<u32>,
    pub query: Option<Range<u32>>,
    /// The whole line with its CRLF, as long as it can be sent as it came.
    pub whole: Option<Range<u32>>,
}

/// A part of the request line that a plugin may not set like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdit {
    #[error("`{found}` is not a method that can be sent")]
    Method { found: String },
    #[error("path `{found}` does not begin with `/`, or has bytes in it that a path cannot have")]
    Path { found: String },
    #[error("query `{found}` has bytes in it that a query cannot have")]
    Query { found: String },
    #[error("target longer than {limit} bytes")]
    TooLong { limit: usize },
}

/// The longest path or query that an edit may give.
const EDIT_LIMIT: usize = 16 * 1024;

/// Reads the head of the next request from the start of `input`.
///
/// On [`Read::Complete`] the first [`RequestHead::len`] bytes of `input` are used up. On [`Read::Partial`] call
/// again with the same bytes and more. One empty line before the request is let pass. After an error
/// nothing further can be read from the connection.
pub fn read_request(
    input: &[u8],
    progress: &mut Progress,
    head: &mut RequestHead,
    limits: &HeadLimits,
) -> Result<Read, BadRequest> {
    if progress.is_fresh()
        && let Some(read) = head.read_clean(input, limits)
    {
        return read.map(|()| Read::Complete);
    }
    let mut shape = RequestShape {
        target_limit: limits.target,
        line: None,
    };
    let found = scan(input, progress, limits, &mut shape)
        .map_err(|bad| refuse_extent(bad, input, limits))?;
    match found {
        None => Ok(Read::Partial),
        Some(extent) => {
            head.fill(input, &extent, shape.line, limits)?;
            Ok(Read::Complete)
        }
    }
}

impl RequestHead {
    /// Forgets the request, keeps the memory.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.line = Line::default();
        self.len = 0;
    }

    pub fn method(&self) -> &str {
        self.text(&self.line.method)
    }

    /// The same for comparing, which need not be sure that it is text.
    pub fn method_bytes(&self) -> &[u8] {
        self.bytes(&self.line.method)
    }

    /// The target as the client sent it, whatever was set since; for logs.
    pub fn target(&self) -> &str {
        self.text(&self.line.target)
    }

    /// The same, as [`method_bytes`](Self::method_bytes).
    pub fn target_bytes(&self) -> &[u8] {
        self.bytes(&self.line.target)
    }

    /// The path that will be sent: not decoded, not normalised. `*` for a server-wide OPTIONS.
    pub fn raw_path(&self) -> &str {
        self.text(&self.line.path)
    }

    /// What follows the first `?`, which may be nothing; `None` if there is no `?`.
    pub fn query(&self) -> Option<&str> {
        self.line.query.as_ref().map(|query| self.text(query))
    }

    /// Host and port as `Host` says them, which is also what an absolute target said. `None` only for HTTP/1.0
    /// without either.
    pub fn authority(&self) -> Option<&str> {
        let host = self.fields.known(Known::Host)?;
        std::str::from_utf8(host).ok()
    }

    /// The version that the client spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    /// `None`, `Length` or `Chunked`.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client would send another request on this connection.
    pub fn persistent(&self) -> bool {
        self.persistent
    }

    /// Whether the client waits for `100 Continue` before it sends the body. Never so for HTTP/1.0 or if
    /// there is no body.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The protocols that the client would change to, over all lists. None if it did not ask properly:
    /// HTTP/1.1, `Connection: upgrade` and no body.
    pub fn upgrades(&self) -> impl Iterator<Item = &[u8]> {
        let lists = self.fields.all_known(Known::Upgrade);
        lists
            .filter(|_| self.wants_upgrade)
            .flat_map(|list| list.split(|&b| b == b','))
            .map(trim)
            .filter(|protocol| !protocol.is_empty())
    }

    /// Bytes of the input that were the head, with an empty line before it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The head as it was read, without what was set since.
    ///
    /// Edits only append, so the text that it was read from is still there.
    pub fn as_it_came(&self) -> Self {
        let limits = HeadLimits {
            bytes: usize::MAX,
            fields: usize::MAX,
            target: usize::MAX,
        };
        let mut head = Self::default();
        let text = self.fields.bytes();
        match read_request(text, &mut Progress::default(), &mut head, &limits) {
            Ok(Read::Complete) => Self {
                version: self.version,
                framing: self.framing,
                persistent: self.persistent,
                expects_continue: self.expects_continue,
                wants_upgrade: self.wants_upgrade,
                len: self.len,
                ..head
            },
            // Nothing was ever read into it.
            Ok(Read::Partial) | Err(_) => self.clone(),
        }
    }

    /// Whether nothing has been read into it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The method decides how the answer is read, so it cannot become or stop being HEAD.
    pub fn set_method(&mut self, method: &str) -> Result<(), BadEdit> {
        let sound = is_token(method.as_bytes())
            && method.len() <= METHOD_LIMIT
            && method != "CONNECT"
            && (method == "HEAD") == (self.method() == "HEAD")
            && (self.raw_path() != "*" || method == "OPTIONS");
        if !sound {
            return Err(BadEdit::Method {
                found: shown(method.as_bytes()),
            });
        }
        self.line.method = self.fields.keep(method.as_bytes());
        self.line.whole = None;
        Ok(())
    }

    /// The path, without the query. It is sent as given.
    pub fn set_path(&mut self, path: &str) -> Result<(), BadEdit> {
        if path.len() > EDIT_LIMIT {
            return Err(BadEdit::TooLong { limit: EDIT_LIMIT });
        }
        if !path.starts_with('/') || path.contains('?') || !is_path(path.as_bytes()) {
            return Err(BadEdit::Path {
                found: shown(path.as_bytes()),
            });
        }
        self.line.path = self.fields.keep(path.as_bytes());
        self.line.whole = None;
        Ok(())
    }

    /// The query, without `?`; an empty one takes the `?` away.
    pub fn set_query(&mut self, query: &str) -> Result<(), BadEdit> {
        if query.len() > EDIT_LIMIT {
            return Err(BadEdit::TooLong { limit: EDIT_LIMIT });
        }
        if !is_target(query.as_bytes()) || self.raw_path() == "*" {
            return Err(BadEdit::Query {
                found: shown(query.as_bytes()),
            });
        }
        self.line.query = match query {
            "" => None,
            query => Some(self.fields.keep(query.as_bytes())),
        };
        self.line.whole = None;
        Ok(())
    }

    /// Says of a head that was just read that it did not come over HTTP/1, and how its body will come.
    pub(super) fn came_over_h2(&mut self, framing: Framing) {
        self.version = Version::Http2;
        self.framing = framing;
        self.persistent = true;
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        self.expects_continue = has_body && self.fields.known(Known::Expect).is_some();
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }

    fn text(&self, part: &Range<u32>) -> &str {
        std::str::from_utf8(self.bytes(part)).expect("request lines are checked to be ASCII")
    }

    fn bytes(&self, part: &Range<u32>) -> &[u8] {
        &self.fields.bytes()[part.start as usize..part.end as usize]
    }

    fn fill(
        &mut self,
        input: &[u8],
        extent: &Extent,
        line: Option<ParsedLine>,
        limits: &HeadLimits,
    ) -> Result<(), BadRequest> {
        self.clear();
        let head = &input[extent.start..extent.end];
        let line_len = memchr(b'\n', head).map_or(head.len(), |lf| lf + 1);
        let line = match line {
            Some(line) => line,
            // It was complete in an earlier call.
            None => ParsedLine::parse(&head[..line_len - 2], limits.target)?,
        };
        self.fields.read(head, line_len, extent.fields)?;
        self.len = extent.end;
        self.settle(&line, line_len)
    }

    /// The quick way for a head that is all there and has no unusual line. `None` leaves it to the thorough
    /// one; an error is about what the lines say and would be found there as well.
    fn read_clean(&mut self, input: &[u8], limits: &HeadLimits) -> Option<Result<(), BadRequest>> {
        let line_len = memchr(b'\n', input)? + 1;
        let line = input[..line_len].strip_suffix(b"\r\n")?;
        let line = ParsedLine::parse(line, limits.target).ok()?;
        self.clear();
        self.len = self.fields.read_clean(input, line_len, limits)?;
        Some(self.settle(&line, line_len))
    }

    /// Works out what the lines mean together.
    fn settle(&mut self, line: &ParsedLine, line_len: usize) -> Result<(), BadRequest> {
        self.version = line.version;
        self.take_line(line, line_len);
        self.settle_host(line)?;
        self.settle_framing()
    }

    fn take_line(&mut self, line: &ParsedLine, line_len: usize) {
        let start = line.method_len + 1;
        let end = start + line.target_len;
        self.line.method = 0..line.method_len;
        self.line.target = start..end;
        self.line.query = line.query.map(|query| start + query..end);
        let path_end = line.query.map_or(end, |query| start + query - 1);
        self.line.path = start + line.path..path_end;
        if line.authority.is_none() {
            let as_it_came = line.version == Version::Http11;
            self.line.whole = as_it_came.then_some(0..line_len as u32);
        } else if self.line.path.is_empty() {
            // `http://host` is the root, and for OPTIONS the whole server (RFC 9112 §3.2.4).
            let whole_server = self.method() == "OPTIONS" && line.query.is_none();
            self.line.path = self.fields.keep(if whole_server { b"*" } else { b"/" });
        }
    }

    /// Exactly one sound Host, and the same as in an absolute target.
    fn settle_host(&mut self, line: &ParsedLine) -> Result<(), BadRequest> {
        let mut hosts = self.fields.all_known(Known::Host);
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(BadRequest::RepeatedHost);
        }
        drop(hosts);
        match host {
            None if self.version == Version::Http11 => return Err(BadRequest::NoHost),
            Some(host) if host::split(host).is_none() => {
                return Err(BadRequest::Host { found: shown(host) });
            }
            None | Some(_) => {}
        }
        let Some((authority, default_port)) = &line.authority else {
            return Ok(());
        };
        let target = &self.fields.bytes()[self.line.target.start as usize..];
        let authority = &target[authority.start as usize..authority.end as usize];
        match host {
            Some(host) if host == authority => {}
            Some(host) if !host::same(host, authority, default_port) => {
                return Err(BadRequest::OtherHost {
                    host: shown(host),
                    target: shown(authority),
                });
            }
            // The target's authority is the one that counts (RFC 9112 §3.2.2).
            Some(_) | None => {
                let authority = authority.to_vec();
                self.fields.replace("Host", &authority, Known::Host);
            }
        }
        Ok(())
    }

    fn settle_framing(&mut self) -> Result<(), BadRequest> {
        self.framing = match framing::stated(&self.fields, self.version)? {
            Stated::Nothing => Framing::None,
            Stated::Length(length) => Framing::Length(length),
            Stated::Chunked => Framing::Chunked,
        };
        let has_body = !matches!(self.framing, Framing::None | Framing::Length(0));
        let options = framing::connection(&mut self.fields, EndToEnd::Refuse)?;
        self.persistent = options.persistent(self.version);
        self.wants_upgrade = options.upgrade
            && self.version == Version::Http11
            && !has_body
            && self.fields.known(Known::Upgrade).is_some();
        let mut expectations = self.fields.all_known(Known::Expect);
        let expected = expectations.next();
        if let Some(second) = expectations.next() {
            return Err(BadRequest::Expect {
                found: shown(second),
            });
        }
        self.expects_continue = match expected {
            None => false,
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => {
                self.version == Version::Http11 && has_body
            }
            Some(value) => {
                return Err(BadRequest::Expect {
                    found: shown(value),
                });
            }
        };
        Ok(())
    }
}

/// A path may not hold `\`, which some servers take for `/`.
fn is_path(path: &[u8]) -> bool {
    is_target(path) && !path.contains(&b'\\')
}

/// Lengths and places within a sound request line; the latter count from the target's first byte.
#[derive(Debug, Clone)]
struct ParsedLine {
    method_len: u32,
    target_len: u32,
    version: Version,
    /// Of an absolute target, with the port that its scheme implies.
    authority: Option<(Range<u32>, &'static [u8])>,
    path: u32,
    /// After the `?`.
    query: Option<u32>,
}

impl ParsedLine {
    fn parse(line: &[u8], target_limit: usize) -> Result<Self, BadRequest> {
        let malformed = || BadRequest::RequestLine { found: shown(line) };
        let space = memchr(b' ', line).ok_or_else(malformed)?;
        let (method, rest) = (&line[..space], &line[space + 1..]);
        if !is_token(method) || method.len() > METHOD_LIMIT {
            return Err(BadRequest::Method {
                found: shown(method),
            });
        }
        let Some(space) = memchr(b' ', rest) else {
            return Err(BadRequest::NoVersion { found: shown(line) });
        };
        let (target, version) = (&rest[..space], &rest[space + 1..]);
        let version = parse_version(version).ok_or_else(|| refuse_version(version, line))?;
        if target.len() > target_limit {
            return Err(BadRequest::TargetTooLong {
                limit: target_limit,
            });
        }
        if target.is_empty() {
            return Err(malformed());
        }
        if method == b"CONNECT" {
            return Err(BadRequest::Connect);
        }
        if !is_target(target) {
            return Err(refuse_target(target));
        }
        let mut parsed = Self {
            method_len: method.len() as u32,
            target_len: target.len() as u32,
            version,
            authority: None,
            path: 0,
            query: None,
        };
        parsed.split_target(method, target)?;
        Ok(parsed)
    }

    fn split_target(&mut self, method: &[u8], target: &[u8]) -> Result<(), BadRequest> {
        let refused = || BadRequest::Target {
            found: shown(target),
        };
        if target == b"*" {
            return (method == b"OPTIONS").then_some(()).ok_or_else(refused);
        }
        if target[0] != b'/' {
            let (authority, default_port) = find_authority(target).ok_or_else(refused)?;
            let found = &target[authority.start..authority.end];
            if found.contains(&b'@') {
                return Err(BadRequest::UserInfo {
                    found: shown(found),
                });
            }
            if host::split(found).is_none() {
                return Err(BadRequest::Authority {
                    found: shown(found),
                });
            }
            self.path = authority.end as u32;
            let authority = authority.start as u32..authority.end as u32;
            self.authority = Some((authority, default_port));
        }
        let rest = &target[self.path as usize..];
        let end = memchr2(b'?', b'\\', rest);
        if end.is_some_and(|at| rest[at] == b'\\') {
            return Err(BadRequest::TargetByte {
                found: shown(target),
                byte: "backslash".to_owned(),
            });
        }
        self.query = end.map(|question| self.path + question as u32 + 1);
        Ok(())
    }
}

fn parse_version(text: &[u8]) -> Option<Version> {
    match text {
        b"HTTP/1.1" => Some(Version::Http11),
        b"HTTP/1.0" => Some(Version::Http10),
        _ => None,
    }
}

fn refuse_version(version: &[u8], line: &[u8]) -> BadRequest {
    match version {
        _ if version.contains(&b' ') => BadRequest::RequestLine { found: shown(line) },
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            BadRequest::Version {
                found: shown(version),
            }
        }
        _ => BadRequest::VersionSyntax {
            found: shown(version),
        },
    }
}

fn refuse_target(target: &[u8]) -> BadRequest {
    let found = shown(target);
    let bad = target.iter().find(|&&b| !is_target_byte(b));
    match bad {
        Some(b'#') => BadRequest::Fragment { found },
        bad => BadRequest::TargetByte {
            found,
            byte: bad.map_or(String::new(), |byte| format!("byte 0x{byte:02x}")),
        },
    }
}

/// Where the authority of an http or https URL is, and the scheme's own port.
fn find_authority(target: &[u8]) -> Option<(Range<usize>, &'static [u8])> {
    let begins = |scheme: &[u8]| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let (start, port): (usize, &'static [u8]) = if begins(b"http://") {
        (7, b"80")
    } else if begins(b"https://") {
        (8, b"443")
    } else {
        return None;
    };
    let end = target[start..]
        .iter()
        .position(|&b| matches!(b, b'/' | b'?'))
        .map_or(target.len(), |at| start + at);
    Some((start..end, port))
}

struct RequestShape {
    target_limit: usize,
    line: Option<ParsedLine>,
}

impl Shape for RequestShape {
    type Error = BadRequest;
    const EMPTY_LINE_FIRST: bool = true;

    fn first_line_limit(&self) -> usize {
        self.target_limit.saturating_add(LINE_AROUND_TARGET)
    }

    fn check_start(&self, start: &[u8]) -> Result<(), BadRequest> {
        match start.first() {
            Some(&byte) if !is_token_byte(byte) && byte != b'\r' && byte != b'\n' => {
                Err(BadRequest::NotHttp {
                    found: shown(&[byte]),
                })
            }
            _ => Ok(()),
        }
    }

    fn check_line(&mut self, line: &[u8]) -> Result<(), BadRequest> {
        self.line = Some(ParsedLine::parse(line, self.target_limit)?);
        Ok(())
    }
}

fn refuse_extent(bad: BadExtent<BadRequest>, input: &[u8], limits: &HeadLimits) -> BadRequest {
    match bad {
        BadExtent::BareLf => BadRequest::BareLf,
        BadExtent::EmptyLine => BadRequest::EmptyLine,
        BadExtent::FirstLineTooLong { start } => {
            let line = &input[start..start + METHOD_LIMIT + 1];
            if line.iter().take_while(|&&b| is_token_byte(b)).count() > METHOD_LIMIT {
                return BadRequest::Method { found: shown(line) };
            }
            BadRequest::TargetTooLong {
                limit: limits.target,
            }
        }
        BadExtent::TooLarge => BadRequest::HeadTooLarge {
            limit: limits.bytes,
        },
        BadExtent::TooManyFields => BadRequest::TooManyFields {
            limit: limits.fields,
        },
        BadExtent::FirstLine(bad) => bad,
    }
}
