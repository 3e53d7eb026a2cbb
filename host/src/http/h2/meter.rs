//! Watches what kinds of frames a client sends. The library answers each by itself and forgets it, which is
//! what floods live on: frames that carry nothing but make work. Bytes in, verdict out; the one clock is the
//! caller's.

use std::time::{Duration, Instant};

/// What a client's connection begins with (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a budget lasts.
const PERIOD: Duration = Duration::from_secs(10);
/// Bytes sent to the client that excuse one frame without content: a client may answer to what it is sent,
/// with a window update for a frame and ping for a round trip.
const BYTES_PER_FRAME: usize = 32;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// On DATA and HEADERS; the same bit says ACK on SETTINGS and PING.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

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
    state: State,
    resets: Budget,
    control: Budget,
    /// Within a head that takes more than one frame.
    in_head: bool,
}

#[derive(Debug)]
enum State {
    /// Bytes of the preface that are still to come.
    Preface(usize),
    /// What there is of a frame's nine first bytes.
    Head([u8; 9], usize),
    /// Bytes that are still to come.
    Payload(usize),
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
            state: State::Preface(PREFACE.len()),
            resets: full(limits.resets),
            control: full(limits.control),
            in_head: false,
        }
    }

    /// Whether a frame has begun to arrive and is not complete.
    pub fn is_in_frame(&self) -> bool {
        match self.state {
            State::Preface(left) => left > 0,
            State::Head(_, there) => there > 0,
            State::Payload(left) => left > 0,
        }
    }

    /// Whether a head has begun to arrive in frames that do not come to an end.
    pub fn is_in_head(&self) -> bool {
        self.in_head
    }

    /// Looks at what was read.
    pub fn received(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Preface(left) | State::Payload(left) => {
                    let here = bytes.len().min(*left);
                    bytes = &bytes[here..];
                    *left -= here;
                    if *left == 0 {
                        self.state = State::Head([0; 9], 0);
                    }
                }
                State::Head(head, there) => {
                    let here = bytes.len().min(head.len() - *there);
                    head[*there..*there + here].copy_from_slice(&bytes[..here]);
                    *there += here;
                    bytes = &bytes[here..];
                    if *there == head.len() {
                        let head = *head;
                        let length = usize::from(head[0]) << 16
                            | usize::from(head[1]) << 8
                            | usize::from(head[2]);
                        self.state = match length {
                            0 => State::Head([0; 9], 0),
                            length => State::Payload(length),
                        };
                        self.count(head[3], head[4], length, &now)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// So many bytes were sent.
    pub fn sent(&mut self, bytes: usize) {
        let excused = u32::try_from(bytes / BYTES_PER_FRAME).unwrap_or(u32::MAX);
        self.control.earn(self.limits.control, excused);
    }

    fn count(
        &mut self,
        kind: u8,
        flags: u8,
        length: usize,
        now: &impl Fn() -> Instant,
    ) -> Result<(), Flood> {
        match kind {
            HEADERS | CONTINUATION => self.in_head = flags & END_HEADERS == 0,
            _ => {}
        }
        match kind {
            HEADERS => self.control.earn(self.limits.control, 1),
            DATA if length > 0 => self.control.earn(self.limits.control, 1),
            DATA if flags & END_STREAM != 0 => {}
            RST_STREAM if !self.resets.spend(self.limits.resets, now) => {
                return Err(Flood::Resets);
            }
            RST_STREAM => {}
            // Answers to what the proxy has sent.
            SETTINGS | PING if flags & END_STREAM != 0 => {}
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

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn meter() -> (FrameMeter, Instant) {
        let start = Instant::now();
        let mut meter = FrameMeter::new(LIMITS, start);
        meter.received(PREFACE, || start).unwrap();
        (meter, start)
    }

    /// How many of `bytes` are taken before it is a flood, a hundred at most.
    fn taken(meter: &mut FrameMeter, bytes: &[u8], now: Instant) -> usize {
        (0..100)
            .take_while(|_| meter.received(bytes, || now).is_ok())
            .count()
    }

    #[test]
    fn frames_without_content_are_taken_up_to_the_limit() {
        for (kind, flags) in [(PING, 0), (SETTINGS, 0), (2, 0), (8, 0), (DATA, 0), (77, 0)] {
            let (mut meter, now) = meter();
            let bytes = frame(kind, flags, if kind == DATA { b"" } else { b"12345678" });
            for _ in 0..5 {
                assert_eq!(meter.received(&bytes, || now), Ok(()), "{kind}");
            }
            let later = now + PERIOD;
            assert_eq!(taken(&mut meter, &bytes, later), 5, "{kind}");
            let (mut meter, now) = self::meter();
            assert_eq!(taken(&mut meter, &bytes, now), 5, "{kind}");
        }
    }

    #[test]
    fn answers_and_content_are_not_counted() {
        for (kind, flags) in [(PING, 1), (SETTINGS, 1), (DATA, 1), (HEADERS, 4)] {
            let (mut meter, now) = meter();
            assert_eq!(
                taken(&mut meter, &frame(kind, flags, b""), now),
                100,
                "{kind}"
            );
        }
        let (mut meter, now) = meter();
        assert_eq!(taken(&mut meter, &frame(DATA, 0, b"x"), now), 100);
    }

    #[test]
    fn what_the_client_was_sent_excuses_frames() {
        let (mut meter, now) = meter();
        let ping = frame(PING, 0, b"12345678");
        for _ in 0..50 {
            assert_eq!(meter.received(&ping, || now), Ok(()));
            meter.sent(BYTES_PER_FRAME);
        }
        // The answers to pings alone are too small to go on for ever.
        for _ in 0..5 {
            meter.received(&ping, || now).unwrap();
            meter.sent(17);
        }
        assert_eq!(meter.received(&ping, || now), Err(Flood::Control));
    }

    #[test]
    fn streams_may_be_given_up_so_often() {
        let (mut meter, now) = meter();
        assert_eq!(taken(&mut meter, &frame(RST_STREAM, 0, b"1234"), now), 3);
    }

    #[test]
    fn frames_are_recognised_however_they_are_cut() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, b""));
        for _ in 0..5 {
            bytes.extend(frame(PING, 0, b"12345678"));
        }
        for cut in 1..20 {
            let now = Instant::now();
            let mut meter = FrameMeter::new(LIMITS, now);
            let mut results = bytes.chunks(cut).map(|part| meter.received(part, || now));
            assert!(results.any(|result| result == Err(Flood::Control)), "{cut}");
        }
    }

    #[test]
    fn a_head_that_is_not_complete_is_noticed() {
        let (mut meter, now) = meter();
        assert!(!meter.is_in_head());
        meter.received(&frame(HEADERS, 0, b"x"), || now).unwrap();
        assert!(meter.is_in_head() && !meter.is_in_frame());
        let end = frame(CONTINUATION, END_HEADERS, b"");
        meter.received(&end, || now).unwrap();
        assert!(!meter.is_in_head());
        meter.received(&[0, 0], || now).unwrap();
        assert!(meter.is_in_frame());
    }
}
