//! Listening sockets: binding, inheriting, and one accept queue per worker.

use std::{
    fmt, fs,
    future::poll_fn,
    io,
    net::SocketAddr,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{
    Namespace, NamespaceError, PeerAddress, Stream,
    account::{self, AccountError},
    handover::activated,
};
use crate::{
    config::{Address, SocketOptions},
    event_loop::{Watched, Way},
};

/// Connections that may wait to be accepted, per listener and worker.
const BACKLOG: i32 = 4096;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}")]
    Bind { address: String, source: io::Error },
    #[error("{path} exists and is not a socket, so it is not replaced")]
    NotASocket { path: String },
    #[error("{path} is a socket that another program listens on")]
    SocketInUse { path: String },
    #[error("descriptor {fd} was not handed to this process")]
    NotInherited { fd: i32, source: io::Error },
    #[error("the service manager handed no socket called `{name}` over")]
    NotActivated { name: String },
    #[error("descriptor {fd} is not a listening stream socket")]
    NotListening { fd: i32 },
    #[error("{address} is not an address to listen on")]
    NotLocal { address: String },
    #[error("cannot listen on {address}")]
    Namespace {
        address: String,
        source: NamespaceError,
    },
    #[error("the owner of unix:{path} cannot be set")]
    Owner { path: String, source: AccountError },
}

/// Names a listening socket for as long as the process has it, over all generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// Where a listener can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Bound sockets of one address, one for each worker.
///
/// TCP sockets share the port by SO_REUSEPORT, so every worker has an accept queue of its own and the
/// kernel spreads clients over them. Unix sockets and inherited ones are one queue that all share.
#[derive(Debug)]
pub struct SharedListener {
    pub address: BoundAddress,
    sockets: Vec<Socket>,
    /// Removed when the listener is dropped.
    unix_path: SocketFile,
}

impl SharedListener {
    /// Binds `address` for so many workers, as the system usually does.
    pub fn bind(address: &Address, workers: usize) -> Result<Self, BindError> {
        Self::bind_with(address, &SocketOptions::default(), workers)
    }

    /// Binds `address` for so many workers.
    pub fn bind_with(
        address: &Address,
        options: &SocketOptions,
        workers: usize,
    ) -> Result<Self, BindError> {
        match address {
            Address::Tcp(address) => Self::bind_tcp(*address, options, workers),
            Address::Unix(path) => Self::bind_unix(path.clone(), options, workers),
            Address::Inherited(fd) => Self::inherit(*fd, workers),
            Address::Activated(name) => match activated(name) {
                Some(fd) => Self::inherit(fd, workers),
                None => Err(BindError::NotActivated { name: name.clone() }),
            },
            Address::Name { host, port } => Err(BindError::NotLocal {
                address: format!("{host}:{port}"),
            }),
            Address::ClientPort(ip) => Err(BindError::NotLocal {
                address: ip.to_string(),
            }),
            Address::Statistics => Err(BindError::NotLocal {
                address: "weir:statistics".to_owned(),
            }),
        }
    }

    fn bind_tcp(
        address: SocketAddr,
        options: &SocketOptions,
        workers: usize,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind {
            address: address.to_string(),
            source,
        };
        let namespace = options.namespace.as_deref().map(Namespace::enter);
        let namespace = namespace
            .transpose()
            .map_err(|source| BindError::Namespace {
                address: address.to_string(),
                source,
            })?;
        let new_tcp = |address| new_tcp(address, namespace.as_deref(), options);
        // The first socket is bound without SO_REUSEPORT sharing in mind only to see whether another
        // process has the port: with the option set on both sides the kernel would let us join it and
        // two proxies would silently share the clients.
        if address.port() != 0 {
            let probe = new_tcp(address).map_err(failed)?;
            probe.bind(&address.into()).map_err(failed)?;
        }
        let mut bound = address;
        let mut sockets = Vec::with_capacity(workers);
        for _ in 0..workers {
            let socket = new_tcp(bound).map_err(failed)?;
            socket.set_reuse_port(true).map_err(failed)?;
            socket.bind(&bound.into()).map_err(failed)?;
            if bound.port() == 0 {
                let local = socket.local_addr().map_err(failed)?;
                bound = local.as_socket().ok_or_else(|| BindError::NotLocal {
                    address: address.to_string(),
                })?;
            }
            sockets.push(socket);
        }
        for socket in &sockets {
            socket.listen(backlog(options)).map_err(failed)?;
        }
        Ok(Self {
            address: BoundAddress::Ip(bound),
            sockets,
            unix_path: None.into(),
        })
    }

