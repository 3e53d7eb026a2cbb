//! Bytes both ways after a change of protocol, where at least one side is a stream of HTTP/2.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::super::{
    transfer::read_more,
    tunnel::{TunnelEnd, Tunnelled},
};
use crate::{
    http::h2::{Inlet, Last, Outlet, Piece},
    net::{Buffer, BufferPool, Deadline, Stream},
};

/// The other side is lost.
#[derive(Debug)]
pub struct Lost;

/// One side of a tunnel.
pub trait Pipe {
    /// What it sends next; `None` at its end.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Lost>>;

    /// Sends it some of `bytes`, and takes away what was sent.
    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<Result<(), Lost>>;

    /// Tells it that this was all.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>>;

    /// Ready once it wants no more, as far as that can be told.
    fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A stream to a server.
#[derive(Debug)]
pub struct StreamPipe<'a> {
    pub inlet: &'a mut Inlet,
    pub outlet: &'a mut Outlet,
}

impl Pipe for StreamPipe<'_> {
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Lost>> {
        Poll::Ready(match ready!(self.inlet.poll_piece(cx)) {
            Ok(Piece::Data(data)) => Ok(Some(data)),
            Ok(Piece::End(_)) => Ok(None),
            Err(_) => Err(Lost),
        })
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<Result<(), Lost>> {
        let room = ready!(self.outlet.poll_room(cx, bytes.len())).map_err(|_| Lost)?;
        let sent = self.outlet.send(bytes.split_to(room), Last::No);
        Poll::Ready(sent.map_err(|_| Lost))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        Poll::Ready(self.outlet.end(None).map_err(|_| Lost))
    }

    fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.outlet.poll_gone(cx)
    }
}

/// A connection that was of HTTP/1. What was read from it too early is in `buffer`.
#[derive(Debug)]
pub struct SocketPipe<'a> {
    pub stream: &'a mut Stream,
    pub buffer: Option<Buffer>,
    pub buffers: &'a BufferPool,
}

impl Pipe for SocketPipe<'_> {
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Lost>> {
        if self.buffer.as_ref().is_none_or(Buffer::is_empty) {
            let read = ready!(read_more(cx, self.stream, &mut self.buffer, self.buffers));
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(Ok(None));
            }
        }
        // A silent direction owns no buffer.
        let taken = self.buffer.take().map(|buffer| {
            let bytes = Bytes::copy_from_slice(buffer.filled());
            self.buffers.give(buffer);
            bytes
        });
        Poll::Ready(Ok(taken))
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<Result<(), Lost>> {
        match ready!(self.stream.poll_write(cx, bytes)) {
            Ok(n) if n > 0 => {
                bytes.advance(n);
                Poll::Ready(Ok(()))
            }
            Ok(_) | Err(_) => Poll::Ready(Err(Lost)),
        }
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        self.stream.poll_shutdown(cx).map_err(|_| Lost)
    }

    fn poll_lost(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for SocketPipe<'_> {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.buffers.give(buffer);
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    rest: Bytes,
    ended: bool,
    told: bool,
    bytes: u64,
}

/// Whom a direction has lost.
enum Broken {
    Sender,
    Receiver,
}

impl Way {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Pipe,
        to: &mut impl Pipe,
    ) -> Poll<Result<(), Broken>> {
        loop {
            while !self.rest.is_empty() {
                let before = self.rest.len();
                ready!(to.poll_give(cx, &mut self.rest)).map_err(|Lost| Broken::Receiver)?;
                self.bytes += (before - self.rest.len()) as u64;
            }
            if self.told {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                ready!(to.poll_finish(cx)).map_err(|Lost| Broken::Receiver)?;
                self.told = true;
                continue;
            }
            match from.poll_take(cx) {
                Poll::Ready(Ok(Some(bytes))) => self.rest = bytes,
                Poll::Ready(Ok(None)) => self.ended = true,
                Poll::Ready(Err(Lost)) => return Poll::Ready(Err(Broken::Sender)),
                Poll::Pending => {
                    ready!(to.poll_lost(cx));
                    return Poll::Ready(Err(Broken::Receiver));
                }
            }
        }
    }
}

/// Relays until both directions have ended, one side is lost, or nothing has moved for `limit`.
pub async fn tunnel(
    client: &mut impl Pipe,
    server: &mut impl Pipe,
    deadline: &mut Deadline,
    limit: Duration,
) -> Tunnelled {
    let (mut up, mut down) = (Way::default(), Way::default());
    deadline.set(Instant::now(), limit);
    let end = poll_fn(|cx| {
        let before = (up.bytes, down.bytes);
        let up_done = match up.poll(cx, client, server) {
            Poll::Ready(Err(Broken::Sender)) => return Poll::Ready(TunnelEnd::ClientGone),
            Poll::Ready(Err(Broken::Receiver)) => return Poll::Ready(TunnelEnd::ServerGone),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        let down_done = match down.poll(cx, server, client) {
            Poll::Ready(Err(Broken::Sender)) => return Poll::Ready(TunnelEnd::ServerGone),
            Poll::Ready(Err(Broken::Receiver)) => return Poll::Ready(TunnelEnd::ClientGone),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        if up_done && down_done {
            return Poll::Ready(TunnelEnd::Finished);
        }
        if before != (up.bytes, down.bytes) {
            deadline.set(Instant::now(), limit);
        }
        ready!(deadline.poll_expired(cx));
        Poll::Ready(TunnelEnd::TimedOut)
    })
    .await;
    Tunnelled {
        end,
        to_server: up.bytes,
        to_client: down.bytes,
    }
}
