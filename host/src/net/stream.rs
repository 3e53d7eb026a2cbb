//! A connected socket, of whichever kind.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
    task::coop,
};

use super::{Buffer, tls::TlsStream};

/// For libraries that bring their own buffers.
impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => {
                let n = ready!(stream.poll_read(cx, buffer.initialize_unfilled()))?;
                buffer.advance(n);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(self.get_mut(), cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // Sockets keep nothing back.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(self.get_mut(), cx)
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAddress {
    Ip(SocketAddr),
    /// Unix sockets have no address worth showing.
    Unix,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A connection that bytes can be read from and written to.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Over one of the others.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Ready when a read would probably not block: of a new connection that is assumed until the first
    /// read. Consumes nothing.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(stream) if stream.has_arrived() => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.socket().poll_readable(cx),
        }
    }

    /// Reads into the free part of `buffer`; 0 is the end of the stream, or a full buffer.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let free = buffer.free();
        let n = match self {
            Self::Tcp(stream) => ready!(receive(stream, cx, free))?,
            Self::Unix(stream) => {
                let mut free = ReadBuf::new(free);
                ready!(Pin::new(stream).poll_read(cx, &mut free))?;
                free.filled().len()
            }
            Self::Tls(stream) => ready!(stream.poll_read(cx, free))?,
        };
        buffer.advance(n);
        Poll::Ready(Ok(n))
    }

    /// Writes the beginning of `bytes`. After pending the next write must begin with the same bytes: with TLS
    /// they are encrypted already.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => transmit(stream, cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Closes the sending side once everything written has been handed to the system.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => stream.poll_shutdown(cx),
        }
    }

    /// Tells the other side that the end is meant, where the protocol has words for that, without waiting.
    /// To be called before the stream is dropped.
    pub fn say_goodbye(&mut self) {
        match self {
            // Closing says it.
            Self::Tcp(_) | Self::Unix(_) => {}
            Self::Tls(stream) => stream.close(),
        }
    }

    /// Asks the socket itself whether it is still open and silent, which costs a system call and
    /// consumes nothing.
    ///
    /// False when the other side has closed, or has sent something that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        // Not `try_read`: that one trusts the events already delivered and asks nobody.
        let looked = match self {
            Self::Tcp(stream) => peek(stream),
            Self::Unix(stream) => peek(stream),
            Self::Tls(stream) => return stream.is_quiet(),
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the socket itself whether something has arrived that nobody has read. Closing would be a reset then;
    /// it isn't where the other side is silent or has finished.
    pub fn has_unread(&self) -> bool {
        let looked = match self {
            Self::Tcp(stream) => peek(stream),
            Self::Unix(stream) => peek(stream),
            Self::Tls(stream) => return !stream.is_quiet(),
        };
        matches!(looked, Ok(1..))
    }

    /// As [`is_quiet`](Self::is_quiet), but goes by the events already delivered, which costs nothing
    /// for a quiet socket. May miss a close that has just arrived.
    pub fn seems_quiet(&self) -> bool {
        let looked = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || peek(stream)),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || peek(stream)),
            Self::Tls(stream) => return stream.seems_quiet(),
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Makes the coming close a reset, which no reader takes for an orderly end.
    pub fn reset_on_close(&self) {
        match self {
            Self::Tcp(stream) => {
                // If it cannot be, the connection closes the ordinary way.
                let _ = stream.set_zero_linger();
            }
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.socket().reset_on_close(),
        }
    }

    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.socket().local_address(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.socket().as_fd(),
        }
    }
}

/// Reads as the socket's own `poll_read` does, with a system call that doesn't go through the C library: there it
/// is a point at which threads can be cancelled, and to say so costs as much as reading a head line.
fn receive(stream: &TcpStream, cx: &mut Context<'_>, free: &mut [u8]) -> Poll<io::Result<usize>> {
    let most = free.len();
    poll_call(stream, cx, Interest::READABLE, most, || {
        recv(stream, &mut *free, RecvFlags::empty()).map(|(received, _)| received)
    })
}

/// Writes as [`receive`] reads.
fn transmit(stream: &TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    poll_call(stream, cx, Interest::WRITABLE, bytes.len(), || {
        send(stream, bytes, SendFlags::NOSIGNAL)
    })
}

/// Makes a call that moves `most` bytes once the socket is ready for it. The runtime is only asked to wake the task
/// where the socket isn't, as far as is known: that costs three times as much as to look.
fn poll_call(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    interest: Interest,
    most: usize,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> Poll<io::Result<usize>> {
    loop {
        // A connection on which there is always something to do leaves room for the others.
        let turn = ready!(coop::poll_proceed(cx));
        let mut moved = None;
        let done = stream.try_io(interest, || {
            let count = *moved.insert(call()?);
            drained(count, most)
        });
        match (moved, done) {
            (Some(moved), Ok(()) | Err(_)) => {
                turn.made_progress();
                return Poll::Ready(Ok(moved));
            }
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                turn.made_progress();
                return Poll::Ready(Err(error));
            }
            (None, _) => {}
        }
        // Gives the turn back: the runtime counts what follows itself.
        drop(turn);
        ready!(match interest {
            Interest::READABLE => stream.poll_read_ready(cx),
            _ => stream.poll_write_ready(cx),
        })?;
    }
}

/// Says by an error that there is no more to be had from the socket for now, which the runtime then need not find
/// out by another system call: less was moved than there was room for.
fn drained(moved: usize, most: usize) -> io::Result<()> {
    match 0 < moved && moved < most {
        true => Err(io::ErrorKind::WouldBlock.into()),
        false => Ok(()),
    }
}

/// Succeeds if there is something to read, or with 0 if the connection has ended; nothing is taken.
fn peek(socket: impl AsFd) -> io::Result<usize> {
    let mut byte = [0];
    let (there, _) = recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(there)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (near, _) = listener.accept().await.unwrap();
        (Stream::Tcp(near), far)
    }

    #[tokio::test]
    async fn a_connection_is_quiet_until_something_has_arrived() {
        let (near, mut far) = pair().await;
        assert!(near.is_quiet());
        far.write_all(b"x").await.unwrap();
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        assert!(!near.is_quiet());
    }

    #[tokio::test]
    async fn the_end_breaks_the_silence_too_and_leaves_nothing_to_read() {
        let (near, far) = pair().await;
        drop(far);
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        assert!(!near.is_quiet());
        assert!(!near.has_unread());
    }

    #[tokio::test]
    async fn what_arrived_is_unread_even_if_the_end_came_with_it() {
        let (near, mut far) = pair().await;
        assert!(!near.has_unread());
        far.write_all(b"x").await.unwrap();
        drop(far);
        poll_fn(|cx| near.poll_readable(cx)).await.unwrap();
        assert!(near.has_unread());
    }
}
