//! Bytes both ways after a change of protocol, until both sides have finished or fall silent.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::transfer::read_more;
use crate::net::{Buffer, BufferPool, Deadline, Stream};

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelEnd {
    /// Both sides said that they are done.
    Finished,
    ClientGone,
    ServerGone,
    TimedOut,
}

/// What went through a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnelled {
    pub end: TunnelEnd,
    pub to_server: u64,
    pub to_client: u64,
}

/// One direction.
#[derive(Debug)]
struct Way {
    buffer: Option<Buffer>,
    state: WayState,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayState {
    Open,
    /// The sender is done; the receiver has yet to be told.
    Closing,
    Closed,
}

enum WayError {
    Receiver,
}

impl Way {
    fn new(buffer: Option<Buffer>) -> Self {
        Self {
            buffer,
            state: WayState::Open,
            bytes: 0,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        buffers: &BufferPool,
    ) -> Poll<Result<(), WayError>> {
        loop {
            if let Some(buffer) = &mut self.buffer {
                while !buffer.is_empty() {
                    match ready!(to.poll_write(cx, buffer.filled())) {
                        Ok(n) if n > 0 => {
                            buffer.consume(n);
                            self.bytes += n as u64;
                        }
                        Ok(_) | Err(_) => return Poll::Ready(Err(WayError::Receiver)),
                    }
                }
            }
            // A silent direction owns no buffer.
            if let Some(buffer) = self.buffer.take() {
                buffers.give(buffer);
            }
            match self.state {
                WayState::Open => {
                    if !matches!(
                        ready!(read_more(cx, from, &mut self.buffer, buffers)),
                        Ok(1..)
                    ) {
                        self.state = WayState::Closing;
                    }
                }
                WayState::Closing => {
                    let told = ready!(to.poll_shutdown(cx));
                    self.state = WayState::Closed;
                    if told.is_err() {
                        return Poll::Ready(Err(WayError::Receiver));
                    }
                }
                WayState::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// Relays until both directions have ended, one side is lost, or nothing has moved for `limit`.
pub async fn tunnel(
    client: &mut Stream,
    from_client: Option<Buffer>,
    server: &mut Stream,
    from_server: Option<Buffer>,
    buffers: &BufferPool,
    deadline: &mut Deadline,
    limit: Duration,
) -> Tunnelled {
    let mut up = Way::new(from_client);
    let mut down = Way::new(from_server);
    deadline.set(Instant::now(), limit);
    let end = poll_fn(|cx| {
        let before = (up.bytes, down.bytes);
        let up_done = match up.poll(cx, client, server, buffers) {
            Poll::Ready(Err(WayError::Receiver)) => return Poll::Ready(TunnelEnd::ServerGone),
            Poll::Ready(Ok(())) => true,
            Poll::Pending => false,
        };
        let down_done = match down.poll(cx, server, client, buffers) {
            Poll::Ready(Err(WayError::Receiver)) => return Poll::Ready(TunnelEnd::ClientGone),
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
    for way in [&mut up, &mut down] {
        if let Some(buffer) = way.buffer.take() {
            buffers.give(buffer);
        }
    }
    Tunnelled {
        end,
        to_server: up.bytes,
        to_client: down.bytes,
    }
}
