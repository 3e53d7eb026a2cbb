//! The codec against everything that must not get through, and against itself. Each case is read whole and
//! again byte by byte: how the network cuts a message must not change what it is.

mod bodies;
mod cookies;
mod edits;
mod facts;
mod random;
mod requests;
mod responses;

use super::{
    bad::{BadRequest, BadResponse},
    body::{BadBody, BodyEvent, BodyReader},
    framing::{Framing, Version},
    request::{RequestHead, read_request},
    response::{Asked, ResponseHead, read_response},
    scan::{HeadLimits, Progress, Read},
    write::{ConnectionField, RequestWrite, ResponseWrite},
};

pub(super) const LIMITS: HeadLimits = HeadLimits {
    bytes: 4096,
    fields: 20,
    target: 256,
};

/// Everything that a reader of a request could be told differently.
#[derive(Debug, Clone, PartialEq)]
struct Request {
    method: String,
    target: String,
    path: String,
    query: Option<String>,
    authority: Option<String>,
    version: Version,
    framing: Framing,
    persistent: bool,
    expects_continue: bool,
    upgrades: Vec<Vec<u8>>,
    fields: Vec<(String, Vec<u8>)>,
    len: usize,
    sent: Vec<u8>,
}

impl Request {
    fn of(head: &RequestHead) -> Self {
        let mut sent = Vec::new();
        head.write(&mut sent, &RequestWrite::default());
        let field = |f: super::fields::FieldRef<'_>| (f.name.to_owned(), f.value.to_vec());
        Self {
            method: head.method().to_owned(),
            target: head.target().to_owned(),
            path: head.raw_path().to_owned(),
            query: head.query().map(str::to_owned),
            authority: head.authority().map(str::to_owned),
            version: head.version(),
            framing: head.framing(),
            persistent: head.persistent(),
            expects_continue: head.expects_continue(),
            upgrades: head.upgrades().map(<[u8]>::to_vec).collect(),
            fields: head.fields.iter().map(field).collect(),
            len: head.len(),
            sent,
        }
    }
}

/// Everything that a reader of a response could be told differently.
#[derive(Debug, Clone, PartialEq)]
struct Response {
    status: u16,
    version: Version,
    framing: Framing,
    length: Option<u64>,
    persistent: bool,
    fields: Vec<(String, Vec<u8>)>,
    len: usize,
    sent: Vec<u8>,
}

impl Response {
    fn of(head: &ResponseHead) -> Self {
        let mut sent = Vec::new();
        let how = ResponseWrite {
            framing: head.framing(),
            ..ResponseWrite::default()
        };
        head.write(&mut sent, &how);
        let field = |f: super::fields::FieldRef<'_>| (f.name.to_owned(), f.value.to_vec());
        Self {
            status: head.status(),
            version: head.version(),
            framing: head.framing(),
            length: head.length(),
            persistent: head.persistent(),
            fields: head.fields.iter().map(field).collect(),
            len: head.len(),
            sent,
        }
    }
}

