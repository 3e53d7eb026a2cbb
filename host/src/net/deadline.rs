//! One timer per connection, moved often and armed seldom.
//!
//! Every phase of an exchange has its own time limit, so the limit moves several times per request.
//! Re-arming tokio's timer each time costs more than parsing the request. So the timer is left armed
//! at the earliest time it was ever asked for; when it fires early, it is armed again for the real one.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A point in time that can be moved cheaply and waited for beside something else.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    armed: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Deadline {
    /// Never expires until it is set.
    pub fn new() -> Self {
        Self {
            at: far_future(Instant::now()),
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
        match &mut self.armed {
            Some((armed, sleep)) if self.at < *armed => {
                sleep.as_mut().reset(self.at);
                *armed = self.at;
            }
            Some(_) => {}
            None => self.armed = Some((self.at, Box::pin(sleep_until(self.at)))),
        }
        let Some((armed, sleep)) = &mut self.armed else {
            return Poll::Pending;
        };
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.at);
            *armed = self.at;
        }
        Poll::Pending
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
    use std::future::poll_fn;

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
}
