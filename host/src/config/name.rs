//! Names of things in the file: what they may look like, and that none is given twice.

use std::collections::HashSet;

use super::{
    read::Fields,
    value::{Node, shorten},
};

const LONGEST: usize = 128;

/// The names of one kind that were seen so far.
pub(super) struct Unique {
    kind: &'static str,
    seen: HashSet<String>,
}

impl Unique {
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            seen: HashSet::new(),
        }
    }

    /// Notes a name that was made up rather than read. False if it is there already.
    pub fn add(&mut self, name: &str) -> bool {
        self.seen.insert(name.to_owned())
    }

    fn take(&mut self, name: &str, node: &Node<'_>) {
        if !self.seen.insert(name.to_owned()) {
            node.complain(
                format!("another {} is already called `{name}`", self.kind),
                "choose another name",
            );
        }
    }
}

/// Whether something could be called that.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && odd_character(text).is_none()
}

fn odd_character(name: &str) -> Option<char> {
    name.chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"-_.:".contains(*c))
}

/// Reads the `name` of a table and begins its messages with it.
pub(super) fn read_name(fields: &mut Fields<'_>, kind: &str, names: &mut Unique) -> Option<String> {
    let node = fields.require("name", &format!("\"{}\"", example(kind)))?;
    let name = node.plain_text(example(kind))?;
    fields.set_context(&format!("{}{kind} `{}`: ", fields.context(), shorten(name)));
    if let Some(odd) = odd_character(name) {
        node.complain(
            format!("a {kind}'s name cannot contain {odd:?}"),
            "letters, digits, `-`, `_`, `.` and `:` can",
        );
        return None;
    }
    if name.len() > LONGEST {
        node.complain(
            format!("a {kind}'s name cannot have {} characters", name.len()),
            format!("at most {LONGEST}"),
        );
        return None;
    }
    names.take(name, &node);
    Some(name.to_owned())
}

fn example(kind: &str) -> &'static str {
    match kind {
        "frontend" => "web",
        "backend" => "api",
        "server" => "api1",
        "resolver" => "internal",
        "table of counters" => "clients",
        "cache" => "pages",
        _ => "tiers",
    }
}
