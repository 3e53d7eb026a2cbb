//! Room in a backend as a whole: so many exchanges at a time and no more, and a queue in the order they
//! came.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::QueueError;
use crate::event_loop::timeout_at;

/// How many may be in, who waits, and how the number changes with the configuration.
#[derive(Debug)]
pub struct Room {
    permits: Arc<Semaphore>,
    size: Mutex<usize>,
    /// Permits that are out and must not come back, since there is less room now.
    surplus: Arc<AtomicUsize>,
    waiting: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            size: Mutex::default(),
            surplus: Arc::default(),
            waiting: AtomicUsize::new(0),
        }
    }
}

/// The right to be in. Dropping it lets the next one in.
#[derive(Debug)]
pub struct InRoom {
    permit: Option<OwnedSemaphorePermit>,
    surplus: Arc<AtomicUsize>,
}

impl Drop for InRoom {
    fn drop(&mut self) {
        let pay_back = |surplus: usize| surplus.checked_sub(1);
        let paid = self
            .surplus
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, pay_back);
        if let (Ok(_), Some(permit)) = (paid, self.permit.take()) {
            permit.forget();
        }
    }
}

impl Room {
    /// From now on there is room for so many. Those that are in stay.
    pub fn set_size(&self, new: usize) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *size, new);
        if new < old {
            let forgotten = self.permits.forget_permits(old - new);
            self.surplus
                .fetch_add(old - new - forgotten, Ordering::SeqCst);
            return;
        }
        let mut more = new - old;
        while more > 0
            && self
                .surplus
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |s| s.checked_sub(1))
                .is_ok()
        {
            more -= 1;
        }
        self.permits.add_permits(more);
    }

    /// Exchanges that wait outside.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Comes in if there is room and nobody waits.
    pub fn try_enter(&self) -> Option<InRoom> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(self.inside(permit))
    }

    /// Waits until `deadline` behind at most `most` others.
    pub async fn enter(&self, most: usize, deadline: Instant) -> Result<InRoom, QueueError> {
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waits = Waits(&self.waiting);
        if before >= most {
            return Err(QueueError::Full);
        }
        let permit = Arc::clone(&self.permits).acquire_owned();
        match timeout_at(deadline, permit).await {
            Ok(Ok(permit)) => Ok(self.inside(permit)),
            // Nobody closes the semaphore.
            Ok(Err(_)) => Err(QueueError::SentElsewhere),
            Err(_elapsed) => Err(QueueError::TimedOut),
        }
    }

    fn inside(&self, permit: OwnedSemaphorePermit) -> InRoom {
        InRoom {
            permit: Some(permit),
            surplus: Arc::clone(&self.surplus),
        }
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longest_is_let_in_first() {
        let room = Room::default();
        room.set_size(1);
        let first = room.try_enter().unwrap();
        assert!(room.try_enter().is_none());
        let order = Mutex::new(Vec::new());
        let wait = async |name: &'static str| {
            let inside = room.enter(10, soon()).await.unwrap();
            order.lock().unwrap().push(name);
            drop(inside);
        };
        tokio::join!(wait("second"), wait("third"), async {
            tokio::task::yield_now().await;
            assert_eq!(room.waiting(), 2);
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), ["second", "third"]);
        assert_eq!(room.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_and_so_does_the_patience_of_the_queue() {
        let room = Room::default();
        room.set_size(1);
        let _inside = room.try_enter().unwrap();
        assert_eq!(room.enter(0, soon()).await.unwrap_err(), QueueError::Full);
        let error = room.enter(1, soon()).await.unwrap_err();
        assert_eq!(error, QueueError::TimedOut);
    }

    #[test]
    fn less_room_counts_once_those_that_are_in_have_left() {
        let room = Room::default();
        room.set_size(3);
        let inside: Vec<_> = (0..3).map(|_| room.try_enter().unwrap()).collect();
        room.set_size(1);
        drop(inside);
        let one = room.try_enter().unwrap();
        assert!(room.try_enter().is_none());
        room.set_size(2);
        let two = room.try_enter().unwrap();
        assert!(room.try_enter().is_none());
        drop((one, two));
        room.set_size(1);
        assert!(room.try_enter().is_some());
    }
}
