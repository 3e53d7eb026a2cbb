//! Watches what kinds of frames a client sends. Each is answered by itself and forgotten, which is what floods
//! live on: frames that carry nothing but make work. Frames in, verdict out; the one clock is the caller's.

use std::time::{Duration, Instant};

use super::frame::{
    flag::{ACK, END_STREAM},
    kind::{DATA, HEADERS, PING, RST_STREAM, SETTINGS},
};

/// What a client's connection begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a budget lasts.
const PERIOD: Duration = Duration::from_secs(10);
/// Bytes sent to the client that excuse one frame without content: a client may answer to what it is sent,
/// with a window update for a frame and ping for a round trip.
const BYTES_PER_FRAME: usize = 32;

/// How much of what may come within ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Streams that the client gives up.
    pub resets: u32,
    /// Frames without content: settings, pings, priorities, window updates, continuations, empty data.
    pub control: u32,
}

/// Too much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flood {
    #[error("the client gave up too many streams")]
    Resets,
    #[error("the client sent too many frames without content")]
    Control,
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub struct FrameMeter {
    limits: FrameLimits,
    resets: Budget,
    control: Budget,
}

#[derive(Debug)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    /// Takes one. The clock is only looked at when there is none.
    fn spend(&mut self, most: u32, now: impl FnOnce() -> Instant) -> bool {
        if self.left == 0 {
            let now = now();
            if now.duration_since(self.since) < PERIOD {
                return false;
            }
            self.since = now;
            self.left = most;
        }
        self.left = self.left.saturating_sub(1);
        true
    }

    fn earn(&mut self, most: u32, amount: u32) {
        self.left = self.left.saturating_add(amount).min(most);
    }
}

impl FrameMeter {
    /// For a client's connection from its first byte on.
    pub fn new(limits: FrameLimits, now: Instant) -> Self {
        let full = |most| Budget {
            left: most,
            since: now,
        };
        Self {
            limits,
            resets: full(limits.resets),
            control: full(limits.control),
        }
    }

    /// So many bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        let excused = u32::try_from(bytes / BYTES_PER_FRAME).unwrap_or(u32::MAX);
        self.control.earn(self.limits.control, excused);
    }

    /// Counts a frame that has begun to arrive.
    pub fn count(
        &mut self,
        kind: u8,
        flags: u8,
        length: usize,
        now: impl Fn() -> Instant + Copy,
    ) -> Result<(), Flood> {
        match kind {
            HEADERS => self.control.earn(self.limits.control, 1),
            DATA if length > 0 => self.control.earn(self.limits.control, 1),
            DATA if flags & END_STREAM != 0 => {}
            RST_STREAM if !self.resets.spend(self.limits.resets, now) => {
                return Err(Flood::Resets);
            }
            RST_STREAM => {}
            // Answers to what the proxy has sent.
            SETTINGS | PING if flags & ACK != 0 => {}
            _ if !self.control.spend(self.limits.control, now) => return Err(Flood::Control),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        resets: 3,
        control: 5,
    };

    fn meter() -> (FrameMeter, Instant) {
        let start = Instant::now();
        (FrameMeter::new(LIMITS, start), start)
    }

    /// How many such frames are taken before it is a flood, a hundred at most.
    fn taken(meter: &mut FrameMeter, kind: u8, flags: u8, length: usize, now: Instant) -> usize {
        (0..100)
            .take_while(|_| meter.count(kind, flags, length, || now).is_ok())
            .count()
    }

    #[test]
    fn frames_without_content_are_taken_up_to_the_limit() {
        for (kind, length) in [(PING, 8), (SETTINGS, 6), (2, 5), (8, 4), (DATA, 0), (77, 1)] {
            let (mut meter, now) = meter();
            assert_eq!(taken(&mut meter, kind, 0, length, now), 5, "{kind}");
            let later = now + PERIOD;
            assert_eq!(taken(&mut meter, kind, 0, length, later), 5, "{kind}");
        }
    }

    #[test]
    fn answers_and_content_are_not_counted() {
        for (kind, flags, length) in [
            (PING, ACK, 8),
            (SETTINGS, ACK, 0),
            (DATA, END_STREAM, 0),
            (HEADERS, 4, 0),
            (DATA, 0, 1),
        ] {
            let (mut meter, now) = meter();
            assert_eq!(taken(&mut meter, kind, flags, length, now), 100, "{kind}");
        }
    }

    #[test]
    fn what_the_client_was_sent_excuses_frames() {
        let (mut meter, now) = meter();
        for _ in 0..50 {
            assert_eq!(meter.count(PING, 0, 8, || now), Ok(()));
            meter.sent(BYTES_PER_FRAME);
        }
        // The answers to pings alone are too small to go on for ever.
        for _ in 0..5 {
            meter.count(PING, 0, 8, || now).unwrap();
            meter.sent(17);
        }
        assert_eq!(meter.count(PING, 0, 8, || now), Err(Flood::Control));
    }

    #[test]
    fn streams_may_be_given_up_so_often() {
        let (mut meter, now) = meter();
        assert_eq!(taken(&mut meter, RST_STREAM, 0, 4, now), 3);
    }
}
