//! A count that may not pass a limit, shared by all workers: so many connections and no more.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

#[derive(Debug)]
pub struct Gate {
    open: AtomicUsize,
    most: AtomicUsize,
    waiting: AtomicUsize,
    room: Notify,
}

impl Gate {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
        })
    }

    /// How many are in.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many may be in; `None`: any number.
    pub fn most(&self) -> Option<usize> {
        match self.most.load(Ordering::Relaxed) {
            usize::MAX => None,
            most => Some(most),
        }
    }

    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::SeqCst);
        self.room.notify_waiters();
    }

    /// Waits until one more may come in, and counts it. Nobody is refused: clients wait in the kernel's
    /// backlog meanwhile.
    pub async fn admit(self: &Arc<Self>) -> Admission {
        if let Some(admission) = self.try_admit() {
            return admission;
        }
        let _waiting = Waiting::new(self);
        loop {
            let told = self.room.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            // Room may have been made before we could be told.
            if let Some(admission) = self.try_admit() {
                return admission;
            }
            told.await;
        }
    }

    fn try_admit(self: &Arc<Self>) -> Option<Admission> {
        let most = self.most.load(Ordering::SeqCst);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
                (open < most).then_some(open + 1)
            })
            .ok()?;
        Some(Admission(Arc::clone(self)))
    }
}

/// One that was let in. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Admission(Arc<Gate>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.room.notify_waiters();
        }
    }
}

struct Waiting<'a>(&'a Gate);

impl<'a> Waiting<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.waiting.fetch_add(1, Ordering::SeqCst);
        Self(gate)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_is_let_in_when_one_leaves() {
        let gate = Gate::new(1);
        let first = gate.admit().await;
        let (second, ()) = tokio::join!(gate.admit(), async {
            tokio::task::yield_now().await;
            assert_eq!(gate.count(), 1);
            drop(first);
        });
        drop(second);
        assert_eq!(gate.count(), 0);
    }

    #[tokio::test]
    async fn a_raised_limit_lets_those_who_wait_in() {
        let gate = Gate::new(0);
        let (admission, ()) = tokio::join!(gate.admit(), async {
            tokio::task::yield_now().await;
            gate.set_most(1);
        });
        drop(admission);
    }
}
