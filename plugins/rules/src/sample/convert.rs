//! Converters: pure functions from one text to another, by HAProxy's names and with its results.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use regex::bytes::{NoExpand, Regex, RegexBuilder};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{
    address::{Mask, split_host},
    arguments,
    keyed::{Fit, Keyed},
};
use crate::{inputs::Facts, suggest::nearest};

/// Of a compiled regular expression; in bytes.
const REGEX_SIZE: usize = 4 << 20;
/// Longer texts are not made: a few `append`s must not eat the plugin's memory.
const LONGEST: usize = 64 << 10;

#[derive(Debug, Clone)]
pub enum Converter {
    Lower,
    Upper,
    Trim,
    TrimStart(Vec<u8>),
    TrimEnd(Vec<u8>),
    Field {
        number: i64,
        delimiters: Vec<u8>,
        count: i64,
    },
    Word {
        number: i64,
        delimiters: Vec<u8>,
        count: i64,
    },
    Bytes {
        offset: usize,
        length: Option<usize>,
    },
    Length,
    Append(String),
    UrlDecode {
        form: bool,
    },
    UrlEncode,
    Base64,
    Base64Decode,
    Hex,
    Sha2(u32),
    Replace {
        regex: Regex,
        with: Vec<u8>,
        all: bool,
    },
    Map {
        map: String,
        default: Option<String>,
    },
    /// A map with patterns for keys.
    Keyed(Keyed),
    Mask(Mask),
    HostOnly,
    PortOnly,
    Number(Operation),
    If {
        yes: String,
        no: String,
    },
    Crc32,
    Djb2,
    Sdbm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Add(i64),
    Subtract(i64),
    Multiply(i64),
    Divide(i64),
    Remainder(i64),
    Negate,
    Even,
    Odd,
    Not,
    Bool,
}

const NAMES: [&str; 41] = [
    "lower",
    "upper",
    "trim",
    "ltrim",
    "rtrim",
    "field",
    "word",
    "bytes",
    "length",
    "append",
    "url_dec",
    "url_enc",
    "base64",
    "b64dec",
    "hex",
    "sha2",
    "regsub",
    "map",
    "map_dir",
    "map_dom",
    "map_end",
    "map_reg",
    "map_regm",
    "map_sub",
    "ipmask",
    "host_only",
    "port_only",
    "add",
    "sub",
    "mul",
    "div",
    "mod",
    "neg",
    "even",
    "odd",
    "not",
    "bool",
    "iif",
    "crc32",
    "djb2",
    "sdbm",
];

/// The arguments of a converter, with its name for messages.
struct Arguments<'a> {
    name: &'a str,
    list: Vec<String>,
}

impl Arguments<'_> {
    fn text(&self, position: usize, what: &str) -> Result<&str, String> {
        let found = self.list.get(position).map(String::as_str);
        found.ok_or_else(|| format!("`{}` needs {what}", self.name))
    }

    fn number(&self, position: usize, what: &str) -> Result<i64, String> {
        let text = self.text(position, what)?;
        text.parse()
            .map_err(|_| format!("`{}`: `{text}` is no number", self.name))
    }

    fn size(&self, position: usize, what: &str) -> Result<usize, String> {
        let number = self.number(position, what)?;
        usize::try_from(number).map_err(|_| format!("`{}`: `{number}` is below 0", self.name))
    }

    fn optional(&self, position: usize) -> Option<&str> {
        self.list
            .get(position)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    fn count(&self, position: usize) -> Result<i64, String> {
        match self.optional(position) {
            None => Ok(1),
            Some(_) => self.number(position, "a count"),
        }
    }
}

