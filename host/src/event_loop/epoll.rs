//! What the system tells a loop about its sockets.
//!
//! Events come edge-triggered: once for each change. A socket is believed ready from its event until a call on it
//! would have blocked.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, Timespec, epoll, eventfd},
    io::Errno,
};

use super::Way;

/// Events that are taken from the system at a time.
const EVENTS: usize = 256;
/// What the bell's events are marked by; no socket has that number.
const BELL: u64 = u64::MAX;

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
/// There is no more to come; this stays.
const READ_CLOSED: u8 = 4;
/// There is no more to be taken; this stays.
const WRITE_CLOSED: u8 = 8;

impl Way {
    /// What makes a call of this way worth while: a closed one answers at once.
    fn mask(self) -> u8 {
        match self {
            Self::Read => READABLE | READ_CLOSED,
            Self::Write => WRITABLE | WRITE_CLOSED,
        }
    }
}

/// The system's side of a loop.
pub(super) struct Epoll {
    descriptor: OwnedFd,
    events: RefCell<Vec<epoll::Event>>,
    sockets: RefCell<Sockets>,
    bell: Bell,
}

/// Wakes a loop from another thread.
#[derive(Debug, Clone)]
pub(super) struct Bell(Arc<OwnedFd>);

#[derive(Default)]
struct Sockets {
    all: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Place {
    /// How often the place has been given away, so that an old event is nobody's.
    turn: u32,
    readiness: Option<Rc<Readiness>>,
}

/// What is known of one socket, and who waits for it.
#[derive(Debug)]
struct Readiness {
    ready: Cell<u8>,
    reader: Waiter,
    writer: Waiter,
}

/// Who is told when a socket becomes ready. The waker stays after that: mostly the same task asks again.
#[derive(Debug, Default)]
struct Waiter {
    waits: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        // Nobody reads it: each write is an event of its own, and it would be full after 2^64 of them.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        let descriptor = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&descriptor, &bell, epoll::EventData::new_u64(BELL), flags)?;
        Ok(Self {
            descriptor,
            events: RefCell::new(Vec::with_capacity(EVENTS)),
            sockets: RefCell::default(),
            bell: Bell(Arc::new(bell)),
        })
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits for events, at most for so long, and wakes those whom they are for. `rung` is done first if the bell has
    /// rung: what another thread has ordered goes before what came from a socket after that.
    pub(super) fn wait(&self, patience: Option<Duration>, rung: impl FnOnce()) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        let patience = patience.map(to_timespec);
        match epoll::wait(
            &self.descriptor,
            spare_capacity(&mut events),
            patience.as_ref(),
        ) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let key_of = |event: &epoll::Event| {
            let data = event.data;
            data.u64()
        };
        if events.iter().any(|event| key_of(event) == BELL) {
            rung();
        }
        for event in events.iter() {
            // No borrow is held while others are woken.
            let socket = self.sockets.borrow().get(key_of(event));
            if let Some(socket) = socket {
                socket.happened(event.flags);
            }
        }
        Ok(())
    }
}

/// In whole milliseconds, which is what the oldest of the system's calls takes, and never too early.
fn to_timespec(patience: Duration) -> Timespec {
    // A day is as good as for ever, and fits in every type.
    let day = Duration::from_secs(86_400);
    let rounded = patience.min(day) + Duration::from_nanos(999_999);
    Timespec {
        tv_sec: rounded.as_secs() as i64,
        tv_nsec: i64::from(rounded.subsec_millis()) * 1_000_000,
    }
}

impl Sockets {
    fn insert(&mut self, readiness: Rc<Readiness>) -> u64 {
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let place = u32::try_from(self.all.len()).expect("fewer sockets than 4 billion");
                self.all.push(Place::default());
                place
            }
        };
        let slot = &mut self.all[place as usize];
        slot.readiness = Some(readiness);
        u64::from(slot.turn) << 32 | u64::from(place)
    }

    fn get(&self, key: u64) -> Option<Rc<Readiness>> {
        let slot = self.all.get((key & 0xffff_ffff) as usize)?;
        let same = u64::from(slot.turn) == key >> 32;
        slot.readiness.as_ref().filter(|_| same).map(Rc::clone)
    }

    fn remove(&mut self, key: u64) {
        let place = (key & 0xffff_ffff) as u32;
        let slot = &mut self.all[place as usize];
        slot.readiness = None;
        // Never the bell's number.
        slot.turn = (slot.turn + 1) % u32::MAX;
        self.free.push(place);
    }
}

