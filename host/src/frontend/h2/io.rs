//! A client's connection as the h2 library reads and writes it, with an eye on the frames that pass.
//!
//! The library hands over every frame by itself and asks for it to be sent at once. What it writes is kept
//! together here instead until the connection's task has nothing more to do, so that the answers of many
//! streams leave in one piece: one system call, and with TLS one record.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::client::Client;
use crate::{
    http::h2::{Flood, FrameMeter},
    net::Buffer,
};

/// A client's connection below its frames; shared by the library and by who serves the connection.
#[derive(Debug)]
pub struct Link {
    client: Client,
    /// What was written and not sent yet. There is none while the connection is idle.
    outgoing: Option<Buffer>,
    pub meter: FrameMeter,
    /// Once it is there, nothing more is read.
    pub flood: Option<Flood>,
}

impl Link {
    /// Sends what was written. To be called whenever the library has nothing more to do.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        while !outgoing.is_empty() {
            match ready!(self.client.stream.poll_write(cx, outgoing.filled()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => outgoing.consume(n),
            }
        }
        if let Some(empty) = self.outgoing.take() {
            self.client.buffers().give(empty);
        }
        Pin::new(&mut self.client.stream).poll_flush(cx)
    }

    /// Takes the beginning of `bytes`. What is longer than a buffer goes straight through, unless something
    /// has to go before it.
    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.outgoing.is_none() && bytes.len() >= self.client.buffers().small_size() {
            return self.client.stream.poll_write(cx, bytes);
        }
        let is_full = |buffer: &mut Buffer| buffer.free().is_empty();
        if self.outgoing.as_mut().is_some_and(is_full) {
            ready!(self.poll_send(cx))?;
        }
        let client = &self.client;
        let outgoing = self
            .outgoing
            .get_or_insert_with(|| client.buffers().small());
        let free = outgoing.free();
        let n = free.len().min(bytes.len());
        free[..n].copy_from_slice(&bytes[..n]);
        outgoing.advance(n);
        Poll::Ready(Ok(n))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.flood.is_some() {
            // Whoever serves the connection sees it after this and ends it.
            return Poll::Pending;
        }
        let before = out.filled().len();
        match &mut self.client.buffer {
            // The connection was looked at to see what it speaks.
            Some(buffer) if !buffer.is_empty() => {
                let here = buffer.filled().len().min(out.remaining());
                out.put_slice(buffer.slice(0..here));
                buffer.consume(here);
            }
            _ => {
                self.client.release_buffer();
                let stream = Pin::new(&mut self.client.stream);
                ready!(AsyncRead::poll_read(stream, cx, out))?;
            }
        }
        let received = &out.filled()[before..];
        if let Err(flood) = self.meter.received(received, Instant::now) {
            self.flood = Some(flood);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(unsent) = self.outgoing.take() {
            self.client.buffers().give(unsent);
        }
    }
}

/// What the library reads and writes.
#[derive(Debug)]
pub struct Io(Rc<RefCell<Link>>);

impl Io {
    pub fn new(client: Client, meter: FrameMeter) -> (Self, Rc<RefCell<Link>>) {
        let link = Rc::new(RefCell::new(Link {
            client,
            outgoing: None,
            meter,
            flood: None,
        }));
        (Self(Rc::clone(&link)), link)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(cx, out)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.borrow_mut();
        let taken = ready!(link.poll_take(cx, bytes))?;
        link.meter.sent(taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.borrow_mut();
        let mut taken = 0;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            match link.poll_take(cx, part) {
                Poll::Ready(Ok(n)) => {
                    taken += n;
                    if n < part.len() {
                        break;
                    }
                }
                // The library hears of it when it comes with the rest.
                _ if taken > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        link.meter.sent(taken);
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was taken counts as sent: [`Link::poll_send`] follows.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = &mut *self.0.borrow_mut();
        ready!(link.poll_send(cx))?;
        link.client.stream.poll_shutdown(cx)
    }
}