impl Converter {
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, list) =
            arguments::call(text).ok_or_else(|| format!("`{text}`: `(` without `)`"))?;
        let given = Arguments { name, list };
        let number = |operation: fn(i64) -> Operation| {
            Ok(Self::Number(operation(given.number(0, "a number")?)))
        };
        match name {
            "lower" => Ok(Self::Lower),
            "upper" => Ok(Self::Upper),
            "trim" => Ok(Self::Trim),
            "ltrim" => Ok(Self::TrimStart(
                given.text(0, "characters")?.as_bytes().to_vec(),
            )),
            "rtrim" => Ok(Self::TrimEnd(
                given.text(0, "characters")?.as_bytes().to_vec(),
            )),
            "field" | "word" => {
                let number = given.number(
                    0,
                    "the number of a part and what parts them, such as `(1,.)`",
                )?;
                let delimiters = given
                    .text(1, "what parts its parts, such as `(1,.)`")?
                    .as_bytes()
                    .to_vec();
                let count = given.count(2)?;
                if number == 0 {
                    return Err(format!(
                        "`{name}`: parts are counted from 1, and from the end from -1"
                    ));
                }
                Ok(if name == "field" {
                    Self::Field {
                        number,
                        delimiters,
                        count,
                    }
                } else {
                    Self::Word {
                        number,
                        delimiters,
                        count,
                    }
                })
            }
            "bytes" => {
                let length = given
                    .optional(1)
                    .map(|_| given.size(1, "a length"))
                    .transpose()?;
                Ok(Self::Bytes {
                    offset: given.size(0, "an offset")?,
                    length,
                })
            }
            "length" => Ok(Self::Length),
            "append" => Ok(Self::Append(given.text(0, "a text")?.to_owned())),
            "url_dec" => Ok(Self::UrlDecode {
                form: given.optional(0).is_some_and(|form| form != "0"),
            }),
            "url_enc" => Ok(Self::UrlEncode),
            "base64" => Ok(Self::Base64),
            "b64dec" => Ok(Self::Base64Decode),
            "hex" => Ok(Self::Hex),
            "sha2" => match given.optional(0).unwrap_or("256") {
                "224" => Ok(Self::Sha2(224)),
                "256" => Ok(Self::Sha2(256)),
                "384" => Ok(Self::Sha2(384)),
                "512" => Ok(Self::Sha2(512)),
                other => Err(format!("`sha2`: `{other}` is not 224, 256, 384 or 512")),
            },
            "regsub" => {
                let flags = given.optional(2).unwrap_or_default();
                if let Some(flag) = flags.chars().find(|flag| !matches!(flag, 'g' | 'i')) {
                    return Err(format!(
                        "`regsub`: unknown flag `{flag}`; they are `g` and `i`"
                    ));
                }
                let pattern = given.text(0, "a regular expression and what takes its place")?;
                let with = given.text(1, "what takes the place")?;
                Ok(Self::Replace {
                    regex: regex(pattern, flags.contains('i'))?,
                    with: with.as_bytes().to_vec(),
                    all: flags.contains('g'),
                })
            }
            "map" => {
                let map = given.text(0, "the name of a map")?.to_owned();
                Ok(Self::Map {
                    map,
                    default: given.list.get(1).cloned(),
                })
            }
            "ipmask" => Ok(Self::Mask(Mask::parse(
                given.text(0, "a mask")?,
                given.optional(1),
            )?)),
            "host_only" => Ok(Self::HostOnly),
            "port_only" => Ok(Self::PortOnly),
            "add" => number(Operation::Add),
            "sub" => number(Operation::Subtract),
            "mul" => number(Operation::Multiply),
            "div" => number(Operation::Divide),
            "mod" => number(Operation::Remainder),
            "neg" => Ok(Self::Number(Operation::Negate)),
            "even" => Ok(Self::Number(Operation::Even)),
            "odd" => Ok(Self::Number(Operation::Odd)),
            "not" => Ok(Self::Number(Operation::Not)),
            "bool" => Ok(Self::Number(Operation::Bool)),
            "iif" => Ok(Self::If {
                yes: given.text(0, "two texts")?.to_owned(),
                no: given.text(1, "a second text")?.to_owned(),
            }),
            "crc32" => Ok(Self::Crc32),
            "djb2" => Ok(Self::Djb2),
            "sdbm" => Ok(Self::Sdbm),
            other => match Fit::of(other) {
                Some(fit) => {
                    let map = given.text(0, "the name of a map")?;
                    Keyed::new(map, fit, given.list.get(1).cloned()).map(Self::Keyed)
                }
                None => Err(match nearest(other, NAMES) {
                    Some(meant) => format!("no converter named `{other}`; did you mean `{meant}`?"),
                    None => format!("no converter named `{other}`"),
                }),
            },
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self, Self::Map { .. } | Self::Keyed(_))
    }

    pub fn map(&self) -> Option<&str> {
        match self {
            Self::Map { map, .. } => Some(map),
            Self::Keyed(keyed) => Some(keyed.map()),
            _ => None,
        }
    }

    /// What it makes of `given`; `None` if nothing.
    pub fn apply<'v>(&self, given: Cow<'v, [u8]>, facts: &impl Facts) -> Option<Cow<'v, [u8]>> {
        let owned = |text: String| Some(Cow::Owned(text.into_bytes()));
        match self {
            Self::Lower if given.iter().any(u8::is_ascii_uppercase) => {
                Some(Cow::Owned(given.to_ascii_lowercase()))
            }
            Self::Upper if given.iter().any(u8::is_ascii_lowercase) => {
                Some(Cow::Owned(given.to_ascii_uppercase()))
            }
            Self::Lower | Self::Upper => Some(given),
            Self::Trim => Some(cut(given, |bytes| bytes.trim_ascii())),
            Self::TrimStart(set) => Some(cut(given, |bytes| trim_start(bytes, set))),
            Self::TrimEnd(set) => Some(cut(given, |bytes| trim_end(bytes, set))),
            Self::Field {
                number,
                delimiters,
                count,
            } => cut_maybe(given, |bytes| {
                parts(bytes, delimiters, *number, *count, Empty::Counts)
            }),
            Self::Word {
                number,
                delimiters,
                count,
            } => cut_maybe(given, |bytes| {
                parts(bytes, delimiters, *number, *count, Empty::Skipped)
            }),
            Self::Bytes { offset, length } => cut_maybe(given, |bytes| {
                let rest = bytes.get(*offset..)?;
                Some(&rest[..length.unwrap_or(rest.len()).min(rest.len())])
            }),
            Self::Length => owned(given.len().to_string()),
            Self::Append(text) => {
                let mut bytes = given.into_owned();
                bytes.extend_from_slice(text.as_bytes());
                (bytes.len() <= LONGEST).then_some(Cow::Owned(bytes))
            }
            Self::UrlDecode { form } => url_decode(&given, *form).map(Cow::Owned),
            Self::UrlEncode => owned(url_encode(&given)),
            Self::Base64 => owned(BASE64.encode(&given)),
            Self::Base64Decode => BASE64.decode(&given).ok().map(Cow::Owned),
            Self::Hex => owned(given.iter().map(|byte| format!("{byte:02X}")).collect()),
            Self::Sha2(bits) => Some(Cow::Owned(match bits {
                224 => Sha224::digest(&given).to_vec(),
                384 => Sha384::digest(&given).to_vec(),
                512 => Sha512::digest(&given).to_vec(),
                _ => Sha256::digest(&given).to_vec(),
            })),
            Self::Replace { regex, with, all } => {
                let replaced = replace(regex, &given, with, *all)?;
                Some(Cow::Owned(replaced))
            }
            Self::Map { map, default } => {
                let found = std::str::from_utf8(&given)
                    .ok()
                    .and_then(|key| facts.lookup(map, key));
                owned(found.or_else(|| default.clone())?)
            }
            Self::Keyed(keyed) => keyed.value(&given).map(Cow::Owned),
            Self::Mask(mask) => owned(mask.apply(std::str::from_utf8(&given).ok()?)?),
            Self::HostOnly => owned(split_host(std::str::from_utf8(&given).ok()?).0.to_owned()),
            Self::PortOnly => owned(split_host(std::str::from_utf8(&given).ok()?).1?.to_owned()),
            Self::Number(operation) => {
                let number: i64 = std::str::from_utf8(&given).ok()?.trim().parse().ok()?;
                owned(operation.apply(number)?.to_string())
            }
            Self::If { yes, no } => {
                let is_true = !matches!(given.as_ref(), b"" | b"0" | b"false");
                owned(if is_true { yes.clone() } else { no.clone() })
            }
            Self::Crc32 => owned(crc32(&given).to_string()),
            Self::Djb2 => owned(
                given
                    .iter()
                    .fold(5381_u32, |hash, byte| {
                        (hash << 5)
                            .wrapping_add(hash)
                            .wrapping_add(u32::from(*byte))
                    })
                    .to_string(),
            ),
            Self::Sdbm => {
                let step = |hash: u32, byte: &u8| {
                    u32::from(*byte)
                        .wrapping_add(hash << 6)
                        .wrapping_add(hash << 16)
                        .wrapping_sub(hash)
                };
                owned(given.iter().fold(0, step).to_string())
            }
        }
    }
}

