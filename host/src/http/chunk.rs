//! Chunked coding: a decoder that takes every byte once and keeps only trailers, and the writing of chunks.

use std::ops::Range;

use super::{
    body::BadBody,
    fields::Fields,
    syntax::{is_token_byte, shown},
};

/// Digits of a chunk size; as many as a 64-bit number has.
pub(super) const SIZE_DIGITS: u8 = 16;
/// Extensions are dropped, so nobody misses long ones.
const EXTENSIONS_LIMIT: usize = 256;
pub(super) const TRAILERS_LIMIT: usize = 8 * 1024;
const LARGEST_SIZE: u64 = i64::MAX as u64;

/// Decodes one chunked body.
#[derive(Debug, Default)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Of the chunk at hand: what its size line said, less what was taken.
    size: u64,
    digits: u8,
    /// Bytes of extensions in the size line at hand.
    extensions: usize,
    /// Lines after the last chunk, as they came.
    lines: Vec<u8>,
    line_start: usize,
    count: usize,
    trailers: Fields,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// Within the extensions of a size line.
    Extension(Extension),
    /// After the CR of a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    /// Blanks after the size or a finished extension; only `;` may follow.
    BeforeSemicolon,
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    QuotedPair,
    AfterQuoted,
}

/// What the start of the input was; as in [`BodyEvent`](super::body::BodyEvent).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Range<usize>),
    NeedMore,
    End(usize),
}

impl ChunkDecoder {
    pub(super) fn next(&mut self, input: &[u8]) -> Result<Piece, BadBody> {
        let at = self.pass_framing(input)?;
        let rest = &input[at..];
        match self.state {
            State::Done => Ok(Piece::End(at)),
            State::Data if !rest.is_empty() => {
                let there = usize::try_from(self.size).map_or(rest.len(), |s| s.min(rest.len()));
                self.size -= there as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                Ok(Piece::Data(at..at + there))
            }
            _ => Ok(Piece::NeedMore),
        }
    }

