//! Maps whose keys are patterns: `map_sub`, `map_end`, `map_dom`, `map_dir`, `map_reg` and `map_regm`. The first entry
//! of the file that fits counts, as in HAProxy. The proxy only knows keys that are whole, beginnings or networks, so
//! the entries are taken over and kept until the map changes.

use std::cell::RefCell;

use regex::bytes::Regex;
use weir_sdk::{log, maps::Map};

use super::convert::{expand, regex};

/// When a key fits a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The text ends with it.
    End,
    /// It is somewhere in the text.
    Part,
    /// It is in the text between dots, colons, slashes, question marks or the ends.
    Domain,
    /// The same, between slashes and question marks.
    Directory,
    /// It is a regular expression that matches.
    Regex,
    /// The same, and `\1` in the value is what its first group matched.
    Groups,
}

impl Fit {
    /// The way to fit that a converter names.
    pub fn of(converter: &str) -> Option<Self> {
        Some(match converter {
            "map_end" => Self::End,
            "map_sub" => Self::Part,
            "map_dom" => Self::Domain,
            "map_dir" => Self::Directory,
            "map_reg" => Self::Regex,
            "map_regm" => Self::Groups,
            _ => return None,
        })
    }
}

/// A map with patterns for keys.
#[derive(Debug, Clone)]
pub struct Keyed {
    map: String,
    fit: Fit,
    default: Option<String>,
    entries: RefCell<Entries>,
}

/// What was in the map when it had this version.
#[derive(Debug, Clone, Default)]
struct Entries {
    version: u64,
    list: Vec<(Key, String)>,
}

#[derive(Debug, Clone)]
enum Key {
    Text(Vec<u8>),
    Regex(Regex),
}

impl Keyed {
    /// Takes the entries over.
    ///
    /// # Errors
    /// A key that is no regular expression, though it should be one.
    pub fn new(map: &str, fit: Fit, default: Option<String>) -> Result<Self, String> {
        let granted = Map::named(map);
        let mut list = Vec::new();
        for (key, value) in granted.entries() {
            let key = self::key(fit, &key).map_err(|what| format!("the map `{map}`: {what}"))?;
            list.push((key, value));
        }
        Ok(Self {
            map: map.to_owned(),
            fit,
            default,
            entries: RefCell::new(Entries {
                version: granted.version(),
                list,
            }),
        })
    }

    pub fn map(&self) -> &str {
        &self.map
    }

    /// The value of the first key that fits, or the default.
    pub fn value(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.keep_up();
        let entries = self.entries.borrow();
        let found = entries.list.iter().find_map(|(key, value)| match key {
            Key::Text(key) => self.fits(text, key).then(|| value.as_bytes().to_vec()),
            Key::Regex(key) if self.fit == Fit::Groups => {
                let captures = key.captures(text)?;
                let group = |number| captures.get(number).map(|group| group.as_bytes().to_vec());
                Some(expand(value.as_bytes(), group))
            }
            Key::Regex(key) => key.is_match(text).then(|| value.as_bytes().to_vec()),
        });
        found.or_else(|| self.default.clone().map(String::into_bytes))
    }

    /// Takes the entries over anew if the map has changed. It was sound when it was loaded; an entry that is not
    /// so any more is told of and left out.
    fn keep_up(&self) {
        let map = Map::named(self.map.as_str());
        let version = map.version();
        if version == self.entries.borrow().version {
            return;
        }
        let mut list = Vec::new();
        for (key, value) in map.entries() {
            match self::key(self.fit, &key) {
                Ok(key) => list.push((key, value)),
                Err(what) => log::error(format_args!(
                    "the map `{}`: {what}; it is left out",
                    self.map
                )),
            }
        }
        *self.entries.borrow_mut() = Entries { version, list };
    }

    fn fits(&self, text: &[u8], key: &[u8]) -> bool {
        match self.fit {
            Fit::End => text.ends_with(key),
            Fit::Domain => is_between(text, key, b"/?.:"),
            Fit::Directory => is_between(text, key, b"/?"),
            Fit::Part | Fit::Regex | Fit::Groups => {
                key.is_empty() || text.windows(key.len()).any(|part| part == key)
            }
        }
    }
}

