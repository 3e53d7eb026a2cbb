//! What came of the calls of one version while another is tried out beside it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// One of the two versions of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Current,
    Next,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::Current, Self::Next];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
        }
    }
}

/// Shorter times than 2⁷ ns are not told apart.
const SHORTEST: u32 = 7;
/// Longer ones than 2³⁶ ns, which is more than a minute, neither.
const LONGEST: u32 = 36;
/// Steps in which times double, so what is read is at most a quarter too long.
const STEPS: usize = 4;
const BUCKETS: usize = (LONGEST - SHORTEST) as usize * STEPS;

/// Counts of answers and failures, and how long answers took.
#[derive(Debug)]
pub struct Figures {
    answered: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    nanos: AtomicU64,
    times: [AtomicU64; BUCKETS],
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            late: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            times: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Figures {
    pub(super) fn answered(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.times[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    pub fn answers(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Calls that failed in another way than by taking too long. Of the current version all that failed.
    pub fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Calls that took too long.
    pub fn missed_deadlines(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// The time of all answers together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.nanos.load(Ordering::Relaxed);
        nanos.checked_div(self.answers()).map(Duration::from_nanos)
    }

    /// The time within which this part of the answers came, 0 to 1; up to a quarter more than it was.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let counts: Vec<u64> = self
            .times
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map(|index| Duration::from_nanos(longest_of(index)))
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.clamp(1 << SHORTEST, (1 << LONGEST) - 1);
    let doubling = nanos.ilog2();
    let step = (nanos >> (doubling - 2)) as usize & (STEPS - 1);
    (doubling - SHORTEST) as usize * STEPS + step
}

fn longest_of(bucket: usize) -> u64 {
    let doubling = SHORTEST + (bucket / STEPS) as u32;
    let step = (bucket % STEPS) as u64;
    (1 << doubling) + ((step + 1) << (doubling - 2)) - 1
}

/// How often each server of a backend was picked, by its position.
#[derive(Debug, Default)]
pub struct Picks([Box<[AtomicU64]>; 2]);

impl Picks {
    pub fn of(servers: usize) -> Self {
        Self([(); 2].map(|()| (0..servers).map(|_| AtomicU64::new(0)).collect()))
    }

    pub(in crate::frontend) fn picked(&self, version: Version, server: usize) {
        if let Some(count) = self.0[version as usize].get(server) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Per server, in the backend's order.
    pub fn counts(&self, version: Version) -> Vec<u64> {
        let counts = self.0[version as usize].iter();
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_at_most_a_quarter_longer() {
        for nanos in [128, 129, 1_000, 123_456, 10_000_000, 5_000_000_000] {
            let read = longest_of(bucket(nanos));
            assert!(
                (nanos..=nanos + nanos / 4).contains(&read),
                "{nanos} read as {read}"
            );
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let figures = Figures::default();
        assert_eq!((figures.quantile(0.5), figures.mean()), (None, None));
        for _ in 0..98 {
            figures.answered(Duration::from_micros(1));
        }
        for _ in 0..2 {
            figures.answered(Duration::from_millis(1));
        }
        let at = |part| figures.quantile(part).unwrap();
        assert!(at(0.5) < Duration::from_micros(2), "{:?}", at(0.5));
        assert!(at(0.99) >= Duration::from_millis(1), "{:?}", at(0.99));
        assert_eq!(figures.mean(), Some(Duration::from_nanos(20_980)));
    }
}
