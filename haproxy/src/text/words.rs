//! One line to words, as HAProxy 2.6 splits it: blanks part words; `\` takes the next character as it
//! is; `'…'` takes all as it is; in `"…"` variables are expanded and `\` escapes; `#` begins a comment.

use std::mem;

use crate::{
    problem::{Place, Problem},
    surroundings::Surroundings,
};

use super::Word;

#[derive(Debug, Default)]
pub struct Split {
    pub words: Vec<Word>,
    pub comment: Option<String>,
    /// Without the comment.
    pub source: String,
    /// The names of the variables that were expanded.
    pub variables: Vec<String>,
}

/// Splits one line.
///
/// # Errors
/// A quote, brace or escape that does not end.
pub fn split(number: usize, source: &str, around: &dyn Surroundings) -> Result<Split, Problem> {
    let mut reader = Reader {
        number,
        characters: source.chars().collect(),
        at: 0,
        around,
        word: None,
        split: Split::default(),
    };
    reader.line()?;
    Ok(reader.split)
}

struct Reader<'r> {
    number: usize,
    characters: Vec<char>,
    at: usize,
    around: &'r dyn Surroundings,
    /// Where the word begins, and what it is so far.
    word: Option<(usize, String)>,
    split: Split,
}

impl Reader<'_> {
    fn line(&mut self) -> Result<(), Problem> {
        let mut end = self.characters.len();
        while let Some(&c) = self.characters.get(self.at) {
            let start = self.at;
            match c {
                ' ' | '\t' => {
                    self.end_word();
                    self.at += 1;
                    continue;
                }
                '#' => {
                    end = start;
                    let text: String = self.characters[start..].iter().collect();
                    self.split.comment = Some(text.trim_start_matches('#').trim().to_owned());
                    break;
                }
                _ => {}
            }
            self.word.get_or_insert_with(|| (start, String::new()));
            self.at += 1;
            match c {
                '\'' => self.strong(start)?,
                '"' => self.weak(start)?,
                '\\' => self.backslash(start)?,
                other => self.push(other),
            }
        }
        self.end_word();
        self.split.source = self.characters[..end]
            .iter()
            .collect::<String>()
            .trim()
            .to_owned();
        Ok(())
    }

    fn push(&mut self, c: char) {
        if let Some((_, word)) = &mut self.word {
            word.push(c);
        }
    }

    fn end_word(&mut self) {
        if let Some((start, text)) = mem::take(&mut self.word) {
            let place = self.place(start, self.at - start);
            self.split.words.push(Word { text, place });
        }
    }

    fn place(&self, start: usize, width: usize) -> Place {
        Place {
            line: self.number,
            column: start + 1,
            width: width.max(1),
        }
    }

    fn strong(&mut self, opened: usize) -> Result<(), Problem> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.push(c),
                None => return Err(self.unclosed(opened, "'")),
            }
        }
    }

    fn weak(&mut self, opened: usize) -> Result<(), Problem> {
        loop {
            let start = self.at;
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => self.backslash(start)?,
                Some('$') => self.variable(start)?,
                Some(c) => self.push(c),
                None => return Err(self.unclosed(opened, "\"")),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.characters.get(self.at).copied();
        self.at += 1;
        c
    }

    fn unclosed(&self, opened: usize, quote: &str) -> Problem {
        Problem::new(self.place(opened, 1), "a quote that does not end").hint(format!(
            "close it with {quote} on the same line, or write \\{quote} for the character"
        ))
    }

    /// After a backslash that stood at `start`. It stays before what it does not escape, so that regular
    /// expressions can be written as they are.
    fn backslash(&mut self, start: usize) -> Result<(), Problem> {
        match self.characters.get(self.at) {
            Some('"' | '\\' | '$' | ' ' | '#' | '\'' | 'n' | 'r' | 't' | 'x') | None => {
                let c = self.escaped(start)?;
                self.push(c);
            }
            Some(_) => self.push('\\'),
        }
        Ok(())
    }

    /// The character after a backslash that stood at `start`.
    fn escaped(&mut self, start: usize) -> Result<char, Problem> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('x') => {
                let digits: String = self.characters.iter().skip(self.at).take(2).collect();
                self.at += 2;
                let code = u8::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2);
                code.map(char::from).ok_or_else(|| {
                    Problem::new(self.place(start, 4), "`\\x` without two hexadecimal digits")
                        .hint("write \\\\x for a backslash and an x")
                })
            }
            Some(c) => Ok(c),
            None => Err(
                Problem::new(self.place(start, 1), "a backslash with nothing after it")
                    .hint("write \\\\ for a backslash"),
            ),
        }
    }

    /// `$NAME`, `${NAME}` or `${NAME-default}`, after the `$`.
    fn variable(&mut self, start: usize) -> Result<(), Problem> {
        let braced = self.characters.get(self.at) == Some(&'{');
        self.at += usize::from(braced);
        let begin = self.at;
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '.';
        while self.characters.get(self.at).is_some_and(is_name) {
            self.at += 1;
        }
        let name: String = self.characters[begin..self.at].iter().collect();
        if name.is_empty() && !braced {
            self.push('$');
            return Ok(());
        }
        let mut default = None;
        if braced {
            let unclosed = |reader: &Self| {
                Problem::new(reader.place(start, 2), "`${` without `}`")
                    .hint("write \\$ for a dollar sign")
            };
            if self.characters.get(self.at) == Some(&'-') {
                let begin = self.at + 1;
                let length = self.characters[begin..].iter().position(|c| *c == '}');
                let end = begin + length.ok_or_else(|| unclosed(self))?;
                default = Some(self.characters[begin..end].iter().collect::<String>());
                self.at = end;
            }
            if self.next() != Some('}') {
                return Err(unclosed(self));
            }
        }
        let value = self.around.variable(&name).or(default).unwrap_or_default();
        value.chars().for_each(|c| self.push(c));
        self.split.variables.push(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;

    struct Home;

    impl Surroundings for Home {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "PORT").then(|| "80 81".to_owned())
        }

        fn file(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn words(source: &str) -> Vec<String> {
        let split = split(1, source, &Home).unwrap();
        split.words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_line_is_split_as_haproxy_splits_it() {
        for (source, wanted) in [
            ("  bind  *:80\t# all", vec!["bind", "*:80"]),
            (r"a\ b \# \\", vec!["a b", "#", r"\"]),
            (r#"'a "$PORT" \n' b"#, vec![r#"a "$PORT" \n"#, "b"]),
            (
                r#""*:$PORT" "${PORT}x" "\$PORT""#,
                vec!["*:80 81", "80 81x", "$PORT"],
            ),
            (
                r#""${NOPE-def}" "${NOPE}" "${PORT-x}""#,
                vec!["def", "", "80 81"],
            ),
            ("$PORT ${PORT}", vec!["$PORT", "${PORT}"]),
            (r#"x"y"'z'"#, vec!["xyz"]),
            (r#"\x41\t."#, vec!["A\t."]),
            (r#""a\.b" "^/x\d""#, vec![r"a\.b", r"^/x\d"]),
            (r"^/a\.b$ \1", vec![r"^/a\.b$", r"\1"]),
            ("''", vec![""]),
        ] {
            assert_eq!(words(source), wanted, "{source}");
        }
    }

    #[test]
    fn what_does_not_end_is_shown_where_it_begins() {
        for (source, column, what) in [
            ("a 'b", 3, "a quote that does not end"),
            ("ab \"c", 4, "a quote that does not end"),
            ("x \"${A", 4, "`${` without `}`"),
            (r"a \x4", 3, "two hexadecimal digits"),
        ] {
            let problem = split(1, source, &Home).unwrap_err();
            assert_eq!(problem.place.column, column, "{source}");
            assert!(
                problem.message.contains(what),
                "{source}: {}",
                problem.message
            );
        }
    }
}
