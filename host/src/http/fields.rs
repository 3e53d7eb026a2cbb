//! The fields of a head (or of trailers) as lines in one arena. Reading makes spans; an edit writes a new
//! line at the end of the arena and points a span at it, so lines that nobody touched keep their bytes
//! and leave in as few copies as there are runs of them.

use std::ops::Range;

use smallvec::SmallVec;

use super::{
    body::BadBody,
    clean, host,
    known::{self, Known},
    scan::HeadLimits,
    syntax::{is_token, is_token_byte, is_value, is_value_byte, shown, trim},
};

/// The longest field name that is read or written.
const NAME_LIMIT: usize = 256;
/// The longest value that an edit may give.
const EDIT_LIMIT: usize = 16 * 1024;
/// What a head with its edits may hold in all.
const ARENA_LIMIT: usize = 1024 * 1024;
/// How many fields a head may have after edits.
const COUNT_LIMIT: usize = 1000;

/// Field lines in order. Every line in it is `name: value CRLF` with a sound name and value.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    bytes: Vec<u8>,
    list: Vec<Field>,
    /// Which tags occur in `list`; a superset, so a clear bit is proof and a set one is a hint.
    present: u64,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    start: u32,
    value_start: u32,
    value_end: u32,
    /// After the line's CRLF.
    end: u32,
    name_len: u16,
    known: Known,
}

/// One field as it was read or edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldRef<'a> {
    /// In the case it was sent in.
    pub name: &'a str,
    pub value: &'a [u8],
    pub known: Known,
}

/// What becomes of one field.
pub(super) enum Rewrite {
    Keep,
    Drop,
    To(Vec<u8>),
    /// These parts of the value that it has, by positions in it.
    Parts(Parts),
}

/// Parts of a value; mostly one or two.
pub(super) type Parts = SmallVec<[Range<usize>; 2]>;

/// Why an edit was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    #[error("`{name}` is not a field name")]
    Name { name: String },
    #[error("the value of `{name}` has a {} in it", byte_name(*.found))]
    Value { name: String, found: u8 },
    #[error("`{name}` is set by the proxy itself")]
    ProxysOwn { name: String },
    #[error("`{value}` is not a host")]
    Host { value: String },
    #[error("a request has exactly one Host: it can be set, not added or removed")]
    HostCount,
    #[error("field `{name}` is too large ({size} bytes)")]
    TooLarge { name: String, size: usize },
    #[error("more than {COUNT_LIMIT} fields")]
    TooMany,
}

/// Why a line is not a field, or not one that every server reads alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    #[error("line `{found}` continues the one before it")]
    Folded { found: String },
    #[error("line `{found}` has no colon")]
    NoColon { found: String },
    #[error("line `{found}` has no name before the colon")]
    EmptyName { found: String },
    #[error("field name `{found}` is followed by a blank")]
    BlankBeforeColon { found: String },
    #[error("field name `{found}` has a {} in it", byte_name(*.byte))]
    NameByte { found: String, byte: u8 },
    #[error("field name `{found}` is longer than {NAME_LIMIT} bytes")]
    NameTooLong { found: String },
    #[error("field name `{found}` passes for another with `-` in place of `_`")]
    Lookalike { found: String },
    #[error("the value of `{name}` has a {} in it", byte_name(*.byte))]
    ValueByte { name: String, byte: u8 },
}

fn byte_name(byte: u8) -> String {
    match byte {
        0 => "NUL".to_owned(),
        b'\r' => "CR".to_owned(),
        b'\n' => "LF".to_owned(),
        b' ' => "space".to_owned(),
        b'\t' => "tab".to_owned(),
        0x21..=0x7e => format!("`{}`", char::from(byte)),
        _ => format!("byte 0x{byte:02x}"),
    }
}

