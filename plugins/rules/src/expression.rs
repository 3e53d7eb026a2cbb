//! The text of `when`: matcher names joined by `and`, `or`, `not` and parentheses. Knows nothing of
//! what the names stand for.

use std::fmt;

/// How deep parentheses and `not` may nest; it bounds the parser's and the evaluator's stack.
const MAX_DEPTH: usize = 64;

/// A parsed `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Name(String),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Where an expression stops making sense, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// In characters, from 1.
    pub column: usize,
    pub problem: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

/// Reads an expression. `not` binds tighter than `and`, `and` tighter than `or`.
pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.chars().count() + 1,
    };
    if parser.tokens.is_empty() {
        return Err(
            parser.error("an empty expression; leave `when` out for a rule that always applies")
        );
    }
    let expression = parser.any(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(Token::Close) => Err(parser.error("`)` without `(` before it")),
        Some(token) => {
            let message =
                format!("{token} after a complete expression; join them with `and` or `or`");
            Err(parser.error(&message))
        }
    }
}

/// Whether `name` can be written in an expression.
pub fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(starts_name)
        && characters.all(continues_name)
        && !matches!(name, "and" | "or" | "not")
}

fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn continues_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    And,
    Or,
    Not,
    Open,
    Close,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::And => f.write_str("`and`"),
            Self::Or => f.write_str("`or`"),
            Self::Not => f.write_str("`not`"),
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
        }
    }
}

/// Each token with its column.
fn tokens(text: &str) -> Result<Vec<(Token, usize)>, SyntaxError> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = characters.get(at) {
        let start = at;
        at += 1;
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            c if starts_name(c) => {
                while characters.get(at).copied().is_some_and(continues_name) {
                    at += 1;
                }
                word(characters[start..at].iter().collect())
            }
            other => {
                return Err(SyntaxError {
                    column: start + 1,
                    problem: format!(
                        "`{other}` has no meaning here; an expression is made of matcher names, `and`, `or`, `not`, `(` and `)`"
                    ),
                });
            }
        };
        tokens.push((token, start + 1));
    }
    Ok(tokens)
}

fn word(text: String) -> Token {
    match text.as_str() {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        _ => Token::Name(text),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    /// The column after the last character.
    end: usize,
}

impl Parser {
    fn any(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut parts = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        let mut parts = vec![self.operand(depth)?];
        while self.take(&Token::And) {
            parts.push(self.operand(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn operand(&mut self, depth: usize) -> Result<Expression, SyntaxError> {
        if depth == MAX_DEPTH {
            return Err(self.error(&format!(
                "nested deeper than {MAX_DEPTH}; give the inner part a name"
            )));
        }
        let Some(token) = self.peek().cloned() else {
            return Err(self.error("the expression ends where a matcher name should follow"));
        };
        match token {
            Token::Name(name) => {
                self.next += 1;
                Ok(Expression::Name(name))
            }
            Token::Not => {
                self.next += 1;
                Ok(Expression::Not(Box::new(self.operand(depth + 1)?)))
            }
            Token::Open => {
                let opened = self.column();
                self.next += 1;
                let inner = self.any(depth + 1)?;
                if self.take(&Token::Close) {
                    Ok(inner)
                } else {
                    Err(self.error(&format!("`(` of column {opened} is not closed")))
                }
            }
            Token::And | Token::Or | Token::Close => {
                Err(self.error(&format!("{token} where a matcher name should stand")))
            }
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn column(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |(_, column)| *column)
    }

    fn error(&self, problem: &str) -> SyntaxError {
        SyntaxError {
            column: self.column(),
            problem: problem.to_owned(),
        }
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with every operator written as a call.
    fn shape(text: &str) -> String {
        fn show(expression: &Expression) -> String {
            let list = |parts: &[Expression]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
            match expression {
                Expression::Name(name) => name.clone(),
                Expression::Not(inner) => format!("not({})", show(inner)),
                Expression::All(parts) => format!("all({})", list(parts)),
                Expression::Any(parts) => format!("any({})", list(parts)),
            }
        }
        show(&parse(text).unwrap())
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn and_binds_tighter_than_or_and_not_tightest() {
        assert_eq!(shape("a or b and not c"), "any(a all(b not(c)))");
        assert_eq!(shape("(a or b) and c"), "all(any(a b) c)");
        assert_eq!(shape("not not a"), "not(not(a))");
        assert_eq!(shape("not (a and b)"), "not(all(a b))");
        assert_eq!(shape("a and b and c or d"), "any(all(a b c) d)");
    }

    #[test]
    fn names_may_contain_the_operators_words() {
        assert_eq!(shape("android or order-1"), "any(android order-1)");
        assert_eq!(shape("not_me"), "not_me");
    }

    #[test]
    fn an_error_says_the_column_and_what_was_expected() {
        assert!(complaint("").starts_with("column 1: an empty expression"));
        assert!(complaint("   ").starts_with("column 4: an empty expression"));
        assert_eq!(
            complaint("a and"),
            "column 6: the expression ends where a matcher name should follow"
        );
        assert_eq!(
            complaint("a b"),
            "column 3: `b` after a complete expression; join them with `and` or `or`"
        );
        assert_eq!(
            complaint("a and (b or c"),
            "column 14: `(` of column 7 is not closed"
        );
        assert_eq!(complaint("a)"), "column 2: `)` without `(` before it");
        assert_eq!(
            complaint("or a"),
            "column 1: `or` where a matcher name should stand"
        );
        assert!(complaint("ä && b").starts_with("column 1: `ä` has no meaning here"));
        assert!(complaint("a && b").starts_with("column 3: `&` has no meaning here"));
        assert!(complaint("()").starts_with("column 2: `)` where"));
    }

    #[test]
    fn endless_nesting_is_refused_before_it_exhausts_the_stack() {
        for text in ["(".repeat(100_000), "not ".repeat(100_000)] {
            assert!(complaint(&text).contains("nested deeper than 64"));
        }
        let deep = format!("{}a{}", "(".repeat(60), ")".repeat(60));
        assert_eq!(shape(&deep), "a");
    }

    #[test]
    fn a_name_is_a_word_that_is_no_operator() {
        for good in ["a", "_", "is_static", "is-static", "m0007"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "and", "or", "not", "7up", "a b", "a.b", "é", "-a"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
