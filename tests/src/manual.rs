//! A server that a test plays itself, byte by byte and in its own time, where an [`crate::Origin`]'s script
//! would not do.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::deadline::within;

/// A listening port. Connections are taken by the test, one after the other.
pub struct ManualServer {
    listener: TcpListener,
}

/// One connection that was made to it. Dropping it closes.
pub struct ManualConnection {
    stream: TcpStream,
    /// Read and not yet handed out.
    pending: Vec<u8>,
}

impl ManualServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self {
            listener: listener.expect("loopback has free ports"),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .expect("a bound socket has an address")
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> ManualConnection {
        let accepted = within("a connection to the server", self.listener.accept()).await;
        let (stream, _) = accepted.expect("a connection can be accepted");
        stream.set_nodelay(true).expect("an option can be set");
        ManualConnection {
            stream,
            pending: Vec::new(),
        }
    }
}

impl ManualConnection {
    /// Reads up to and including the first `end`, and hands it back as text.
    pub async fn read_until(&mut self, end: &str) -> String {
        within(&format!("{end:?} at the server"), async {
            loop {
                let found = self
                    .pending
                    .windows(end.len())
                    .position(|window| window == end.as_bytes());
                if let Some(position) = found {
                    let rest = self.pending.split_off(position + end.len());
                    let read = std::mem::replace(&mut self.pending, rest);
                    return String::from_utf8_lossy(&read).into_owned();
                }
                let count = self.read().await;
                let so_far = String::from_utf8_lossy(&self.pending);
                assert!(count > 0, "closed before {end:?}, after {so_far:?}");
            }
        })
        .await
    }

    /// Reads a request's head.
    pub async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Everything until the proxy closes. A reset counts as closing.
    pub async fn read_to_close(&mut self) -> String {
        within("the end of the connection", async {
            while self.read().await > 0 {}
        })
        .await;
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within("sending", self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the proxy takes the bytes");
    }

    /// Like [`ManualConnection::send`] for bytes that the proxy may refuse by closing.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Reads one TLS record, header included.
    pub async fn read_record(&mut self) -> Vec<u8> {
        within("a TLS record at the server", async {
            loop {
                if let Some(header) = self.pending.get(..5) {
                    let length = 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
                    if self.pending.len() >= length {
                        let rest = self.pending.split_off(length);
                        return std::mem::replace(&mut self.pending, rest);
                    }
                }
                assert!(self.read().await > 0, "closed in the middle of a record");
            }
        })
        .await
    }

    /// Reads so many bytes.
    pub async fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        within("bytes at the server", async {
            while self.pending.len() < count {
                assert!(self.read().await > 0, "closed too early");
            }
        })
        .await;
        let rest = self.pending.split_off(count);
        std::mem::replace(&mut self.pending, rest)
    }

    /// Says that nothing more will be sent.
    pub async fn finish_sending(&mut self) {
        within("closing one side", self.stream.shutdown())
            .await
            .expect("the connection is still there");
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("an option can be set");
    }

    async fn read(&mut self) -> usize {
        self.stream
            .read_buf(&mut self.pending)
            .await
            .unwrap_or_default()
    }
}
