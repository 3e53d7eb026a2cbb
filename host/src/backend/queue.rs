//! Who waits for a place on a server, in the order they came.
//!
//! The lock here is taken only when somebody waits; an exchange that finds a place never sees it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::oneshot, time::Instant};

use super::{backend_state::BackendState, place::Place, server_state::ServerState};
use crate::event_loop::timeout_at;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    #[error("the queue is full")]
    Full,
    #[error("no place became free in time")]
    TimedOut,
    /// A server it waited for went down; the exchange should choose again.
    #[error("the server it waited for went down")]
    SentElsewhere,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    waiters: Mutex<VecDeque<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    /// Keys and limits of the servers it takes a place on.
    wanted: Vec<(u64, u32)>,
    place: oneshot::Sender<Place>,
}

impl Waiter {
    fn limit_for(&self, key: u64) -> Option<u32> {
        let wanted = self.wanted.iter().find(|(wanted, _)| *wanted == key);
        wanted.map(|(_, limit)| *limit)
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiter>> {
        // Nothing panics while the lock is held; if something did, the list is still a list.
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place that is still counted as taken to the first who wants it. False if nobody does.
    pub(super) fn hand_over(&self, server: &Arc<ServerState>) -> bool {
        if !server.is_up() {
            return false;
        }
        // Beyond the limit if that was lowered meanwhile: then the place goes.
        let wants = |waiter: &Waiter| {
            let limit = waiter.limit_for(server.key());
            limit.is_some_and(|limit| server.active() <= limit)
        };
        let Some(waiter) = self.remove_first(wants) else {
            return false;
        };
        // If the waiter has just given up, the place comes back, and dropping it hands it on.
        drop(waiter.place.send(server.placed()));
        true
    }

    /// A place is free and nobody took it: lets a waiter that came too late to be handed one try.
    pub(super) fn offer_again(&self, server: &Arc<ServerState>) {
        if !server.is_up() {
            return;
        }
        let limit = self
            .lock()
            .iter()
            .find_map(|waiter| waiter.limit_for(server.key()));
        if let Some(limit) = limit {
            // Dropping the place hands it over.
            drop(server.take_place(Some(limit)));
        }
    }

    /// Everybody who might have been given that server chooses again, since it may have been the last.
    pub(super) fn send_elsewhere(&self, key: u64) {
        while self
            .remove_first(|waiter| waiter.limit_for(key).is_some())
            .is_some()
        {}
    }

    fn remove_first(&self, matches: impl Fn(&Waiter) -> bool) -> Option<Waiter> {
        let mut waiters = self.lock();
        let position = waiters.iter().position(matches)?;
        let waiter = waiters.remove(position)?;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        Some(waiter)
    }

    /// Drops entries whose owner gave up.
    fn remove_abandoned(&self) {
        while self
            .remove_first(|waiter| waiter.place.is_closed())
            .is_some()
        {}
    }

    fn join(
        &self,
        wanted: Vec<(u64, u32)>,
        most: usize,
    ) -> Result<oneshot::Receiver<Place>, QueueError> {
        let (sender, place) = oneshot::channel();
        let mut waiters = self.lock();
        if waiters.len() >= most {
            return Err(QueueError::Full);
        }
        waiters.push_back(Waiter {
            wanted,
            place: sender,
        });
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Ok(place)
    }
}

impl BackendState {
    /// Waits until `deadline` for a place on one of `servers`, each given with its limit, behind at
    /// most `most` others.
    ///
    /// Dropping the future leaves the queue.
    pub async fn wait_for_place(
        &self,
        servers: &[(Arc<ServerState>, u32)],
        most: usize,
        deadline: Instant,
    ) -> Result<Place, QueueError> {
        let wanted = servers
            .iter()
            .map(|(server, limit)| (server.key(), *limit))
            .collect();
        let place = self.queue.join(wanted, most)?;
        let _waiting = Waiting::new(self, servers);
        // A place may have become free before we stood in the queue; dropping it hands it to the
        // first in the queue, which may be us.
        for (server, limit) in servers {
            drop(server.take_place(Some(*limit)));
        }
        match timeout_at(deadline, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_sender_dropped)) => Err(QueueError::SentElsewhere),
            Err(_elapsed) => Err(QueueError::TimedOut),
        }
    }
}

