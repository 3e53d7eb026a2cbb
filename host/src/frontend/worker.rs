//! What a worker thread has to itself, and the little it shares with the others.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use tokio::sync::Notify;

use super::{
    clock::WallClock,
    gate::Gate,
    generation::LocalGeneration,
    h2::StreamTasks,
    stories::{LocalStories, Stories},
};
use crate::{
    backend::{Pool, StreamPool},
    http::{request::RequestHead, response::ResponseHead},
    net::BufferPool,
    telemetry::LogWriter,
};

/// Spare heads kept per worker.
const KEPT_HEADS: usize = 64;
/// A head that grew beyond this is not kept.
const KEPT_HEAD_BYTES: usize = 32 * 1024;
/// Spare heads that are no larger than this are kept up to that many.
const KEPT_SMALL_HEADS: usize = 256;
const SMALL_HEAD_BYTES: usize = 4 * 1024;

/// Whether a head that holds on to so much is kept beside `others`.
fn is_kept(others: usize, bytes: usize) -> bool {
    match bytes {
        0..=SMALL_HEAD_BYTES => others < KEPT_SMALL_HEADS,
        _ => others < KEPT_HEADS && bytes <= KEPT_HEAD_BYTES,
    }
}

/// Everything a connection needs, on the thread that serves it. No part of it is locked.
pub struct Worker {
    pub index: usize,
    pub buffers: BufferPool,
    pub pool: Pool,
    pub streams: StreamPool,
    pub stream_tasks: StreamTasks,
    pub clock: WallClock,
    pub process: Arc<ProcessState>,
    pub stories: LocalStories,
    log: RefCell<LogWriter>,
    current: RefCell<Rc<LocalGeneration>>,
    #[expect(
        clippy::vec_box,
        reason = "exchanges hold the box, so that moving one costs nothing"
    )]
    requests: RefCell<Vec<Box<RequestHead>>>,
    #[expect(
        clippy::vec_box,
        reason = "exchanges hold the box, so that moving one costs nothing"
    )]
    responses: RefCell<Vec<Box<ResponseHead>>>,
    idle: RefCell<Idle>,
    next_request: Cell<u64>,
    open: Cell<usize>,
    emptied: Notify,
}

impl Worker {
    pub fn new(
        index: usize,
        head_bytes: usize,
        process: Arc<ProcessState>,
        log: LogWriter,
        first: LocalGeneration,
    ) -> Self {
        Self {
            index,
            buffers: BufferPool::new(head_bytes + 1),
            pool: Pool::default(),
            streams: StreamPool::default(),
            stream_tasks: StreamTasks::default(),
            clock: WallClock::new(),
            stories: LocalStories::new(Arc::clone(&process.stories)),
            process,
            log: RefCell::new(log),
            current: RefCell::new(Rc::new(first)),
            requests: RefCell::default(),
            responses: RefCell::default(),
            idle: RefCell::default(),
            next_request: Cell::new(0),
            open: Cell::new(0),
            emptied: Notify::new(),
        }
    }

    /// Counts a connection of this worker as long as the answer lives.
    pub fn open_connection(self: &Rc<Self>) -> OpenConnection {
        self.open.set(self.open.get() + 1);
        OpenConnection(Rc::clone(self))
    }

    /// Waits until no connection is left.
    pub async fn emptied(&self) {
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }

    /// The generation that new exchanges belong to.
    pub fn current(&self) -> Rc<LocalGeneration> {
        Rc::clone(&self.current.borrow())
    }

    /// New exchanges use `next` from now on; running ones finish with what they began with.
    pub fn swap(&self, next: LocalGeneration) {
        let old = self.current.replace(Rc::new(next));
        // Dropped outside the borrow: the last reference frees plugin instances.
        drop(old);
        // An idle connection whose listener is gone must notice.
        self.wake_idle();
    }

    /// Whether exchanges are logged at all.
    pub fn is_logging(&self) -> bool {
        self.log.borrow().is_wanted()
    }

    pub fn log(&self, write: impl FnOnce(&mut LogWriter)) {
        write(&mut self.log.borrow_mut());
    }

    pub fn request_head(&self) -> Box<RequestHead> {
        self.requests.borrow_mut().pop().unwrap_or_default()
    }

    pub fn give_request_head(&self, mut head: Box<RequestHead>) {
        let mut kept = self.requests.borrow_mut();
        if is_kept(kept.len(), head.fields.capacity()) {
            head.clear();
            kept.push(head);
        }
    }

