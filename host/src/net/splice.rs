//! Moving bytes from socket to socket within the system, through a pipe: they never come up into the process.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    task::{Context, Poll, ready},
};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};

use super::Stream;
use crate::event_loop::{Watched, Way};

/// What a pipe is asked to hold, as long as there are few. The system may grant less, which costs calls and nothing
/// else.
const SIZE: usize = 1024 * 1024;
/// What a pipe is asked to hold where there are many. A process without privileges may have 64 MiB of them in all, and
/// after that gets none that is worth it.
const SMALL_SIZE: usize = 256 * 1024;
/// So many are few.
const FEW: usize = 32;
/// Empty pipes that are kept for the next.
const KEPT: usize = 16;
/// Pipes of one worker that bytes wait in at a time. Each takes two descriptors, which connections need more.
const MOST: usize = 256;

/// A pipe that bytes wait in between two sockets.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    filled: usize,
    size: usize,
    /// Of its pool: pipes that there are.
    there: Rc<Cell<usize>>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.there.set(self.there.get() - 1);
    }
}

impl Pipe {
    fn new(there: &Rc<Cell<usize>>) -> io::Result<Self> {
        if there.get() >= MOST {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let wanted: &[usize] = match there.get() < FEW {
            true => &[SIZE, SMALL_SIZE],
            false => &[SMALL_SIZE],
        };
        let granted = wanted
            .iter()
            .find_map(|size| fcntl_setpipe_size(&write, *size).ok());
        let size = match granted {
            Some(size) => size,
            None => fcntl_getpipe_size(&write)?,
        };
        there.set(there.get() + 1);
        Ok(Self {
            read,
            write,
            filled: 0,
            size,
            there: Rc::clone(there),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Moves what has arrived at `from` into the empty pipe, at most so many bytes; 0 is the end.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty(), "a full pipe looks like a silent socket");
        let most = most.min(self.size);
        let from = from.plain()?;
        loop {
            ready!(from.poll_ready(Way::Read, cx))?;
            let moved = from.try_call(Way::Read, || {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                Ok(splice(from, None, &self.write, None, most, flags)?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.filled = count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Moves some of what is in the pipe to `to`; says how much.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, to: &Stream) -> Poll<io::Result<usize>> {
        let to = to.plain()?;
        loop {
            ready!(to.poll_ready(Way::Write, cx))?;
            let moved = to.try_call(Way::Write, || {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                Ok(splice(&self.read, None, to, None, self.filled, flags)?)
            });
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    self.filled -= count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }
}

impl Stream {
    /// Whether its bytes are the socket's own, so that the system can move them.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    fn plain(&self) -> io::Result<&Watched> {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => Ok(socket),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A worker's spare pipes.
#[derive(Debug, Default)]
pub struct PipePool {
    kept: RefCell<Vec<Pipe>>,
    there: Rc<Cell<usize>>,
}

impl PipePool {
    /// Fails where the process has no descriptors left, or the worker has as many pipes as it may have.
    pub fn take(&self) -> io::Result<Pipe> {
        let kept = self.kept.borrow_mut().pop();
        kept.map_or_else(|| Pipe::new(&self.there), Ok)
    }

    /// Takes a pipe back. One that bytes are left in is closed.
    pub fn give(&self, pipe: Pipe) {
        let mut kept = self.kept.borrow_mut();
        if pipe.is_empty() && kept.len() < KEPT {
            kept.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap());
        let far = far.await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        (Stream::of_std(near.into_std().unwrap()), far)
    }

    #[tokio::test]
    async fn bytes_pass_from_socket_to_socket_and_the_end_is_seen() {
        let (from, mut sender) = pair().await;
        let (to, mut receiver) = pair().await;
        let pool = PipePool::default();
        let mut pipe = pool.take().unwrap();
        sender.write_all(b"hello").await.unwrap();
        assert_eq!(
            poll_fn(|cx| pipe.poll_fill(cx, &from, usize::MAX))
                .await
                .unwrap(),
            5
        );
        assert_eq!(poll_fn(|cx| pipe.poll_drain(cx, &to)).await.unwrap(), 5);
        let mut read = [0; 5];
        receiver.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello");
        drop(sender);
        assert_eq!(
            poll_fn(|cx| pipe.poll_fill(cx, &from, usize::MAX))
                .await
                .unwrap(),
            0
        );
    }

    #[tokio::test]
    async fn no_more_is_moved_than_was_asked_for() {
        let (from, mut sender) = pair().await;
        let (mut to, mut receiver) = pair().await;
        let mut pipe = PipePool::default().take().unwrap();
        sender.write_all(b"body, next").await.unwrap();
        let filled = poll_fn(|cx| pipe.poll_fill(cx, &from, 4)).await.unwrap();
        assert_eq!(filled, 4);
        poll_fn(|cx| pipe.poll_drain(cx, &to)).await.unwrap();
        poll_fn(|cx| to.poll_shutdown(cx)).await.unwrap();
        let mut read = Vec::new();
        receiver.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"body");
    }

    #[test]
    fn a_worker_has_so_many_pipes_and_no_more() {
        let pool = PipePool::default();
        let mut lent: Vec<Pipe> = (0..MOST).map(|_| pool.take().unwrap()).collect();
        assert!(pool.take().is_err());
        lent.pop();
        assert!(pool.take().is_ok());
    }

    #[tokio::test]
    async fn a_pipe_with_bytes_left_in_it_is_not_lent_again() {
        let (from, mut sender) = pair().await;
        let pool = PipePool::default();
        let mut pipe = pool.take().unwrap();
        sender.write_all(b"left").await.unwrap();
        poll_fn(|cx| pipe.poll_fill(cx, &from, usize::MAX))
            .await
            .unwrap();
        pool.give(pipe);
        assert!(pool.take().unwrap().is_empty());
    }
}
