//! Finds where a head ends, however it is cut into reads. Each byte is looked at once: a client that
//! sends one byte at a time makes no more work than one that sends all.

use memchr::memchr_iter;

/// How large a head may get before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The first line and the fields, with the empty line that ends them.
    pub bytes: usize,
    pub fields: usize,
    /// The target of a request.
    pub target: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes: 16 * 1024,
            fields: 100,
            target: 8 * 1024,
        }
    }
}

/// What is already known about a head of which only a part has arrived. Keep it beside the buffer;
/// it starts afresh by itself once the head was complete.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Up to here no line ends that was not seen.
    scanned: usize,
    line_start: usize,
    /// After an empty line that was let pass.
    head_start: usize,
    /// Complete lines, not counting an empty one before the first.
    lines: usize,
}

impl Progress {
    /// Whether nothing was looked at yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0 && self.head_start == 0
    }

    /// Whether anything but an empty line has arrived: silence from here on is a client that stopped in the
    /// middle of a request rather than one that has none.
    pub fn has_begun(&self) -> bool {
        self.lines > 0 || self.scanned > self.line_start
    }
}

/// Whether a head could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// More bytes are needed.
    Partial,
    /// The head was filled in.
    Complete,
}

/// The ends of a complete head.
pub(super) struct Extent {
    /// Where the first line starts, after an empty line that was let pass.
    pub start: usize,
    pub end: usize,
    pub fields: usize,
}

/// Why a head cannot become one, found before it is complete.
pub(super) enum BadExtent<E> {
    BareLf,
    EmptyLine,
    FirstLineTooLong {
        start: usize,
    },
    TooLarge,
    TooManyFields,
    /// The first byte or the first line is not of the message.
    FirstLine(E),
}

/// What kind of head is looked for.
pub(super) trait Shape {
    type Error;
    /// Whether one empty line may come first (RFC 9112 §2.2: only in requests).
    const EMPTY_LINE_FIRST: bool;
    /// The first line, without CRLF, may have this many bytes.
    fn first_line_limit(&self) -> usize;
    /// Looks at the beginning of the first line, as much as is there.
    fn check_start(&self, start: &[u8]) -> Result<(), Self::Error>;
    /// Looks at the whole first line, without its CRLF. Called once per head.
    fn check_line(&mut self, line: &[u8]) -> Result<(), Self::Error>;
}

/// Looks for the end of the head that begins at `input[0]`. `input` must be what it was in the call
/// before, with any number of bytes more.
///
/// What is found depends on the bytes alone, not on how they were cut: the first thing in the stream that is
/// wrong decides.
pub(super) fn scan<S: Shape>(
    input: &[u8],
    progress: &mut Progress,
    limits: &HeadLimits,
    shape: &mut S,
) -> Result<Option<Extent>, BadExtent<S::Error>> {
    if progress.lines == 0 {
        shape
            .check_start(&input[progress.head_start..])
            .map_err(BadExtent::FirstLine)?;
    }
    let from = progress.scanned;
    for lf in memchr_iter(b'\n', &input[from..]) {
        let end = from + lf + 1;
        progress.check_size(end, limits, shape)?;
        if end - progress.line_start < 2 || input[end - 2] != b'\r' {
            return Err(BadExtent::BareLf);
        }
        let line = &input[progress.line_start..end - 2];
        match (line, progress.lines) {
            ([], 0) => {
                if !S::EMPTY_LINE_FIRST || progress.head_start > 0 {
                    return Err(BadExtent::EmptyLine);
                }
                progress.head_start = end;
                shape
                    .check_start(&input[end..])
                    .map_err(BadExtent::FirstLine)?;
            }
            ([], lines) => {
                let start = progress.head_start;
                *progress = Progress::default();
                return Ok(Some(Extent {
                    start,
                    end,
                    fields: lines - 1,
                }));
            }
            (line, 0) => {
                shape.check_line(line).map_err(BadExtent::FirstLine)?;
                progress.lines = 1;
            }
            (_, lines) if lines > limits.fields => return Err(BadExtent::TooManyFields),
            (_, lines) => progress.lines = lines + 1,
        }
        progress.line_start = end;
    }
    progress.scanned = input.len();
    // The earliest that the line which is under way can end.
    progress.check_size(input.len() + 1, limits, shape)?;
    Ok(None)
}

impl Progress {
    /// Whether a line may end at `end`.
    fn check_size<S: Shape>(
        &self,
        end: usize,
        limits: &HeadLimits,
        shape: &S,
    ) -> Result<(), BadExtent<S::Error>> {
        let first_line_end = shape.first_line_limit().saturating_add(self.head_start + 2);
        if self.lines == 0 && end > first_line_end && first_line_end <= limits.bytes {
            return Err(BadExtent::FirstLineTooLong {
                start: self.head_start,
            });
        }
        if end > limits.bytes {
            return Err(BadExtent::TooLarge);
        }
        Ok(())
    }
}
