//! One pass over the fields of a head that has nothing to object to, which nearly every head is.
//!
//! It accepts less than the codec as a whole and never says why: whatever it does not take is looked at
//! again, from the start, by the thorough way through `scan` and httparse, which decides and explains.

use wide::u8x16;

/// One field line, by positions in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub name_end: usize,
    pub value_start: usize,
    pub value_end: usize,
    /// After the CRLF.
    pub end: usize,
}

/// Field lines one after the other. The input is looked at once, in blocks that know no lines, and what is
/// looked for is then a bit in a word, as in <https://arxiv.org/abs/1902.08318>.
pub(super) struct Lines<'a> {
    input: &'a [u8],
    at: usize,
    block: Block,
}

impl<'a> Lines<'a> {
    /// Of the lines that begin at `at`.
    pub fn new(input: &'a [u8], at: usize) -> Self {
        Self {
            input,
            at,
            block: Block::of(input, at),
        }
    }

    /// Where the next line begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next line. `None` if it is incomplete, or unusual in any way.
    pub fn next_line(&mut self) -> Option<Line> {
        let start = self.at;
        let name_end = self.find(start, |block| block.ends_name)?;
        if name_end == start || self.input[name_end] != b':' {
            return None;
        }
        let mut value_start = name_end + 1;
        while let b' ' | b'\t' = self.input.get(value_start)? {
            value_start += 1;
        }
        let carriage_return = self.value_end(value_start)?;
        if self.input.get(carriage_return + 1) != Some(&b'\n') {
            return None;
        }
        let mut value = self.input.get(value_start..carriage_return)?;
        while let [rest @ .., b' ' | b'\t'] = value {
            value = rest;
        }
        self.at = carriage_return + 2;
        Some(Line {
            name_end,
            value_start,
            value_end: value_start + value.len(),
            end: self.at,
        })
    }

    /// Where the CR is that ends the value. `None` if there is none yet, or another control character first.
    fn value_end(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            at = self.find(at, |block| block.control)?;
            match self.input[at] {
                b'\r' => return Some(at),
                b'\t' => at += 1,
                _ => return None,
            }
        }
    }

    /// The first byte from `at` on that is of a class. `at` never goes back before the block.
    fn find(&mut self, at: usize, class: impl Fn(&Block) -> u64) -> Option<usize> {
        let mut from = at - self.block.start;
        loop {
            if from < BLOCK {
                let found = class(&self.block) >> from;
                if found != 0 {
                    let found = self.block.start + from + found.trailing_zeros() as usize;
                    return (found < self.input.len()).then_some(found);
                }
                from = BLOCK;
            }
            let start = self.block.start + from;
            if start >= self.input.len() {
                return None;
            }
            self.block = Block::of(self.input, start);
            from = 0;
        }
    }
}

/// As many bytes as a word has bits.
const BLOCK: usize = 64;

/// Which bytes of a piece of the input are what, the first byte being the lowest bit.
struct Block {
    start: usize,
    /// Below a space, or DEL.
    control: u64,
    /// Neither letter, digit nor hyphen. Names that have other bytes are sound, perhaps, but rare; an underscore
    /// may be a disguise, see `known::is_lookalike`.
    ends_name: u64,
}

impl Block {
    /// What is missing at the end of the input is taken for control characters.
    fn of(input: &[u8], start: usize) -> Self {
        let rest = input.get(start..).unwrap_or_default();
        let (control, ends_name) = match rest.first_chunk() {
            Some(bytes) => classes(bytes),
            None => {
                let mut bytes = [0; BLOCK];
                bytes[..rest.len()].copy_from_slice(rest);
                classes(&bytes)
            }
        };
        Self {
            start,
            control,
            ends_name,
        }
    }
}

fn classes(bytes: &[u8; BLOCK]) -> (u64, u64) {
    let (vectors, _) = bytes.as_chunks();
    let (mut control, mut ends_name) = (0, 0);
    for (position, bytes) in vectors.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        let at_most = |bytes: u8x16, most: u8| bytes.min(u8x16::splat(most)).simd_eq(bytes);
        let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let is_control = at_most(bytes, 0x1f) | is(0x7f);
        let letter = at_most((bytes | u8x16::splat(0x20)) - u8x16::splat(b'a'), 25);
        let digit = at_most(bytes - u8x16::splat(b'0'), 9);
        let is_name = letter | digit | is(b'-');
        control |= u64::from(is_control.to_bitmask()) << (16 * position);
        ends_name |= u64::from(!is_name.to_bitmask() & 0xffff) << (16 * position);
    }
    (control, ends_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(input: &str) -> Option<&str> {
        let line = Lines::new(input.as_bytes(), 0).next_line()?;
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
    fn lines_follow_each_other_wherever_blocks_end() {
        for length in 0..200 {
            let long = "v".repeat(length);
            let input = format!("First: {long}\r\nSecond-1:{long}\t{long}\r\nthird: 3\r\n\r\n");
            let mut lines = Lines::new(input.as_bytes(), 0);
            let mut next = || {
                let start = lines.at();
                let line = lines.next_line()?;
                let name = &input[start..line.name_end];
                Some((name, &input[line.value_start..line.value_end]))
            };
            assert_eq!(next(), Some(("First", &*long)), "{length}");
            let two = format!("{long}\t{long}");
            assert_eq!(next(), Some(("Second-1", two.trim())), "{length}");
            assert_eq!(next(), Some(("third", "3")), "{length}");
            assert_eq!(next(), None, "{length}");
        }
    }

    #[test]
    fn every_byte_is_of_its_class() {
        for byte in 0..=255 {
            for position in [0, 15, 16, 63] {
                let mut bytes = [b'x'; BLOCK];
                bytes[position] = byte;
                let (control, ends_name) = classes(&bytes);
                let is = |there: bool| u64::from(there) << position;
                assert_eq!(control, is(byte < b' ' || byte == 0x7f), "{byte}");
                let of_name = byte.is_ascii_alphanumeric() || byte == b'-';
                assert_eq!(ends_name, is(!of_name), "{byte}");
            }
        }
    }

    #[test]
    fn what_is_cut_anywhere_is_incomplete() {
        let input = "Name: a value of some length, so that more than one block is looked at: 0123456789\r\n";
        for end in 0..input.len() {
            assert_eq!(value(&input[..end]), None, "{end}");
        }
        assert!(value(input).is_some());
    }
}
