//! A client's connection as the h2 library reads and writes it, with an eye on the frames that pass.

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
use crate::http::h2::{Flood, FrameMeter};

/// What is known of the frames on a connection; shared with who serves it.
#[derive(Debug)]
pub struct Watched {
    pub meter: FrameMeter,
    /// Once it is there, nothing more is read.
    pub flood: Option<Flood>,
}

/// Reads what is in the client's buffer first: the connection was looked at to see what it speaks.
#[derive(Debug)]
pub struct Io {
    client: Client,
    watched: Rc<RefCell<Watched>>,
}

impl Io {
    pub fn new(client: Client, meter: FrameMeter) -> (Self, Rc<RefCell<Watched>>) {
        let watched = Rc::new(RefCell::new(Watched { meter, flood: None }));
        let io = Self {
            client,
            watched: Rc::clone(&watched),
        };
        (io, watched)
    }

    fn count_received(&self, bytes: &[u8]) {
        let mut watched = self.watched.borrow_mut();
        if let Err(flood) = watched.meter.received(bytes, Instant::now) {
            watched.flood = Some(flood);
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.watched.borrow().flood.is_some() {
            // Whoever serves the connection sees it after this and ends it.
            return Poll::Pending;
        }
        let before = out.filled().len();
        match &mut self.client.buffer {
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
        self.count_received(&out.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.client.stream);
        let written = ready!(AsyncWrite::poll_write(stream, cx, bytes))?;
        self.watched.borrow_mut().meter.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.client.stream);
        let written = ready!(AsyncWrite::poll_write_vectored(stream, cx, parts))?;
        self.watched.borrow_mut().meter.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.client.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.client.stream), cx)
    }
}
