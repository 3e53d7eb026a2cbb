//! Bytes both ways between a client's stream and a server's connection, after a change of protocol.

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

/// From the client to the server.
#[derive(Debug, Default)]
struct Up {
    rest: Bytes,
    ended: bool,
    told: bool,
    bytes: u64,
}

impl Up {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Inlet,
        server: &mut Stream,
    ) -> Poll<Result<(), TunnelEnd>> {
        loop {
            while !self.rest.is_empty() {
                match ready!(server.poll_write(cx, &self.rest)) {
                    Ok(n) if n > 0 => {
                        self.rest.advance(n);
                        self.bytes += n as u64;
                    }
                    Ok(_) | Err(_) => return Poll::Ready(Err(TunnelEnd::ServerGone)),
                }
            }
            if self.told {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                let told = ready!(server.poll_shutdown(cx));
                self.told = true;
                told.map_err(|_| TunnelEnd::ServerGone)?;
                continue;
            }
            match ready!(client.poll_piece(cx)) {
                Ok(Piece::Data(data)) => self.rest = data,
                Ok(Piece::End(_)) => self.ended = true,
                Err(_) => return Poll::Ready(Err(TunnelEnd::ClientGone)),
            }
        }
    }
}

/// From the server to the client.
#[derive(Debug)]
struct Down {
    buffer: Option<Buffer>,
    told: bool,
    bytes: u64,
}

impl Down {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        client: &mut Outlet,
        buffers: &BufferPool,
    ) -> Poll<Result<(), TunnelEnd>> {
        loop {
            if self.told {
                return Poll::Ready(Ok(()));
            }
            while let Some(buffer) = self.buffer.as_mut().filter(|buffer| !buffer.is_empty()) {
                let room = ready!(client.poll_room(cx, buffer.filled().len()));
                let room = room.map_err(|_| TunnelEnd::ClientGone)?;
                let data = Bytes::copy_from_slice(buffer.slice(0..room));
                let sent = client.send(data, Last::No);
                sent.map_err(|_| TunnelEnd::ClientGone)?;
                buffer.consume(room);
                self.bytes += room as u64;
            }
            // A silent direction owns no buffer.
            if let Some(buffer) = self.buffer.take() {
                buffers.give(buffer);
            }
            if client.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(TunnelEnd::ClientGone));
            }
            if !matches!(
                ready!(read_more(cx, server, &mut self.buffer, buffers)),
                Ok(1..)
            ) {
                client.end(None).map_err(|_| TunnelEnd::ClientGone)?;
                self.told = true;
            }
        }
    }
}

/// Relays until both directions have ended, one side is lost, or nothing has moved for `limit`.
pub async fn tunnel(
    (inlet, outlet): (&mut Inlet, &mut Outlet),
    (server, from_server): (&mut Stream, Option<Buffer>),
    buffers: &BufferPool,
    deadline: &mut Deadline,
    limit: Duration,
) -> Tunnelled {
    let mut up = Up::default();
    let mut down = Down {
        buffer: from_server,
        told: false,
        bytes: 0,
    };
    deadline.set(Instant::now(), limit);
    let end = poll_fn(|cx| {
        let before = (up.bytes, down.bytes);
        let up_done = match up.poll(cx, inlet, server) {
            Poll::Ready(Err(end)) => return Poll::Ready(end),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        let down_done = match down.poll(cx, server, outlet, buffers) {
            Poll::Ready(Err(end)) => return Poll::Ready(end),
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
    if let Some(buffer) = down.buffer.take() {
        buffers.give(buffer);
    }
    Tunnelled {
        end,
        to_server: up.bytes,
        to_client: down.bytes,
    }
}
