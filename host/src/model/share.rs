//! A part of a whole, as people write it: `5%`.

use std::{fmt, str::FromStr};

/// A part of a whole, from nothing to all of it, in steps of a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// A millionth in a percent.
const PERCENT: u32 = 10_000;
/// Digits after the point of a percentage.
const DECIMALS: usize = 4;

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(100 * PERCENT);

    pub const fn percent(percent: u32) -> Self {
        assert!(percent <= 100, "a part is not more than the whole");
        Self(percent * PERCENT)
    }

    /// Whether `part` of `whole` is more than this share of it.
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::ALL.0) > u128::from(whole) * u128::from(self.0)
    }

    /// So many of the 2³² numbers of 32 bits.
    pub fn of_numbers(self) -> u64 {
        (u64::from(self.0) << 32) / u64::from(Self::ALL.0)
    }
}

/// A text that is no percentage from 0% to 100%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no percentage from 0% to 100%, with up to {DECIMALS} decimals")]
pub struct NoShare;

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let number = text.trim().strip_suffix('%').ok_or(NoShare)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, DECIMALS) {
            return Err(NoShare);
        }
        let parsed = format!("{whole}{decimals:0<DECIMALS$}").parse();
        let share = Self(parsed.map_err(|_| NoShare)?);
        (share <= Self::ALL).then_some(share).ok_or(NoShare)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / PERCENT, self.0 % PERCENT);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{rest:0DECIMALS$}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_read_as_they_are_written() {
        for text in ["0%", "5%", "0.1%", "12.5%", "0.0001%", "100%"] {
            let share: Share = text.parse().unwrap();
            assert_eq!(share.to_string(), text);
        }
        assert_eq!("5.50 %".parse::<Share>().unwrap().to_string(), "5.5%");
    }

    #[test]
    fn what_is_no_part_of_a_whole_is_refused() {
        for text in [
            "", "%", "5", "-1%", "101%", "100.1%", "1e2%", ".5%", "5.%", "0.00001%", "+5%",
        ] {
            assert_eq!(text.parse::<Share>(), Err(NoShare), "{text}");
        }
    }

    #[test]
    fn a_part_is_compared_without_rounding() {
        let one_percent = Share::percent(1);
        assert!(!one_percent.is_exceeded(1, 100));
        assert!(one_percent.is_exceeded(2, 100));
        assert!(!Share::ALL.is_exceeded(100, 100));
        assert!(Share::NONE.is_exceeded(1, u64::MAX));
        assert!(!Share::NONE.is_exceeded(0, 0));
    }

    #[test]
    fn all_numbers_are_the_whole_and_none_are_nothing() {
        assert_eq!(Share::ALL.of_numbers(), 1 << 32);
        assert_eq!(Share::NONE.of_numbers(), 0);
        assert_eq!(Share::percent(50).of_numbers(), 1 << 31);
    }
}
