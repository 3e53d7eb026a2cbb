//! Reading a TOML tree key by key: every value is asked for with the type it must have, what is
//! wrong is written down with its place, and reading goes on.

use std::{
    cell::RefCell,
    fmt::Display,
    ops::{Range, RangeInclusive},
    path::Path,
    rc::Rc,
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    address::AddressError,
    error::{Finding, Findings},
    suggest::{nearest, one_of},
    units,
};

/// What the sections of one file share while they are read.
pub(super) struct Reader<'a> {
    /// Where relative paths start.
    pub base: &'a Path,
    findings: RefCell<Findings>,
    #[cfg(test)]
    pub asked: RefCell<std::collections::BTreeSet<(String, &'static str)>>,
}

impl<'a> Reader<'a> {
    pub fn new(base: &'a Path) -> Self {
        Self {
            base,
            findings: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub fn error_with_hint(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.borrow_mut().error(Finding {
            span,
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    pub fn warning(&self, span: Range<usize>, message: impl Display, hint: impl Into<String>) {
        self.findings.borrow_mut().warning(Finding {
            span,
            message: format!("warning: {message}"),
            hint: Some(hint.into()),
        });
    }

    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }
}

/// A table being read. Keys nobody asked for are errors when it is [finished](Fields::finish).
pub(super) struct Fields<'a> {
    pub reader: &'a Reader<'a>,
    /// What messages begin with, such as "backend `api`: "; empty at the top.
    context: Rc<str>,
    /// As it stands in the manual: `[[backend]]`.
    section: &'static str,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    known: Vec<&'static str>,
}

/// Keys that people bring along from elsewhere, and what they are called here.
const FOREIGN: &[(&str, &str)] = &[
    ("algorithm", "balance"),
    ("cookie", "persistence_key"),
    ("errorfile", "error_pages"),
    ("forwardfor", "forwarded_for"),
    ("health_check", "check"),
    ("httpchk", "check"),
    ("inter", "interval"),
    ("lb", "balance"),
    ("listen", "bind"),
    ("maxconn", "max_connections"),
    ("maxqueue", "max_queue"),
    ("nbthread", "workers"),
    ("sticky", "persistence"),
    ("threads", "workers"),
    ("use_backend", "filter"),
];

impl<'a> Fields<'a> {
    pub fn top(reader: &'a Reader<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            reader,
            context: Rc::from(""),
            section: "top level",
            table,
            span: 0..0,
            known: Vec::new(),
        }
    }

    /// What messages about this table begin with.
    pub fn set_context(&mut self, context: &str) {
        self.context = Rc::from(context);
    }

    pub fn context(&self) -> &str {
        &self.context
    }

    /// Where the table's heading or brace stands.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The value of `key`, which from now on counts as known here.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        #[cfg(test)]
        self.reader
            .asked
            .borrow_mut()
            .insert((self.section.to_owned(), key));
        let value = self.table.get(key)?;
        Some(Node {
            reader: self.reader,
            context: Rc::clone(&self.context),
            label: format!("`{key}`"),
            value,
        })
    }

    /// The value of `key`; its absence is an error that shows `example`.
    pub fn require(&mut self, key: &'static str, example: &str) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            self.reader.error_with_hint(
                self.span.clone(),
                format!("{}{} needs `{key}`", self.context, self.section),
                format!("add `{key} = {example}`"),
            );
        }
        node
    }

    /// The tables under `key`, each a `[[section]]`.
    pub fn tables(&mut self, key: &'static str, section: &'static str) -> Vec<Fields<'a>> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        match node.value.get_ref() {
            DeValue::Array(_) => node
                .list("tables")
                .into_iter()
                .flatten()
                .filter_map(|item| item.fields(section))
                .collect(),
            DeValue::Table(_) => {
                node.wrong(
                    "is one table where a list of them belongs",
                    format!("write `{section}`"),
                );
                Vec::new()
            }
            _ => {
                node.wrong_type("a list of tables", &format!("write `{section}`"));
                Vec::new()
            }
        }
    }

    /// The table under `key`.
    pub fn table(&mut self, key: &'static str, section: &'static str) -> Option<Fields<'a>> {
        self.get(key)?.fields(section)
    }

    /// All keys and values, for tables whose keys are the operator's own.
    pub fn entries(&mut self) -> Vec<(Range<usize>, String, Node<'a>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let node = Node {
                    reader: self.reader,
                    context: Rc::clone(&self.context),
                    label: format!("`{}`", shorten(&name)),
                    value,
                };
                (key.span(), name, node)
            })
            .collect();
        entries.sort_by_key(|(span, ..)| span.start);
        entries
    }

    /// Where a key stands, if it is there.
    pub fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The text under `key` in each table of the list `list`, whether or not the rest of the table is
    /// sound; so that one mistake is not reported again by everything that refers to it.
    pub fn texts_of(&self, list: &str, key: &str) -> Vec<(&'a str, Range<usize>)> {
        let items = self
            .table
            .get(list)
            .and_then(|value| value.get_ref().as_array());
        items
            .into_iter()
            .flatten()
            .filter_map(|item| {
                let value = item.get_ref().as_table()?.get(key)?;
                Some((value.get_ref().as_str()?, value.span()))
            })
            .collect()
    }

    /// Refuses the keys that nobody asked for. `elsewhere` names keys that belong to another place.
    pub fn finish(self, elsewhere: &[(&str, &str)]) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = self.hint_for(name, elsewhere);
            self.reader.error_with_hint(
                key.span(),
                format!("{}unknown key `{}`", self.context, shorten(name)),
                hint,
            );
        }
    }

    fn hint_for(&self, name: &str, elsewhere: &[(&str, &str)]) -> String {
        if let Some((_, place)) = elsewhere.iter().find(|(key, _)| *key == name) {
            return (*place).to_owned();
        }
        let foreign = FOREIGN
            .iter()
            .find(|(theirs, ours)| *theirs == name.replace('-', "_") && self.known.contains(ours))
            .map(|(_, ours)| *ours);
        match foreign.or_else(|| nearest(name, self.known.iter().copied())) {
            Some(known) => format!("did you mean `{known}`?"),
            None if super::process::TOP_KEYS.contains(&name) && !self.context.is_empty() => {
                format!("`{name}` belongs at the top of the file, above the first [section]")
            }
            None => format!(
                "{} has {}",
                self.section,
                one_of(&self.known).replace(" or ", ", ")
            ),
        }
    }
}

/// A value being read.
pub(super) struct Node<'a> {
    pub reader: &'a Reader<'a>,
    context: Rc<str>,
    /// What messages call it: "`bind`", "`bind` entry 2".
    label: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
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
            DeValue::Integer(number) => {
                let number = shorten(&number.to_string());
                self.wrong(
                    format!("is a number without a unit: {number}"),
                    format!("write \"{number}ms\" or \"{number}s\""),
                );
                return None;
            }
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

    /// A number of bytes with its unit.
    pub fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let text = match self.value() {
            DeValue::String(text) => text,
            DeValue::Integer(number) => {
                let number = shorten(&number.to_string());
                self.wrong(
                    format!("is a number without a unit: {number}"),
                    format!("write \"{number}B\" or \"{number}KiB\""),
                );
                return None;
            }
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
        Some(Fields {
            reader: self.reader,
            context: Rc::clone(&self.context),
            section,
            table,
            span: self.span(),
            known: Vec::new(),
        })
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
