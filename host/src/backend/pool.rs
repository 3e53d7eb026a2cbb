//! A worker's idle connections to servers. The one used last is used next: it is the most likely to
//! be still open, and the rest can grow old and be closed.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    time::Duration,
};

use tokio::time::Instant;

use crate::net::Stream;

/// Which connections are alike: the server's key, where the client's port decides, the port, and with TLS the
/// number of the connector.
pub type PoolKey = (u64, u16, u32);

/// Idle connections by server. Not shared between threads.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<HashMap<PoolKey, VecDeque<Idle>, BuildHasherDefault<KeyHasher>>>,
}

/// Keys are counted up by the proxy itself, so nobody can choose them to collide, and one
/// multiplication spreads them well enough.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, part: u16) {
        self.write_u64(u64::from(part));
    }

    fn write_u32(&mut self, part: u32) {
        self.write_u64(u64::from(part));
    }

    fn write_u64(&mut self, part: u64) {
        self.0 = (self.0.rotate_left(26) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Debug)]
struct Idle {
    stream: Stream,
    until: Instant,
}

impl Pool {
    /// The most recently used connection that does not look closed.
    pub fn take(&self, key: PoolKey) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&key)?;
        while let Some(Idle { stream, .. }) = connections.pop_back() {
            if stream.seems_quiet() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps `stream` for at most `idle_timeout`, unless `most` are kept already.
    pub fn give(
        &self,
        key: PoolKey,
        stream: Stream,
        most: usize,
        now: Instant,
        idle_timeout: Duration,
    ) {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(key).or_default();
        if connections.len() < most {
            connections.push_back(Idle {
                stream,
                until: now + idle_timeout,
            });
        }
    }

    /// Closes what has been idle for too long or was closed by its server.
    pub fn sweep(&self, now: Instant) {
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain(|idle| idle.until > now && idle.stream.seems_quiet());
            !connections.is_empty()
        });
    }

    pub fn len(&self) -> usize {
        self.idle.borrow().values().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (Stream::of_std(near.into_std().unwrap()), far)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_connection_used_last_is_used_next() {
        let pool = Pool::default();
        let (first, _far1) = pair().await;
        let (second, _far2) = pair().await;
        let last = second.local_address();
        pool.give((1, 0, 0), first, 10, Instant::now(), LONG);
        pool.give((1, 0, 0), second, 10, Instant::now(), LONG);
        assert_eq!(pool.take((1, 0, 0)).unwrap().local_address(), last);
        assert!(pool.take((2, 0, 0)).is_none());
    }

    #[tokio::test]
    async fn a_connection_on_which_the_server_spoke_unasked_is_not_used() {
        let pool = Pool::default();
        let (near, mut far) = pair().await;
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let readable = std::future::poll_fn(|cx| near.poll_readable(cx));
        readable.await.unwrap();
        pool.give((1, 0, 0), near, 10, Instant::now(), LONG);
        assert!(pool.take((1, 0, 0)).is_none());
    }

    #[tokio::test]
    async fn sweeping_closes_what_is_too_old() {
        let pool = Pool::default();
        let (near, _far) = pair().await;
        let now = Instant::now();
        pool.give((1, 0, 0), near, 10, now, Duration::from_secs(5));
        pool.sweep(now + Duration::from_secs(4));
        assert_eq!(pool.len(), 1);
        pool.sweep(now + Duration::from_secs(6));
        assert!(pool.is_empty());
    }
}