    fn bind_unix(
        path: PathBuf,
        options: &SocketOptions,
        workers: usize,
    ) -> Result<Self, BindError> {
        let shown = path.display().to_string();
        let failed = |source| BindError::Bind {
            address: format!("unix:{shown}"),
            source,
        };
        if let Ok(found) = fs::symlink_metadata(&path) {
            if !found.file_type().is_socket() {
                return Err(BindError::NotASocket { path: shown });
            }
            // A socket file outlives its process. Only one that nobody answers on may be replaced.
            if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                return Err(BindError::SocketInUse { path: shown });
            }
            fs::remove_file(&path).map_err(failed)?;
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        socket
            .bind(&SockAddr::unix(&path).map_err(failed)?)
            .map_err(failed)?;
        // Nobody can connect before the socket listens, so nobody gets in under the wrong mode.
        hand_over_file(&path, options)?;
        socket.listen(backlog(options)).map_err(failed)?;
        Ok(Self {
            address: BoundAddress::Unix(path.clone()),
            sockets: share(socket, workers).map_err(failed)?,
            unix_path: Some(path).into(),
        })
    }

    /// Takes over the listening descriptor that the parent process left open at number `fd`.
    fn inherit(fd: i32, workers: usize) -> Result<Self, BindError> {
        let socket =
            Socket::from(duplicate(fd).map_err(|source| BindError::NotInherited { fd, source })?);
        let not_listening = |_| BindError::NotListening { fd };
        if !socket.is_listener().map_err(not_listening)?
            || socket.r#type().map_err(not_listening)? != Type::STREAM
        {
            return Err(BindError::NotListening { fd });
        }
        socket.set_nonblocking(true).map_err(not_listening)?;
        let local = socket.local_addr().map_err(not_listening)?;
        let address = match (local.as_socket(), local.as_pathname()) {
            (Some(ip), _) => BoundAddress::Ip(ip),
            (None, Some(path)) => BoundAddress::Unix(path.to_owned()),
            (None, None) => BoundAddress::Unix(PathBuf::new()),
        };
        Ok(Self {
            address,
            sockets: share(socket, workers).map_err(not_listening)?,
            unix_path: None.into(),
        })
    }

    /// Takes over sockets that another proxy has listened on, one for each accept queue.
    pub fn take_over(sockets: Vec<Socket>) -> io::Result<Self> {
        let first = sockets.first().ok_or(io::ErrorKind::NotFound)?;
        let local = first.local_addr()?;
        let (address, unix_path) = match (local.as_socket(), local.as_pathname()) {
            (Some(ip), _) => (BoundAddress::Ip(ip), None),
            (None, Some(path)) => (BoundAddress::Unix(path.to_owned()), Some(path.to_owned())),
            (None, None) => (BoundAddress::Unix(PathBuf::new()), None),
        };
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        Ok(Self {
            address,
            sockets,
            unix_path: unix_path.into(),
        })
    }

    /// The sockets that one of so many workers accepts from, as new descriptors. Mostly one; a proxy that took
    /// over from one with more workers has more accept queues than workers, and none may be forgotten.
    pub fn of_worker(&self, worker: usize, workers: usize) -> io::Result<Vec<Socket>> {
        let queues = self.sockets.len();
        if queues <= workers {
            return Ok(vec![self.sockets[worker % queues].try_clone()?]);
        }
        let own = self.sockets.iter().skip(worker).step_by(workers.max(1));
        own.map(Socket::try_clone).collect()
    }

