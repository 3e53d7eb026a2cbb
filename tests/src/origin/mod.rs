//! A real HTTP/1.1 server that does as it is told.

mod answer;
mod serve;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinHandle};

pub use self::answer::{After, Answer};
use crate::message::Head;

/// A server on a loopback port of its own. Dropping it closes the port and all its connections.
///
/// By default it answers 200 with its name in `x-origin` and, as JSON, the request that it saw.
/// `/status` is for health checks: 200 or 503, see [`Origin::set_healthy`]; these requests are counted as
/// probes and don't appear among the others.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// None while it is stopped.
    task: Option<JoinHandle<()>>,
}

/// A request as an origin saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub head: Head,
    pub body: Vec<u8>,
    /// Which of the origin's connections it came on, counted from 1.
    pub connection: usize,
}

impl Request {
    /// The target up to `?`.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

type Script = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

pub(crate) struct Shared {
    name: String,
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    answered: AtomicUsize,
    probes: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    peers: Mutex<Vec<SocketAddr>>,
    healthy: AtomicBool,
    recording: AtomicBool,
}

impl Origin {
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// For set-ups whose addresses are part of what they show.
    pub async fn start_at(name: &str, address: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            script: Mutex::new(Box::new(|_| Answer::echo())),
            requests: Mutex::default(),
            answered: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            peers: Mutex::default(),
            healthy: AtomicBool::new(true),
            recording: AtomicBool::new(true),
        });
        let listener = bind(address).await;
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        Self {
            address,
            task: Some(tokio::spawn(serve::accept(listener, shared.clone()))),
            shared,
        }
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request gets this answer.
    pub fn answer(&self, answer: Answer) {
        self.answer_with(move |_| answer.clone());
    }

    /// From now on `script` answers. It must not block.
    pub fn answer_with(&self, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Whether `/status` says 200 or 503.
    pub fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, Ordering::SeqCst);
    }

    /// Stops remembering requests, for those who send millions.
    pub fn forget_requests(&self) {
        self.shared.recording.store(false, Ordering::SeqCst);
    }

    /// All requests so far whose body was read, in the order in which that happened, without probes.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// How many requests were answered so far, without probes; remembered or not.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// How often `/status` was asked.
    pub fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// Connections accepted so far; those of health checks count too.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Where each of its connections came from, in the order they came.
    pub fn peers(&self) -> Vec<SocketAddr> {
        lock(&self.shared.peers).clone()
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Closes the port and all connections, as a crash would. [`Origin::restart`] brings it back.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It was aborted: there is nothing else it could say.
            let _ = task.await;
        }
    }

    /// Listens on the same port again; counters and script are kept.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = bind(self.address).await;
        self.task = Some(tokio::spawn(serve::accept(listener, self.shared.clone())));
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address)
        .await
        .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"))
}

/// A test that panicked while holding the lock must not hide its own message behind another's.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