impl Operation {
    fn apply(self, number: i64) -> Option<i64> {
        match self {
            Self::Add(other) => number.checked_add(other),
            Self::Subtract(other) => number.checked_sub(other),
            Self::Multiply(other) => number.checked_mul(other),
            Self::Divide(other) => number.checked_div(other),
            Self::Remainder(other) => number.checked_rem(other),
            Self::Negate => number.checked_neg(),
            Self::Even => Some(i64::from(number % 2 == 0)),
            Self::Odd => Some(i64::from(number % 2 != 0)),
            Self::Not => Some(i64::from(number == 0)),
            Self::Bool => Some(i64::from(number != 0)),
        }
    }
}

/// Compiles one regular expression in the dialect that matchers have.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_SIZE)
        .build();
    built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!(
            "`{pattern}` is no regular expression: {}",
            last.strip_prefix("error: ").unwrap_or(last)
        )
    })
}

/// `given` with matches replaced; `\1` in `with` is the first group. `None` if it would get too long.
fn replace(regex: &Regex, given: &[u8], with: &[u8], all: bool) -> Option<Vec<u8>> {
    let expand = |captures: &regex::bytes::Captures<'_>| {
        expand(with, |group| {
            captures.get(group).map(|found| found.as_bytes().to_vec())
        })
    };
    let limit = usize::from(!all);
    let replaced = match with.contains(&b'\\') {
        true => regex.replacen(given, limit, expand),
        false => regex.replacen(given, limit, NoExpand(with)),
    };
    (replaced.len() <= LONGEST).then(|| replaced.into_owned())
}

