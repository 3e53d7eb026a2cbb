//! The two directions of a stream to a server, a piece at a time.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use super::{
    super::{body::BadBody, fields::Fields},
    fields::{read_trailers, write_trailers},
};

/// The most that one frame is given, so that streams take turns.
pub(super) const PIECE: usize = 16 * 1024;

/// Part of a body.
#[derive(Debug)]
pub enum Piece {
    /// Never empty.
    Data(Bytes),
    End(Option<Box<Fields>>),
}

/// Why a stream ended early.
#[derive(Debug)]
pub enum StreamError {
    /// The other side reset it, or the connection is lost.
    Gone(h2::Error),
    /// The other side sent what it may not, for which the library has reset the stream.
    Bad(BadBody),
}

impl From<h2::Error> for StreamError {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() && error.is_library() => Self::Bad(BadBody::Stream {
                reason: reason.description().to_owned(),
            }),
            _ => Self::Gone(error),
        }
    }
}

/// What arrives.
#[derive(Debug)]
pub struct Inlet {
    stream: RecvStream,
    data_is_over: bool,
    ended: bool,
}

impl Inlet {
    pub fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            data_is_over: false,
            ended: false,
        }
    }

    /// Whether nothing more will come, or nothing more was asked for after the end.
    pub fn is_ended(&self) -> bool {
        self.ended || self.stream.is_end_stream()
    }

    /// The next piece. Asking for it makes room for as much again, so who doesn't ask slows the sender down.
    /// Not to be called again after the end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, StreamError>> {
        while !self.data_is_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(data) => {
                    let data = data?;
                    if !data.is_empty() {
                        self.stream.flow_control().release_capacity(data.len())?;
                        return Poll::Ready(Ok(Piece::Data(data)));
                    }
                }
                None => self.data_is_over = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.ended = true;
        let trailers = trailers?;
        let trailers = trailers.map(|map| read_trailers(&map)).transpose();
        Poll::Ready(match trailers {
            Ok(trailers) => Ok(Piece::End(trailers.map(Box::new))),
            Err(bad) => Err(StreamError::Bad(bad)),
        })
    }
}

/// Whether anything follows what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Yes,
    No,
}

/// What leaves.
#[derive(Debug)]
pub struct Outlet {
    stream: SendStream<Bytes>,
}

impl Outlet {
    pub fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream }
    }

    /// How many of `wanted` bytes, at least one, may be sent now. Waits while the other side takes none.
    pub fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, StreamError>> {
        let wanted = wanted.min(PIECE);
        let there = self.stream.capacity();
        if there >= wanted {
            return Poll::Ready(Ok(wanted));
        }
        self.stream.reserve_capacity(wanted);
        loop {
            let there = self.stream.capacity();
            if there > 0 {
                return Poll::Ready(Ok(there.min(wanted)));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Err(StreamError::Gone(Reason::CANCEL.into()))),
            }
        }
    }

    /// Sends as much as [`poll_room`](Self::poll_room) gave room for.
    pub fn send(&mut self, data: Bytes, last: Last) -> Result<(), StreamError> {
        Ok(self.stream.send_data(data, last == Last::Yes)?)
    }

    /// Says that this was all.
    pub fn end(&mut self, trailers: Option<&Fields>) -> Result<(), StreamError> {
        match trailers.filter(|trailers| !trailers.is_empty()) {
            Some(trailers) => self.stream.send_trailers(write_trailers(trailers))?,
            None => self.stream.send_data(Bytes::new(), true)?,
        }
        Ok(())
    }

    /// Ends the stream so that nobody takes it for complete.
    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// Ready once the other side wants no more.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_reset(cx).map(drop)
    }
}
