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

/// The field line that begins at `start`. `None` if it is incomplete, or unusual in any way.
pub(super) fn line(input: &[u8], start: usize) -> Option<Line> {
    let name = input.get(start..)?.iter();
    let name_len = name.clone().position(|&byte| !NAME[byte as usize])?;
    let name_end = start + name_len;
    if name_len == 0 || input[name_end] != b':' {
        return None;
    }
    let value = input[name_end + 1..].iter();
    let blanks = value
        .clone()
        .position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let value_start = name_end + 1 + blanks;
    let carriage_return = value_end(input, value_start)?;
    if input.get(carriage_return + 1) != Some(&b'\n') {
        return None;
    }
    let mut value_end = carriage_return;
    while value_end > value_start && matches!(input[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    Some(Line {
        name_end,
        value_start,
        value_end,
        end: carriage_return + 2,
    })
}

/// Where the CR is that ends the value. `None` if there is none yet, or another control character first.
fn value_end(input: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at = next_control(input, at)?;
        match input[at] {
            b'\r' => return Some(at),
            b'\t' => at += 1,
            _ => return None,
        }
    }
}

/// The first byte from `at` on that is below a space, or DEL. Sixteen bytes at a time until there is one
/// among them, then eight as in <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>.
fn next_control(input: &[u8], mut at: usize) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // Folded instead of `any`, so that it is a few vector instructions.
    let has_control = |bytes: &[u8; 16]| {
        let control = |byte: u8| byte < b' ' || byte == 0x7f;
        bytes
            .iter()
            .fold(false, |found, &byte| found | control(byte))
    };
    let (sixteens, _) = input.get(at..)?.as_chunks();
    let clean = sixteens.iter().take_while(|bytes| !has_control(bytes));
    at += 16 * clean.count();
    while let Some(eight) = input.get(at..at + 8) {
        let word = u64::from_le_bytes(eight.try_into().expect("eight bytes are eight bytes"));
        let below_space = word.wrapping_sub(0x20 * EACH) & !word;
        let not_del = word ^ (0x7f * EACH);
        let del = not_del.wrapping_sub(EACH) & !not_del;
        let found = (below_space | del) & HIGH;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = input.get(at..)?.iter();
    let found = rest.clone().position(|&byte| byte < b' ' || byte == 0x7f)?;
    Some(at + found)
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
        assert_eq!(value("X: \t a b\t c \t\r\nY: z\r\n"), Some("a b\t c"));
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
            "X: a\0b\r\n",
            "X: \x7f\r\n",
            "X: 0123456\x01\r\n",
            "X\r\n",
        ] {
            assert_eq!(value(input), None, "{input:?}");
        }
    }

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for length in 0..40 {
            for control in [0, 9, 13, 31, 127] {
                let mut input = vec![b'x'; 40];
                // Bytes that look like neighbours of the sought ones.
                input[length / 2] = 0x80;
                input[length] = control;
                assert_eq!(next_control(&input, 0), Some(length), "{length} {control}");
            }
        }
        assert_eq!(next_control(&[0xff; 40], 0), None);
    }
}
