//! The time of day from the clock that deadlines go by, so that an exchange asks one clock and not two.

use std::{
    cell::Cell,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

/// Set again this often, lest it part from a time of day that is being corrected.
const TRUST: Duration = Duration::from_secs(1);

/// What time of day it was at some instant.
#[derive(Debug)]
pub struct WallClock {
    known: Cell<(Instant, SystemTime)>,
}

impl WallClock {
    pub fn new() -> Self {
        Self {
            known: Cell::new((Instant::now(), SystemTime::now())),
        }
    }

    /// The time of day at `instant`, which is about now.
    pub fn at(&self, instant: Instant) -> SystemTime {
        let (known, time) = self.known.get();
        let since = instant.saturating_duration_since(known);
        if since < TRUST {
            return time + since;
        }
        let (now, time) = (Instant::now(), SystemTime::now());
        self.known.set((now, time));
        time.checked_sub(now.saturating_duration_since(instant))
            .unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_time_of_day_to_the_millisecond() {
        let clock = WallClock::new();
        for ago in [Duration::ZERO, Duration::from_millis(1500)] {
            let told = clock.at(Instant::now() + ago);
            let expected = SystemTime::now() + ago;
            let off = match told.duration_since(expected) {
                Ok(off) => off,
                Err(early) => early.duration(),
            };
            assert!(off < Duration::from_millis(1600), "{off:?}");
        }
    }
}