fn key(fit: Fit, text: &str) -> Result<Key, String> {
    match fit {
        Fit::Regex | Fit::Groups => regex(text, false).map(Key::Regex),
        Fit::End | Fit::Part | Fit::Domain | Fit::Directory => {
            Ok(Key::Text(text.as_bytes().to_vec()))
        }
    }
}

/// Whether `part` stands in `text` with a delimiter or an end on both sides.
fn is_between(text: &[u8], part: &[u8], delimiters: &[u8]) -> bool {
    let is_delimiter = |byte: &u8| delimiters.contains(byte);
    let start = part.iter().position(|byte| !is_delimiter(byte));
    let end = part.iter().rposition(|byte| !is_delimiter(byte));
    let (Some(start), Some(end)) = (start, end) else {
        return false;
    };
    let part = &part[start..=end];
    let mut places = (0..).zip(text.windows(part.len()));
    places.any(|(at, found)| {
        let before = at == 0 || is_delimiter(&text[at - 1]);
        let after = text.get(at + part.len()).is_none_or(is_delimiter);
        found == part && before && after
    })
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::host;

    use super::*;

    fn value(fit: Fit, text: &str) -> Option<String> {
        let keyed = Keyed::new("m", fit, None).expect("the map is sound");
        let value = keyed.value(text.as_bytes())?;
        Some(String::from_utf8(value).expect("it was text"))
    }

    #[test]
    fn the_first_entry_that_fits_counts() {
        host::set_map(
            "m",
            &[("shop", "1"), ("example.com", "2"), ("www.shop.de", "3")],
        );
        for (fit, text, wanted) in [
            (Fit::Part, "www.shop.de", Some("1")),
            (Fit::Part, "xexample.comx", Some("2")),
            (Fit::Part, "nothing", None),
            (Fit::End, "www.example.com", Some("2")),
            (Fit::End, "www.shop.de", Some("3")),
            (Fit::Domain, "www.shop.de", Some("1")),
            (Fit::Domain, "workshop.de", None),
            (Fit::Domain, "www.example.com:80", Some("2")),
            (Fit::Domain, "badexample.com", None),
            (Fit::Directory, "/a/shop/b", Some("1")),
            (Fit::Directory, "/a/shop.html", None),
            (Fit::Directory, "/shop?x", Some("1")),
        ] {
            assert_eq!(value(fit, text).as_deref(), wanted, "{fit:?} {text}");
        }
    }

    #[test]
    fn expressions_match_anywhere_and_may_fill_in_their_groups() {
        host::set_map(
            "m",
            &[(r"^/u/([a-z]+)/", r"/users/\1"), (r"\.php$", "gone")],
        );
        assert_eq!(
            value(Fit::Groups, "/u/ann/x").as_deref(),
            Some("/users/ann")
        );
        assert_eq!(value(Fit::Regex, "/u/ann/x").as_deref(), Some(r"/users/\1"));
        assert_eq!(value(Fit::Regex, "/a.php").as_deref(), Some("gone"));
        assert_eq!(value(Fit::Regex, "/a"), None);
    }

    #[test]
    fn a_changed_map_counts_at_once_without_its_bad_entries() {
        host::set_map("m", &[("a", "1")]);
        let keyed = Keyed::new("m", Fit::Regex, Some("none".to_owned())).expect("it is sound");
        assert_eq!(keyed.value(b"a").as_deref(), Some(b"1".as_slice()));
        host::set_map("m", &[("(", "x"), ("b", "2")]);
        assert_eq!(keyed.value(b"b").as_deref(), Some(b"2".as_slice()));
        assert_eq!(keyed.value(b"a").as_deref(), Some(b"none".as_slice()));
        let refused = Keyed::new("m", Fit::Regex, None).unwrap_err();
        assert!(refused.starts_with("the map `m`: "), "{refused}");
    }
}
