//! The thread that moves the engine's clock, by which calls end that take too long. It rests while nobody
//! calls: a proxy without traffic wakes no CPU a thousand times a second.

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

/// A step of the clock. Shorter deadlines are as long as one step.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// How many times longer than a wait of the thread the shortest call is. So much longer a call may last than its
/// deadline, in the worst case; to wake up for each step would cost more than the calls themselves.
const FINENESS: u64 = 8;
/// Steps between two looks at whether anybody calls. More often, and the callers' CPUs would fight over it.
const LOOK: u64 = 64;

/// Moves the clock until it is dropped.
#[derive(Debug)]
pub(super) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Steps that the longest call may take.
    longest: AtomicU64,
    /// Steps that the shortest one may take since the thread last looked; 0 if there was none.
    shortest: AtomicU64,
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

    /// Steps after which a call has certainly had its deadline, of which the first may come at once and with
    /// others. Seven weeks are as good as for ever.
    pub(super) fn steps(deadline: Duration) -> u64 {
        let steps = deadline.as_nanos().div_ceil(TICK.as_nanos());
        let steps = u64::from(u32::try_from(steps).unwrap_or(u32::MAX));
        steps + (steps / FINENESS).clamp(1, LOOK)
    }

    /// A call begins that may take so many steps. The clock goes on at least that long.
    pub(super) fn watch(&self, steps: u64) {
        let shared = &*self.0;
        let shortest = shared.shortest.load(Ordering::Relaxed);
        if shortest > steps || shortest == 0 {
            // Two that come at once may leave the longer one for a while.
            shared.shortest.store(steps, Ordering::Relaxed);
        }
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
        let mut since_look = 0;
        let mut stride = 1;
        while !self.ends_within(stride) {
            // As many steps per wake-up as it was to take, even if it comes late: on an overloaded machine
            // plugins got no CPU in that time either, and shouldn't be blamed for it.
            for _ in 0..stride {
                engine.increment_epoch();
            }
            since_look += stride;
            if since_look < LOOK {
                if let shortest @ 1.. = self.shortest.load(Ordering::Relaxed) {
                    stride = stride.min(stride_for(shortest));
                }
                continue;
            }
            if let shortest @ 1.. = self.shortest.swap(0, Ordering::Relaxed) {
                stride = stride_for(shortest);
            }
            quiet = match self.called.swap(false, Ordering::SeqCst) {
                true => 0,
                false => quiet + since_look,
            };
            since_look = 0;
            // Whoever was seen last began before that look, so its time is over.
            if quiet > self.longest.load(Ordering::Relaxed) {
                self.rest();
                quiet = 0;
                stride = 1;
            }
        }
    }

    fn ends_within(&self, steps: u64) -> bool {
        let ended = self.lock();
        let limit = TICK.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        let waited = self.wake.wait_timeout_while(ended, limit, |ended| !*ended);
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

/// How many steps to take at once so that no deadline is overrun by more than [`Ticker::steps`] allows for, if
/// the shortest call may take so many.
fn stride_for(shortest: u64) -> u64 {
    (shortest / (FINENESS + 1)).clamp(1, LOOK)
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
    fn a_deadline_is_never_cut_short() {
        assert_eq!(Ticker::steps(Duration::from_millis(10)), 11);
        assert_eq!(Ticker::steps(Duration::from_micros(10_001)), 12);
        assert_eq!(Ticker::steps(Duration::from_millis(100)), 112);
        assert_eq!(Ticker::steps(Duration::ZERO), 1);
        assert_eq!(Ticker::steps(Duration::from_secs(60)), 60_064);
        assert!(Ticker::steps(Duration::MAX) > 1 << 31);
    }

    #[test]
    fn steps_are_taken_at_once_as_far_as_deadlines_allow() {
        for deadline in [1, 2, 7, 8, 9, 16, 20, 63, 100, 512, 1_000, 60_000] {
            let steps = Ticker::steps(Duration::from_millis(deadline));
            assert!(deadline + stride_for(steps) <= steps, "{deadline}");
        }
        assert_eq!(stride_for(Ticker::steps(Duration::from_millis(100))), 12);
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