/// A text with `\0` to `\9` replaced by groups; any other character after a `\` stands for itself.
pub fn expand(text: &[u8], group: impl Fn(usize) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut expanded = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.as_slice().first()) {
            (b'\\', Some(digit @ b'0'..=b'9')) => {
                expanded.extend(group(usize::from(digit - b'0')).unwrap_or_default());
                bytes.next();
            }
            (b'\\', Some(other)) => {
                expanded.push(*other);
                bytes.next();
            }
            (byte, _) => expanded.push(*byte),
        }
    }
    expanded
}

fn cut<'v>(given: Cow<'v, [u8]>, part: impl Fn(&[u8]) -> &[u8]) -> Cow<'v, [u8]> {
    match given {
        Cow::Borrowed(bytes) => Cow::Borrowed(part(bytes)),
        Cow::Owned(bytes) => Cow::Owned(part(&bytes).to_vec()),
    }
}

fn cut_maybe<'v>(
    given: Cow<'v, [u8]>,
    part: impl Fn(&[u8]) -> Option<&[u8]>,
) -> Option<Cow<'v, [u8]>> {
    match given {
        Cow::Borrowed(bytes) => part(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => part(&bytes).map(|part| Cow::Owned(part.to_vec())),
    }
}

fn trim_start<'b>(bytes: &'b [u8], set: &[u8]) -> &'b [u8] {
    let start = bytes
        .iter()
        .position(|byte| !set.contains(byte))
        .unwrap_or(bytes.len());
    &bytes[start..]
}

fn trim_end<'b>(bytes: &'b [u8], set: &[u8]) -> &'b [u8] {
    let end = bytes
        .iter()
        .rposition(|byte| !set.contains(byte))
        .map_or(0, |at| at + 1);
    &bytes[..end]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Counts,
    Skipped,
}

/// `count` parts from the `number`th on, with what stands between them; 0 is all that follow.
fn parts<'b>(
    bytes: &'b [u8],
    delimiters: &[u8],
    number: i64,
    count: i64,
    empty: Empty,
) -> Option<&'b [u8]> {
    let mut spans = Vec::new();
    let mut start = 0;
    for at in 0..=bytes.len() {
        if at == bytes.len() || delimiters.contains(&bytes[at]) {
            if empty == Empty::Counts || at > start {
                spans.push((start, at));
            }
            start = at + 1;
        }
    }
    let length = i64::try_from(spans.len()).ok()?;
    let many = if count <= 0 { length } else { count };
    let (first, last) = if number > 0 {
        let first = number - 1;
        (first, first.saturating_add(many - 1).min(length - 1))
    } else {
        let last = length + number;
        (last.saturating_sub(many - 1).max(0), last)
    };
    if first >= length || last < 0 {
        return None;
    }
    let from = spans.get(usize::try_from(first).ok()?)?.0;
    let to = spans.get(usize::try_from(last).ok()?)?.1;
    bytes.get(from..to)
}

fn url_decode(bytes: &[u8], form: bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            b'+' if form => decoded.push(b' '),
            b'?' if form => {
                decoded.push(b'?');
            }
            byte => decoded.push(*byte),
        }
    }
    Some(decoded)
}

fn url_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
