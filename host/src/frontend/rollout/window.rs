//! What happened to a new version lately, counted without a lock.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::Event;
use crate::{config::GiveUp, model::Share};

/// A limit that was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    what: &'static str,
    count: u64,
    calls: u64,
    limit: Share,
    window: Duration,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            count,
            calls,
            limit,
            window,
        } = self;
        write!(
            f,
            "{count} {what} in {calls} calls within {window:?}, and {limit} is the limit"
        )
    }
}

/// Parts of the window; the oldest of them is forgotten as a whole.
const SLICES: u64 = 8;

/// Counts of a while that moves along. A worker that adds in the moment in which another begins a new part may
/// have its count lost, which is the price of having no lock.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    /// Nanoseconds of a part.
    part: u128,
    slices: [Slice; SLICES as usize],
}

#[derive(Debug, Default)]
struct Slice {
    /// Counts from 1 when the window began; 0 has not been used.
    number: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    late: AtomicU64,
    disagreements: AtomicU64,
}

impl Slice {
    fn of(&self, event: Event) -> Option<&AtomicU64> {
        match event {
            Event::Answered => None,
            Event::Failed => Some(&self.failures),
            Event::Late => Some(&self.late),
            Event::Disagreed => Some(&self.disagreements),
        }
    }

    fn begin(&self) {
        for count in [&self.calls, &self.failures, &self.late, &self.disagreements] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

impl Window {
    pub fn new(length: Duration, began: Instant) -> Self {
        Self {
            began,
            part: (length.as_nanos() / u128::from(SLICES)).max(1),
            slices: std::array::from_fn(|_| Slice::default()),
        }
    }

    pub fn add(&self, event: Event, now: Instant) {
        let number = self.number(now);
        let slice = &self.slices[(number % SLICES) as usize];
        let known = slice.number.load(Ordering::Acquire);
        if known < number {
            let begun =
                slice
                    .number
                    .compare_exchange(known, number, Ordering::AcqRel, Ordering::Relaxed);
            if begun.is_ok() {
                slice.begin();
            }
        }
        if event != Event::Disagreed {
            slice.calls.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(count) = slice.of(event) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The limit that is passed now, if one is.
    ///
    /// Fewer calls than `at_least` are reckoned as so many, so one failure of two calls is not half of them; and
    /// a version that fails all the time is given up long before it had that many.
    pub fn excess(&self, limits: &GiveUp, now: Instant) -> Option<Excess> {
        let calls = self.sum(now, |slice| &slice.calls);
        let of = calls.max(limits.at_least);
        let found = [
            (
                "failures",
                Some(limits.failures),
                self.sum(now, |slice| &slice.failures),
            ),
            (
                "missed deadlines",
                Some(limits.deadlines),
                self.sum(now, |slice| &slice.late),
            ),
            (
                "disagreements",
                limits.disagreements,
                self.sum(now, |slice| &slice.disagreements),
            ),
        ];
        found.into_iter().find_map(|(what, limit, count)| {
            let limit = limit?;
            limit.is_exceeded(count, of).then_some(Excess {
                what,
                count,
                calls,
                limit,
                window: limits.window,
            })
        })
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.slices.iter().for_each(Slice::begin);
    }

    fn sum(&self, now: Instant, count: impl Fn(&Slice) -> &AtomicU64) -> u64 {
        let number = self.number(now);
        let recent = |slice: &&Slice| {
            let known = slice.number.load(Ordering::Acquire);
            known > 0 && known + SLICES > number
        };
        let recent = self.slices.iter().filter(recent);
        recent
            .map(|slice| count(slice).load(Ordering::Relaxed))
            .sum()
    }

    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_nanos();
        u64::try_from(passed / self.part).unwrap_or(u64::MAX / 2) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GiveUp = GiveUp {
        failures: Share::percent(10),
        deadlines: Share::percent(5),
        disagreements: Some(Share::percent(50)),
        window: Duration::from_secs(8),
        at_least: 20,
    };

    fn window() -> (Window, Instant) {
        let began = Instant::now();
        (Window::new(LIMITS.window, began), began)
    }

    fn said(window: &Window, now: Instant) -> Option<String> {
        window.excess(&LIMITS, now).map(|excess| excess.to_string())
    }

    #[test]
    fn few_calls_count_as_many_so_that_one_failure_is_borne() {
        let (window, now) = window();
        window.add(Event::Failed, now);
        window.add(Event::Failed, now);
        assert_eq!(said(&window, now), None);
        window.add(Event::Failed, now);
        assert_eq!(
            said(&window, now).as_deref(),
            Some("3 failures in 3 calls within 8s, and 10% is the limit"),
            "and one that always fails is found out before it was called so often"
        );
    }

    #[test]
    fn many_calls_are_counted_as_they_are() {
        let (window, now) = window();
        for _ in 0..1_000 {
            window.add(Event::Answered, now);
        }
        for _ in 0..50 {
            window.add(Event::Late, now);
        }
        assert_eq!(said(&window, now), None, "50 of 1050");
        for _ in 0..3 {
            window.add(Event::Late, now);
        }
        assert_eq!(
            said(&window, now).as_deref(),
            Some("53 missed deadlines in 1053 calls within 8s, and 5% is the limit")
        );
    }

    #[test]
    fn a_disagreement_is_no_call_of_its_own() {
        let (window, now) = window();
        for _ in 0..20 {
            window.add(Event::Answered, now);
        }
        for _ in 0..10 {
            window.add(Event::Disagreed, now);
        }
        assert_eq!(said(&window, now), None);
        window.add(Event::Disagreed, now);
        assert_eq!(
            said(&window, now).as_deref(),
            Some("11 disagreements in 20 calls within 8s, and 50% is the limit")
        );
    }

    #[test]
    fn what_is_longer_ago_than_the_window_is_forgotten() {
        let (window, began) = window();
        for second in 0..100 {
            let now = began + Duration::from_secs(second);
            if second % 5 == 0 {
                window.add(Event::Failed, now);
            }
            assert_eq!(said(&window, now), None, "second {second}");
        }
    }

    #[test]
    fn what_was_cleared_counts_no_more() {
        let (window, now) = window();
        for _ in 0..3 {
            window.add(Event::Failed, now);
        }
        window.clear();
        assert_eq!(said(&window, now), None);
    }

    #[test]
    fn threads_lose_nothing_while_a_part_lasts() {
        let (window, now) = window();
        window.add(Event::Answered, now);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5_000).for_each(|_| window.add(Event::Answered, now)));
            }
        });
        assert_eq!(window.sum(now, |slice| &slice.calls), 20_001);
    }
}