    pub fn response_head(&self) -> Box<ResponseHead> {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    pub fn give_response_head(&self, mut head: Box<ResponseHead>) {
        let mut kept = self.responses.borrow_mut();
        if is_kept(kept.len(), head.fields.capacity()) {
            head.clear();
            kept.push(head);
        }
    }

    pub fn next_request_id(&self) -> RequestId {
        let number = self.next_request.get();
        self.next_request.set(number + 1);
        RequestId {
            process: self.process.seed,
            worker: self.index as u16,
            number,
        }
    }

    /// Puts a connection on the list of those that wait for their next request.
    pub fn join_idle(&self) -> IdleTicket {
        IdleTicket(self.idle.borrow_mut().insert())
    }

    /// Remembers whom to wake when idle connections should look around.
    pub fn set_idle_waker(&self, ticket: &IdleTicket, waker: &Waker) {
        self.idle.borrow_mut().set(ticket.0, waker);
    }

    pub fn leave_idle(&self, ticket: IdleTicket) {
        self.idle.borrow_mut().remove(ticket.0);
    }

    /// Lets every idle connection look at the state of the world.
    pub fn wake_idle(&self) {
        // A woken task may leave the list at once, so no borrow may be held while waking.
        let wakers = self.idle.borrow().wakers();
        for waker in wakers {
            waker.wake();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// A connection that is being served.
#[derive(Debug)]
pub struct OpenConnection(Rc<Worker>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let left = self.0.open.get() - 1;
        self.0.open.set(left);
        if left == 0 {
            self.0.emptied.notify_one();
        }
    }
}

/// Names an exchange in logs and, if configured, towards servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    process: u64,
    worker: u16,
    number: u64,
}

/// A request id as 32 hexadecimal digits, made without the formatting machinery: the log wants one for
/// every exchange.
#[derive(Debug, Clone, Copy)]
pub struct RequestIdText([u8; 32]);

impl RequestId {
    /// Of an exchange that a tool made up.
    pub(super) fn of_tool() -> Self {
        Self {
            process: 0,
            worker: 0,
            number: 0,
        }
    }

    pub fn text(self) -> RequestIdText {
        let low = u128::from(self.worker) << 48 | u128::from(self.number & 0xffff_ffff_ffff);
        let id = u128::from(self.process) << 64 | low;
        let mut text = [0; 32];
        for (position, digit) in text.iter_mut().enumerate() {
            let nibble = (id >> (124 - 4 * position)) as usize & 0xf;
            *digit = b"0123456789abcdef"[nibble];
        }
        RequestIdText(text)
    }
}

impl RequestIdText {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// A connection's place on the list of idle ones.
#[derive(Debug)]
pub struct IdleTicket(usize);

#[derive(Debug, Default)]
struct Idle {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Debug)]
enum Slot {
    Free,
    Taken(Option<Waker>),
}

impl Idle {
    fn insert(&mut self) -> usize {
        if let Some(position) = self.free.pop() {
            self.slots[position] = Slot::Taken(None);
            return position;
        }
        self.slots.push(Slot::Taken(None));
        self.slots.len() - 1
    }

    fn set(&mut self, position: usize, waker: &Waker) {
        if let Slot::Taken(known) = &mut self.slots[position]
            && !known.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            *known = Some(waker.clone());
        }
    }

    fn remove(&mut self, position: usize) {
        self.slots[position] = Slot::Free;
        self.free.push(position);
    }

    fn wakers(&self) -> Vec<Waker> {
        self.slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Taken(waker) => waker.clone(),
                Slot::Free => None,
            })
            .collect()
    }
}

/// What all workers see of the process.
#[derive(Debug)]
pub struct ProcessState {
    /// Makes request ids of different processes differ.
    seed: u64,
    draining: AtomicBool,
    /// Another process takes clients in; those that are here stay until their next answer.
    retiring: AtomicBool,
    /// Client connections of all frontends.
    pub connections: Arc<Gate>,
    /// Of exchanges that can be asked about.
    pub stories: Arc<Stories>,
}

impl ProcessState {
    pub fn new(seed: u64, max_connections: usize) -> Arc<Self> {
        Arc::new(Self {
            seed,
            draining: AtomicBool::new(false),
            retiring: AtomicBool::new(false),
            connections: Gate::new(max_connections),
            stories: Arc::default(),
        })
    }

    /// Whether answers tell clients to go elsewhere.
    pub fn is_leaving(&self) -> bool {
        self.retiring.load(Ordering::Relaxed) || self.is_draining()
    }

    /// As [`drain`](Self::drain), but idle connections are not closed under a client that may be about to
    /// send its next request.
    pub fn retire(&self) {
        self.retiring.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}