/// Counts a wait, and cleans the queue up when it ends, however it ends.
struct Waiting<'a> {
    backend: &'a BackendState,
    /// Set when it waits for one server and no other.
    only: Option<&'a ServerState>,
}

impl<'a> Waiting<'a> {
    fn new(backend: &'a BackendState, servers: &'a [(Arc<ServerState>, u32)]) -> Self {
        let only = match servers {
            [(server, _)] => Some(&**server),
            _ => None,
        };
        if let Some(server) = only {
            server.join_queue();
        }
        Self { backend, only }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.only {
            server.leave_queue();
        }
        if !self.backend.queue.is_empty() {
            self.backend.queue.remove_abandoned();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::BackendName;

    struct Two {
        backend: Arc<BackendState>,
        a: Arc<ServerState>,
        b: Arc<ServerState>,
    }

    impl Two {
        fn new() -> Self {
            let backend = BackendState::new(BackendName::new("b"));
            let a = ServerState::new(Arc::clone(&backend));
            let b = ServerState::new(Arc::clone(&backend));
            Self { backend, a, b }
        }

        async fn wait_for_a(&self, most: usize) -> Result<Place, QueueError> {
            let a = [(Arc::clone(&self.a), 1)];
            self.backend.wait_for_place(&a, most, soon()).await
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test(start_paused = true)]
    async fn a_freed_place_goes_to_the_first_who_waits_for_that_server() {
        let two = Two::new();
        let on_a = two.a.take_place(Some(1)).unwrap();
        let _on_b = two.b.take_place(Some(1)).unwrap();
        let (got, ()) = tokio::join!(two.wait_for_a(10), async {
            tokio::task::yield_now().await;
            assert_eq!((two.backend.queued(), two.a.queued()), (1, 1));
            drop(on_a);
        });
        let got = got.unwrap();
        assert_eq!(got.server().key(), two.a.key());
        assert_eq!((two.backend.queued(), two.a.queued()), (0, 0));
        assert_eq!(two.a.active(), 1);
        drop(got);
        assert_eq!(two.a.active(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_any_server_gets_the_one_that_is_free_first() {
        let two = Two::new();
        let _on_a = two.a.take_place(Some(1)).unwrap();
        let on_b = two.b.take_place(Some(1)).unwrap();
        let servers = [(Arc::clone(&two.a), 1), (Arc::clone(&two.b), 1)];
        let (got, ()) = tokio::join!(two.backend.wait_for_place(&servers, 10, soon()), async {
            tokio::task::yield_now().await;
            drop(on_b);
        });
        assert_eq!(got.unwrap().server().key(), two.b.key());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_deadline_and_leaves_nothing_behind() {
        let two = Two::new();
        let held = two.a.take_place(Some(1)).unwrap();
        assert_eq!(two.wait_for_a(10).await.unwrap_err(), QueueError::TimedOut);
        assert_eq!(two.backend.queued(), 0);
        drop(held);
        assert_eq!(two.a.active(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_takes_nobody() {
        let two = Two::new();
        let _held = two.a.take_place(Some(1)).unwrap();
        assert_eq!(two.wait_for_a(0).await.unwrap_err(), QueueError::Full);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_for_a_server_that_goes_down_are_sent_elsewhere() {
        let two = Two::new();
        let _held = two.a.take_place(Some(1)).unwrap();
        let (got, ()) = tokio::join!(two.wait_for_a(10), async {
            tokio::task::yield_now().await;
            two.a.set_up(false);
        });
        assert_eq!(got.unwrap_err(), QueueError::SentElsewhere);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_free_already_is_taken_without_waiting() {
        let two = Two::new();
        let got = two.wait_for_a(10).await.unwrap();
        assert_eq!(got.server().key(), two.a.key());
        assert_eq!(two.a.active(), 1);
    }
}
