//! A connected socket, of whichever kind.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::Buffer;

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

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back.
        Poll::Ready(Ok(()))
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

/// A connection that bytes can be read from and written to.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to `address`. Nagle's algorithm is off: heads and bodies are written in one piece.
    pub async fn connect_tcp(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    pub async fn connect_unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(UnixStream::connect(path).await?))
    }

    /// Ready when a read would not block. Consumes nothing.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Reads into the free part of `buffer`; 0 is the end of the stream, or a full buffer.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut free = ReadBuf::new(buffer.free());
        let result = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut free),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut free),
        };
        match result {
            Poll::Ready(Ok(())) => {
                let n = free.filled().len();
                buffer.advance(n);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Closes the sending side once everything written has been handed to the system.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Asks the socket itself whether it is still open and silent, which costs a system call.
    ///
    /// False when the other side has closed, or has sent something that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let result = match self {
            Self::Tcp(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
        };
        matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// As [`is_quiet`](Self::is_quiet), but goes by the events already delivered, which costs nothing
    /// for a quiet socket. May miss a close that has just arrived.
    pub fn seems_quiet(&self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.poll_readable(&mut cx).is_pending() || self.is_quiet()
    }

    /// Makes the coming close a reset, which no reader takes for an orderly end.
    pub fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // If it cannot be, the connection closes the ordinary way.
            let _ = stream.set_zero_linger();
        }
    }

    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}