impl Readiness {
    fn happened(&self, flags: epoll::EventFlags) {
        use epoll::EventFlags as Flag;
        let mut ready = 0;
        if flags.intersects(Flag::IN | Flag::PRI | Flag::ERR) {
            ready |= READABLE;
        }
        if flags.intersects(Flag::OUT | Flag::ERR) {
            ready |= WRITABLE;
        }
        if flags.contains(Flag::HUP) {
            ready |= READ_CLOSED | WRITE_CLOSED;
        }
        if flags.contains(Flag::RDHUP) {
            ready |= READ_CLOSED;
        }
        if flags.contains(Flag::ERR) {
            ready |= WRITE_CLOSED;
        }
        self.ready.set(self.ready.get() | ready);
        if ready & Way::Read.mask() != 0 {
            self.reader.tell();
        }
        if ready & Way::Write.mask() != 0 {
            self.writer.tell();
        }
    }

    fn waiter(&self, way: Way) -> &Waiter {
        match way {
            Way::Read => &self.reader,
            Way::Write => &self.writer,
        }
    }
}

impl Waiter {
    fn wait(&self, waker: &Waker) {
        self.waits.set(true);
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    fn tell(&self) {
        if self.waits.replace(false)
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

/// A socket's place in a loop. The socket itself is closed by who holds it, and with that its events end. Where somebody
/// else has it too they go on until that one is done with it, and are nobody's: the place has had its turn.
pub(super) struct Registration {
    epoll: Rc<Epoll>,
    key: u64,
    readiness: Rc<Readiness>,
}

impl Registration {
    /// `writable`: whether a write is worth while before the system has said so.
    pub(super) fn new(
        epoll: &Rc<Epoll>,
        socket: BorrowedFd<'_>,
        writable: bool,
    ) -> io::Result<Self> {
        let readiness = Rc::new(Readiness {
            ready: Cell::new(if writable { WRITABLE } else { 0 }),
            reader: Waiter::default(),
            writer: Waiter::default(),
        });
        let key = epoll.sockets.borrow_mut().insert(Rc::clone(&readiness));
        // Removes the key again if the system will not have the socket.
        let registration = Self {
            epoll: Rc::clone(epoll),
            key,
            readiness,
        };
        use epoll::EventFlags as Flag;
        let flags = Flag::IN | Flag::OUT | Flag::RDHUP | Flag::ET;
        epoll::add(
            &epoll.descriptor,
            socket,
            epoll::EventData::new_u64(key),
            flags,
        )?;
        Ok(registration)
    }

    pub(super) fn is_ready(&self, way: Way) -> bool {
        self.readiness.ready.get() & way.mask() != 0
    }

    /// Believes no longer that calls of this way would not block; that it is closed stays true.
    pub(super) fn clear(&self, way: Way) {
        let closed = READ_CLOSED | WRITE_CLOSED;
        let ready = self.readiness.ready.get();
        self.readiness.ready.set(ready & (!way.mask() | closed));
    }

    /// Believes that a call of this way would not block; the call itself will tell.
    pub(super) fn believe(&self, way: Way) {
        let believed = match way {
            Way::Read => READABLE,
            Way::Write => WRITABLE,
        };
        self.readiness
            .ready
            .set(self.readiness.ready.get() | believed);
    }

    /// Has `waker` told when a call of this way is worth while; one waker for each way.
    pub(super) fn wait(&self, way: Way, waker: &Waker) {
        self.readiness.waiter(way).wait(waker);
    }

    pub(super) fn is_read_closed(&self) -> bool {
        self.readiness.ready.get() & READ_CLOSED != 0
    }

    pub(super) fn is_write_closed(&self) -> bool {
        self.readiness.ready.get() & WRITE_CLOSED != 0
    }

    /// Ends the events of a socket that others hold too: closing one's own end of it doesn't.
    pub(super) fn withdraw(&self, socket: BorrowedFd<'_>) {
        // It can only fail if there is nothing to end.
        let _ = epoll::delete(&self.epoll.descriptor, socket.as_fd());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.epoll.sockets.borrow_mut().remove(self.key);
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}
