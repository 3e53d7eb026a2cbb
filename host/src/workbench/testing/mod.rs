//! `weir plugin test`: hooks against cases that are written as data.

mod run;
mod show;

use std::fmt;

use super::diff::Line;

pub use run::run;

/// How all cases of a file went, in its order.
#[derive(Debug)]
pub struct Report {
    pub file: String,
    pub cases: Vec<CaseReport>,
}

/// How one case went.
#[derive(Debug)]
pub struct CaseReport {
    pub name: String,
    /// Empty if all was as expected.
    pub failures: Vec<Failure>,
}

/// Something that was not as expected.
#[derive(Debug)]
pub struct Failure {
    /// In the file of cases, from 1.
    pub line: usize,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// The plugin could not be loaded or called; why.
    Error(String),
    /// It was loaded, and should have refused its config with an error that contains this.
    NotRefused(String),
    /// A call answered something else.
    Answer(Answer),
}

/// An answer that was not the expected one.
#[derive(Debug)]
pub struct Answer {
    /// `on-request with path = /`
    pub call: String,
    /// `verdict`, `edits`, …
    pub part: &'static str,
    pub lines: Vec<Line>,
}

impl Report {
    pub fn failed(&self) -> usize {
        let failed = |case: &&CaseReport| !case.failures.is_empty();
        self.cases.iter().filter(failed).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::report(self, f)
    }
}
