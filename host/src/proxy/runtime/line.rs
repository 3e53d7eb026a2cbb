//! A line of commands into words: `;` between commands, blanks between words, `\` before what is meant as it
//! stands, `<<` at the end if text follows.

/// More words than any command has.
const MOST_WORDS: usize = 64;

/// A line, cut up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// Each with its words; one without any was left empty.
    pub commands: Vec<Vec<String>>,
    /// The last command goes on in the lines that follow, up to an empty one.
    pub payload: bool,
}

/// Why a line is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLine {
    NotUtf8,
    TooManyWords,
}

impl Line {
    pub fn read(bytes: &[u8]) -> Result<Self, BadLine> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadLine::NotUtf8)?;
        let text = text.trim_end_matches('\r');
        let mut line = Self {
            commands: vec![Vec::new()],
            payload: false,
        };
        let mut word: Option<String> = None;
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match c {
                '\\' => {
                    // At the very end it stands for itself.
                    let meant = characters.next().unwrap_or('\\');
                    word.get_or_insert_default().push(meant);
                }
                ' ' | '\t' => line.take(&mut word)?,
                ';' => {
                    line.take(&mut word)?;
                    line.commands.push(Vec::new());
                }
                c => word.get_or_insert_default().push(c),
            }
        }
        line.take(&mut word)?;
        if let Some(last) = line.commands.last_mut()
            && last.last().is_some_and(|word| word == "<<")
        {
            last.pop();
            line.payload = true;
        }
        Ok(line)
    }

    fn take(&mut self, word: &mut Option<String>) -> Result<(), BadLine> {
        let Some(word) = word.take() else {
            return Ok(());
        };
        let command = self.commands.last_mut().ok_or(BadLine::TooManyWords)?;
        if command.len() == MOST_WORDS {
            return Err(BadLine::TooManyWords);
        }
        command.push(word);
        Ok(())
    }
}

/// Whether a line is the beginning of an HTTP request: then a browser has been led here, and what follows is
/// nobody's command.
pub fn is_http(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut parts = line.rsplitn(2, |byte| *byte == b' ');
    let version = parts.next().unwrap_or_default();
    parts.next().is_some() && version.starts_with(b"HTTP/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        Line::read(text.as_bytes()).unwrap().commands
    }

    #[test]
    fn a_line_is_commands_and_these_are_words() {
        for (line, wanted) in [
            ("show info", vec![vec!["show", "info"]]),
            (
                "  show\tinfo ; show  stat\r",
                vec![vec!["show", "info"], vec!["show", "stat"]],
            ),
            (
                r"add map f a\ b c\;d",
                vec![vec!["add", "map", "f", "a b", "c;d"]],
            ),
            (r"a\\b \", vec![vec![r"a\b", r"\"]]),
            ("", vec![vec![]]),
            (";", vec![vec![], vec![]]),
        ] {
            assert_eq!(words(line), wanted, "{line}");
        }
    }

    #[test]
    fn text_follows_if_the_line_says_so() {
        let line = Line::read(b"show map; add map f <<").unwrap();
        assert!(line.payload);
        assert_eq!(line.commands[1], ["add", "map", "f"]);
        assert!(!Line::read(b"add map f << k").unwrap().payload);
    }

    #[test]
    fn what_is_no_line_is_said_to_be_none() {
        assert_eq!(Line::read(b"\xff"), Err(BadLine::NotUtf8));
        let many = "a ".repeat(MOST_WORDS + 1);
        assert_eq!(Line::read(many.as_bytes()), Err(BadLine::TooManyWords));
        assert!(Line::read("a ".repeat(MOST_WORDS).as_bytes()).is_ok());
    }

    #[test]
    fn requests_of_browsers_are_known() {
        assert!(is_http(b"POST /;x HTTP/1.1\r"));
        assert!(is_http(b"PRI * HTTP/2.0"));
        assert!(!is_http(b"show info"));
        assert!(!is_http(b"HTTP/1.1"));
    }
}
