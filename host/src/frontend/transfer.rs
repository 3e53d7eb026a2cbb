//! What both directions of an exchange's bodies have in common.

use std::{
    io,
    task::{Context, Poll, ready},
};

use crate::net::{Buffer, BufferPool, Stream};

/// Whom an unfinished transfer is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    Client,
    Server,
}

/// Reads into the buffer in `slot`, which is borrowed from `buffers` only once there is something to
/// read, and exchanged for a larger one while the sender fills it each time. 0 is the end.
pub fn read_more(
    cx: &mut Context<'_>,
    from: &mut Stream,
    slot: &mut Option<Buffer>,
    buffers: &BufferPool,
) -> Poll<io::Result<usize>> {
    if slot.is_none() {
        ready!(from.poll_readable(cx))?;
    }
    let buffer = slot.get_or_insert_with(|| buffers.small());
    let room = buffer.free().len();
    if room == 0 {
        return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
    }
    let n = ready!(from.poll_read(cx, buffer))?;
    if n == room && !buffer.is_large() {
        grow(buffer, buffers);
    }
    Poll::Ready(Ok(n))
}

/// Moves what a full buffer holds into a larger one.
pub fn grow(buffer: &mut Buffer, buffers: &BufferPool) {
    let mut large = buffers.large();
    let filled = buffer.filled();
    large.free()[..filled.len()].copy_from_slice(filled);
    large.advance(filled.len());
    buffers.give(std::mem::replace(buffer, large));
}
