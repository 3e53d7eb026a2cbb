//! The tables that say how a text must look, whatever the text is.

use crate::{
    checks::check_text,
    config::{HostText, Lookup, NamedText, OneOrMany, PathText, Text, ValueText},
    index::Technique,
};

/// What the different kinds of text tables have in common.
pub struct Patterns<'t> {
    /// The keys that are there.
    pub lists: Vec<(&'static str, Technique, &'t OneOrMany<String>)>,
    pub present: Option<bool>,
    pub ignore_case: bool,
    /// Refuses patterns that cannot match.
    pub check: fn(Technique, &str) -> Result<(), String>,
}

impl<'t> Patterns<'t> {
    /// What a table of any kind says.
    pub fn of(text: impl Into<Self>) -> Self {
        text.into()
    }

    fn new(
        lists: impl IntoIterator<Item = (&'static str, Technique, &'t Option<OneOrMany<String>>)>,
        present: Option<bool>,
        ignore_case: bool,
    ) -> Self {
        let lists = lists.into_iter();
        Self {
            lists: lists
                .filter_map(|(key, technique, list)| Some((key, technique, list.as_ref()?)))
                .collect(),
            present,
            ignore_case,
            check: check_text,
        }
    }

    /// Refuses tables that say nothing, or the same thing twice.
    pub fn sensible(&self) -> Result<(), String> {
        let keys: Vec<&str> = self.lists.iter().map(|(key, ..)| *key).collect();
        match (self.present, keys.as_slice()) {
            (None, []) => Err(
                "says nothing about the value; add `exact`, `prefix`, `regex` or the like"
                    .to_owned(),
            ),
            (Some(_), [key, ..]) => Err(format!(
                "`present` stands alone: `{key}` already asks for a value"
            )),
            (Some(_), []) if self.ignore_case => {
                Err("`ignore_case` without a text to compare".to_owned())
            }
            (Some(_), []) => Ok(()),
            (None, ["exact", other, ..]) => {
                Err(format!("`exact` leaves nothing for `{other}` to decide"))
            }
            (None, _) => Ok(()),
        }
    }
}

/// What a table says whose keys are these, each for a technique.
macro_rules! patterns_of {
    ($text:ident: $table:ty, [$($key:ident = $technique:ident),+], $present:expr, $ignore_case:expr) => {
        impl<'t> From<&'t $table> for Patterns<'t> {
            fn from($text: &'t $table) -> Self {
                let lists = [$((stringify!($key), Technique::$technique, &$text.$key)),+];
                Self::new(lists, $present, $ignore_case)
            }
        }
    };
}

patterns_of!(
    text: Text,
    [exact = Exact, prefix = Prefix, suffix = Suffix, contains = Contains, regex = Regex],
    text.present,
    text.ignore_case
);
patterns_of!(
    text: Lookup,
    [exact = Exact, prefix = Prefix, suffix = Suffix, contains = Contains, regex = Regex],
    text.present,
    text.ignore_case
);
patterns_of!(
    text: NamedText,
    [exact = Exact, prefix = Prefix, suffix = Suffix, contains = Contains, regex = Regex, network = Network],
    text.present,
    text.ignore_case
);
patterns_of!(
    text: ValueText,
    [exact = Exact, prefix = Prefix, suffix = Suffix, contains = Contains, regex = Regex, network = Network],
    text.present,
    text.ignore_case
);
patterns_of!(
    text: PathText,
    [exact = Exact, prefix = Prefix, segment = Segment, suffix = Suffix, contains = Contains, regex = Regex],
    None,
    text.ignore_case
);
// The host comes in lower case; the pattern may be written in any.
patterns_of!(
    text: HostText,
    [exact = Exact, prefix = Prefix, suffix = Suffix, domain = Domain, contains = Contains, regex = Regex],
    None,
    true
);
