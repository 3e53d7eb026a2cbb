//! Active checks: asking a server at intervals whether it lives, and believing it only after a while.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    Server,
    probe::{CheckFailure, Passed, probe},
    standing::Hindrance,
};
use crate::config::{Check, Consequence};

/// What repeated checks say about a server. Counts, and knows no clock.
///
/// A server counts as up until its first check. That first check alone can take it down, whatever
/// `fall` says: nothing good is known of it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Unchecked,
    Up { failures: u32 },
    Down { successes: u32 },
}

/// A check changed what is believed of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    WentUp,
    WentDown,
}

impl Health {
    pub fn is_up(self) -> bool {
        !matches!(self, Self::Down { .. })
    }

    /// Takes the result of one check in.
    pub fn record(&mut self, passed: bool, fall: u32, rise: u32) -> Option<Transition> {
        let (next, transition) = match (*self, passed) {
            (Self::Unchecked | Self::Up { .. }, true) => (Self::Up { failures: 0 }, None),
            (Self::Unchecked, false) => (Self::Down { successes: 0 }, Some(Transition::WentDown)),
            (Self::Up { failures }, false) if failures + 1 >= fall => {
                (Self::Down { successes: 0 }, Some(Transition::WentDown))
            }
            (Self::Up { failures }, false) => (
                Self::Up {
                    failures: failures + 1,
                },
                None,
            ),
            (Self::Down { successes }, true) if successes + 1 >= rise => {
                (Self::Up { failures: 0 }, Some(Transition::WentUp))
            }
            (Self::Down { successes }, true) => (
                Self::Down {
                    successes: successes + 1,
                },
                None,
            ),
            (Self::Down { .. }, false) => (Self::Down { successes: 0 }, None),
        };
        *self = next;
        transition
    }
}

/// A check ended; told to whoever writes the log.
#[derive(Debug)]
pub struct CheckEvent<'a> {
    pub server: &'a Server,
    pub health: Health,
    pub transition: Option<Transition>,
    /// The status that was answered, or what went wrong.
    pub result: &'a Result<Passed, CheckFailure>,
    pub took: Duration,
}

impl Health {
    /// One more failed check takes it down.
    fn bring_to_the_brink(&mut self, fall: u32) {
        if let Self::Unchecked | Self::Up { .. } = self {
            *self = Self::Up {
                failures: fall.saturating_sub(1),
            };
        }
    }

    /// How long until the next check.
    fn interval(self, check: &Check) -> Duration {
        let special = match self {
            Self::Unchecked | Self::Up { failures: 0 } => None,
            Self::Down { successes: 0 } => check.down_interval,
            Self::Up { .. } | Self::Down { .. } => check.fast_interval,
        };
        special.unwrap_or(check.interval)
    }
}

/// Checks `server` for ever, the first time after `first`, and keeps its state true to it.
///
/// Starts from `health`, which is what a former generation knew. Drop the future to stop.
pub async fn watch(
    server: Arc<Server>,
    check: Check,
    health: Health,
    first: Duration,
    mut on_event: impl FnMut(CheckEvent<'_>),
) {
    let mut watched = Watched {
        place: server.state.pool_key(),
        next: Instant::now() + first,
        server,
        check,
        health,
    };
    loop {
        let alarm = tokio::select! {
            biased;
            () = watched.server.state.traffic().alarm() => true,
            () = sleep_until(watched.next) => false,
        };
        match alarm {
            true => watched.heed_traffic(&mut on_event),
            false => watched.look(&mut on_event).await,
        }
    }
}

/// A server that is being checked.
struct Watched {
    server: Arc<Server>,
    check: Check,
    health: Health,
    /// What stands for the address that `health` is about.
    place: u64,
    next: Instant,
}

impl Watched {
    async fn look(&mut self, on_event: &mut impl FnMut(CheckEvent<'_>)) {
        let key = self.server.state.pool_key();
        if key != self.place {
            // Another address is another server, of which nothing is known yet.
            (self.place, self.health) = (key, Health::Unchecked);
        }
        let start = Instant::now();
        if !self.server.state.has(Hindrance::Unresolved) {
            let result = probe(&self.server, &self.check).await;
            // If it moved meanwhile, what came out says nothing of where it is now.
            if self.server.state.pool_key() == self.place {
                let passed = result.is_ok();
                let transition = self.health.record(passed, self.check.fall, self.check.rise);
                self.report(transition, &result, start.elapsed(), on_event);
            }
        }
        // Checks keep their rhythm; one that took longer than the interval skips the turns it missed.
        let interval = self.health.interval(&self.check);
        while self.next <= Instant::now() {
            self.next += interval;
        }
    }

    /// The server's traffic has brought too many errors in a row.
    fn heed_traffic(&mut self, on_event: &mut impl FnMut(CheckEvent<'_>)) {
        let Some(observe) = self.server.observe else {
            return;
        };
        let soon = self.check.fast_interval.unwrap_or(self.check.interval);
        let transition = match observe.then {
            Consequence::FastInterval => None,
            Consequence::SuddenDeath => {
                self.health.bring_to_the_brink(self.check.fall);
                None
            }
            Consequence::FailCheck => self.health.record(false, self.check.fall, self.check.rise),
            Consequence::MarkDown => {
                let was_up = self.health.is_up();
                self.health = Health::Down { successes: 0 };
                was_up.then_some(Transition::WentDown)
            }
        };
        self.next = self.next.min(Instant::now() + soon);
        let result = Err(CheckFailure::Traffic(observe.errors));
        self.report(transition, &result, Duration::ZERO, on_event);
    }

    fn report(
        &mut self,
        transition: Option<Transition>,
        result: &Result<Passed, CheckFailure>,
        took: Duration,
        on_event: &mut impl FnMut(CheckEvent<'_>),
    ) {
        if transition.is_some() {
            self.server.state.set_up(self.health.is_up());
        }
        on_event(CheckEvent {
            server: &self.server,
            health: self.health,
            transition,
            result,
            took,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `+` (passed) and `-` (failed), answers with what is believed after each: U or D.
    fn believe(fall: u32, rise: u32, results: &str) -> String {
        let mut health = Health::Unchecked;
        results
            .chars()
            .map(|result| {
                health.record(result == '+', fall, rise);
                if health.is_up() { 'U' } else { 'D' }
            })
            .collect()
    }

    #[test]
    fn the_first_check_alone_takes_a_server_down() {
        assert_eq!(believe(3, 2, "-++"), "DDU");
    }

    #[test]
    fn a_blip_is_forgiven_and_fall_failures_in_a_row_are_not() {
        assert_eq!(believe(3, 2, "+--+---"), "UUUUUUD");
    }

    #[test]
    fn fall_1_rise_5_leaves_at_once_and_comes_back_after_five() {
        assert_eq!(believe(1, 5, "+-+++++"), "UDDDDDU");
    }

    #[test]
    fn at_the_brink_one_failure_is_enough() {
        let mut health = Health::Up { failures: 0 };
        health.bring_to_the_brink(3);
        assert_eq!(health.record(false, 3, 2), Some(Transition::WentDown));
        health.bring_to_the_brink(3);
        assert!(!health.is_up(), "who is down stays down");
    }

    #[test]
    fn a_failure_on_the_way_up_starts_over() {
        assert_eq!(believe(1, 2, "-+-++"), "DDDDU");
    }
}
