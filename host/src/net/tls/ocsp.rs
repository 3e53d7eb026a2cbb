//! As much of an OCSP response (RFC 6960) as tells whether it may be stapled: that it is one, that its
//! responder had an answer, and until when it holds. The signature is for clients to check.

use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Current,
    Expired,
}

/// Looks at a response in DER.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(response: &[u8]) -> Result<Freshness, &'static str> {
    let now = Timestamp::now().strftime("%Y%m%d%H%M%SZ").to_string();
    check_at(response, &now)
}

/// `now` in the form of the response's own times, which sort as text.
fn check_at(response: &[u8], now: &str) -> Result<Freshness, &'static str> {
    const NOT: &str = "it is not in DER";
    let whole = Der(response).take(SEQUENCE).ok_or(NOT)?;
    let mut parts = Der(whole);
    let status = parts.take(ENUMERATED).ok_or(NOT)?;
    if status != [0] {
        return Err("the responder had no answer");
    }
    let next_update = next_update(parts).ok_or("it has no answer about a certificate")?;
    Ok(match next_update {
        Some(until) if until < now.as_bytes() => Freshness::Expired,
        Some(_) | None => Freshness::Current,
    })
}

/// Until when the first answer holds, if it says so.
fn next_update(mut parts: Der<'_>) -> Option<Option<&[u8]>> {
    let bytes = parts.take(context(0))?;
    let mut bytes = Der(Der(bytes).take(SEQUENCE)?);
    bytes.take(OBJECT_IDENTIFIER)?;
    let basic = bytes.take(OCTET_STRING)?;
    let basic = Der(basic).take(SEQUENCE)?;
    let mut data = Der(Der(basic).take(SEQUENCE)?);
    // The version, which has a default.
    data.take(context(0));
    data.take(context(1)).or_else(|| data.take(context(2)))?;
    data.take(GENERALIZED_TIME)?;
    let mut answers = Der(data.take(SEQUENCE)?);
    let mut first = Der(answers.take(SEQUENCE)?);
    first.take(SEQUENCE)?;
    first.any()?;
    first.take(GENERALIZED_TIME)?;
    Some(
        first
            .take(context(0))
            .and_then(|time| Der(time).take(GENERALIZED_TIME)),
    )
}

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;

/// The tag of an explicitly tagged element.
fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Elements one after the other.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's content if it has this tag; else nothing is taken.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() != Some(&tag) {
            return None;
        }
        self.any()
    }

    fn any(&mut self) -> Option<&'a [u8]> {
        let (_tag, rest) = self.0.split_first()?;
        let (&length, mut rest) = rest.split_first()?;
        let length = if length < 0x80 {
            usize::from(length)
        } else {
            let digits = usize::from(length & 0x7f);
            if digits == 0 || digits > 4 || digits > rest.len() {
                return None;
            }
            let (number, after) = rest.split_at(digits);
            rest = after;
            number
                .iter()
                .fold(0, |length, digit| length << 8 | usize::from(*digit))
        };
        if length > rest.len() {
            return None;
        }
        let (content, rest) = rest.split_at(length);
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &content].concat()
    }

    /// A response with an answer that holds until then.
    fn response(until: Option<&str>) -> Vec<u8> {
        let time = |text: &str| element(GENERALIZED_TIME, &[text.as_bytes()]);
        let until = until.map(|until| element(context(0), &[&time(until)]));
        let answer = element(
            SEQUENCE,
            &[
                &element(SEQUENCE, &[]),
                &[0x80, 0],
                &time("20260101000000Z"),
                &until.unwrap_or_default(),
            ],
        );
        let data = element(
            SEQUENCE,
            &[
                &element(context(2), &[b"key"]),
                &time("20260101000000Z"),
                &element(SEQUENCE, &[&answer]),
            ],
        );
        let basic = element(OCTET_STRING, &[&element(SEQUENCE, &[&data])]);
        let bytes = element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[b"x"]), &basic]);
        element(
            SEQUENCE,
            &[&[ENUMERATED, 1, 0], &element(context(0), &[&bytes])],
        )
    }

    #[test]
    fn a_response_holds_until_its_next_update() {
        let now = "20260601000000Z";
        let fresh = |until| check_at(&response(until), now);
        assert_eq!(fresh(Some("20260602000000Z")), Ok(Freshness::Current));
        assert_eq!(fresh(Some("20260531000000Z")), Ok(Freshness::Expired));
        assert_eq!(fresh(None), Ok(Freshness::Current));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let now = "20260601000000Z";
        assert!(check_at(b"", now).is_err());
        assert!(check_at(b"-----BEGIN", now).is_err());
        let try_later = element(SEQUENCE, &[&[ENUMERATED, 1, 3]]);
        assert_eq!(
            check_at(&try_later, now),
            Err("the responder had no answer")
        );
        let sound = response(Some("20260602000000Z"));
        for end in 0..sound.len() {
            assert!(check_at(&sound[..end], now).is_err(), "cut at {end}");
        }
    }
}
