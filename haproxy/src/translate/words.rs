//! Reading a directive's words.

use std::fmt::Display;

use crate::{
    problem::Problem,
    text::{self, Duration, Line, Word},
};

/// The words of a directive after those already read.
#[derive(Debug, Clone)]
pub struct Words<'w> {
    rest: &'w [Word],
    /// The last one read, where a missing one is complained of.
    last: &'w Word,
}

impl<'w> Words<'w> {
    /// All after the directive's own name.
    pub fn of(line: &'w Line) -> Self {
        Self {
            rest: &line.words[1..],
            last: &line.words[0],
        }
    }

    pub fn from(first: &'w Word, rest: &'w [Word]) -> Self {
        Self { rest, last: first }
    }

    pub fn next(&mut self) -> Option<&'w Word> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.last = first;
        Some(first)
    }

    pub fn peek(&self) -> Option<&'w str> {
        self.rest.first().map(|word| word.text.as_str())
    }

    pub fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == Some(text);
        if found {
            self.next();
        }
        found
    }

    pub fn rest(&self) -> &'w [Word] {
        self.rest
    }

    /// The next word, which must be there.
    pub fn need(&mut self, what: &str) -> Result<&'w Word, Problem> {
        let after = self.last;
        self.next().ok_or_else(|| {
            Problem::new(
                after.place,
                format!("{what} is missing after `{}`", after.text),
            )
        })
    }

    /// A time; a bare number is milliseconds.
    pub fn time(&mut self) -> Result<Duration, Problem> {
        let word = self.need("a time")?;
        text::duration(&word.text, "ms").map_err(|what| wrong(word, what))
    }

    pub fn number(&mut self, least: i64, most: i64) -> Result<i64, Problem> {
        let word = self.need("a number")?;
        number(word, least, most)
    }

    /// All words joined by blanks.
    pub fn joined(&self) -> String {
        self.rest
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The word last read and all after it, joined by blanks.
    pub fn joined_from_last(&self) -> String {
        let rest = self.rest.iter().map(|word| word.text.as_str());
        std::iter::once(self.last.text.as_str())
            .chain(rest)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Complains of whatever is left.
    pub fn end(&self) -> Result<(), Problem> {
        match self.rest.first() {
            None => Ok(()),
            Some(word) => Err(wrong(word, format!("`{}` has no meaning here", word.text))),
        }
    }
}

pub fn number(word: &Word, least: i64, most: i64) -> Result<i64, Problem> {
    let number: Option<i64> = word
        .text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        wrong(
            word,
            format!("`{}` is no number from {least} to {most}", word.text),
        )
    })
}

pub fn wrong(word: &Word, what: impl Display) -> Problem {
    Problem::new(word.place, what.to_string())
}
