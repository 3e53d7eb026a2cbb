//! A connected socket, of whichever kind.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net::{
    RecvFlags, SendFlags, Shutdown, getsockname, recv, send, shutdown, sockopt::set_socket_linger,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Buffer, tls::TlsStream};
use crate::event_loop::{Watched, Way};

/// For libraries that bring their own buffers.
impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let free = buffer.initialize_unfilled();
        let n = ready!(self.get_mut().poll_receive(cx, free))?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
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
    Tcp(Watched),
    Unix(Watched),
    /// Over one of the others.
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Ready when a read would probably not block. Consumes nothing.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.poll_ready(Way::Read, cx),
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
        let n = ready!(self.poll_receive(cx, buffer.free()))?;
        buffer.advance(n);
        Poll::Ready(Ok(n))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, free: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => receive(socket, cx, free),
            Self::Tls(stream) => stream.poll_read(cx, free),
        }
    }

    /// Writes the beginning of `bytes`. After pending the next write must begin with the same bytes: with TLS
    /// they are encrypted already.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => transmit(socket, cx, bytes),
            Self::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Writes what the socket takes at once, however much the task has done already.
    pub(super) fn write_at_once(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => {
                socket.try_call(Way::Write, || Ok(send(socket, bytes, SendFlags::NOSIGNAL)?))
            }
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Closes the sending side once everything written has been handed to the system.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // As far as a socket knows it has handed over everything.
            Self::Tcp(socket) | Self::Unix(socket) => {
                Poll::Ready(shutdown(socket, Shutdown::Write).map_err(io::Error::from))
            }
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
        // Not `try_call`: that one trusts the events already delivered and asks nobody.
        let looked = match self {
            Self::Tcp(socket) | Self::Unix(socket) => peek(socket),
            Self::Tls(stream) => return stream.is_quiet(),
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Asks the socket itself whether something has arrived that nobody has read. Closing would be a reset then;
    /// it isn't where the other side is silent or has finished.
    pub fn has_unread(&self) -> bool {
        let looked = match self {
            Self::Tcp(socket) | Self::Unix(socket) => peek(socket),
            Self::Tls(stream) => return !stream.is_quiet(),
        };
        matches!(looked, Ok(1..))
    }

    /// As [`is_quiet`](Self::is_quiet), but goes by the events already delivered, which costs nothing
    /// for a quiet socket. May miss a close that has just arrived.
    pub fn seems_quiet(&self) -> bool {
        let looked = match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.try_call(Way::Read, || peek(socket)),
            Self::Tls(stream) => return stream.seems_quiet(),
        };
        matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Has the next read ask the socket, be there an event of it or not.
    pub fn believe_readable(&self) {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.believe_ready(Way::Read),
            Self::Tls(stream) => stream.socket().believe_readable(),
        }
    }

    /// The socket for another thread, which keeps it open as long as it has it.
    pub fn share(&self) -> io::Result<Arc<OwnedFd>> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.share(),
            Self::Tls(stream) => stream.socket().share(),
        }
    }

    /// Makes the coming close a reset, which no reader takes for an orderly end.
    pub fn reset_on_close(&self) {
        match self {
            Self::Tcp(socket) => {
                // If it cannot be, the connection closes the ordinary way.
                let _ = set_socket_linger(socket, Some(Duration::ZERO));
            }
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.socket().reset_on_close(),
        }
    }

    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => getsockname(socket).ok()?.try_into().ok(),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.socket().local_address(),
        }
    }
}

#[cfg(test)]
impl Stream {
    /// A connection that a test has accepted or made, and that doesn't block.
    pub fn of_std(socket: std::net::TcpStream) -> Self {
        Self::Tcp(Watched::connected(socket.into()).expect("it is watched"))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.as_fd(),
            Self::Tls(stream) => stream.socket().as_fd(),
        }
    }
}

/// The system call doesn't go through the C library: there it is a point at which threads can be cancelled, and to
/// say so costs as much as reading a head line.
fn receive(socket: &Watched, cx: &mut Context<'_>, free: &mut [u8]) -> Poll<io::Result<usize>> {
    let most = free.len();
    socket.poll_move(Way::Read, cx, most, || {
        Ok(recv(socket, &mut *free, RecvFlags::empty())?.0)
    })
}

/// Writes as [`receive`] reads.
fn transmit(socket: &Watched, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    socket.poll_move(Way::Write, cx, bytes.len(), || {
        Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
    })
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

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (near, _) = listener.accept().await.unwrap();
        (Stream::of_std(near.into_std().unwrap()), far)
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
