//! What an operator sees when a file is wrong: place, finding, the line with a caret, a way out.
//!
//! ```text
//! weir.toml:14:1: backend `api`: unknown key `blance`
//!    14 | blance = "round-robin"
//!       | ^^^^^^ did you mean `balance`?
//! ```

use std::{fmt, ops::Range, path::Path, path::PathBuf};

/// Beyond so many errors a reader is not helped by more.
const MOST_SHOWN: usize = 50;
/// Beyond so many errors not even their number matters.
const MOST_COLLECTED: usize = 5_000;
/// Characters shown of a long source line.
const LINE_WIDTH: usize = 110;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub file: PathBuf,
    /// `None` when the file as a whole is meant.
    pub place: Option<Place>,
    /// What was found, in one line.
    pub message: String,
    /// What would do.
    pub hint: Option<String>,
}

/// A stretch of one line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// As much of the line as is shown.
    text: String,
    /// Characters of `text` before the caret.
    indent: usize,
    /// How many carets.
    width: usize,
}

impl ConfigError {
    /// An error about the file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        let Some(place) = &self.place else {
            write!(f, ": {}", self.message)?;
            return match &self.hint {
                Some(hint) => write!(f, "; {hint}"),
                None => Ok(()),
            };
        };
        writeln!(f, ":{}:{}: {}", place.line, place.column, self.message)?;
        writeln!(f, "{:5} | {}", place.line, place.text)?;
        write!(
            f,
            "      | {}{}",
            " ".repeat(place.indent),
            "^".repeat(place.width)
        )?;
        match &self.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// How many more there are.
    omitted: usize,
}

impl ConfigErrors {
    /// At least one; the first ones in the order of the file.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self {
            errors: vec![error],
            omitted: 0,
        }
    }
}

impl Extend<ConfigError> for ConfigErrors {
    fn extend<T: IntoIterator<Item = ConfigError>>(&mut self, more: T) {
        self.errors.extend(more);
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            error.fmt(f)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\n\n… and {more} more"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Something to say about a stretch of the file.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// What has been found so far while a file is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    dropped: usize,
}

impl Findings {
    pub fn error(&mut self, finding: Finding) {
        if self.errors.len() < MOST_COLLECTED {
            self.errors.push(finding);
        } else {
            self.dropped += 1;
        }
    }

    pub fn warning(&mut self, finding: Finding) {
        if self.warnings.len() < MOST_SHOWN {
            self.warnings.push(finding);
        }
    }

    /// The warnings as text to show, or the errors if there are any.
    pub fn conclude(mut self, source: &Source<'_>) -> Result<Vec<String>, ConfigErrors> {
        let in_order = |a: &Finding, b: &Finding| a.span.start.cmp(&b.span.start);
        if self.errors.is_empty() {
            self.warnings.sort_by(in_order);
            return Ok(self
                .warnings
                .into_iter()
                .map(|finding| source.locate(finding).to_string())
                .collect());
        }
        self.errors.sort_by(in_order);
        let omitted = self.dropped + self.errors.len().saturating_sub(MOST_SHOWN);
        self.errors.truncate(MOST_SHOWN);
        Err(ConfigErrors {
            errors: self
                .errors
                .into_iter()
                .map(|finding| source.locate(finding))
                .collect(),
            omitted,
        })
    }
}

/// A file's text, able to say where a byte stands.
pub(super) struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text }
    }

    pub fn locate(&self, finding: Finding) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            place: Some(self.place(finding.span)),
            message: finding.message,
            hint: finding.hint,
        }
    }

    /// Where a range begins, and how far it reaches on its first line.
    fn place(&self, span: Range<usize>) -> Place {
        let start = floor_to_char(self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |at| start + at);
        let end = floor_to_char(self.text, span.end).clamp(start, line_end);

        let line = memchr::memchr_iter(b'\n', &self.text.as_bytes()[..line_start]).count() + 1;
        let before = self.text[line_start..start].chars().count();
        let width = self.text[start..end].trim_end().chars().count().max(1);

        // A caret far to the right gets a window of its line.
        let skipped = before.saturating_sub(LINE_WIDTH / 2 + LINE_WIDTH / 4);
        let shown: String = self.text[line_start..line_end]
            .trim_end()
            .chars()
            .skip(skipped)
            .take(LINE_WIDTH)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let indent = before - skipped;
        Place {
            line,
            column: before + 1,
            text: shown,
            indent,
            width: width.min(LINE_WIDTH - indent),
        }
    }
}

fn floor_to_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        Source::new(Path::new("f"), text)
            .locate(Finding {
                span,
                message: "m".to_owned(),
                hint: Some("h".to_owned()),
            })
            .to_string()
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        assert_eq!(
            shown("a = 1\nbc = 2\n", 6..8),
            "f:2:1: m\n    2 | bc = 2\n      | ^^ h"
        );
    }

    #[test]
    fn a_range_over_several_lines_is_marked_on_its_first() {
        assert_eq!(
            shown("a = [\n1,\n]\n", 4..10),
            "f:1:5: m\n    1 | a = [\n      |     ^ h"
        );
    }

    #[test]
    fn columns_count_characters_and_tabs_are_one_wide() {
        assert_eq!(
            shown("\tä = ö", 6..8),
            "f:1:6: m\n    1 |  ä = ö\n      |      ^ h"
        );
    }

    #[test]
    fn the_end_of_the_text_can_be_pointed_at() {
        assert_eq!(shown("", 0..0), "f:1:1: m\n    1 | \n      | ^ h");
        assert_eq!(shown("a", 9..12), "f:1:2: m\n    1 | a\n      |  ^ h");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5_000), "b".repeat(5_000));
        let shown = shown(&text, 5_000..5_001);
        assert!(shown.starts_with("f:1:5001: m\n"), "{shown}");
        assert!(shown.lines().all(|line| line.len() < 140), "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[1].find('X'),
            lines[2].find('^'),
            "caret under X: {shown}"
        );
    }

    #[test]
    fn more_errors_than_anyone_reads_are_counted() {
        let mut findings = Findings::default();
        for _ in 0..MOST_COLLECTED + 7 {
            findings.error(Finding {
                span: 0..0,
                message: String::new(),
                hint: None,
            });
        }
        let errors = findings
            .conclude(&Source::new(Path::new("f"), ""))
            .unwrap_err();
        assert_eq!(errors.errors().len(), MOST_SHOWN);
        assert_eq!(errors.omitted, MOST_COLLECTED + 7 - MOST_SHOWN);
    }
}
