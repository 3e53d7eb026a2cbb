//! Connections that never leave the process: to what the proxy itself serves behind its frontends.

use std::{io, os::unix::net::UnixStream as StdUnixStream};

use tokio::sync::mpsc;

use super::Stream;
use crate::event_loop::Watched;

/// So many may wait to be let in; more are refused.
const MOST_WAITING: usize = 64;

/// Where such connections begin.
#[derive(Debug)]
pub struct InnerDoor(mpsc::Sender<StdUnixStream>);

/// Where they end.
pub type Visitors = mpsc::Receiver<StdUnixStream>;

impl InnerDoor {
    pub fn new() -> (Self, Visitors) {
        let (door, visitors) = mpsc::channel(MOST_WAITING);
        (Self(door), visitors)
    }

    /// A connection to whoever takes visitors in. Refused where nobody does, or too many wait.
    pub fn enter(&self) -> io::Result<Stream> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        match self.0.try_send(theirs) {
            Ok(()) => Watched::connected(ours.into()).map(Stream::Unix),
            Err(_) => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    use super::*;

    #[tokio::test]
    async fn what_is_sent_in_comes_out() {
        let (door, mut visitors) = InnerDoor::new();
        let mut ours = door.enter().unwrap();
        let theirs = visitors.recv().await.unwrap();
        let mut theirs = UnixStream::from_std(theirs).unwrap();
        ours.write_all(b"hello").await.unwrap();
        let mut seen = [0; 5];
        theirs.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"hello");
    }

    #[tokio::test]
    async fn where_nobody_is_one_is_refused() {
        let (door, visitors) = InnerDoor::new();
        drop(visitors);
        let refused = door.enter().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
