//! What a plugin prints, as lines of its log.

/// Longer lines are cut. Longer than what the log keeps of a message, so that it says so.
const LENGTH: usize = 2_048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// What was printed to one of the two streams since its last line ended.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Hands the lines that end in `bytes` to `write`, and keeps the start of the next.
    pub fn print(&mut self, bytes: &[u8], mut write: impl FnMut(&str)) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            self.add(line);
            self.end(&mut write);
        }
        self.add(last);
    }

    /// Hands over what there is of a line. Empty ones are left out: Python ends its tracebacks with one.
    pub fn end(&mut self, mut write: impl FnMut(&str)) {
        let line = self.begun.strip_suffix(b"\r").unwrap_or(&self.begun);
        if !line.is_empty() {
            write(&String::from_utf8_lossy(line));
        }
        self.begun.clear();
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LENGTH - self.begun.len();
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut printed) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.print(piece, |line| printed.push(line.to_owned()));
        }
        lines.end(|line| printed.push(format!("{line}...")));
        printed
    }

    #[test]
    fn a_line_is_written_when_it_has_ended() {
        let pieces: &[&[u8]] = &[b"on", b"e\ntw", b"o\r\n\n", b"thr"];
        assert_eq!(printed(pieces), ["one", "two", "thr..."]);
    }

    #[test]
    fn of_a_line_without_end_only_the_beginning_is_kept() {
        let lines = printed(&[&[b'x'; 100_000], &[b'x'; 100_000], b"\nshort\n"]);
        assert_eq!(lines[0].len(), LENGTH);
        assert_eq!(lines[1], "short");
    }

    #[test]
    fn what_is_no_utf8_is_shown_as_such() {
        assert_eq!(printed(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }
}