    /// All sockets as new descriptors, for the proxy that takes over. The file of a Unix socket is its from
    /// now on, unless [`keep`](Self::keep) says otherwise.
    pub fn hand_over(&self) -> io::Result<Vec<Socket>> {
        let sockets: io::Result<Vec<_>> = self.sockets.iter().map(Socket::try_clone).collect();
        self.unix_path.0.store(false, Ordering::Relaxed);
        sockets
    }

    /// Nobody took it over after all.
    pub fn keep(&self) {
        self.unix_path.0.store(true, Ordering::Relaxed);
    }
}

/// The file of a Unix socket, and whether it is ours to remove.
#[derive(Debug)]
struct SocketFile(AtomicBool, Option<PathBuf>);

impl From<Option<PathBuf>> for SocketFile {
    fn from(path: Option<PathBuf>) -> Self {
        Self(AtomicBool::new(true), path)
    }
}

impl Drop for SharedListener {
    fn drop(&mut self) {
        let SocketFile(ours, path) = &self.unix_path;
        if let (true, Some(path)) = (ours.load(Ordering::Relaxed), path) {
            // Somebody may have removed it already; either way it is gone.
            let _ = fs::remove_file(path);
        }
    }
}

/// Gives a Unix socket's file the mode and owner it is to have.
fn hand_over_file(path: &Path, options: &SocketOptions) -> Result<(), BindError> {
    let shown = || path.display().to_string();
    let owner = |source| BindError::Owner {
        path: shown(),
        source,
    };
    let user = options.user.as_deref().map(account::user).transpose();
    let group = options.group.as_deref().map(account::group).transpose();
    let (user, group) = (user.map_err(owner)?, group.map_err(owner)?);
    let user = user.map(|(user, _)| user);
    let failed = |source: io::Error| BindError::Bind {
        address: format!("unix:{}", shown()),
        source,
    };
    if user.is_some() || group.is_some() {
        nix::unistd::chown(path, user, group).map_err(|error| failed(error.into()))?;
    }
    if let Some(mode) = options.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

fn backlog(options: &SocketOptions) -> i32 {
    let wanted = options
        .backlog
        .and_then(|backlog| i32::try_from(backlog).ok());
    wanted.unwrap_or(BACKLOG)
}

fn new_tcp(
    address: SocketAddr,
    namespace: Option<&Namespace>,
    options: &SocketOptions,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = match namespace {
        Some(namespace) => namespace.socket(domain)?,
        None => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    if address.is_ipv6() {
        socket.set_only_v6(!options.dual_stack)?;
    }
    if let Some(interface) = &options.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn share(socket: Socket, workers: usize) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(socket.try_clone()?);
    }
    sockets.push(socket);
    Ok(sockets)
}

/// A descriptor of our own for an inherited number. Taking the number itself would need `unsafe`,
/// since nothing proves that no one else owns it; asking the kernel for a copy needs no such proof.
pub(super) fn duplicate(fd: i32) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, fd, PidfdGetfdFlags::empty())?)
}

/// One worker's end of a listener, registered with the worker's event loop.
#[derive(Debug)]
pub enum Listener {
    Tcp {
        socket: Watched,
        /// What every client has connected to, unless that can be any address of the machine.
        local: Option<SocketAddr>,
    },
    Unix(Watched),
}

/// A client that was accepted.
#[derive(Debug)]
pub struct Incoming {
    pub stream: Stream,
    pub peer: PeerAddress,
    /// What it connected to; Unix sockets have no such address.
    pub local: Option<SocketAddr>,
}

