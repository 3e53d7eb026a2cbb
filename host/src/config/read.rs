//! Reading a TOML tree key by key: every value is asked for with the type it must have, what is
//! wrong is written down with its place, and reading goes on.

use std::{cell::RefCell, fmt::Display, ops::Range, path::Path, rc::Rc};

use toml::de::{DeTable, DeValue};

use super::{
    error::{Finding, Findings},
    suggest::{nearest, one_of},
    value::{Node, shorten},
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
        Self::new(reader, &Rc::from(""), "top level", table, 0..0)
    }

    pub fn new(
        reader: &'a Reader<'a>,
        context: &Rc<str>,
        section: &'static str,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        Self {
            reader,
            context: Rc::clone(context),
            section,
            table,
            span,
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
        let label = format!("`{key}`");
        Some(Node::new(self.reader, &self.context, label, value))
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
        match node.value() {
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
                let label = format!("`{}`", shorten(&name));
                let node = Node::new(self.reader, &self.context, label, value);
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
