//! Heads out of text, for tests of what goes by them.

use super::{
    request::{RequestHead, read_request},
    response::{Asked, ResponseHead, read_response},
    scan::{HeadLimits, Progress, Read},
};

/// The request's head that `text` is, and nothing else.
pub fn request_head(text: &str) -> RequestHead {
    let mut head = RequestHead::default();
    let limits = HeadLimits::default();
    let read = read_request(
        text.as_bytes(),
        &mut Progress::default(),
        &mut head,
        &limits,
    );
    assert_eq!(read, Ok(Read::Complete), "{text:?}");
    assert_eq!(head.len(), text.len(), "{text:?}");
    head
}

/// The head of an answer to a request that `asked` tells of.
pub fn response_head(text: &str, asked: Asked) -> ResponseHead {
    let mut head = ResponseHead::default();
    let mut progress = Progress::default();
    let limits = HeadLimits::default();
    let read = read_response(text.as_bytes(), &mut progress, &mut head, &limits, asked);
    assert_eq!(read, Ok(Read::Complete), "{text:?}");
    head
}
