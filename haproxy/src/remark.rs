//! What happened to each directive. Every one has a fate; nothing is dropped in silence.

use std::{collections::BTreeMap, fmt};

/// What became of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It means the same.
    Same,
    /// It means the same but for the difference said here.
    Nearly(String),
    /// It has no equivalent, for the reason said here.
    Dropped(String),
}

impl Fate {
    pub fn nearly(difference: impl Into<String>) -> Self {
        Self::Nearly(difference.into())
    }

    pub fn dropped(reason: impl Into<String>) -> Self {
        Self::Dropped(reason.into())
    }

    /// Both at once: the worse one, with what both have to say.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, other) | (other, Self::Same) => other,
            (Self::Dropped(a), Self::Dropped(b)) => Self::Dropped(joined(a, &b)),
            (Self::Dropped(a), Self::Nearly(b)) | (Self::Nearly(b), Self::Dropped(a)) => {
                Self::Dropped(joined(a, &b))
            }
            (Self::Nearly(a), Self::Nearly(b)) => Self::Nearly(joined(a, &b)),
        }
    }
}

fn joined(a: String, b: &str) -> String {
    if a.contains(b) {
        a
    } else {
        format!("{a}; {b}")
    }
}

/// One directive and its fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// From 1.
    pub line: usize,
    /// As it stands in the file, in one line.
    pub directive: String,
    pub fate: Fate,
}

/// The fates of all directives, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    by_line: BTreeMap<usize, Remark>,
}

impl Remarks {
    /// Notes a fate. A directive in a `defaults` section is met once for each section that it is for;
    /// the worst that happens to it counts.
    pub fn add(&mut self, line: usize, directive: &str, fate: Fate) {
        let remark = self.by_line.entry(line).or_insert_with(|| Remark {
            line,
            directive: directive.to_owned(),
            fate: Fate::Same,
        });
        remark.fate = std::mem::replace(&mut remark.fate, Fate::Same).and(fate);
    }

    /// Whether the directive on this line has met its fate.
    pub fn has(&self, line: usize) -> bool {
        self.by_line.contains_key(&line)
    }

    pub(crate) fn expanded(&mut self, lines: &BTreeMap<usize, String>) {
        for (line, variables) in lines {
            if let Some(remark) = self.by_line.get_mut(line) {
                let fate = Fate::nearly(format!(
                    "{variables} became its value of now: weir.toml has no variables"
                ));
                remark.fate = std::mem::replace(&mut remark.fate, Fate::Same).and(fate);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Remark> {
        self.by_line.values()
    }

    /// Those that are not the same as before.
    pub fn different(&self) -> impl Iterator<Item = &Remark> {
        self.iter().filter(|remark| remark.fate != Fate::Same)
    }

    /// Whether everything means the same.
    pub fn are_clean(&self) -> bool {
        self.different().next().is_none()
    }

    /// A table of the given remarks: line, directive, what happens.
    pub fn table<'r>(remarks: impl Iterator<Item = &'r Remark>) -> String {
        use fmt::Write as _;

        let mut table = String::new();
        for Remark {
            line,
            directive,
            fate,
        } in remarks
        {
            let (word, text) = match fate {
                Fate::Same => ("same", ""),
                Fate::Nearly(difference) => ("nearly", difference.as_str()),
                Fate::Dropped(reason) => ("not carried over", reason.as_str()),
            };
            let separator = if text.is_empty() { "" } else { ": " };
            writeln!(
                table,
                "{line:5} | {:<48} | {word}{separator}{text}",
                shortened(directive)
            )
            .expect("a String takes all text");
        }
        table
    }
}

impl fmt::Display for Remarks {
    /// Counts, and a table of what is different.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = self
            .iter()
            .filter(|remark| remark.fate == Fate::Same)
            .count();
        let all = self.by_line.len();
        if same == all {
            return write!(f, "all {all} directives mean the same");
        }
        writeln!(f, "{same} of {all} directives mean the same; these do not:")?;
        f.write_str(Self::table(self.different()).trim_end())
    }
}

fn shortened(directive: &str) -> String {
    const WIDTH: usize = 48;
    if directive.chars().count() <= WIDTH {
        return directive.to_owned();
    }
    let start: String = directive.chars().take(WIDTH - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fate_of_a_directive_counts() {
        let mut remarks = Remarks::default();
        remarks.add(3, "daemon", Fate::Same);
        remarks.add(3, "daemon", Fate::dropped("no"));
        remarks.add(3, "daemon", Fate::nearly("maybe"));
        remarks.add(4, "maxconn 1", Fate::Same);
        let different: Vec<&Remark> = remarks.different().collect();
        assert_eq!(different.len(), 1);
        assert_eq!(different[0].fate, Fate::dropped("no; maybe"));
        assert!(
            remarks
                .to_string()
                .starts_with("1 of 2 directives mean the same")
        );
    }
}
