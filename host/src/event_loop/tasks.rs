//! The tasks of a loop: who is to be polled next, and how others say so.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{CURRENT, epoll::Bell, watched};

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// A place and how often it had been given away when the task got it, so that nobody wakes its next holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    place: u32,
    turn: u32,
}

thread_local! {
    /// Which loop runs on this thread; 0 is none.
    static IDENTITY: Cell<u64> = const { Cell::new(0) };
}

/// Numbers loops from 1.
static NEXT_IDENTITY: AtomicU64 = AtomicU64::new(1);

/// The tasks of one loop.
pub(super) struct Tasks {
    identity: u64,
    places: RefCell<Places>,
    ready: RefCell<VecDeque<Key>>,
    far: Arc<FarCalls>,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Place {
    turn: u32,
    /// None while the task runs too.
    task: Option<Task>,
}

struct Task {
    work: Work,
    waker: Waker,
    call: Arc<Call>,
}

/// What wakes one task.
struct Call {
    identity: u64,
    key: Key,
    /// Whether the task is on the list already. Only its own thread reads or writes it.
    called: AtomicBool,
    far: Arc<FarCalls>,
}

/// Calls from other threads.
#[derive(Debug)]
struct FarCalls {
    waiting: Mutex<Vec<Key>>,
    bell: Bell,
}

impl FarCalls {
    fn add(&self, key: Key) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(key);
        if waiting.len() == 1 {
            self.bell.ring();
        }
    }

    fn take(&self) -> Vec<Key> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if IDENTITY.get() != self.identity {
            return self.far.add(self.key);
        }
        if self.called.load(Ordering::Relaxed) {
            return;
        }
        self.called.store(true, Ordering::Relaxed);
        CURRENT.with_borrow(|current| {
            if let Some(parts) = current {
                parts.tasks.ready.borrow_mut().push_back(self.key);
            }
        });
    }
}

impl Tasks {
    pub(super) fn new(bell: Bell) -> Self {
        Self {
            identity: NEXT_IDENTITY.fetch_add(1, Ordering::Relaxed),
            places: RefCell::default(),
            ready: RefCell::default(),
            far: Arc::new(FarCalls {
                waiting: Mutex::default(),
                bell,
            }),
        }
    }

    pub(super) fn enter(&self) {
        IDENTITY.set(self.identity);
    }

    pub(super) fn leave(&self) {
        IDENTITY.set(0);
    }

    pub(super) fn any_ready(&self) -> bool {
        !self.ready.borrow().is_empty()
    }

    /// Begins a task; it is polled for the first time in the next round.
    pub(super) fn spawn(&self, work: Work) {
        let mut places = self.places.borrow_mut();
        let place = match places.free.pop() {
            Some(place) => place,
            None => {
                let place = u32::try_from(places.all.len()).expect("fewer tasks than 4 billion");
                places.all.push(Place::default());
                place
            }
        };
        let slot = &mut places.all[place as usize];
        let key = Key {
            place,
            turn: slot.turn,
        };
        let call = Arc::new(Call {
            identity: self.identity,
            key,
            called: AtomicBool::new(true),
            far: Arc::clone(&self.far),
        });
        slot.task = Some(Task {
            work,
            waker: Waker::from(Arc::clone(&call)),
            call,
        });
        self.ready.borrow_mut().push_back(key);
    }

    /// Puts those on the list that other threads have called.
    pub(super) fn take_in_far_calls(&self) {
        let places = self.places.borrow();
        for key in self.far.take() {
            let task = places.all.get(key.place as usize);
            let task = task.filter(|place| place.turn == key.turn);
            if let Some(task) = task.and_then(|place| place.task.as_ref()) {
                task.call.wake_by_ref();
            }
        }
    }

    /// Polls those that are on the list now, at most so many.
    pub(super) fn run_round(&self, most: usize) {
        let there = self.ready.borrow().len();
        for _ in 0..there.min(most) {
            let next = self.ready.borrow_mut().pop_front();
            if let Some(key) = next {
                self.poll(key);
            }
        }
    }

    fn poll(&self, key: Key) {
        let Some(mut task) = self.lend(key) else {
            return;
        };
        task.call.called.store(false, Ordering::Relaxed);
        watched::renew_budget();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::from_waker(&task.waker);
            task.work.as_mut().poll(&mut context)
        }));
        match polled {
            Ok(Poll::Pending) => self.places.borrow_mut().all[key.place as usize].task = Some(task),
            // Who panics has said so by the process's hook.
            Ok(Poll::Ready(())) | Err(_) => {
                self.places.borrow_mut().give_back(key.place);
                discard(task);
            }
        }
    }

    fn lend(&self, key: Key) -> Option<Task> {
        let mut places = self.places.borrow_mut();
        let place = &mut places.all[key.place as usize];
        match place.turn == key.turn {
            true => place.task.take(),
            false => None,
        }
    }

    /// Drops all tasks, with those that they begin meanwhile.
    pub(super) fn drop_all(&self) {
        loop {
            let left: Vec<Task> = {
                let mut places = self.places.borrow_mut();
                let count = u32::try_from(places.all.len()).unwrap_or(u32::MAX);
                (0..count)
                    .filter_map(|place| {
                        let task = places.all[place as usize].task.take()?;
                        places.give_back(place);
                        Some(task)
                    })
                    .collect()
            };
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(discard);
        }
    }
}

impl Places {
    fn give_back(&mut self, place: u32) {
        let slot = &mut self.all[place as usize];
        slot.turn = slot.turn.wrapping_add(1);
        self.free.push(place);
    }
}

/// Drops a task outside of every borrow: what it holds may begin tasks and wake others. A panic stays its own.
fn discard(task: Task) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
