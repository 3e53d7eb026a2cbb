//! The thread that moves the engine's clock, by which calls end that take too long. It rests while nobody
//! calls: a proxy without traffic wakes no CPU hundreds of times a second.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use wasmtime::Engine;

use super::error::RuntimeError;

/// A step of the clock. Shorter deadlines are as long as one step. At one millisecond the steps alone took 1 % of
/// the CPU of a proxy under load, since each wakes a thread and puts another aside.
pub(super) const TICK: Duration = Duration::from_millis(4);
/// Steps between two looks at whether anybody calls. More often, and the callers' CPUs would fight over it.
const LOOK: u64 = 16;

/// Moves the clock until it is dropped.
#[derive(Debug)]
pub(super) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Steps that the longest call may take.
    longest: AtomicU64,
    /// Somebody has called since the thread last looked.
    called: AtomicBool,
    resting: AtomicBool,
    ended: Mutex<bool>,
    wake: Condvar,
}

impl Ticker {
    pub(super) fn start(engine: Engine) -> Result<Self, RuntimeError> {
        let shared = Arc::new(Shared::default());
        let running = Arc::clone(&shared);
        thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || running.run(&engine))
            .map_err(|source| RuntimeError::Ticker { source })?;
        Ok(Self(shared))
    }

    /// A call begins that may take so many steps. The clock goes on at least that long.
    pub(super) fn watch(&self, steps: u64) {
        let shared = &*self.0;
        if shared.longest.load(Ordering::Relaxed) < steps {
            shared.longest.fetch_max(steps, Ordering::Relaxed);
        }
        if !shared.called.load(Ordering::Relaxed) {
            shared.stir();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.0.lock() = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that somebody calls. Either the thread sees that before it rests, or this sees that it rests.
    #[cold]
    fn stir(&self) {
        self.called.store(true, Ordering::SeqCst);
        if self.resting.load(Ordering::SeqCst) {
            let _ended = self.lock();
            self.wake.notify_one();
        }
    }

    fn run(&self, engine: &Engine) {
        // Since somebody was last seen to call.
        let mut quiet = 0;
        let mut steps = 0;
        while !self.ends_within_a_step() {
            // One step per wake-up, even if it comes late: on an overloaded machine plugins got no CPU in
            // that time either, and shouldn't be blamed for it.
            engine.increment_epoch();
            steps += 1;
            if steps % LOOK != 0 {
                continue;
            }
            quiet = match self.called.swap(false, Ordering::SeqCst) {
                true => 0,
                false => quiet + LOOK,
            };
            // Whoever was seen last began before that look, so its time is over.
            if quiet > self.longest.load(Ordering::Relaxed) {
                self.rest();
                quiet = 0;
            }
        }
    }

    fn ends_within_a_step(&self) -> bool {
        let ended = self.lock();
        let waited = self.wake.wait_timeout_while(ended, TICK, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until somebody calls, or this is the end.
    fn rest(&self) {
        let ended = self.lock();
        self.resting.store(true, Ordering::SeqCst);
        let waited = self.wake.wait_while(ended, |ended| {
            !*ended && !self.called.load(Ordering::SeqCst)
        });
        drop(waited);
        self.resting.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn eventually(what: &str, happened: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !happened() {
            assert!(Instant::now() < deadline, "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn the_clock_rests_while_nobody_calls_and_goes_on_when_somebody_does() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let rests = || ticker.0.resting.load(Ordering::SeqCst);
        for _ in 0..3 {
            eventually("it rests", rests);
            ticker.watch(5);
            eventually("it goes on", || !rests());
        }
    }

    #[test]
    fn a_call_that_takes_long_keeps_the_clock_going() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let begun = Instant::now();
        ticker.watch(300);
        eventually("it rests in the end", || {
            ticker.0.resting.load(Ordering::SeqCst)
        });
        assert!(begun.elapsed() >= TICK * 300, "{:?}", begun.elapsed());
    }
}
