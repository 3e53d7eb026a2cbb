//! A connection to a server as the h2 library writes it. The library hands every frame over by itself and asks
//! for it to be sent at once; here frames are kept together until the connection's task has nothing more to
//! do, so that the requests of many streams leave in one piece: one system call, and with TLS one record.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

/// As much is kept back; more leaves at once.
const MOST: usize = 32 * 1024;

/// What the library reads from and writes to.
#[derive(Debug)]
pub struct Gathered(Rc<RefCell<Link>>);

/// The same for the connection's task, which sends what was kept.
#[derive(Debug)]
pub struct Outflow(Rc<RefCell<Link>>);

#[derive(Debug)]
struct Link {
    stream: Stream,
    /// What was written, from `sent` on not sent yet.
    kept: Vec<u8>,
    sent: usize,
}

/// Both ends of the same connection.
pub fn gather(stream: Stream) -> (Gathered, Outflow) {
    let link = Rc::new(RefCell::new(Link {
        stream,
        kept: Vec::new(),
        sent: 0,
    }));
    (Gathered(Rc::clone(&link)), Outflow(link))
}

impl Outflow {
    /// Sends what was kept. To be called whenever the library has nothing more to do.
    pub fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }
}

impl Link {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.kept.len() {
            match ready!(self.stream.poll_write(cx, &self.kept[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        self.kept.clear();
        self.sent = 0;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl AsyncRead for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = &mut *self.0.borrow_mut();
        AsyncRead::poll_read(Pin::new(&mut link.stream), cx, out)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.borrow_mut();
        if link.kept.len() >= MOST {
            ready!(link.poll_send(cx))?;
        }
        let taken = bytes.len().min(MOST);
        link.kept.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let link = &mut *self.0.borrow_mut();
        if link.kept.len() >= MOST {
            ready!(link.poll_send(cx))?;
        }
        let mut taken = 0;
        for part in parts {
            let here = part.len().min(MOST - taken);
            link.kept.extend_from_slice(&part[..here]);
            taken += here;
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was taken counts as sent: [`Outflow::poll_send`] follows.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = &mut *self.0.borrow_mut();
        ready!(link.poll_send(cx))?;
        link.stream.poll_shutdown(cx)
    }
}
