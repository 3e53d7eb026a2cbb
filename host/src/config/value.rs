//! One value of a TOML tree, asked for with the type it must have.

use std::{
    fmt::Display,
    ops::{Range, RangeInclusive},
    rc::Rc,
    time::Duration,
};

use toml::{Spanned, de::DeValue};

use super::{
    address::AddressError,
    read::{Fields, Reader},
    suggest::{nearest, one_of},
    units,
};

/// A value being read.
pub(super) struct Node<'a> {
    pub reader: &'a Reader<'a>,
    context: Rc<str>,
    /// What messages call it: "`bind`", "`bind` entry 2".
    label: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
    pub fn new(
        reader: &'a Reader<'a>,
        context: &Rc<str>,
        label: String,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Self {
        Self {
            reader,
            context: Rc::clone(context),
            label,
            value,
        }
    }

    /// What messages call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    pub fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    pub fn spanned(&self) -> &'a Spanned<DeValue<'a>> {
        self.value
    }

    /// Reports that this value is not what it should be.
    pub fn wrong(&self, what: impl Display, hint: impl Into<String>) {
        self.reader.error_with_hint(
            self.span(),
            format!("{}{} {what}", self.context, self.label),
            hint,
        );
    }

    /// Reports something about this value in words of its own.
    pub fn complain(&self, message: impl Display, hint: impl Into<String>) {
        self.reader
            .error_with_hint(self.span(), format!("{}{message}", self.context), hint);
    }

    pub fn wrong_type(&self, expected: &str, hint: &str) {
        self.wrong(
            format!("must be {expected}, found {}", describe(self.value())),
            hint,
        );
    }

    pub fn text(&self, example: &str) -> Option<&'a str> {
        if let DeValue::String(text) = self.value() {
            return Some(text);
        }
        self.wrong_type("a string", &format!("write \"{example}\""));
        None
    }

    /// A string that is not empty and has no control characters.
    pub fn plain_text(&self, example: &str) -> Option<&'a str> {
        let text = self.text(example)?;
        if text.is_empty() {
            self.wrong("is empty", format!("write something like \"{example}\""));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.wrong("contains a control character", "leave it out");
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self) -> Option<bool> {
        if let DeValue::Boolean(value) = self.value() {
            return Some(*value);
        }
        self.wrong_type("`true` or `false`", "write it without quotes");
        None
    }

    pub fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let DeValue::Integer(number) = self.value() else {
            self.wrong_type("a whole number", "write digits without quotes");
            return None;
        };
        let parsed = i128::from_str_radix(number.as_str(), number.radix())
            .ok()
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| range.contains(number));
        if parsed.is_none() {
            self.wrong(
                format!("is out of range: {}", shorten(&number.to_string())),
                format!("from {} to {}", range.start(), range.end()),
            );
        }
        parsed
    }

    pub fn index(&self, range: RangeInclusive<u64>) -> Option<usize> {
        self.integer(range)
            .and_then(|number| usize::try_from(number).ok())
    }

    pub fn small(&self, range: RangeInclusive<u64>) -> Option<u32> {
        self.integer(range)
            .and_then(|number| u32::try_from(number).ok())
    }

    /// A duration longer than nothing.
    pub fn duration(&self) -> Option<Duration> {
        const UNITS: &str = "units are us, ms, s, m, h and d";
        let text = match self.value() {
            DeValue::String(text) => text,
            DeValue::Integer(number) => return self.lacks_unit(number, ["ms", "s"]),
            _ => {
                self.wrong_type(
                    "a duration",
                    "write a string like \"500ms\", \"5s\" or \"2m\"",
                );
                return None;
            }
        };
        match units::duration(text) {
            Ok(duration) if duration.is_zero() => {
                self.wrong(
                    "is no time at all",
                    "there is no \"never\"; a long time such as \"1d\" comes close",
                );
                None
            }
            Ok(duration) => Some(duration),
            Err(error) => {
                self.wrong(
                    format!("is not a duration: `{}` {error}", shorten(text)),
                    format!("write \"500ms\", \"5s\" or \"2m\"; {UNITS}"),
                );
                None
            }
        }
    }

    fn lacks_unit<T>(&self, number: &impl Display, [small, large]: [&str; 2]) -> Option<T> {
        let number = shorten(&number.to_string());
        self.wrong(
            format!("is a number without a unit: {number}"),
            format!("write \"{number}{small}\" or \"{number}{large}\""),
        );
        None
    }

    /// A number of bytes with its unit.
    pub fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let text = match self.value() {
            DeValue::String(text) => text,
            DeValue::Integer(number) => return self.lacks_unit(number, ["B", "KiB"]),
            _ => {
                self.wrong_type("a size", "write a string like \"16KiB\"");
                return None;
            }
        };
        match units::size(text) {
            Ok(size) if range.contains(&size) => Some(size),
            Ok(_) => {
                self.wrong(
                    format!("is out of range: `{}`", shorten(text)),
                    format!("from {}B to {}B", range.start(), range.end()),
                );
                None
            }
            Err(error) => {
                self.wrong(
                    format!("is not a size: `{}` {error}", shorten(text)),
                    "write \"512B\", \"16KiB\" or \"1MiB\"; units are B, kB, MB, GB, KiB, MiB and GiB",
                );
                None
            }
        }
    }

    /// One of a fixed set of words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let DeValue::String(text) = self.value() else {
            self.wrong_type("a string", &format!("one of {}", one_of(&words)));
            return None;
        };
        let found = choices.iter().find(|(word, _)| *word == text.as_ref());
        if found.is_none() {
            let hint = match nearest(text, words.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}", one_of(&words)),
            };
            self.wrong(format!("cannot be `{}`", shorten(text)), hint);
        }
        found.map(|(_, value)| *value)
    }

    /// The entries of a list.
    pub fn list(&self, of_what: &str) -> Option<Vec<Node<'a>>> {
        let DeValue::Array(items) = self.value() else {
            self.wrong_type(&format!("a list of {of_what}"), "write it in `[…]`");
            return None;
        };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, value)| Node {
                    reader: self.reader,
                    context: Rc::clone(&self.context),
                    label: format!("{} entry {}", self.label, index + 1),
                    value,
                })
                .collect(),
        )
    }

    pub fn fields(&self, section: &'static str) -> Option<Fields<'a>> {
        let DeValue::Table(table) = self.value() else {
            self.wrong_type("a table", &format!("write `{section}`"));
            return None;
        };
        Some(Fields::new(
            self.reader,
            &self.context,
            section,
            table,
            self.span(),
        ))
    }

    /// Unwraps what an address parser said about this value's text.
    pub fn address<T>(&self, read: Result<T, AddressError>) -> Option<T> {
        read.map_err(|error| self.complain(error.message, error.hint))
            .ok()
    }
}

/// A value in a few words.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string \"{}\"", shorten(text)),
        DeValue::Integer(number) => format!("the number {}", shorten(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", shorten(number.as_str())),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A foreign text, fit for one line of a message.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut short: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
