//! Looking at a connection's first bytes without taking them: whoever reads the connection later, a TLS
//! handshake, a request or a session, finds it untouched.

use std::{future::poll_fn, io};

use rustix::net::{RecvFlags, recv};

use super::Stream;
use crate::event_loop::{Watched, Way};

impl Stream {
    /// Waits for first bytes until `is_enough` says so of what is there, `buffer` is full, or the other side
    /// will send no more; answers how many bytes of `buffer` they fill. Dropping the future takes nothing. Of a
    /// connection that TLS has begun on, the first bytes are gone.
    pub async fn peek(
        &self,
        buffer: &mut [u8],
        is_enough: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => peek(socket, buffer, is_enough).await,
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether the other side has said that it sends no more, be there data of before or not.
    pub fn is_read_closed(&self) -> bool {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket.is_read_closed(),
            Self::Tls(stream) => stream.socket().is_read_closed(),
        }
    }

    /// Takes `count` bytes that have been seen with [`peek`](Self::peek).
    pub fn discard(&self, mut count: usize) -> io::Result<()> {
        let mut away = [0; 512];
        while count > 0 {
            let part = &mut away[..count.min(512)];
            let taken = match self {
                Self::Tcp(socket) | Self::Unix(socket) => {
                    recv(socket, part, RecvFlags::DONTWAIT)?.0
                }
                Self::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
            };
            if taken == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            count -= taken;
        }
        Ok(())
    }
}

async fn peek(
    socket: &Watched,
    buffer: &mut [u8],
    mut is_enough: impl FnMut(&[u8]) -> bool,
) -> io::Result<usize> {
    let mut left = Left {
        socket,
        anything: false,
    };
    loop {
        poll_fn(|cx| socket.poll_ready(Way::Read, cx)).await?;
        let closed = socket.is_read_closed();
        let looked = socket.try_call(Way::Read, || {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let (seen, _) = recv(socket, &mut *buffer, flags)?;
            left.anything |= seen > 0;
            let last = seen == 0 || seen == buffer.len() || closed;
            match last || is_enough(&buffer[..seen]) {
                true => Ok(seen),
                // Drops what is known of the socket's readiness, so that the next look waits for an event.
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            looked => return looked,
        }
    }
}

/// Has bytes that were seen and left be read without another event, also by who gave up waiting for more of them.
struct Left<'a> {
    socket: &'a Watched,
    anything: bool,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if self.anything {
            self.socket.believe_ready(Way::Read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::event_loop::{EventLoop, timeout};

    #[test]
    fn what_was_looked_at_in_vain_is_still_there_to_be_read() {
        let event_loop = EventLoop::new().unwrap();
        let looking = async {
            let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut far = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (near, _) = listener.accept().unwrap();
            near.set_nonblocking(true).unwrap();
            let mut near = Stream::Tcp(Watched::connected(near.into()).unwrap());
            far.write_all(b"hel").unwrap();
            let mut buffer = [0; 16];
            let looked = near.peek(&mut buffer, |bytes| bytes.len() >= 5);
            assert!(timeout(Duration::from_millis(20), looked).await.is_err());
            let read = timeout(Duration::from_secs(10), near.read(&mut buffer));
            assert_eq!(read.await.expect("no event is waited for").unwrap(), 3);
            drop(far);
        };
        event_loop.run(looking).unwrap();
    }

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap());
        let far = far.await.unwrap();
        far.set_nodelay(true).unwrap();
        let (near, _) = listener.accept().await.unwrap();
        (Stream::of_std(near.into_std().unwrap()), far)
    }

    #[tokio::test]
    async fn bytes_are_waited_for_and_stay_where_they_are() {
        let (mut near, mut far) = pair().await;
        let mut buffer = [0; 16];
        let sending = async {
            for byte in *b"hello" {
                tokio::task::yield_now().await;
                far.write_all(&[byte]).await.unwrap();
            }
        };
        let seen = near.peek(&mut buffer, |bytes| bytes.len() >= 5);
        let (seen, ()) = tokio::join!(seen, sending);
        assert_eq!(seen.unwrap(), 5);
        near.discard(2).unwrap();
        let mut rest = [0; 3];
        near.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"llo");
    }

    #[tokio::test]
    async fn what_came_before_the_end_is_all_that_there_will_be() {
        let (near, mut far) = pair().await;
        far.write_all(b"hel").await.unwrap();
        far.shutdown().await.unwrap();
        let mut buffer = [0; 16];
        let seen = near.peek(&mut buffer, |bytes| bytes.len() >= 5).await;
        assert_eq!(seen.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_full_buffer_is_enough() {
        let (near, mut far) = pair().await;
        far.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 4];
        assert_eq!(near.peek(&mut buffer, |_| false).await.unwrap(), 4);
    }
}