    /// Takes what is no data, up to the next that is or to the end, and says how much that was.
    pub(super) fn pass_framing(&mut self, input: &[u8]) -> Result<usize, BadBody> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match self.state {
                State::Data | State::Done => break,
                State::Trailers => {
                    at += self.take_trailers(&input[at..])?;
                    continue;
                }
                State::Size => self.state = self.size_byte(byte)?,
                State::Extension(extension) => self.state = self.extension_byte(extension, byte)?,
                State::SizeLf => self.state = self.size_end(byte)?,
                State::DataCr => self.state = expect(byte, b'\r', State::DataLf)?,
                State::DataLf => self.state = expect(byte, b'\n', State::Size)?,
            }
            at += 1;
        }
        Ok(at)
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn trailers(&self) -> Option<&Fields> {
        self.is_done().then_some(&self.trailers)
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, BadBody> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            self.digits += 1;
            let size = self.size.checked_mul(16).map(|s| s | u64::from(digit));
            self.size = size
                .filter(|&s| s <= LARGEST_SIZE && self.digits <= SIZE_DIGITS)
                .ok_or(BadBody::ChunkSizeTooLarge)?;
            return Ok(State::Size);
        }
        match byte {
            b'\r' | b';' | b' ' | b'\t' if self.digits == 0 => Err(BadBody::NoChunkSize),
            b'\r' => Ok(State::SizeLf),
            b';' => Ok(State::Extension(Extension::BeforeName)),
            b' ' | b'\t' => Ok(State::Extension(Extension::BeforeSemicolon)),
            b'\n' => Err(line_end(byte)),
            byte => Err(BadBody::ChunkSize {
                byte: byte_text(byte),
            }),
        }
    }

    fn extension_byte(&mut self, extension: Extension, byte: u8) -> Result<State, BadBody> {
        self.extensions += 1;
        if self.extensions > EXTENSIONS_LIMIT {
            return Err(BadBody::ChunkExtensionTooLong {
                limit: EXTENSIONS_LIMIT,
            });
        }
        use Extension as E;
        let next = match (extension, byte) {
            (E::Name | E::AfterName | E::Value | E::AfterQuoted, b';')
            | (E::BeforeSemicolon, b';') => E::BeforeName,
            (E::Name | E::Value | E::AfterQuoted, b'\r') => return Ok(State::SizeLf),
            (E::BeforeSemicolon, b' ' | b'\t') => E::BeforeSemicolon,
            (E::BeforeName, b' ' | b'\t') => E::BeforeName,
            (E::Name | E::AfterName, b' ' | b'\t') => E::AfterName,
            (E::BeforeValue, b' ' | b'\t') => E::BeforeValue,
            (E::Value | E::AfterQuoted, b' ' | b'\t') => E::BeforeSemicolon,
            (E::Name | E::AfterName, b'=') => E::BeforeValue,
            (E::BeforeValue, b'"') => E::Quoted,
            (E::BeforeName | E::Name, byte) if is_token_byte(byte) => E::Name,
            (E::BeforeValue | E::Value, byte) if is_token_byte(byte) => E::Value,
            (E::Quoted, b'"') => E::AfterQuoted,
            (E::Quoted, b'\\') => E::QuotedPair,
            (E::Quoted | E::QuotedPair, b'\t' | b' '..=0x7e | 0x80..) => E::Quoted,
            (_, b'\n') => return Err(line_end(byte)),
            _ => {
                return Err(BadBody::ChunkExtension {
                    byte: byte_text(byte),
                });
            }
        };
        Ok(State::Extension(next))
    }

    fn size_end(&mut self, byte: u8) -> Result<State, BadBody> {
        self.digits = 0;
        self.extensions = 0;
        let next = match self.size {
            0 => State::Trailers,
            _ => State::Data,
        };
        expect(byte, b'\n', next)
    }

    /// Takes what of the trailers there is, and says how much that was.
    fn take_trailers(&mut self, input: &[u8]) -> Result<usize, BadBody> {
        let line = memchr::memchr(b'\n', input).map_or(input, |lf| &input[..=lf]);
        if self.lines.len() + line.len() > TRAILERS_LIMIT {
            return Err(BadBody::TrailersTooLarge {
                limit: TRAILERS_LIMIT,
            });
        }
        self.lines.extend_from_slice(line);
        if line.last() != Some(&b'\n') {
            return Ok(line.len());
        }
        let whole = &self.lines[self.line_start..];
        if !whole.ends_with(b"\r\n") {
            return Err(line_end(b'\n'));
        }
        if whole == b"\r\n" {
            self.finish()?;
        }
        self.line_start = self.lines.len();
        self.count += 1;
        Ok(line.len())
    }

    fn finish(&mut self) -> Result<(), BadBody> {
        self.state = State::Done;
        if self.count == 0 {
            return Ok(());
        }
        self.trailers.read_trailers(&self.lines, self.count)
    }
}

fn expect(byte: u8, wanted: u8, next: State) -> Result<State, BadBody> {
    (byte == wanted)
        .then_some(next)
        .ok_or_else(|| line_end(byte))
}

fn line_end(byte: u8) -> BadBody {
    BadBody::LineEnd {
        byte: byte_text(byte),
    }
}

fn byte_text(byte: u8) -> String {
    format!("`{}`", shown(&[byte]))
}

/// Appends `data` as one chunk. Nothing is appended for no data, since an empty chunk is the last one.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    write_chunk_start(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Appends the size line of a chunk whose `size` bytes, then CRLF, the caller sends itself. `size` must not
/// be zero.
pub fn write_chunk_start(out: &mut Vec<u8>, size: usize) {
    debug_assert!(size > 0, "an empty chunk is the last one");
    let mut digits = [0; 2 * size_of::<usize>()];
    let mut at = digits.len();
    let mut left = size;
    while left > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left % 16];
        left /= 16;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write(out, 0..0, 0);
    }
    out.extend_from_slice(b"\r\n");
}
