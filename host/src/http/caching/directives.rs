//! `Cache-Control`, of requests and answers.

use super::super::{fields::Fields, known::Known, syntax::trim};

/// What it says, as far as a shared cache acts on it. Of two numbers for one thing the smaller counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Directives {
    pub no_store: bool,
    /// With names of fields or without.
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    /// `proxy-revalidate` is another matter: it lets no answer to a request with credentials be kept (§3.5).
    pub must_revalidate: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub min_fresh: Option<u64>,
}

impl Directives {
    pub fn of(fields: &Fields) -> Self {
        let mut said = Self::default();
        for list in fields.all_known(Known::CacheControl) {
            let mut rest = list;
            while !rest.is_empty() {
                let (item, after) = first(rest);
                said.read(item);
                rest = after;
            }
        }
        said
    }

    fn read(&mut self, item: &[u8]) {
        let mut halves = item.splitn(2, |&byte| byte == b'=');
        let name = trim(halves.next().unwrap_or_default());
        let value = halves.next().map(trim);
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        // What is no number is none that lets anything be given.
        let number = || value.and_then(seconds).unwrap_or(0);
        let least = |known: Option<u64>| Some(known.unwrap_or(u64::MAX).min(number()));
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("private") {
            self.private = true;
        } else if is("public") {
            self.public = true;
        } else if is("must-revalidate") {
            self.must_revalidate = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            self.max_age = least(self.max_age);
        } else if is("s-maxage") {
            self.s_maxage = least(self.s_maxage);
        } else if is("min-fresh") {
            let more = value.and_then(seconds).unwrap_or(u64::MAX / 4);
            self.min_fresh = Some(self.min_fresh.unwrap_or(0).max(more));
        }
    }
}

/// The first item of a list, whose commas in quotes are no ends, and what follows it.
fn first(list: &[u8]) -> (&[u8], &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in list.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&list[..at], &list[at + 1..]),
            _ => {}
        }
    }
    (list, &[])
}

/// A number of seconds, in quotes or not; what is too large counts as very large (RFC 9111 §1.2.2).
pub fn seconds(text: &[u8]) -> Option<u64> {
    const MOST: u64 = 1 << 31;
    let text = trim(text);
    let text = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(number.min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Directives {
        let mut fields = Fields::default();
        fields.add("cache-control", text.as_bytes()).unwrap();
        Directives::of(&fields)
    }

    #[test]
    fn lists_are_read_with_quotes_and_odd_blanks() {
        let said = read("Public , MAX-AGE=\"60\",private=\"a, no-store\", s-maxage = 5");
        assert!(said.public && said.private && !said.no_store);
        assert_eq!((said.max_age, said.s_maxage), (Some(60), Some(5)));
    }

    #[test]
    fn the_stricter_of_two_counts_and_nonsense_is_strict() {
        assert_eq!(read("max-age=60, max-age=10").max_age, Some(10));
        for text in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1.5",
            "max-age=x",
        ] {
            assert_eq!(read(text).max_age, Some(0), "{text}");
        }
        assert_eq!(
            read("max-age=99999999999999999999999").max_age,
            Some(1 << 31)
        );
    }
}