/// Reads a request whole, byte by byte, and with another one behind it, and expects the same each time.
/// `None`: it is not complete.
fn read(input: &[u8]) -> Result<Option<Request>, BadRequest> {
    // A head that was used before must not shine through.
    let mut head = RequestHead::default();
    let stale = b"PUT http://old/stale?old HTTP/1.1\r\nHost: old\r\nConnection: upgrade, x\r\nUpgrade: x\r\nX: y\r\n\r\n";
    let used = read_request(stale, &mut Progress::default(), &mut head, &LIMITS);
    assert_eq!(used, Ok(Read::Complete));

    let whole = read_whole(input, &mut head);
    assert_eq!(read_drip(input), whole, "byte by byte: {}", show(input));
    if !matches!(whole, Ok(None)) {
        let followed = [input, b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"].concat();
        let followed = read_whole(&followed, &mut head);
        assert_eq!(followed, whole, "with another behind: {}", show(input));
    }
    whole
}

fn read_whole(input: &[u8], head: &mut RequestHead) -> Result<Option<Request>, BadRequest> {
    Ok(
        match read_request(input, &mut Progress::default(), head, &LIMITS)? {
            Read::Partial => None,
            Read::Complete => Some(Request::of(head)),
        },
    )
}

fn read_drip(input: &[u8]) -> Result<Option<Request>, BadRequest> {
    let mut head = RequestHead::default();
    let mut progress = Progress::default();
    for end in 0..=input.len() {
        if read_request(&input[..end], &mut progress, &mut head, &LIMITS)? == Read::Complete {
            assert_eq!(head.len(), end);
            return Ok(Some(Request::of(&head)));
        }
    }
    Ok(None)
}

fn accepted(input: impl AsRef<[u8]>) -> Request {
    let input = input.as_ref();
    match read(input) {
        Ok(Some(request)) => request,
        other => panic!("{} was not read: {other:?}", show(input)),
    }
}

fn refused(input: impl AsRef<[u8]>) -> BadRequest {
    let input = input.as_ref();
    match read(input) {
        Err(bad) => bad,
        other => panic!("{} was not refused: {other:?}", show(input)),
    }
}

fn read_answer(input: &[u8], asked: Asked) -> Result<Option<Response>, BadResponse> {
    let mut head = ResponseHead::default();
    let read = read_response(input, &mut Progress::default(), &mut head, &LIMITS, asked);
    let whole = read.map(|read| (read == Read::Complete).then(|| Response::of(&head)));

    let mut head = ResponseHead::default();
    let mut progress = Progress::default();
    let mut drip = Ok(None);
    for end in 0..=input.len() {
        match read_response(&input[..end], &mut progress, &mut head, &LIMITS, asked) {
            Ok(Read::Partial) => continue,
            Ok(Read::Complete) => drip = Ok(Some(Response::of(&head))),
            Err(bad) => drip = Err(bad),
        }
        break;
    }
    assert_eq!(drip, whole, "byte by byte: {}", show(input));
    whole
}

fn accepted_answer(input: impl AsRef<[u8]>, asked: Asked) -> Response {
    let input = input.as_ref();
    match read_answer(input, asked) {
        Ok(Some(response)) => response,
        other => panic!("{} was not read: {other:?}", show(input)),
    }
}

fn refused_answer(input: impl AsRef<[u8]>) -> BadResponse {
    let input = input.as_ref();
    match read_answer(input, Asked::Other) {
        Err(bad) => bad,
        other => panic!("{} was not refused: {other:?}", show(input)),
    }
}

/// A body as it was read.
#[derive(Debug, Clone, PartialEq)]
struct Body {
    data: Vec<u8>,
    /// Bytes of the input that were the body; `None` if it isn't over.
    used: Option<usize>,
    trailers: Vec<(String, Vec<u8>)>,
}

/// Reads a body that arrives in pieces of at most `step` bytes.
fn read_body_in(
    input: &[u8],
    framing: Framing,
    limit: Option<u64>,
    step: usize,
) -> Result<Body, BadBody> {
    let mut reader = BodyReader::new(framing, limit)?;
    let mut data = Vec::new();
    let mut at = 0;
    let mut used = None;
    while used.is_none() {
        let piece = &input[at..input.len().min(at + step)];
        match reader.next(piece)? {
            BodyEvent::Data(range) => {
                data.extend_from_slice(&piece[range.clone()]);
                at += range.end;
            }
            BodyEvent::NeedMore if piece.is_empty() => break,
            BodyEvent::NeedMore => at += piece.len(),
            BodyEvent::End(more) => used = Some(at + more),
        }
    }
    assert_eq!(reader.is_done(), used.is_some());
    assert_eq!(reader.received(), data.len() as u64);
    let trailers = reader.trailers().map_or(Vec::new(), |fields| {
        let fields = fields.iter();
        fields
            .map(|f| (f.name.to_owned(), f.value.to_vec()))
            .collect()
    });
    Ok(Body {
        data,
        used,
        trailers,
    })
}

fn read_body(input: &[u8], framing: Framing, limit: Option<u64>) -> Result<Body, BadBody> {
    let whole = read_body_in(input, framing, limit, usize::MAX / 2);
    for step in [1, 2, 3, 7] {
        let cut = read_body_in(input, framing, limit, step);
        assert_eq!(cut, whole, "in pieces of {step}: {}", show(input));
    }
    whole
}

fn show(input: &[u8]) -> String {
    let text = input[..input.len().min(300)].escape_ascii().to_string();
    format!("`{text}` ({} bytes)", input.len())
}
