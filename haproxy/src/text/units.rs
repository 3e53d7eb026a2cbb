//! HAProxy's times.

/// A time, kept exactly, and written the way a person would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    pub microseconds: u64,
}

impl std::fmt::Display for Duration {
    /// In weir.toml's form: `50s`, `1500ms`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [
            ("d", 86_400_000_000),
            ("h", 3_600_000_000),
            ("m", 60_000_000),
            ("s", 1_000_000),
            ("ms", 1_000),
        ];
        for (unit, factor) in units {
            // 90s is read more easily than 1.5m, and 120s less easily than 2m.
            if self.microseconds >= factor && self.microseconds.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.microseconds / factor);
            }
        }
        write!(f, "{}us", self.microseconds)
    }
}

/// Reads `5000`, `5s`, `1h30m`; a bare number is milliseconds, or what `bare` says.
///
/// # Errors
/// What is wrong with it, for a message.
pub fn duration(text: &str, bare: &str) -> Result<Duration, String> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| format!("`{text}` is no time"))?;
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, after) = after.split_at(letters);
        if letters == 0 && !after.is_empty() {
            return Err(format!("`{text}` is no time"));
        }
        let factor: u64 = match if unit.is_empty() { bare } else { unit } {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            other => {
                return Err(format!(
                    "`{other}` is no unit of time; they are us, ms, s, m, h and d"
                ));
            }
        };
        let part = number.checked_mul(factor);
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        rest = after;
    }
    if text.is_empty() {
        return Err("a time is missing".to_owned());
    }
    Ok(Duration {
        microseconds: total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_exactly() {
        for (text, wanted) in [
            ("5000", "5s"),
            ("50000ms", "50s"),
            ("1500", "1500ms"),
            ("1h30m", "90m"),
            ("1d", "1d"),
            ("120s", "2m"),
            ("7us", "7us"),
            ("0", "0us"),
        ] {
            assert_eq!(duration(text, "ms").unwrap().to_string(), wanted, "{text}");
        }
        assert_eq!(
            duration("5", "s").unwrap(),
            Duration {
                microseconds: 5_000_000
            }
        );
        for wrong in [
            "",
            "x",
            "5x",
            "-1",
            "5 s",
            "99999999999999999999",
            "9999999999999d",
        ] {
            assert!(duration(wrong, "ms").is_err(), "{wrong}");
        }
    }
}
