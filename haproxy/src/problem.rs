//! What an operator sees when a haproxy.cfg is wrong: place, finding, the line with a caret, a way out.

use std::fmt;

/// Beyond so many a reader is not helped by more.
const MOST_SHOWN: usize = 50;
/// Characters shown of a long line.
const LINE_WIDTH: usize = 110;

/// A stretch of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In characters.
    pub width: usize,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// What was found, in one line.
    pub message: String,
    /// What would do.
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All that is wrong with a file, in its order.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    lines: Vec<String>,
    list: Vec<Problem>,
    omitted: usize,
}

impl Problems {
    pub fn new(file: &str, text: &[u8]) -> Self {
        let _ = text;
        Self {
            file: file.to_owned(),
            lines: Vec::new(),
            list: Vec::new(),
            omitted: 0,
        }
    }

    /// Hands over the lines that problems will be shown with.
    pub fn know(&mut self, lines: impl Iterator<Item = String>) {
        self.lines = lines.collect();
    }

    pub fn add(&mut self, problem: Problem) {
        if self.list.len() < MOST_SHOWN {
            self.list.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// What a result holds, or nothing and one more problem.
    pub fn note<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Whether it makes sense to look for more.
    pub fn are_many(&self) -> bool {
        self.omitted > 0
    }

    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    pub fn conclude(mut self) -> Result<(), Self> {
        if self.list.is_empty() {
            return Ok(());
        }
        self.list
            .sort_by_key(|problem| (problem.place.line, problem.place.column));
        Err(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            self.show(problem, f)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\n\n… and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

impl Problems {
    fn show(&self, problem: &Problem, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            line,
            column,
            width,
        } = problem.place;
        writeln!(f, "{}:{line}:{column}: {}", self.file, problem.message)?;
        let text = self
            .lines
            .get(line.saturating_sub(1))
            .map_or("", String::as_str);
        let (shown, indent) = window(text, column.saturating_sub(1));
        let width = width.clamp(1, LINE_WIDTH.saturating_sub(indent).max(1));
        writeln!(f, "{line:5} | {shown}")?;
        write!(f, "      | {}{}", " ".repeat(indent), "^".repeat(width))?;
        match &problem.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

/// The part of a line around a column, blanks for tabs, and where the column is in it.
fn window(text: &str, column: usize) -> (String, usize) {
    let start = column.saturating_sub(LINE_WIDTH * 2 / 3);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text
        .chars()
        .skip(start)
        .take(LINE_WIDTH)
        .map(plain)
        .collect();
    if text.chars().nth(start + LINE_WIDTH).is_some() {
        shown.push('…');
    }
    if start == 0 {
        return (shown, column);
    }
    (format!("…{shown}"), column - start + 1)
}
