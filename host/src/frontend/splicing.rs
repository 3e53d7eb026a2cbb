//! Long bodies that the system moves from socket to socket by itself: they never come up into the process, which
//! saves copying them twice.

use std::{
    io,
    task::{Context, Poll, ready},
};

use crate::net::{Buffer, BufferPool, Pipe, Stream};

/// What is left of a body has to be worth a pipe.
const WORTH: u64 = 64 * 1024;

/// The most of a request that is moved at a time. Each piece wakes the server, which then takes the CPU where it
/// shares one with the proxy: four times as large pieces cost a quarter less.
pub const UPLOAD_PIECE: u64 = 1024 * 1024;
/// The most of an answer that is moved at a time. A client is not woken so readily, and larger pieces cost half as much
/// again.
pub const DOWNLOAD_PIECE: u64 = 256 * 1024;

/// The way of one body through a pipe, once it goes that way.
#[derive(Debug, Default)]
pub struct Splicing {
    state: State,
    /// There while bytes wait in it, or are expected any moment.
    pipe: Option<Pipe>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes go through a buffer, for now.
    #[default]
    Buffered,
    Spliced,
    /// There was no pipe to be had.
    Refused,
}

impl Splicing {
    /// Whether the rest of a body, `left` bytes without framing between them, goes through a pipe. It does once
    /// its sender has filled a buffer, which is given back then. Only to be asked when the buffer is empty.
    pub fn takes_over(
        &mut self,
        left: u64,
        (from, to): (&Stream, &Stream),
        slot: &mut Option<Buffer>,
        buffers: &BufferPool,
    ) -> bool {
        if self.state == State::Buffered
            && left >= WORTH
            && slot.as_ref().is_some_and(Buffer::is_large)
            && from.is_plain()
            && to.is_plain()
        {
            self.state = State::Spliced;
            if let Some(buffer) = slot.take() {
                debug_assert!(buffer.is_empty(), "what was read goes out first");
                buffers.give(buffer);
            }
        }
        self.state == State::Spliced
    }

    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.pipe.as_ref().is_none_or(Pipe::is_empty)
    }

    /// Takes what the sender has, at most `most` bytes. 0 is the end; nothing at all means that the body goes on
    /// through a buffer.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        most: u64,
        buffers: &BufferPool,
    ) -> Poll<io::Result<Option<usize>>> {
        let mut pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => {
                ready!(from.poll_readable(cx))?;
                match buffers.pipes.take() {
                    Ok(pipe) => pipe,
                    Err(_) => {
                        self.state = State::Refused;
                        return Poll::Ready(Ok(None));
                    }
                }
            }
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let filled = pipe.poll_fill(cx, from, most);
        match filled {
            Poll::Ready(_) => self.pipe = Some(pipe),
            // While nothing comes, somebody else may have use for it.
            Poll::Pending => buffers.pipes.give(pipe),
        }
        filled.map_ok(Some)
    }

    /// Sends some of what waits and says how much; 0 means that nothing does.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<io::Result<usize>> {
        match self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            Some(pipe) => match ready!(pipe.poll_drain(cx, to))? {
                0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => Poll::Ready(Ok(n)),
            },
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Gives back what was lent. The body is over.
    pub fn rest(&mut self, buffers: &BufferPool) {
        if let Some(pipe) = self.pipe.take() {
            buffers.pipes.give(pipe);
        }
    }
}
