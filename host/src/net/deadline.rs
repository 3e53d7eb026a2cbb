//! One timer per connection, moved often and armed seldom.
//!
//! Every phase of an exchange has its own time limit, so the limit moves several times per request.
//! Re-arming a timer each time costs more than parsing the request. So the timer is left armed
//! at the earliest time it was ever asked for; when it fires early, it is armed again for the real one.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use crate::event_loop::{Timer, last_look};

/// A point in time that can be moved cheaply and waited for beside something else.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    at: Instant,
    timer: Timer,
}

impl Deadline {
    /// Never expires until it is set.
    pub fn new() -> Self {
        Self {
            at: far_future(last_look()),
            armed: None,
        }
    }

    /// Expires `limit` after `now`; a limit too far away to compute never does.
    pub fn set(&mut self, now: Instant, limit: Duration) {
        self.at = now.checked_add(limit).unwrap_or_else(|| far_future(now));
    }

    pub fn set_at(&mut self, at: Instant) {
        self.at = at;
    }

    pub fn at(&self) -> Instant {
        self.at
    }

    /// Ready once the deadline has passed. Registers the task to be woken then.
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let armed = self.armed.get_or_insert_with(|| Armed {
            at,
            timer: Timer::new(at),
        });
        if at < armed.at {
            armed.rearm(at);
        }
        loop {
            if armed.timer.poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            armed.rearm(at);
        }
    }
}

impl Armed {
    fn rearm(&mut self, at: Instant) {
        self.timer.reset(at);
        self.at = at;
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

fn far_future(now: Instant) -> Instant {
    now + Duration::from_secs(86_400 * 365)
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_was_moved_away_does_not_fire_at_the_old_time() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        deadline.set(start, Duration::from_secs(1));
        poll_fn(|cx| {
            assert!(deadline.poll_expired(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        deadline.set(start, Duration::from_secs(5));
        poll_fn(|cx| deadline.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_was_moved_nearer_fires_at_the_new_time() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        deadline.set(start, Duration::from_secs(60));
        poll_fn(|cx| {
            assert!(deadline.poll_expired(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        deadline.set(start, Duration::from_secs(2));
        poll_fn(|cx| deadline.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_fired_early_and_was_moved_nearer_before_anybody_looked_still_fires() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        deadline.set(start, Duration::from_secs(2));
        let pending = |deadline: &mut Deadline, cx: &mut Context<'_>| {
            assert!(deadline.poll_expired(cx).is_pending());
            Poll::Ready(())
        };
        poll_fn(|cx| pending(&mut deadline, cx)).await;
        deadline.set(start, Duration::from_secs(9));
        poll_fn(|cx| pending(&mut deadline, cx)).await;
        // The timer goes off meanwhile, and is armed for the ninth second.
        tokio::time::sleep(Duration::from_secs(3)).await;
        poll_fn(|cx| pending(&mut deadline, cx)).await;
        deadline.set(start, Duration::from_secs(5));
        poll_fn(|cx| deadline.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_wakes_the_task_that_asked_last() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        deadline.set(start, Duration::from_secs(1));
        let mut elsewhere = Context::from_waker(Waker::noop());
        assert!(deadline.poll_expired(&mut elsewhere).is_pending());
        poll_fn(|cx| deadline.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
