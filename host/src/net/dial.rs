//! Connecting from a place of one's own: a network namespace, a source address. Knows nothing of servers.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::{io::Errno, net::sockopt::socket_error};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{InnerDoor, Namespace, Stream};
use crate::{
    config::Source,
    event_loop::{Watched, Way},
};

/// Ports of a range that are tried for one connection; the rest are most likely taken as well.
const TRIES: u32 = 64;

/// Who sends first on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstWord {
    /// We, as soon as it is there. What we send says that we have seen the other side, too, so nothing else needs to:
    /// a packet less, and a server that has something to read when it is woken. If nothing is sent after all, the
    /// server hears of the connection up to 200 ms later.
    Ours,
    /// The other side, or nobody knows.
    Theirs,
}

/// Where connections begin. The default is wherever the system says.
#[derive(Debug, Default)]
pub struct Origin {
    pub namespace: Option<Arc<Namespace>>,
    pub source: Option<Source>,
    /// Which port of the source's range is next.
    turn: AtomicU32,
    /// Where connections to the proxy itself begin.
    inner: Option<Arc<InnerDoor>>,
}

impl Origin {
    pub fn new(namespace: Option<Arc<Namespace>>, source: Option<Source>) -> Self {
        Self {
            namespace,
            source,
            turn: AtomicU32::new(0),
            inner: None,
        }
    }

    /// Where connections that never leave the process begin.
    pub fn inside(door: Arc<InnerDoor>) -> Self {
        Self {
            inner: Some(door),
            ..Self::default()
        }
    }

    /// Connects to what the proxy itself serves.
    pub fn connect_inner(&self) -> io::Result<Stream> {
        match &self.inner {
            Some(door) => door.enter(),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    /// Connects to `address`. Nagle's algorithm is off: heads and bodies are written in one piece.
    ///
    /// Dropping the future closes the half-open connection.
    pub async fn connect_tcp(
        &self,
        address: SocketAddr,
        first_word: FirstWord,
    ) -> io::Result<Stream> {
        let socket = match (&self.namespace, &self.source) {
            (_, None) => connect(self.socket(address, first_word).await?, address).await?,
            (_, Some(source)) => match source.ports {
                None => {
                    let socket = self.socket(address, first_word).await?;
                    bind_without_port(&socket, source.address)?;
                    connect(socket, address).await?
                }
                Some(ports) => {
                    self.connect_from(source.address, ports, address, first_word)
                        .await?
                }
            },
        };
        Ok(Stream::Tcp(socket))
    }

    /// Namespaces have no say in paths.
    pub async fn connect_unix(&self, path: &Path) -> io::Result<Stream> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        let to = SockAddr::unix(path)?;
        connect_to(socket, &to).await.map(Stream::Unix)
    }

    async fn socket(&self, to: SocketAddr, first_word: FirstWord) -> io::Result<Socket> {
        let domain = Domain::for_address(to);
        let socket = match &self.namespace {
            Some(namespace) => {
                let socket = namespace.make_socket(domain).await?;
                socket.set_nonblocking(true)?;
                socket
            }
            None => Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?,
        };
        socket.set_tcp_nodelay(true)?;
        if first_word == FirstWord::Ours {
            socket.set_tcp_quickack(false)?;
        }
        Ok(socket)
    }

    /// Takes the next port of the range that leads to `address`. A port can be in use towards one
    /// server and free towards another, which only connecting shows.
    async fn connect_from(
        &self,
        source: IpAddr,
        (lowest, highest): (u16, u16),
        address: SocketAddr,
        first_word: FirstWord,
    ) -> io::Result<Watched> {
        let ports = u32::from(highest - lowest) + 1;
        let mut taken = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES.min(ports) {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % ports;
            // Within the range, which is one of ports.
            let port = lowest + u16::try_from(turn).unwrap_or(0);
            let socket = self.socket(address, first_word).await?;
            socket.set_reuse_address(true)?;
            let connected = match socket.bind(&SocketAddr::new(source, port).into()) {
                Ok(()) => connect(socket, address).await,
                Err(error) => Err(error),
            };
            match connected {
                Err(error)
                    if matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::ADDRINUSE | Errno::ADDRNOTAVAIL)
                    ) =>
                {
                    taken = error;
                }
                connected => return connected,
            }
        }
        Err(taken)
    }
}