impl Fields {
    /// The last field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.find(name).next_back().map(|field| self.value(field))
    }

    /// The last field with that tag; dearer names are found by [`get`](Self::get).
    pub fn known(&self, known: Known) -> Option<&[u8]> {
        self.all_known(known).next_back()
    }

    /// All values of that name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.find(name).map(|field| self.value(field))
    }

    /// All values with that tag, in order.
    pub fn all_known(&self, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> {
        let list: &[Field] = if self.has(known) { &self.list } else { &[] };
        list.iter()
            .filter(move |field| field.known == known)
            .map(|field| self.value(field))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = FieldRef<'_>> {
        self.list.iter().map(|field| FieldRef {
            name: self.name(field),
            value: self.value(field),
            known: field.known,
        })
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// How much memory they hold on to.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.list.capacity() * size_of::<Field>()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts one field in place of all of that name: where the first one stood, else at the end. Blanks around
    /// the value are dropped.
    ///
    /// Takes edits from plugins: nothing that a server could read differently gets in.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<(), BadField> {
        let known = self.check(name, value)?;
        if known == Known::Host && host::split(trim(value)).is_none() {
            return Err(BadField::Host {
                value: shown(value),
            });
        }
        self.replace(name, value, known);
        Ok(())
    }

    /// Appends a field, keeping those of that name. Otherwise like [`set`](Self::set).
    pub fn add(&mut self, name: &str, value: &[u8]) -> Result<(), BadField> {
        let known = self.check(name, value)?;
        if known == Known::Host {
            return Err(BadField::HostCount);
        }
        self.push(name, value, known);
        Ok(())
    }

    /// Removes all fields of that name; that there are none is no error.
    pub fn remove(&mut self, name: &str) -> Result<(), BadField> {
        let known = checked_name(name)?;
        if known == Known::Host {
            return Err(BadField::HostCount);
        }
        self.drop_named(name, known);
        Ok(())
    }

    fn check(&self, name: &str, value: &[u8]) -> Result<Known, BadField> {
        let known = checked_name(name)?;
        self.check_value(name, value)?;
        self.check_growth(name, name.len() + value.len())?;
        if self.list.len() >= COUNT_LIMIT {
            return Err(BadField::TooMany);
        }
        Ok(known)
    }

    pub(super) fn check_value(&self, name: &str, value: &[u8]) -> Result<(), BadField> {
        if !is_value(value) {
            return Err(BadField::Value {
                name: name.to_owned(),
                found: first_bad(value, is_value_byte),
            });
        }
        if value.len() > EDIT_LIMIT {
            return Err(BadField::TooLarge {
                name: name.to_owned(),
                size: value.len(),
            });
        }
        Ok(())
    }

    pub(super) fn check_growth(&self, name: &str, size: usize) -> Result<(), BadField> {
        if self.bytes.len() + size > ARENA_LIMIT {
            return Err(BadField::TooLarge {
                name: name.to_owned(),
                size,
            });
        }
        Ok(())
    }

    fn drop_named(&mut self, name: &str, known: Known) {
        let bytes = &self.bytes;
        self.list.retain(|field| !field.is(bytes, name, known));
    }

    fn find<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Field> {
        let known = Known::of(name.as_bytes());
        let may_be_there = self.has(known) || (known == Known::Other && self.has(Known::Nominated));
        let list: &[Field] = if may_be_there { &self.list } else { &[] };
        list.iter()
            .filter(move |field| field.is(&self.bytes, name, known))
    }

    fn has(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    fn name(&self, field: &Field) -> &str {
        std::str::from_utf8(field.name(&self.bytes)).expect("a field name is a token")
    }

    fn value(&self, field: &Field) -> &[u8] {
        &self.bytes[field.value_start as usize..field.value_end as usize]
    }
}

/// For the codec itself: it may touch what plugins may not.
impl Fields {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.present = 0;
    }

    /// Everything the spans of a head point into: its first line, its fields, and what edits appended.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends text that is not a field and says where it is, e.g. for a new path.
    pub(super) fn keep(&mut self, text: &[u8]) -> Range<u32> {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(text);
        start..offset(self.bytes.len())
    }

    /// Takes over the head at the start of `input`, whose first line has `first_line` bytes, and says how long
    /// it is. `None` if it is incomplete or has anything unusual; then nothing can be said of what is held.
    pub(super) fn read_clean(
        &mut self,
        input: &[u8],
        first_line: usize,
        limits: &HeadLimits,
    ) -> Option<usize> {
        self.clear();
        // A longer head is refused in any case, and up to there all positions fit into 32 bits.
        let input = &input[..input.len().min(limits.bytes).min(u32::MAX as usize)];
        let mut lines = clean::Lines::new(input, first_line);
        while *input.get(lines.at())? != b'\r' {
            let at = lines.at();
            let line = lines.next_line()?;
            let name_len = line.name_end - at;
            if name_len > NAME_LIMIT || self.list.len() == limits.fields {
                return None;
            }
            let known = Known::of(&input[at..line.name_end]);
            self.present |= known.bit();
            self.list.push(Field {
                start: at as u32,
                value_start: line.value_start as u32,
                value_end: line.value_end as u32,
                end: line.end as u32,
                name_len: name_len as u16,
                known,
            });
        }
        let end = lines.at() + 2;
        if *input.get(end - 1)? != b'\n' {
            return None;
        }
        self.bytes.extend_from_slice(&input[..end]);
        Some(end)
    }

    /// Takes over a head whose lines all end in CRLF, the last being empty. `first_line` is the length of the
    /// line that is not a field (0 if there is none), `count` how many fields follow.
    pub(super) fn read(
        &mut self,
        head: &[u8],
        first_line: usize,
        count: usize,
    ) -> Result<(), BadLine> {
        self.clear();
        let Self {
            bytes,
            list,
            present,
        } = self;
        bytes.extend_from_slice(head);
        // The parser wants its slots made ready, which costs about as much as reading a field each.
        let empty = httparse::EMPTY_HEADER;
        match count {
            0..=16 => read_lines(bytes, first_line, &mut [empty; 16], list)?,
            17..=64 => read_lines(bytes, first_line, &mut [empty; 64], list)?,
            _ => read_lines(bytes, first_line, &mut vec![empty; count], list)?,
        }
        *present = list.iter().fold(0, |all, field| all | field.known.bit());
        Ok(())
    }

    /// Takes over trailers, an empty line after them. Those that frame, route or authorise come too late.
    pub(super) fn read_trailers(&mut self, lines: &[u8], count: usize) -> Result<(), BadBody> {
        self.read(lines, 0, count)?;
        let refused = |field: &FieldRef<'_>| field.known.is_refused_in_trailers();
        match self.iter().find(refused) {
            Some(field) => Err(BadBody::TrailerField {
                name: field.name.to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Like [`set`](Self::set), for values the codec has checked itself.
    pub(super) fn replace(&mut self, name: &str, value: &[u8], known: Known) {
        let bytes = &self.bytes;
        let first = self
            .list
            .iter()
            .position(|field| field.is(bytes, name, known));
        self.push(name, value, known);
        if let Some(first) = first
            && let Some(new) = self.list.pop()
        {
            self.drop_named(name, known);
            self.list.insert(first, new);
        }
    }

    /// Like [`add`](Self::add), for values the codec has checked itself.
    pub(super) fn push(&mut self, name: &str, value: &[u8], known: Known) {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        let value_start = offset(self.bytes.len());
        self.bytes.extend_from_slice(trim(value));
        let value_end = offset(self.bytes.len());
        self.bytes.extend_from_slice(b"\r\n");
        self.list.push(Field {
            start,
            value_start,
            value_end,
            end: offset(self.bytes.len()),
            name_len: u16::try_from(name.len()).expect("names are checked against NAME_LIMIT"),
            known,
        });
        self.present |= known.bit();
    }

    /// Decides on each field with that tag. What it is rewritten to must be a sound value.
    pub(super) fn rewrite(&mut self, known: Known, mut decide: impl FnMut(&[u8]) -> Rewrite) {
        if !self.has(known) {
            return;
        }
        let mut at = 0;
        while at < self.list.len() {
            let field = self.list[at];
            let decided = match field.known == known {
                true => decide(self.value(&field)),
                false => Rewrite::Keep,
            };
            match decided {
                Rewrite::Keep => at += 1,
                Rewrite::Drop => drop(self.list.remove(at)),
                Rewrite::Parts(parts) => {
                    self.list[at] = self.push_parts(&field, &parts);
                    at += 1;
                }
                Rewrite::To(value) => {
                    let name = self.name(&field).to_owned();
                    self.push(&name, &value, known);
                    self.list.swap_remove(at);
                    at += 1;
                }
            }
        }
    }

    /// Writes a line of the name of `field` and parts of its value.
    fn push_parts(&mut self, field: &Field, parts: &[Range<usize>]) -> Field {
        let bytes = &mut self.bytes;
        let start = bytes.len();
        let name = field.start as usize;
        bytes.extend_from_within(name..name + usize::from(field.name_len));
        bytes.extend_from_slice(b": ");
        let value_start = bytes.len();
        let value = field.value_start as usize;
        for part in parts {
            bytes.extend_from_within(value + part.start..value + part.end);
        }
        let value_end = bytes.len();
        bytes.extend_from_slice(b"\r\n");
        Field {
            start: offset(start),
            value_start: offset(value_start),
            value_end: offset(value_end),
            end: offset(bytes.len()),
            ..*field
        }
    }

    /// Marks the fields that `Connection` names as ending at this hop.
    pub(super) fn nominate(&mut self, name: &[u8]) {
        for field in &mut self.list {
            if field.known == Known::Other && field.name(&self.bytes).eq_ignore_ascii_case(name) {
                field.known = Known::Nominated;
                self.present |= Known::Nominated.bit();
            }
        }
    }

    /// Whether a field with one of these tags may be there; see [`Known::bit`].
    pub(super) fn has_any(&self, tags: u64) -> bool {
        self.present & tags != 0
    }

    /// Appends the lines whose tags are not in `without`, as they are. `before` is what already leads up to
    /// the first line, so that a head nobody touched is copied at once.
    pub(super) fn write(&self, out: &mut Vec<u8>, before: Range<u32>, without: u64) {
        let mut run = before;
        for field in &self.list {
            if field.known.bit() & without != 0 {
                continue;
            }
            if field.start != run.end {
                out.extend_from_slice(&self.bytes[run.start as usize..run.end as usize]);
                run.start = field.start;
            }
            run.end = field.end;
        }
        out.extend_from_slice(&self.bytes[run.start as usize..run.end as usize]);
    }
}

impl Field {
    fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        &bytes[start..start + usize::from(self.name_len)]
    }

    /// Whether it is called `name`, of which `known` is the tag.
    fn is(&self, bytes: &[u8], name: &str, known: Known) -> bool {
        match self.known {
            Known::Other | Known::Nominated => {
                known == Known::Other && self.name(bytes).eq_ignore_ascii_case(name.as_bytes())
            }
            tag => tag == known,
        }
    }
}

/// Heads are limited to far less than 4 GiB, and so are edits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("a head is smaller than 4 GiB")
}

fn checked_name(name: &str) -> Result<Known, BadField> {
    let known = Known::of(name.as_bytes());
    if !is_token(name.as_bytes()) || known::is_lookalike(name.as_bytes()) {
        return Err(BadField::Name {
            name: shown(name.as_bytes()),
        });
    }
    if name.len() > NAME_LIMIT {
        return Err(BadField::TooLarge {
            name: shown(name.as_bytes()),
            size: name.len(),
        });
    }
    if known.is_of_the_hop() {
        return Err(BadField::ProxysOwn {
            name: name.to_owned(),
        });
    }
    Ok(known)
}

fn first_bad(bytes: &[u8], good: impl Fn(u8) -> bool) -> u8 {
    bytes.iter().copied().find(|&b| !good(b)).unwrap_or(0)
}

/// Finds the fields of a head in `bytes`, in which every LF is known to have a CR before it and the only
/// empty line is the last: the two things that httparse is lax about.
fn read_lines<'a>(
    bytes: &'a [u8],
    first_line: usize,
    slots: &mut [httparse::Header<'a>],
    list: &mut Vec<Field>,
) -> Result<(), BadLine> {
    let lines = &bytes[first_line..];
    let Ok(httparse::Status::Complete((consumed, headers))) = httparse::parse_headers(lines, slots)
    else {
        return Err(diagnose(lines));
    };
    if consumed != lines.len() {
        return Err(diagnose(lines));
    }
    // Slices of `bytes`, so their places follow from their addresses.
    let place = |part: &[u8]| part.as_ptr() as usize - bytes.as_ptr() as usize;
    for header in headers {
        let name = header.name.as_bytes();
        let known = Known::of(name);
        if name.len() > NAME_LIMIT {
            return Err(BadLine::NameTooLong { found: shown(name) });
        }
        if known == Known::Other && known::is_lookalike(name) {
            return Err(BadLine::Lookalike { found: shown(name) });
        }
        let start = offset(place(name));
        if let Some(before) = list.last_mut() {
            before.end = start;
        }
        // An empty value may be a slice of nothing, anywhere.
        let value_start = match header.value {
            [] => start as usize + name.len() + 1,
            value => place(value),
        };
        list.push(Field {
            start,
            value_start: offset(value_start),
            value_end: offset(value_start + header.value.len()),
            end: offset(bytes.len() - 2),
            name_len: name.len() as u16,
            known,
        });
    }
    Ok(())
}

/// Says what is wrong with the first bad line. The parser only says that something is.
fn diagnose(lines: &[u8]) -> BadLine {
    lines
        .split_inclusive(|&b| b == b'\n')
        .find_map(|line| diagnose_line(line.strip_suffix(b"\r\n").unwrap_or(line)))
        .unwrap_or_else(|| BadLine::NoColon {
            found: shown(lines),
        })
}

fn diagnose_line(line: &[u8]) -> Option<BadLine> {
    let found = || shown(line);
    if let [b' ' | b'\t', ..] = line {
        return Some(BadLine::Folded { found: found() });
    }
    if line.is_empty() {
        return None;
    }
    let Some(colon) = line.iter().position(|&b| b == b':') else {
        return Some(BadLine::NoColon { found: found() });
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() {
        return Some(BadLine::EmptyName { found: found() });
    }
    if !is_token(name) {
        return Some(match name {
            [start @ .., b' ' | b'\t'] if is_token(trim(start)) => BadLine::BlankBeforeColon {
                found: shown(trim(start)),
            },
            _ => BadLine::NameByte {
                found: shown(name),
                byte: first_bad(name, is_token_byte),
            },
        });
    }
    (!is_value(value)).then(|| BadLine::ValueByte {
        name: shown(name),
        byte: first_bad(value, is_value_byte),
    })
}
