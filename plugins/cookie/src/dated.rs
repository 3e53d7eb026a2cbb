//! A cookie's value: the server's key, and for `max_idle` and `max_life` two dates after it,
//! `web-a|awD6e|awD6e`, as HAProxy writes them.

use std::time::{Duration, SystemTime};

use crate::config::Config;

/// Dates are in units of 4 seconds, so that 30 bits last.
const UNIT: u64 = 4;

/// So much may clocks that made and read a cookie disagree.
const CLOCKS_DISAGREE: u64 = 24 * 60 * 60;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A value that a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    pub server: &'a str,
    /// Seconds since 1970 when the cookie was last given out, if it says so.
    pub last: Option<u64>,
    /// Seconds since 1970 when the client got its first.
    pub first: Option<u64>,
}

impl<'a> Dated<'a> {
    /// A date that can't be read counts as none.
    pub fn parse(value: &'a str) -> Self {
        let mut parts = value.split('|');
        Self {
            server: parts.next().unwrap_or(value),
            last: parts.next().and_then(decoded),
            first: parts.next().and_then(decoded),
        }
    }

    /// Whether the client has been away, or bound, for too long. A cookie without a date is good; one with a
    /// date from tomorrow is not.
    pub fn has_expired(&self, config: &Config, now: u64) -> bool {
        let is_too_old = |date: Option<u64>, limit: Option<Duration>| match (date, limit) {
            (Some(date), Some(limit)) => {
                now > date.saturating_add(limit.as_secs()) || date > now + CLOCKS_DISAGREE
            }
            _ => false,
        };
        is_too_old(self.last, config.max_idle.map(|age| age.0))
            || is_too_old(self.first, config.max_life.map(|age| age.0))
    }

    /// Whether the same client should get new dates.
    pub fn wants_refreshing(&self, config: &Config, now: u64) -> bool {
        let idle_is_counted = config.max_idle.is_some() || self.last.is_some();
        (idle_is_counted && self.last.is_none_or(|last| last < now))
            || config.max_life.is_some() != self.first.is_some()
    }
}

/// The value of a cookie given out now; `first` if the client already had one.
pub fn value(server: &str, config: &Config, first: Option<u64>, now: u64) -> String {
    let now = now + UNIT - 1;
    let mut value = format!("{server}|{}", encoded(now));
    if config.max_life.is_some() {
        value.push('|');
        value.push_str(&encoded(first.unwrap_or(now)));
    }
    value
}

pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// 30 bits as five characters, the highest first.
fn encoded(seconds: u64) -> String {
    let units = seconds / UNIT;
    let sextets = (0..5).rev().map(|nth| (units >> (6 * nth)) as usize % 64);
    sextets.map(|sextet| char::from(ALPHABET[sextet])).collect()
}

fn decoded(text: &str) -> Option<u64> {
    if text.len() != 5 {
        return None;
    }
    let units = text.bytes().try_fold(0, |units, byte| {
        let sextet = ALPHABET.iter().position(|&letter| letter == byte)?;
        Some(units << 6 | sextet as u64)
    })?;
    Some(units * UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_was_written() {
        for seconds in [0, 4, 1_795_226_000, (1 << 32) - 4] {
            assert_eq!(decoded(&encoded(seconds)), Some(seconds));
        }
        assert_eq!(encoded(1_795_226_232), "awD6e", "2026-11-21T01:57:12Z");
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in ["", "awD6", "awD6ee", "aw-6e", "äwD6"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_may_have_no_date_or_broken_ones() {
        let plain = Dated {
            server: "web-a",
            last: None,
            first: None,
        };
        for value in ["web-a", "web-a|", "web-a|x|y", "web-a||"] {
            assert_eq!(Dated::parse(value), plain, "{value}");
        }
    }
}
