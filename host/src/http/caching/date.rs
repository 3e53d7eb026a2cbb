//! Dates in fields, in the three forms that HTTP has had (RFC 9110 §5.6.7).

use std::time::SystemTime;

use jiff::{civil::DateTime, tz::TimeZone};

/// The form that is written today first.
const FORMS: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// `None` if it is no date.
pub fn parse(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.trim();
    // No form is longer.
    if text.len() > 40 {
        return None;
    }
    let date = FORMS
        .iter()
        .find_map(|form| DateTime::strptime(form, text).ok())?;
    let stamp = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(SystemTime::from(stamp))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "now",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "1994-11-06",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(&[0xff; 10]), None);
        assert_eq!(parse(&[b'a'; 10_000]), None);
    }
}
