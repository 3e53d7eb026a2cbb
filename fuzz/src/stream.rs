//! What Weir makes of a whole connection's worth of bytes, and what it would send on.

use crate::http::{
    body::{BodyEvent, BodyReader},
    chunk::{write_chunk, write_last_chunk},
    framing::Framing,
    request::{RequestHead, read_request},
    response::{Asked, ResponseHead, read_response},
    scan::{HeadLimits, Progress, Read},
    write::{RequestWrite, ResponseWrite},
};

/// One message as Weir understood it.
#[derive(Debug)]
pub struct Message {
    /// Method or status.
    pub what: String,
    pub path: String,
    pub query: Option<String>,
    pub host: Option<Vec<u8>>,
    /// `None`: the body did not end as it should.
    pub body: Option<Vec<u8>>,
    /// What the next hop is sent.
    pub sent: Vec<u8>,
}

/// Why no further message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The input was used up, or what is left isn't a whole message.
    Exhausted,
    Refused,
    /// The last message was said to be the last.
    Closed,
}

/// Reads requests until there is a reason not to.
pub fn requests(mut input: &[u8]) -> (Vec<Message>, Ending) {
    let mut messages = Vec::new();
    let mut head = RequestHead::default();
    let limits = HeadLimits::default();
    loop {
        match read_request(input, &mut Progress::default(), &mut head, &limits) {
            Ok(Read::Complete) => input = &input[head.len()..],
            Ok(Read::Partial) => return (messages, Ending::Exhausted),
            Err(_) => return (messages, Ending::Refused),
        }
        let mut sent = Vec::new();
        head.write(&mut sent, &RequestWrite::default());
        let (body, used) = body(input, head.framing(), &mut sent);
        let over = used.is_some();
        messages.push(Message {
            what: head.method().to_owned(),
            path: head.raw_path().to_owned(),
            query: head.query().map(str::to_owned),
            host: head.authority().map(|host| host.as_bytes().to_vec()),
            body,
            sent,
        });
        match used {
            Some(used) if over && head.persistent() => input = &input[used..],
            Some(_) => return (messages, Ending::Closed),
            None => return (messages, Ending::Refused),
        }
    }
}

/// Reads up to the final response. `None` if it is refused or not there.
pub fn response(mut input: &[u8], asked: Asked) -> Option<Message> {
    let mut head = ResponseHead::default();
    let limits = HeadLimits::default();
    loop {
        match read_response(input, &mut Progress::default(), &mut head, &limits, asked) {
            Ok(Read::Complete) => input = &input[head.len()..],
            Ok(Read::Partial) | Err(_) => return None,
        }
        if !head.is_interim() {
            break;
        }
    }
    let mut sent = Vec::new();
    let how = ResponseWrite {
        framing: head.framing(),
        ..ResponseWrite::default()
    };
    head.write(&mut sent, &how);
    let (body, _) = body(input, head.framing(), &mut sent);
    Some(Message {
        what: head.status().to_string(),
        path: String::new(),
        query: None,
        host: None,
        body,
        sent,
    })
}

/// The data, if the body ends as it should, and how much of the input it took.
fn body(input: &[u8], framing: Framing, sent: &mut Vec<u8>) -> (Option<Vec<u8>>, Option<usize>) {
    let Ok(mut reader) = BodyReader::new(framing, None) else {
        return (None, None);
    };
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        match reader.next(&input[at..]) {
            Ok(BodyEvent::Data(range)) => {
                let piece = &input[at + range.start..at + range.end];
                data.extend_from_slice(piece);
                match framing {
                    Framing::Chunked => write_chunk(sent, piece),
                    Framing::None | Framing::Length(_) | Framing::UntilClose => {
                        sent.extend_from_slice(piece);
                    }
                }
                at += range.end;
            }
            Ok(BodyEvent::End(used)) => {
                if framing == Framing::Chunked {
                    write_last_chunk(sent, reader.trailers());
                }
                return (Some(data), Some(at + used));
            }
            Ok(BodyEvent::NeedMore) => return (reader.eof().is_ok().then_some(data), None),
            Err(_) => return (None, None),
        }
    }
}
