//! From bytes to lines of words: comments, quotes, escapes, variables and `.if`. Knows no directive.

mod conditional;
mod units;
mod words;

use std::collections::BTreeMap;

use crate::{
    problem::{Place, Problem, Problems},
    surroundings::Surroundings,
};

use self::conditional::Conditionals;
pub use self::units::{Duration, duration};

/// No configuration is as large as this.
const MOST_BYTES: usize = 8 << 20;
/// HAProxy's own limit is 2,048 bytes at first, and it grows; longer lines are no configuration.
const LONGEST_LINE: usize = 64 << 10;
/// HAProxy's limit.
const MOST_WORDS: usize = 64;

/// A word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub place: Place,
}

/// A line that has words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// At least one.
    pub words: Vec<Word>,
    /// As it stands in the file, without comment.
    pub source: String,
    /// Comments on the lines before it and on the line itself, without `#`.
    pub comments: Vec<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Lines {
    pub lines: Vec<Line>,
    pub notices: Vec<String>,
    /// Which lines have environment variables, and which these are.
    pub expanded: BTreeMap<usize, String>,
}

/// Reads the whole text. What makes no sense is noted, and reading goes on.
pub fn read(text: &[u8], around: &dyn Surroundings, problems: &mut Problems) -> Lines {
    let mut lines = Lines::default();
    if let Some(problem) = unreadable(text) {
        problems.add(problem);
        return lines;
    }
    let sources: Vec<String> = text.split(|byte| *byte == b'\n').map(decoded).collect();
    problems.know(
        sources
            .iter()
            .map(|line| line.chars().take(LONGEST_LINE).collect()),
    );
    let mut conditionals = Conditionals::default();
    let mut comments = Vec::new();
    let mut numbered = (1..).zip(&sources);
    while let Some((number, source)) = numbered.next() {
        if problems.are_many() {
            break;
        }
        let mut source = source.clone();
        // A backslash at the very end joins the next line, as in a shell.
        while ends_in_continuation(&source) {
            source.pop();
            match numbered.next() {
                Some((_, next)) if source.len() + next.len() <= LONGEST_LINE => {
                    source.push_str(next)
                }
                Some(_) | None => break,
            }
        }
        read_line(
            number,
            &source,
            around,
            &mut conditionals,
            &mut comments,
            &mut lines,
            problems,
        );
    }
    if let Some(problem) = conditionals.unclosed() {
        problems.add(problem);
    }
    lines
}

fn read_line(
    number: usize,
    source: &str,
    around: &dyn Surroundings,
    conditionals: &mut Conditionals,
    comments: &mut Vec<String>,
    lines: &mut Lines,
    problems: &mut Problems,
) {
    if source.len() > LONGEST_LINE {
        let place = Place {
            line: number,
            column: 1,
            width: 1,
        };
        let message = format!(
            "a line of {} bytes; a line has at most {LONGEST_LINE}",
            source.len()
        );
        problems.add(Problem::new(place, message));
        return;
    }
    let split = match words::split(number, source, around) {
        Ok(split) => split,
        // What stands in a branch that is not taken need not make sense.
        Err(_) if conditionals.skips() => return,
        Err(problem) => {
            problems.add(problem);
            return;
        }
    };
    if split
        .words
        .first()
        .is_some_and(|word| word.text.starts_with('.'))
    {
        match conditionals.take(&split.words, around) {
            Ok(Some(notice)) => lines.notices.push(format!("line {number}: {notice}")),
            Ok(None) => {}
            Err(problem) => problems.add(problem),
        }
        return;
    }
    if conditionals.skips() {
        return;
    }
    comments.extend(split.comment.filter(|text| !text.is_empty()));
    if split.words.is_empty() {
        // A blank line parts a comment from what follows.
        if source.trim().is_empty() {
            comments.clear();
        }
        return;
    }
    if split.words.len() > MOST_WORDS {
        let place = split.words[MOST_WORDS].place;
        problems.add(Problem::new(
            place,
            format!("more than {MOST_WORDS} words on one line"),
        ));
        return;
    }
    if !split.variables.is_empty() {
        lines.expanded.insert(number, split.variables.join(", "));
    }
    lines.lines.push(Line {
        number,
        words: split.words,
        source: split.source,
        comments: std::mem::take(comments),
    });
}

fn unreadable(text: &[u8]) -> Option<Problem> {
    let whole = Place {
        line: 1,
        column: 1,
        width: 1,
    };
    if text.len() > MOST_BYTES {
        let message = format!(
            "the file has {} bytes; a configuration has at most {MOST_BYTES}",
            text.len()
        );
        return Some(Problem::new(whole, message));
    }
    let nul = text.iter().position(|byte| *byte == 0)?;
    let line = text[..nul].iter().filter(|byte| **byte == b'\n').count() + 1;
    Some(Problem::new(
        Place { line, ..whole },
        "a NUL byte: this is no text file",
    ))
}

/// Comments in old files are often Latin-1.
fn decoded(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().copied().map(char::from).collect(),
    }
}

fn ends_in_continuation(source: &str) -> bool {
    let backslashes = source
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count();
    backslashes % 2 == 1 && !source.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Nothing;

    fn words_of(text: &str) -> Vec<Vec<String>> {
        let mut problems = Problems::new("test", text.as_bytes());
        let lines = read(text.as_bytes(), &Nothing, &mut problems);
        problems.conclude().unwrap();
        let texts = |line: Line| line.words.into_iter().map(|word| word.text).collect();
        lines.lines.into_iter().map(texts).collect()
    }

    fn complaint(text: &[u8]) -> String {
        let mut problems = Problems::new("h.cfg", text);
        read(text, &Nothing, &mut problems);
        problems.conclude().unwrap_err().to_string()
    }

    #[test]
    fn comments_stay_with_the_line_they_are_about() {
        let mut problems = Problems::new("test", b"");
        let text = b"# far away\n\n# the office\nbind :80 # here\n";
        let lines = read(text, &Nothing, &mut problems).lines;
        assert_eq!(lines[0].comments, ["the office", "here"]);
        assert_eq!(lines[0].number, 4);
    }

    #[test]
    fn lines_can_be_continued_and_end_as_on_windows() {
        assert_eq!(
            words_of("acl a \\\n  path /\r\nmode http\r\n"),
            [vec!["acl", "a", "path", "/"], vec!["mode", "http"]]
        );
    }

    #[test]
    fn branches_that_are_not_taken_are_not_read() {
        let text =
            ".if defined(NOPE)\n bind \"\n.elif streq(a,a)\n mode http\n.else\n mode tcp\n.endif\n";
        assert_eq!(words_of(text), [vec!["mode", "http"]]);
        assert!(complaint(b".if 1\nmode http\n").contains("`.if` without `.endif`"));
    }

    #[test]
    fn what_is_no_configuration_is_refused_at_once() {
        assert!(complaint(&vec![b'x'; MOST_BYTES + 1]).contains("at most"));
        assert!(complaint(b"a\nb\0c").starts_with("h.cfg:2:1: a NUL byte"));
        let long = [b"mode ".as_slice(), &vec![b'y'; LONGEST_LINE]].concat();
        assert!(complaint(&long).contains("a line of"));
        assert!(complaint("a ".repeat(70).as_bytes()).contains("more than 64 words"));
        let many = complaint("\"\n".repeat(100_000).as_bytes());
        assert!(
            many.contains("… and 1 more"),
            "reading stops once nobody reads on"
        );
    }
}
