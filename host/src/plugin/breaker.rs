//! Quarantine: a plugin that keeps failing isn't called for a while, then tried once.
//!
//! It is for plugins that are broken, and for those that keep a worker busy. A plugin that fails at some
//! requests and answers the others is left alone as long as that is cheap: else whoever finds a request that
//! it fails at could have it fail for everybody.
//!
//! Has no clock of its own; whoever calls says what time it is.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// When a use is quarantined, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// So many failures ...
    pub failures: usize,
    /// ... within this time are too many.
    pub window: Duration,
    /// The first quarantine; each that follows is twice as long ...
    pub first_pause: Duration,
    /// ... up to this. A use that went well for that long starts again with the first.
    pub longest_pause: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// The breaker of one plugin use, shared by all workers. While all is well a call costs one look at an
/// atomic.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    /// Whether `state` is anything but `Closed`.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed {
        /// The last failures, oldest first; at most as many as are too many. When, and how many calls had been
        /// answered by then.
        failures: VecDeque<(Instant, u64)>,
        /// The quarantine that it came out of, and when.
        last: Option<(Duration, Instant)>,
    },
    Quarantined {
        pause: Duration,
        until: Instant,
    },
    /// One call is being made. If nothing is heard of it by then, another may be.
    Trial {
        pause: Duration,
        until: Instant,
    },
}

/// What a failure cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Its own request.
    Own,
    /// The time of all that wait for the same worker.
    Time,
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Call,
    /// This one call decides whether the quarantine ends.
    Trial,
    Quarantined {
        until: Instant,
    },
}

/// A turn worth a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Quarantined { pause: Duration },
    Recovered,
}

