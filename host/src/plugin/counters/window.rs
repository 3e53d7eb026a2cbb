//! One counter of one key: a total, or a rate over a sliding window. Knows neither keys nor clocks.

/// What was counted. Times are milliseconds of a clock that never goes back.
///
/// A rate is kept as HAProxy keeps it (`freq_ctr` in its sources): what came in the running period and in
/// the one before, of which the part counts that the window still covers, as if it had come evenly. That
/// takes two numbers however much is counted, and a burst is never forgotten at once, as it would be if
/// counting began anew with each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    current: u64,
    previous: u64,
    /// When the running period began.
    since: u64,
}

impl Count {
    pub fn new(now: u64) -> Self {
        Self {
            current: 0,
            previous: 0,
            since: now,
        }
    }

    /// Adds to a total. It stops at the largest number.
    pub fn add(&mut self, amount: u64) -> u64 {
        self.current = self.current.saturating_add(amount);
        self.current
    }

    /// Takes something away from a total. It stops at nothing.
    pub fn take(&mut self, amount: u64) {
        self.current = self.current.saturating_sub(amount);
    }

    pub fn total(&self) -> u64 {
        self.current
    }

    /// Adds to a rate and answers with what it is then.
    pub fn add_within(&mut self, window: u64, now: u64, amount: u64) -> u64 {
        self.turn(window, now);
        self.current = self.current.saturating_add(amount);
        self.rate(window, now)
    }

    /// Has it be as if `amount` had come just now and nothing before.
    pub fn set(&mut self, now: u64, amount: u64) {
        *self = Self {
            current: amount,
            ..Self::new(now)
        };
    }

    /// What came within the window that ends now.
    pub fn rate(&self, window: u64, now: u64) -> u64 {
        let mut turned = *self;
        turned.turn(window, now);
        let Self {
            current, previous, ..
        } = turned;
        // A single event would otherwise seem to be gone as soon as the next period begins.
        if current == 0 && previous <= 1 {
            return previous;
        }
        let left = window - (now.saturating_sub(turned.since)).min(window);
        current.saturating_add(part(previous, left, window))
    }

    /// In how many milliseconds the rate will be at most `most` if nothing comes until then.
    pub fn falls_to(&self, window: u64, now: u64, most: u64) -> u64 {
        if self.rate(window, now) <= most {
            return 0;
        }
        let mut turned = *self;
        turned.turn(window, now);
        let gone = now.saturating_sub(turned.since).min(window);
        if turned.current <= most {
            // A single event counts whole to the end of its second period.
            let left = match turned {
                Self {
                    current: 0,
                    previous: 1,
                    ..
                } => 0,
                _ => covered(turned.previous, most - turned.current, window),
            };
            return (window - gone).saturating_sub(left);
        }
        let left = match turned.current {
            1 => 0,
            count => covered(count, most, window),
        };
        (2 * window - gone).saturating_sub(left)
    }

    /// Begins a new period if the running one is over.
    fn turn(&mut self, window: u64, now: u64) {
        let gone = now.saturating_sub(self.since);
        if gone < window {
            return;
        }
        // With a whole period in between, nothing of what was counted is left.
        let missed = gone >= 2 * window;
        self.previous = if missed { 0 } else { self.current };
        self.since = if missed { now } else { self.since + window };
        self.current = 0;
    }
}

/// `count · left / window`, which is at most `count`.
fn part(count: u64, left: u64, window: u64) -> u64 {
    let part = u128::from(count) * u128::from(left) / u128::from(window);
    u64::try_from(part).unwrap_or(count)
}

/// How much of the period may still be covered for the part of `count` to be at most `most`.
fn covered(count: u64, most: u64, window: u64) -> u64 {
    let Some(count) = std::num::NonZeroU128::new(u128::from(count)) else {
        return window;
    };
    let less_than = (u128::from(most) + 1) * u128::from(window);
    let left = (less_than - 1) / count;
    u64::try_from(left).unwrap_or(window).min(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 1_000;

    fn counted(times: &[u64]) -> Count {
        let mut count = Count::new(times[0]);
        for time in times {
            count.add_within(WINDOW, *time, 1);
        }
        count
    }

    #[test]
    fn within_one_period_all_counts() {
        let count = counted(&[0, 1, 500, 999]);
        assert_eq!(count.rate(WINDOW, 999), 4);
    }

    #[test]
    fn the_period_before_counts_as_far_as_the_window_covers_it() {
        let mut count = Count::new(0);
        assert_eq!(count.add_within(WINDOW, 0, 100), 100);
        assert_eq!(count.add_within(WINDOW, 1_250, 10), 85, "75 of the 100");
        assert_eq!(count.rate(WINDOW, 1_500), 60);
        assert_eq!(count.rate(WINDOW, 1_999), 10, "the part is rounded down");
        assert_eq!(count.rate(WINDOW, 2_500), 5);
    }

    #[test]
    fn after_two_periods_all_is_forgotten() {
        let count = counted(&[0, 0, 0]);
        assert_eq!(count.rate(WINDOW, 1_999), 0);
        assert_eq!(count.rate(WINDOW, 100_000), 0);
        let mut count = count;
        assert_eq!(count.add_within(WINDOW, 100_000, 1), 1);
        assert_eq!(count.rate(WINDOW, 100_999), 1, "a new period begins then");
    }

    #[test]
    fn a_single_event_counts_for_its_period_and_the_next() {
        let count = counted(&[0]);
        assert_eq!(count.rate(WINDOW, 1_900), 1);
        assert_eq!(count.rate(WINDOW, 2_000), 0);
    }

    #[test]
    fn the_largest_numbers_neither_wrap_nor_panic() {
        let mut count = Count::new(0);
        count.add_within(WINDOW, 0, u64::MAX);
        assert_eq!(count.add_within(WINDOW, 1_001, u64::MAX), u64::MAX);
        assert_eq!(count.add(5), u64::MAX);
        assert!(count.falls_to(WINDOW, 1_001, 1) <= 2 * WINDOW);
        // A clock of another processor that is a little behind.
        let mut count = Count::new(500);
        assert_eq!(count.add_within(WINDOW, 499, 2), 2);
    }

    #[test]
    fn when_a_rate_has_fallen_is_foretold_to_the_millisecond() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for _ in 0..2_000 {
            let mut count = Count::new(0);
            let mut now = 0;
            for _ in 0..random(6) {
                now += random(1_500);
                count.add_within(WINDOW, now, random(20));
            }
            now += random(2_500);
            let most = random(12);
            let falls = count.falls_to(WINDOW, now, most);
            let told = format!("{count:?} at {now}, to {most}: in {falls}");
            assert!(count.rate(WINDOW, now + falls) <= most, "{told}");
            if falls > 0 {
                assert!(
                    count.rate(WINDOW, now + falls - 1) > most,
                    "too long: {told}"
                );
            }
        }
    }
}