async fn connect(socket: Socket, address: SocketAddr) -> io::Result<Watched> {
    connect_to(socket, &address.into()).await
}

async fn connect_to(socket: Socket, address: &SockAddr) -> io::Result<Watched> {
    match socket.connect(address) {
        Ok(()) => return Watched::connected(socket.into()),
        // An interrupted one goes on by itself as well.
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::INPROGRESS | Errno::INTR)
            ) => {}
        Err(error) => return Err(error),
    }
    let socket = Watched::connecting(socket.into())?;
    poll_fn(|cx| socket.poll_ready(Way::Write, cx)).await?;
    if !socket.may_have_failed() {
        return Ok(socket);
    }
    match socket_error(&socket)? {
        Ok(()) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Fixes the address and leaves the port to the moment of connecting, when the system can reuse ports
/// that are taken towards other servers.
fn bind_without_port(socket: &Socket, source: IpAddr) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
    setsockopt(socket, IpBindAddressNoPort, &true)?;
    socket.bind(&SocketAddr::new(source, 0).into())
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    async fn peer_of(origin: &Origin, count: usize) -> Vec<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut peers = Vec::new();
        let mut kept = Vec::new();
        for _ in 0..count {
            let connected = origin.connect_tcp(address, FirstWord::Theirs);
            kept.push(connected.await.unwrap());
            peers.push(listener.accept().await.unwrap().1);
        }
        peers
    }

    #[tokio::test]
    async fn a_source_address_is_what_the_server_sees() {
        let source = Source {
            address: "127.0.0.9".parse().unwrap(),
            ports: None,
        };
        let peers = peer_of(&Origin::new(None, Some(source)), 2).await;
        assert!(peers.iter().all(|peer| peer.ip() == source.address));
        assert_ne!(peers[0].port(), peers[1].port());
    }

    #[tokio::test]
    async fn ports_come_from_the_range_and_taken_ones_are_passed_over() {
        // A port that is free now, with a wide range behind it.
        let probe = TcpListener::bind("127.0.0.10:0").await.unwrap();
        let first = probe.local_addr().unwrap().port().min(65_000);
        let source = Source {
            address: "127.0.0.10".parse().unwrap(),
            ports: Some((first, first + 200)),
        };
        // The probe still listens on the first one.
        let peers = peer_of(&Origin::new(None, Some(source)), 5).await;
        for peer in &peers {
            assert!((first..=first + 200).contains(&peer.port()), "{peer}");
        }
        let mut ports: Vec<u16> = peers.iter().map(SocketAddr::port).collect();
        ports.dedup();
        assert_eq!(ports.len(), 5);
    }

    /// Whether a server could take the connection before anything was said on it.
    async fn is_there_before_a_word(first_word: FirstWord) -> bool {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Origin::default();
        let mut stream = origin.connect_tcp(address, first_word).await.unwrap();
        let there = listener.accept();
        poll_fn(|cx| stream.poll_write(cx, b"word")).await.unwrap();
        let (there, far) = match there {
            Ok((far, _)) => (true, far),
            Err(_) => {
                listener.set_nonblocking(false).unwrap();
                (false, listener.accept().unwrap().0)
            }
        };
        far.set_nonblocking(true).unwrap();
        let mut far = tokio::net::TcpStream::from_std(far).unwrap();
        let mut said = [0; 4];
        far.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"word");
        there
    }

    #[tokio::test]
    async fn a_server_gets_the_first_word_together_with_the_connection() {
        // The system waits for the word for 200 ms, and delivers when it gets to it: on a busy machine either is missed
        // at times.
        for (first, there) in [(FirstWord::Theirs, true), (FirstWord::Ours, false)] {
            let mut seen = false;
            for _ in 0..50 {
                seen |= is_there_before_a_word(first).await == there;
            }
            assert!(seen, "{first:?}");
        }
    }
}
