//! One pass over the fields of a head that has nothing to object to, which nearly every head is.
//!
//! It accepts less than the codec as a whole and never says why: whatever it does not take is looked at
//! again, from the start, by the thorough way through `scan` and httparse, which decides and explains.

use super::syntax::is_token_byte;

/// Bytes of a field name that need no second look. An underscore may be a disguise; see
/// `known::is_lookalike`.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_token_byte(byte as u8) && byte as u8 != b'_';
        byte += 1;
    }
    table
};

/// One field line, by positions in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub name_end: usize,
    pub value_start: usize,
    pub value_end: usize,
    /// After the CRLF.
    pub end: usize,
}

/// The field line that begins at `start`. `None` if it is incomplete, or unusual in any way but this: its
/// value may hold control characters, which [`controls`] finds for all lines at once.
pub(super) fn line(input: &[u8], start: usize) -> Option<Line> {
    let line = input.get(start..)?;
    let name_len = line.iter().position(|&byte| !NAME[byte as usize])?;
    if name_len == 0 || line[name_len] != b':' {
        return None;
    }
    let after_colon = name_len + 1;
    let value = line.get(after_colon..)?;
    let value_start = after_colon + value.iter().position(|&byte| byte != b' ')?;
    let carriage_return = value_start + carriage_return(&line[value_start..])?;
    if line.get(carriage_return + 1) != Some(&b'\n') {
        return None;
    }
    let mut value_end = carriage_return;
    while value_end > value_start && line[value_end - 1] == b' ' {
        value_end -= 1;
    }
    Some(Line {
        name_end: start + name_len,
        value_start: start + value_start,
        value_end: start + value_end,
        end: start + carriage_return + 2,
    })
}

/// How many bytes are below a space, or DEL: a head with two of them to a line has none but the ends of its
/// lines.
pub(super) fn controls(head: &[u8]) -> usize {
    // Counted in bytes, as many at a time as a byte can count, so that it is a few vector instructions.
    let count = |part: &[u8]| {
        part.iter().fold(0, |count: u8, &byte| {
            count + u8::from(byte < b' ' || byte == 0x7f)
        })
    };
    head.chunks(192).map(|part| usize::from(count(part))).sum()
}

/// Where the first CR is. Sixteen bytes at a time until there is one among them, then eight as in
/// <https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord>.
fn carriage_return(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // Folded instead of `any`, so that it is a few vector instructions.
    let has_one = |bytes: &[u8; 16]| {
        bytes
            .iter()
            .fold(false, |found, &byte| found | (byte == b'\r'))
    };
    let (sixteens, _) = bytes.as_chunks();
    let mut at = 16 * sixteens.iter().take_while(|bytes| !has_one(bytes)).count();
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight) ^ (EACH * b'\r' as u64);
        let found = word.wrapping_sub(EACH) & !word & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?.iter();
    Some(at + rest.clone().position(|&byte| byte == b'\r')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(input: &str) -> Option<&str> {
        let line = line(input.as_bytes(), 0)?;
        Some(&input[line.value_start..line.value_end])
    }

    #[test]
    fn ordinary_lines_are_taken() {
        assert_eq!(value("Host: a\r\n"), Some("a"));
        assert_eq!(value("X:\r\n"), Some(""));
        assert_eq!(value("X:   a b  c  \r\nY: z\r\n"), Some("a b  c"));
        assert_eq!(value("X: 0123456789abcdef\r\n"), Some("0123456789abcdef"));
    }

    #[test]
    fn anything_unusual_is_left_to_the_thorough_way() {
        for input in [
            "",
            "X",
            "X:",
            "X: a",
            "X: a\r",
            "X: a\n",
            "X: a\rb\r\n",
            " X: a\r\n",
            "X : a\r\n",
            ": a\r\n",
            "X_Y: a\r\n",
            "X\r\n",
        ] {
            assert_eq!(value(input), None, "{input:?}");
        }
    }

    #[test]
    fn a_carriage_return_is_found_wherever_it_stands() {
        for place in 0..40 {
            let mut input = vec![b'x'; 40];
            // Bytes that look like neighbours of the sought one.
            input[place / 2] = 0x8d;
            input[39] = 0x0c;
            input[place] = b'\r';
            assert_eq!(carriage_return(&input), Some(place));
        }
        assert_eq!(carriage_return(&[0x0e; 40]), None);
        assert_eq!(carriage_return(b""), None);
    }

    #[test]
    fn control_characters_are_counted_wherever_they_stand() {
        for length in [0, 1, 15, 64, 191, 192, 193, 600] {
            assert_eq!(controls(&vec![b' '; length]), 0);
            assert_eq!(controls(&vec![0xff; length]), 0);
            for control in [0, 9, 10, 13, 31, 127] {
                assert_eq!(controls(&vec![control; length]), length, "{control}");
                let mut one = vec![b'~'; length];
                for place in 0..length {
                    one[place] = control;
                    assert_eq!(controls(&one), 1, "{control} at {place} of {length}");
                    one[place] = b'~';
                }
            }
        }
    }
}
