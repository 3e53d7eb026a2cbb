//! The text of a map file into pairs, as HAProxy reads its map files: a line's first word is the key,
//! the rest is the value; blanks around both, empty lines and lines that begin with `#` are skipped.

use std::fmt;

use super::Entry;

/// A pair and where it stood, so that a key that turns out bad can be pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    pub entry: Entry,
}

/// A line that is no pair of key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    pub fault: LineFault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFault {
    NotUtf8,
    Control(char),
    NotANetwork(String),
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::Control(found) => write!(f, "control character {found:?}"),
            Self::NotANetwork(found) => write!(
                f,
                "`{found}` is no network; write an address such as 10.1.2.3 or 2001:db8::1, \
                 or a network such as 10.0.0.0/8"
            ),
        }
    }
}

/// Reads a map's text. Never fails half-way: all bad lines are reported.
///
/// A key without a value is a pair whose value is empty, which serves files that list keys only.
pub fn parse(text: &str) -> Result<Vec<Entry>, Vec<BadLine>> {
    let lines = parse_bytes(text.as_bytes())?;
    Ok(lines.into_iter().map(|line| line.entry).collect())
}

pub(super) fn parse_bytes(bytes: &[u8]) -> Result<Vec<Line>, Vec<BadLine>> {
    // Editors on Windows begin a file with a byte order mark; it belongs to no key.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    let mut bad = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        match parse_line(line) {
            Ok(Some(entry)) => lines.push(Line {
                number: index + 1,
                entry,
            }),
            Ok(None) => {}
            Err(fault) => bad.push(BadLine {
                line: index + 1,
                fault,
            }),
        }
    }
    if bad.is_empty() { Ok(lines) } else { Err(bad) }
}

fn parse_line(line: &[u8]) -> Result<Option<Entry>, LineFault> {
    let line = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
    // The carriage return of a Windows line end counts as a blank at the end, not as a character.
    let line = line
        .trim_end_matches([' ', '\t', '\r'])
        .trim_start_matches(BLANK);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(found) = line.chars().find(|&c| c.is_control() && c != '\t') {
        return Err(LineFault::Control(found));
    }
    let (key, value) = line.split_once(BLANK).unwrap_or((line, ""));
    Ok(Some((key.into(), value.trim_start_matches(BLANK).into())))
}

const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let entries = parse(text).unwrap();
        let owned = |(key, value): &Entry| (key.to_string(), value.to_string());
        entries.iter().map(owned).collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn the_first_word_is_the_key_and_the_rest_the_value() {
        assert_eq!(
            pairs("vip deluxe\n\t guest   two  words \t\n"),
            [pair("vip", "deluxe"), pair("guest", "two  words")]
        );
    }

    #[test]
    fn remarks_and_empty_lines_are_skipped() {
        assert_eq!(
            pairs("# who gets what\n\n   # still a remark\n \t\nvip a#b\n"),
            [pair("vip", "a#b")]
        );
    }

    #[test]
    fn a_file_from_windows_reads_the_same() {
        assert_eq!(pairs("\u{feff}vip deluxe\r\n\r\n"), [pair("vip", "deluxe")]);
    }

    #[test]
    fn a_key_alone_has_an_empty_value() {
        assert_eq!(pairs("alone"), [pair("alone", "")]);
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number() {
        let bad = parse_bytes(b"a b\n\xff x\nc d\ne\0 f\n").unwrap_err();
        assert_eq!(
            bad,
            [
                BadLine {
                    line: 2,
                    fault: LineFault::NotUtf8
                },
                BadLine {
                    line: 4,
                    fault: LineFault::Control('\0')
                },
            ]
        );
    }
}
