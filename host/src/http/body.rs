//! Where a body ends, whatever its framing. Says which bytes of the input are data and keeps none of them.

use std::ops::Range;

use super::{
    chunk::{ChunkDecoder, Piece},
    fields::{BadLine, Fields},
    framing::Framing,
};

/// Follows one body through the input.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Data bytes that may still come.
    allowed: u64,
    limit: u64,
}

#[derive(Debug)]
enum State {
    /// Bytes that are still missing.
    Length(u64),
    Chunked(Box<ChunkDecoder>),
    UntilClose,
    Ended,
}

/// What the start of the input was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEvent {
    /// These bytes of the input are data; all up to their end are used up.
    Data(Range<usize>),
    /// All of the input is used up and the body isn't over.
    NeedMore,
    /// The body is over; so many bytes of the input are used up, and what follows is not of this message.
    End(usize),
}

/// A body that is not passed on any further. The connection it came on cannot be used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    #[error("body larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the connection ended before the body did")]
    Truncated,
    #[error("chunk size with a {byte} in it")]
    ChunkSize { byte: String },
    #[error("chunk without a size")]
    NoChunkSize,
    #[error(
        "chunk size of more than {} digits or too large a number",
        super::chunk::SIZE_DIGITS
    )]
    ChunkSizeTooLarge,
    #[error("chunk extension with a {byte} where none may be")]
    ChunkExtension { byte: String },
    #[error("chunk extensions longer than {limit} bytes")]
    ChunkExtensionTooLong { limit: usize },
    #[error("{byte} in place of the CRLF that ends a line or a chunk")]
    LineEnd { byte: String },
    #[error("trailers larger than {limit} bytes")]
    TrailersTooLarge { limit: usize },
    #[error("trailer: {0}")]
    Trailer(#[from] BadLine),
    #[error("field `{name}` in a trailer, where it comes too late")]
    TrailerField { name: String },
    #[error("the stream was broken off: {reason}")]
    Stream { reason: String },
}

impl BadBody {
    /// The status to answer with if it was a request's body and no answer has begun.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::TrailersTooLarge { .. } => 431,
            Self::Truncated
            | Self::ChunkSize { .. }
            | Self::NoChunkSize
            | Self::ChunkSizeTooLarge
            | Self::ChunkExtension { .. }
            | Self::ChunkExtensionTooLong { .. }
            | Self::LineEnd { .. }
            | Self::Trailer(_)
            | Self::TrailerField { .. }
            | Self::Stream { .. } => 400,
        }
    }
}

impl BodyReader {
    /// Follows a body that may have at most `limit` bytes of data. A Content-Length above it is refused here,
    /// chunks once they exceed it.
    pub fn new(framing: Framing, limit: Option<u64>) -> Result<Self, BadBody> {
        let limit = limit.unwrap_or(u64::MAX);
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) if length > limit => {
                return Err(BadBody::TooLarge { limit });
            }
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::default()),
            Framing::UntilClose => State::UntilClose,
        };
        Ok(Self {
            state,
            allowed: limit,
            limit,
        })
    }

    /// Looks at the start of `input`, which goes on where the last event ended. Call it again with the rest until
    /// [`BodyEvent::NeedMore`] or [`BodyEvent::End`].
    pub fn next(&mut self, input: &[u8]) -> Result<BodyEvent, BadBody> {
        let event = match &mut self.state {
            State::Ended => BodyEvent::End(0),
            State::Length(_) | State::UntilClose if input.is_empty() => BodyEvent::NeedMore,
            State::UntilClose => BodyEvent::Data(0..input.len()),
            State::Length(missing) => {
                let there = usize::try_from(*missing).map_or(input.len(), |m| m.min(input.len()));
                *missing -= there as u64;
                if *missing == 0 {
                    self.state = State::Ended;
                }
                BodyEvent::Data(0..there)
            }
            State::Chunked(chunks) => match chunks.next(input)? {
                Piece::Data(data) => BodyEvent::Data(data),
                Piece::NeedMore => BodyEvent::NeedMore,
                Piece::End(used) => BodyEvent::End(used),
            },
        };
        if let BodyEvent::Data(data) = &event {
            let left = self.allowed.checked_sub(data.len() as u64);
            self.allowed = left.ok_or(BadBody::TooLarge { limit: self.limit })?;
        }
        Ok(event)
    }

    /// Takes what is no data from the start of `input`, and says how much that was: the body may be over then.
    pub fn pass_framing(&mut self, input: &[u8]) -> Result<usize, BadBody> {
        match &mut self.state {
            State::Chunked(chunks) => chunks.pass_framing(input),
            State::Length(_) | State::UntilClose | State::Ended => Ok(0),
        }
    }

    /// Bytes that are all data and follow each other: nobody needs to look at them.
    pub fn unbroken(&self) -> u64 {
        match &self.state {
            State::Length(missing) => *missing,
            State::Chunked(_) | State::UntilClose | State::Ended => 0,
        }
    }

    /// Counts data that went by unseen, at most as many as are [`unbroken`](Self::unbroken).
    pub fn skip(&mut self, count: u64) {
        debug_assert!(count <= self.unbroken());
        if let State::Length(missing) = &mut self.state {
            *missing = missing.saturating_sub(count);
            self.allowed = self.allowed.saturating_sub(count);
            if *missing == 0 {
                self.state = State::Ended;
            }
        }
    }

    /// The connection ended: whether the body did, too.
    pub fn eof(&self) -> Result<(), BadBody> {
        match &self.state {
            State::Ended | State::UntilClose => Ok(()),
            State::Chunked(chunks) if chunks.is_done() => Ok(()),
            State::Length(_) | State::Chunked(_) => Err(BadBody::Truncated),
        }
    }

    /// Whether no further byte belongs to the body.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Ended => true,
            State::Length(_) | State::UntilClose => false,
            State::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// Bytes of data that were in the body so far.
    pub fn received(&self) -> u64 {
        self.limit - self.allowed
    }

    /// What followed the last chunk. Only there once the body ended.
    pub fn trailers(&self) -> Option<&Fields> {
        match &self.state {
            State::Chunked(chunks) => chunks.trailers(),
            State::Length(_) | State::UntilClose | State::Ended => None,
        }
    }
}