impl Listener {
    /// Must be called within a worker's event loop.
    pub fn register(socket: Socket) -> io::Result<Self> {
        if socket.domain()? == Domain::UNIX {
            Ok(Self::Unix(Watched::listening(socket.into())?))
        } else {
            // Accepted sockets take it over from the one that listens, on Linux.
            socket.set_tcp_nodelay(true)?;
            let local = socket.local_addr()?.as_socket();
            Ok(Self::Tcp {
                socket: Watched::listening(socket.into())?,
                local: local.filter(|address| !address.ip().is_unspecified()),
            })
        }
    }

    /// Waits for a client.
    pub async fn accept(&self) -> io::Result<Incoming> {
        let socket = self.socket();
        loop {
            poll_fn(|cx| socket.poll_ready(Way::Read, cx)).await?;
            match socket.try_call(Way::Read, || accept(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => return self.incoming(accepted?),
            }
        }
    }

    /// A client that waits already, if there is one. The system is asked, whatever is known of the listener.
    pub fn accept_waiting(&self) -> io::Result<Option<Incoming>> {
        match accept(self.socket()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            accepted => self.incoming(accepted?).map(Some),
        }
    }

    fn socket(&self) -> &Watched {
        match self {
            Self::Tcp { socket, .. } | Self::Unix(socket) => socket,
        }
    }

    fn incoming(&self, (socket, peer): Accepted) -> io::Result<Incoming> {
        let socket = Watched::connected(socket)?;
        match self {
            Self::Tcp { local, .. } => {
                let stream = Stream::Tcp(socket);
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let Some(peer) = peer else {
                    return Err(io::Error::other("a client without an address"));
                };
                Ok(Incoming {
                    local: local.or_else(|| stream.local_address()),
                    stream,
                    peer: PeerAddress::Ip(peer),
                })
            }
            Self::Unix(_) => Ok(Incoming {
                stream: Stream::Unix(socket),
                peer: PeerAddress::Unix,
                local: None,
            }),
        }
    }
}

type Accepted = (OwnedFd, Option<SocketAddrAny>);

fn accept(socket: &Watched) -> io::Result<Accepted> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(acceptfrom_with(socket, flags)?)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener as StdTcpListener,
        os::{fd::AsRawFd, unix::net::UnixListener as StdUnixListener},
    };

    use super::*;

    #[test]
    fn port_zero_is_the_same_port_for_every_worker() {
        let listener =
            SharedListener::bind(&Address::Tcp("127.0.0.1:0".parse().unwrap()), 3).unwrap();
        let ports: Vec<_> = (0..3)
            .map(|worker| {
                let sockets = listener.of_worker(worker, 3).unwrap();
                assert_eq!(sockets.len(), 1);
                sockets[0].local_addr().unwrap().as_socket().unwrap().port()
            })
            .collect();
        assert_ne!(ports[0], 0);
        assert!(ports.iter().all(|port| *port == ports[0]));
    }

    #[tokio::test]
    async fn clients_come_without_delay_and_with_the_address_they_connected_to() {
        for (bound, known) in [("127.0.0.1:0", true), ("0.0.0.0:0", false)] {
            let address = Address::Tcp(bound.parse().unwrap());
            let shared = SharedListener::bind(&address, 1).unwrap();
            let socket = shared.of_worker(0, 1).unwrap().remove(0);
            let port = socket.local_addr().unwrap().as_socket().unwrap().port();
            let listener = Listener::register(socket).unwrap();
            let Listener::Tcp { local, .. } = &listener else {
                panic!("a listener of TCP");
            };
            assert_eq!(local.is_some(), known, "{bound}");
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            let _client = tokio::net::TcpStream::connect(to).await.unwrap();
            let incoming = listener.accept().await.unwrap();
            assert_eq!(incoming.local, Some(to));
            let delays = rustix::net::sockopt::tcp_nodelay(&incoming.stream).map(|off| !off);
            assert!(!delays.unwrap(), "{bound}");
        }
    }

    #[tokio::test]
    async fn those_who_wait_are_taken_in_without_waiting_for_more() {
        let any = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let shared = SharedListener::bind(&any, 1).unwrap();
        let socket = shared.of_worker(0, 1).unwrap().remove(0);
        let to = socket.local_addr().unwrap().as_socket().unwrap();
        let listener = Listener::register(socket).unwrap();
        let clients: Vec<_> = (0..300)
            .map(|_| std::net::TcpStream::connect(to).unwrap())
            .collect();
        let mut taken = 0;
        while listener.accept_waiting().unwrap().is_some() {
            taken += 1;
        }
        assert_eq!(taken, clients.len());
    }

    #[test]
    fn whoever_takes_over_with_fewer_workers_serves_all_queues() {
        let any = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let before = SharedListener::bind(&any, 3).unwrap();
        let after = SharedListener::take_over(before.hand_over().unwrap()).unwrap();
        assert_eq!(after.address, before.address);
        let queues = |workers: usize| -> Vec<usize> {
            let of = |worker| after.of_worker(worker, workers).unwrap().len();
            (0..workers).map(of).collect()
        };
        assert_eq!(queues(2), [2, 1]);
        assert_eq!(queues(1), [3]);
        assert_eq!(queues(4), [1, 1, 1, 1]);
    }

    #[test]
    fn a_port_that_another_program_has_is_refused_even_if_it_would_share() {
        let any = "127.0.0.1:0".parse().unwrap();
        let theirs = new_tcp(any, None, &SocketOptions::default()).unwrap();
        theirs.set_reuse_port(true).unwrap();
        theirs.bind(&any.into()).unwrap();
        theirs.listen(1).unwrap();
        let taken = theirs.local_addr().unwrap().as_socket().unwrap();
        let error = SharedListener::bind(&Address::Tcp(taken), 2).unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn an_inherited_descriptor_is_listened_on() {
        let theirs = StdTcpListener::bind("127.0.0.1:0").unwrap();
        let listener = SharedListener::bind(&Address::Inherited(theirs.as_raw_fd()), 2).unwrap();
        assert_eq!(
            listener.address,
            BoundAddress::Ip(theirs.local_addr().unwrap())
        );
    }

    #[test]
    fn a_descriptor_that_was_not_handed_over_is_said_so() {
        let error = SharedListener::bind(&Address::Inherited(987), 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "descriptor 987 was not handed to this process"
        );
    }

    #[test]
    fn a_socket_file_gets_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.sock");
        let options = SocketOptions {
            mode: Some(0o640),
            ..SocketOptions::default()
        };
        let address = Address::Unix(path.clone());
        let _listener = SharedListener::bind_with(&address, &options, 1).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let options = SocketOptions {
            user: Some("no-such-user".to_owned()),
            ..SocketOptions::default()
        };
        let address = Address::Unix(folder.path().join("other.sock"));
        let error = SharedListener::bind_with(&address, &options, 1).unwrap_err();
        assert!(matches!(error, BindError::Owner { .. }), "{error}");
    }

    #[test]
    fn a_dual_stack_listener_takes_ipv4_clients() {
        let options = SocketOptions {
            dual_stack: true,
            ..SocketOptions::default()
        };
        let any = Address::Tcp("[::]:0".parse().unwrap());
        let Ok(listener) = SharedListener::bind_with(&any, &options, 1) else {
            eprintln!("skipped: this machine has no IPv6");
            return;
        };
        let BoundAddress::Ip(bound) = listener.address else {
            panic!("a TCP listener has a socket address");
        };
        let v4 = SocketAddr::from(([127, 0, 0, 1], bound.port()));
        std::net::TcpStream::connect(v4).unwrap();
    }

    #[test]
    fn a_stale_socket_file_is_replaced_but_a_plain_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.sock");
        drop(StdUnixListener::bind(&path).unwrap());
        drop(SharedListener::bind(&Address::Unix(path.clone()), 1).unwrap());
        assert!(!path.exists(), "removed on close");
        fs::write(&path, "precious").unwrap();
        let error = SharedListener::bind(&Address::Unix(path), 1).unwrap_err();
        assert!(matches!(error, BindError::NotASocket { .. }), "{error}");
    }
}
