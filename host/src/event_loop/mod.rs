//! The event loop of one thread: its tasks, the sockets they wait for, their timers.
//!
//! A worker serves its connections on one of these alone. Everything that one request makes happen stays on the
//! thread, so readiness is a plain cell and to wake a task is to put a number into a list: tokio's loop, which
//! can be woken from anywhere at any time, takes some two dozen atomic operations for the same request.
//!
//! Where a thread runs no such loop, sockets, timers and tasks are tokio's, with the same words for them. That is so
//! on the control thread, which has use for libraries that know tokio, and in tests.
//!
//! What tokio has apart from its runtime (channels, `Notify`, `select!`) works on both.

mod tasks;
mod timers;
mod watched;

mod epoll;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;

use self::{epoll::Epoll, tasks::Tasks, timers::Timers};

pub use timers::{Elapsed, Timer, sleep, sleep_until, timeout, timeout_at};
pub use watched::{Watched, Way};

/// Tasks that are polled before the system is asked again what has happened.
const ROUND: usize = 256;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Parts>>> = const { RefCell::new(None) };
    static LAST_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What a thread's loop consists of.
struct Parts {
    tasks: Tasks,
    epoll: Rc<Epoll>,
    timers: Rc<Timers>,
}

/// The loop of the thread that made it.
pub struct EventLoop(Rc<Parts>);

impl EventLoop {
    /// Fails where the system has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let epoll = Rc::new(Epoll::new()?);
        Ok(Self(Rc::new(Parts {
            tasks: Tasks::new(epoll.bell()),
            epoll,
            timers: Rc::default(),
        })))
    }

    /// Runs `work` to its end, and beside it whatever it spawns. Tasks that are left then are dropped.
    ///
    /// # Panics
    ///
    /// If the thread runs a loop already. A panic of a task ends that task alone.
    pub fn run(self, work: impl Future<Output = ()> + 'static) -> io::Result<()> {
        let parts = self.0;
        let _entered = Entered::new(Rc::clone(&parts));
        let over = Rc::new(Cell::new(false));
        let end = End(Rc::clone(&over));
        parts.tasks.spawn(Box::pin(async move {
            let _end = end;
            work.await;
        }));
        while !over.get() {
            let next = parts.timers.fire();
            let patience = match parts.tasks.any_ready() {
                true => Some(Duration::ZERO),
                false => next,
            };
            let far_calls = || parts.tasks.take_in_far_calls();
            parts.epoll.wait(patience, far_calls)?;
            LAST_LOOK.set(Some(Instant::now()));
            parts.tasks.run_round(ROUND);
        }
        Ok(())
    }
}

/// Tells that the loop's own work is over, however it ends.
struct End(Rc<Cell<bool>>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// While this lives, the thread's tasks, sockets and timers are those of a loop.
struct Entered(Rc<Parts>);

impl Entered {
    fn new(parts: Rc<Parts>) -> Self {
        CURRENT.with_borrow_mut(|current| {
            assert!(current.is_none(), "a thread runs one loop at a time");
            *current = Some(Rc::clone(&parts));
        });
        parts.tasks.enter();
        Self(parts)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Within the loop still: what tasks hold may look for it while it is dropped.
        self.0.tasks.drop_all();
        self.0.tasks.leave();
        CURRENT.set(None);
        LAST_LOOK.set(None);
    }
}

/// When the loop last asked the system what has happened: by then had arrived what a task was woken for, however
/// long the tasks before it took. It costs no look at the clock. Where the thread runs no such loop, it is now.
pub fn last_look() -> Instant {
    LAST_LOOK.get().unwrap_or_else(Instant::now)
}

/// The thread's own loop; none where the thread is tokio's.
fn own() -> Option<Rc<Parts>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Begins a task of this thread, which nobody waits for.
///
/// # Panics
///
/// If the thread runs neither a loop of its own nor one of tokio's for tasks that stay on it.
pub fn spawn_local(task: impl Future<Output = ()> + 'static) {
    match own() {
        Some(parts) => parts.tasks.spawn(Box::pin(task)),
        None => drop(tokio::task::spawn_local(task)),
    }
}

/// Lets the others go first, and the loop see what has arrived.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
