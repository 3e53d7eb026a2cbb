//! Durations and sizes as people write them.

use std::time::Duration;

/// Why a text is not the quantity it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnitError {
    #[error("does not begin with a number")]
    NoNumber,
    #[error("has no unit")]
    NoUnit,
    #[error("has an unknown unit")]
    UnknownUnit,
    #[error("is more than a year")]
    TooLong,
    #[error("is too large")]
    TooLarge,
    #[error("is not a whole number of bytes")]
    PartOfByte,
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Reads `500ms`, `5s`, `1.5s`, `2m`, `1h`, `1d`; at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    let unit_nanos: u128 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "" => return Err(UnitError::NoUnit),
        _ => return Err(UnitError::UnknownUnit),
    };
    let nanos = number
        .times(unit_nanos)
        .ok_or(UnitError::TooLong)?
        .0
        .min(YEAR.as_nanos() + 1);
    // At most a year, which fits.
    let duration = Duration::from_nanos(u64::try_from(nanos).map_err(|_| UnitError::TooLong)?);
    if duration > YEAR {
        return Err(UnitError::TooLong);
    }
    Ok(duration)
}

/// Reads `512B`, `4kB` (4,000), `16KiB` (16,384), `1MiB`, `2GiB`: a number of bytes.
pub(super) fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let factor: u128 = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(UnitError::NoUnit),
        _ => return Err(UnitError::UnknownUnit),
    };
    let (bytes, exact) = number.times(factor).ok_or(UnitError::TooLarge)?;
    if !exact {
        return Err(UnitError::PartOfByte);
    }
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or(UnitError::TooLarge)
}

/// A decimal: `digits` shifted right by `decimals` places.
struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// The product, cut to a whole number, and whether nothing was cut.
    fn times(&self, factor: u128) -> Option<(u128, bool)> {
        let product = self.digits.checked_mul(factor)?;
        let divisor = 10_u128.pow(self.decimals);
        Some((product / divisor, product.is_multiple_of(divisor)))
    }
}

fn split(text: &str) -> Result<(Decimal, &str), UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = whole.replace('_', "");
    let sound = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !sound(&whole) || !sound(fraction) {
        return Err(UnitError::NoNumber);
    }
    if fraction.len() > 9 || whole.len() > 18 {
        return Err(UnitError::TooLarge);
    }
    let digits = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| UnitError::TooLarge)?;
    let decimals = fraction.len() as u32;
    Ok((Decimal { digits, decimals }, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        for (text, expected) in [
            ("500us", Duration::from_micros(500)),
            ("500ms", Duration::from_millis(500)),
            ("5s", Duration::from_secs(5)),
            ("1.5s", Duration::from_millis(1_500)),
            ("2m", Duration::from_secs(120)),
            ("2min", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3_600)),
            ("1d", Duration::from_secs(86_400)),
            ("5 s", Duration::from_secs(5)),
            ("0s", Duration::ZERO),
            ("365d", YEAR),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, expected) in [
            ("", UnitError::NoNumber),
            ("s", UnitError::NoNumber),
            ("-5s", UnitError::NoNumber),
            ("5", UnitError::NoUnit),
            ("5 seconds", UnitError::UnknownUnit),
            ("5S", UnitError::UnknownUnit),
            ("1..5s", UnitError::NoNumber),
            (".5s", UnitError::NoNumber),
            ("366d", UnitError::TooLong),
            ("999999999999999999d", UnitError::TooLong),
            ("9999999999999999999d", UnitError::TooLarge),
        ] {
            assert_eq!(duration(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn sizes_read_as_written() {
        for (text, expected) in [
            ("0B", 0),
            ("512B", 512),
            ("4kB", 4_000),
            ("16KiB", 16_384),
            ("1.5KiB", 1_536),
            ("1MiB", 1_048_576),
            ("2GiB", 2_147_483_648),
            ("10 MB", 10_000_000),
            ("1_000B", 1_000),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (text, expected) in [
            ("16", UnitError::NoUnit),
            ("16K", UnitError::UnknownUnit),
            ("16kib", UnitError::UnknownUnit),
            ("big", UnitError::NoNumber),
            ("0.3B", UnitError::PartOfByte),
            ("999999999999999999GiB", UnitError::TooLarge),
        ] {
            assert_eq!(size(text), Err(expected), "{text}");
        }
    }
}
