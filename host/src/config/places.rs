//! A plugin's own config: to JSON for the plugin, and back to its place in the file for errors.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value;
use toml::{Spanned, de::DeValue};

use super::{
    ConfigError, ConfigPlaces,
    error::{Finding, Source},
    read::Reader,
    value::Node,
};

impl ConfigPlaces {
    /// An error at the value that a JSON pointer (`/rule/0/when`) names. If the file has no such
    /// value, the nearest one around it is pointed at.
    pub fn error(&self, pointer: &str, message: impl Into<String>) -> ConfigError {
        self.error_at(self.nearest(pointer), message.into())
    }

    /// An error at the key that a JSON pointer names rather than at its value.
    pub fn key_error(&self, pointer: &str, message: impl Into<String>) -> ConfigError {
        let span = self.keys.get(pointer).cloned();
        self.error_at(
            span.unwrap_or_else(|| self.nearest(pointer)),
            message.into(),
        )
    }

    /// An error where the plugin itself is named.
    pub fn plugin_error(&self, message: impl Into<String>) -> ConfigError {
        self.error_at(self.plugin.clone(), message.into())
    }

    /// An error at a stretch of the file.
    pub fn span_error(&self, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        self.error_at(span, message.into())
    }

    /// The line, from 1, that the byte `at` of the file is in.
    pub fn line(&self, at: usize) -> usize {
        let before = &self.source.as_bytes()[..at.min(self.source.len())];
        memchr::memchr_iter(b'\n', before).count() + 1
    }

    fn nearest(&self, pointer: &str) -> Range<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(span) = self.spans.get(pointer) {
                return span.clone();
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return self.plugin.clone(),
            }
        }
    }

    fn error_at(&self, span: Range<usize>, message: String) -> ConfigError {
        Source::new(&self.file, &self.source).locate(Finding {
            span,
            message,
            hint: None,
        })
    }
}

/// More values than any plugin is configured with.
const MOST_VALUES: usize = 200_000;
/// Longest way to a value, in bytes of its pointer.
const LONGEST_POINTER: usize = 1_024;

/// Turns a plugin's config table into JSON and notes where everything stands.
pub(super) fn read_config(node: &Node<'_>, places: &mut ConfigPlaces) -> Value {
    if !node.value().is_table() {
        node.wrong_type("a table", "write `config = { … }` or a heading of its own");
        return Value::Object(serde_json::Map::new());
    }
    let mut walk = Walk {
        reader: node.reader,
        spans: &mut places.spans,
        keys: &mut places.keys,
        stopped: false,
    };
    walk.value(node.spanned(), &mut String::new())
}

struct Walk<'a> {
    reader: &'a Reader<'a>,
    spans: &'a mut BTreeMap<String, Range<usize>>,
    keys: &'a mut BTreeMap<String, Range<usize>>,
    /// The config is beyond all measure, which was said once.
    stopped: bool,
}

impl Walk<'_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &mut String) -> Value {
        if self.spans.len() >= MOST_VALUES || pointer.len() > LONGEST_POINTER {
            return self.stop(value);
        }
        self.spans.insert(pointer.clone(), value.span());
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str();
                let radix = number.radix();
                let parsed = i64::from_str_radix(digits, radix)
                    .map(Value::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from));
                parsed.unwrap_or_else(|_| self.no_number(value))
            }
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map_or_else(|| self.no_number(value), Value::Number),
            DeValue::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.child(item, pointer, &index.to_string(), None))
                .collect(),
            DeValue::Table(table) => table
                .iter()
                .map(|(key, item)| {
                    let name = key.get_ref().to_string();
                    let step = name.replace('~', "~0").replace('/', "~1");
                    let child = self.child(item, pointer, &step, Some(key.span()));
                    (name, child)
                })
                .collect(),
        }
    }

    fn child(
        &mut self,
        item: &Spanned<DeValue<'_>>,
        pointer: &mut String,
        step: &str,
        key: Option<Range<usize>>,
    ) -> Value {
        if self.stopped {
            return Value::Null;
        }
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(step);
        if let Some(span) = key
            && pointer.len() <= LONGEST_POINTER
        {
            self.keys.insert(pointer.clone(), span);
        }
        let value = self.value(item, pointer);
        pointer.truncate(length);
        value
    }

    fn stop(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        self.stopped = true;
        self.reader.error_with_hint(
            value.span(),
            "this plugin's config is too large",
            format!(
                "at most {MOST_VALUES} values, and {LONGEST_POINTER} bytes of keys above each; \
                 tables of data belong into a `[[map]]`"
            ),
        );
        Value::Null
    }

    fn no_number(&self, value: &Spanned<DeValue<'_>>) -> Value {
        self.reader.error_with_hint(
            value.span(),
            "this number cannot be handed to a plugin",
            "plugins get 64-bit integers and finite decimals",
        );
        Value::Null
    }
}