impl Breaker {
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            open: AtomicBool::new(false),
            state: Mutex::new(State::Closed {
                failures: VecDeque::new(),
                last: None,
            }),
        }
    }

    /// Asks before a call. What becomes of an admitted call is reported with [`succeeded`](Self::succeeded)
    /// or [`failed`](Self::failed).
    pub fn admit(&self, now: Instant) -> Admission {
        if !self.open.load(Ordering::Relaxed) {
            return Admission::Call;
        }
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Admission::Call,
            State::Quarantined { until, .. } | State::Trial { until, .. } if now < until => {
                Admission::Quarantined { until }
            }
            State::Quarantined { pause, .. } | State::Trial { pause, .. } => {
                *state = State::Trial {
                    pause,
                    until: now + self.rules.first_pause,
                };
                Admission::Trial
            }
        }
    }

    pub fn succeeded(&self, now: Instant) -> Option<Turn> {
        if !self.open.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        // A late answer to a call from before the quarantine proves nothing.
        let State::Trial { pause, .. } = *state else {
            return None;
        };
        *state = State::Closed {
            failures: VecDeque::new(),
            last: Some((pause, now)),
        };
        self.open.store(false, Ordering::Relaxed);
        Some(Turn::Recovered)
    }

    /// Whether calls are held back now, a trial aside.
    pub fn is_quarantined(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// A call failed. `answered` counts those that did not, from any time on.
    pub fn failed(&self, now: Instant, cost: Cost, answered: u64) -> Option<Turn> {
        let rules = self.rules;
        let mut state = self.lock();
        let pause = match &mut *state {
            State::Quarantined { .. } => return None,
            State::Trial { pause, .. } => (*pause * 2).min(rules.longest_pause),
            State::Closed { failures, last } => {
                failures.push_back((now, answered));
                let recent =
                    |(failure, _): &(Instant, u64)| now.duration_since(*failure) <= rules.window;
                while failures.len() > rules.failures
                    || failures.front().is_some_and(|oldest| !recent(oldest))
                {
                    failures.pop_front();
                }
                let before = failures.front().map_or(answered, |(_, answered)| *answered);
                let mostly_well = answered.saturating_sub(before) > failures.len() as u64;
                if failures.len() < rules.failures || (cost == Cost::Own && mostly_well) {
                    return None;
                }
                match *last {
                    Some((pause, since)) if now.duration_since(since) < rules.longest_pause => {
                        (pause * 2).min(rules.longest_pause)
                    }
                    Some(_) | None => rules.first_pause,
                }
            }
        };
        *state = State::Quarantined {
            pause,
            until: now + pause,
        };
        self.open.store(true, Ordering::Relaxed);
        Some(Turn::Quarantined { pause })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules {
        failures: 3,
        window: Duration::from_secs(10),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(4),
    };

    fn quarantined(seconds: u64) -> Option<Turn> {
        Some(Turn::Quarantined {
            pause: Duration::from_secs(seconds),
        })
    }

    /// A breaker that has just opened for the first time, and what time it is.
    fn opened() -> (Breaker, Instant) {
        let breaker = Breaker::new(RULES);
        let now = Instant::now();
        assert_eq!(breaker.failed(now, Cost::Own, 0), None);
        assert_eq!(breaker.failed(now, Cost::Own, 0), None);
        assert_eq!(breaker.failed(now, Cost::Own, 0), quarantined(1));
        (breaker, now)
    }

    #[test]
    fn failures_far_apart_are_borne() {
        let breaker = Breaker::new(RULES);
        let mut now = Instant::now();
        for _ in 0..20 {
            now += Duration::from_secs(6);
            assert_eq!(breaker.failed(now, Cost::Own, 0), None);
            assert_eq!(breaker.admit(now), Admission::Call);
        }
    }

    #[test]
    fn cheap_failures_among_many_answers_are_borne() {
        for (cost, answers, expected) in [
            (Cost::Own, 2, None),
            (Cost::Own, 1, quarantined(1)),
            (Cost::Time, 1_000, quarantined(1)),
        ] {
            let breaker = Breaker::new(RULES);
            let now = Instant::now();
            for failure in 0..2 {
                assert_eq!(breaker.failed(now, cost, failure * answers), None);
            }
            assert_eq!(breaker.failed(now, cost, 2 * answers), expected);
        }
    }

    #[test]
    fn what_went_well_before_does_not_excuse_what_fails_now() {
        let breaker = Breaker::new(RULES);
        let now = Instant::now();
        for answered in [0, 50, 100, 100] {
            assert_eq!(breaker.failed(now, Cost::Own, answered), None);
        }
        assert_eq!(breaker.failed(now, Cost::Own, 100), quarantined(1));
    }

    #[test]
    fn too_many_failures_end_in_quarantine_and_one_trial() {
        let (breaker, now) = opened();
        let until = now + Duration::from_secs(1);
        let early = until - Duration::from_millis(1);
        assert_eq!(breaker.admit(early), Admission::Quarantined { until });
        assert_eq!(breaker.admit(until), Admission::Trial);
        assert!(matches!(
            breaker.admit(until),
            Admission::Quarantined { .. }
        ));
    }

    #[test]
    fn a_trial_that_succeeds_ends_it() {
        let (breaker, now) = opened();
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.succeeded(now), None, "an answer from before");
        assert_eq!(breaker.admit(later), Admission::Trial);
        assert_eq!(breaker.succeeded(later), Some(Turn::Recovered));
        assert_eq!(breaker.admit(later), Admission::Call);
        assert_eq!(breaker.failed(later, Cost::Own, 0), None, "counted anew");
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_the_longest() {
        let (breaker, mut now) = opened();
        for (pause, next) in [(1, 2), (2, 4), (4, 4)] {
            now += Duration::from_secs(pause);
            assert_eq!(breaker.admit(now), Admission::Trial);
            assert_eq!(breaker.failed(now, Cost::Own, 0), quarantined(next));
        }
    }

    #[test]
    fn a_relapse_goes_on_where_it_was_and_long_health_forgets() {
        for (healthy, pause) in [(3, 2), (5, 1)] {
            let (breaker, now) = opened();
            let recovered = now + Duration::from_secs(1);
            breaker.admit(recovered);
            breaker.succeeded(recovered);
            let relapse = recovered + Duration::from_secs(healthy);
            breaker.failed(relapse, Cost::Own, 0);
            breaker.failed(relapse, Cost::Own, 0);
            assert_eq!(breaker.failed(relapse, Cost::Own, 0), quarantined(pause));
        }
    }

    #[test]
    fn a_trial_that_nobody_reports_on_does_not_block_for_ever() {
        let (breaker, now) = opened();
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.admit(later), Admission::Trial);
        assert_eq!(breaker.admit(later + RULES.first_pause), Admission::Trial);
    }
}
