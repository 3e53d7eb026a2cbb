//! `.if`, `.elif`, `.else`, `.endif` and the lines that speak (`.notice`, `.warning`, `.alert`, `.diag`).

use crate::{
    problem::{Place, Problem},
    surroundings::Surroundings,
};

use super::Word;

/// HAProxy's limit.
const DEEPEST: usize = 16;
/// What `.if version_atleast(…)` is told: the version whose behaviour is imported.
const VERSION: [u64; 2] = [2, 6];

/// The branches around the line at hand.
#[derive(Debug, Default)]
pub struct Conditionals {
    open: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    place: Place,
    /// Whether these lines count.
    taken: bool,
    /// Whether a branch of this `.if` has already counted.
    done: bool,
    /// Whether `.else` has been seen.
    last: bool,
}

impl Conditionals {
    /// Whether the line at hand does not count.
    pub fn skips(&self) -> bool {
        self.open.last().is_some_and(|branch| !branch.taken)
    }

    pub fn unclosed(&self) -> Option<Problem> {
        let branch = self.open.last()?;
        Some(Problem::new(branch.place, "`.if` without `.endif`"))
    }

    /// Takes a line that begins with a dot; what it says to the reader comes back.
    pub fn take(
        &mut self,
        words: &[Word],
        around: &dyn Surroundings,
    ) -> Result<Option<String>, Problem> {
        let place = words[0].place;
        let argument = words[1..]
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let holds = || evaluate(&argument, around).map_err(|what| Problem::new(place, what));
        match words[0].text.as_str() {
            ".if" => {
                if self.open.len() == DEEPEST {
                    return Err(Problem::new(
                        place,
                        format!("`.if` nested deeper than {DEEPEST}"),
                    ));
                }
                let outer = !self.skips();
                let taken = outer && holds()?;
                // In a branch that does not count none of the inner ones does.
                self.open.push(Branch {
                    place,
                    taken,
                    done: taken || !outer,
                    last: false,
                });
            }
            word @ (".elif" | ".else") => {
                let Some(branch) = self.open.last_mut() else {
                    return Err(Problem::new(place, format!("`{word}` without `.if`")));
                };
                if branch.last {
                    return Err(Problem::new(place, format!("`{word}` after `.else`")));
                }
                branch.last = word == ".else";
                branch.taken = !branch.done && (branch.last || holds()?);
                branch.done |= branch.taken;
            }
            ".endif" => {
                if self.open.pop().is_none() {
                    return Err(Problem::new(place, "`.endif` without `.if`"));
                }
            }
            _ if self.skips() => {}
            ".notice" | ".warning" => return Ok(Some(argument)),
            ".diag" => {}
            ".alert" => {
                return Err(Problem::new(
                    place,
                    format!("the file refuses itself: {argument}"),
                ));
            }
            other => {
                return Err(Problem::new(place, format!("unknown line `{other}`")).hint(
                    "these are .if, .elif, .else, .endif, .notice, .warning, .alert and .diag",
                ));
            }
        }
        Ok(None)
    }
}

fn evaluate(text: &str, around: &dyn Surroundings) -> Result<bool, String> {
    let mut reader = Expression {
        rest: text.trim(),
        around,
    };
    let value = reader.any(0)?;
    match reader.rest {
        "" => Ok(value),
        rest => Err(format!("`{rest}` has no meaning here")),
    }
}

struct Expression<'e> {
    rest: &'e str,
    around: &'e dyn Surroundings,
}

impl<'e> Expression<'e> {
    fn any(&mut self, depth: usize) -> Result<bool, String> {
        let mut value = self.all(depth)?;
        while self.eat("||") {
            value |= self.all(depth)?;
        }
        Ok(value)
    }

    fn all(&mut self, depth: usize) -> Result<bool, String> {
        let mut value = self.one(depth)?;
        while self.eat("&&") {
            value &= self.one(depth)?;
        }
        Ok(value)
    }

    fn one(&mut self, depth: usize) -> Result<bool, String> {
        if depth > 64 {
            return Err("parentheses nested too deep".to_owned());
        }
        if self.eat("!") {
            return Ok(!self.one(depth + 1)?);
        }
        if self.eat("(") {
            let value = self.any(depth + 1)?;
            return match self.eat(")") {
                true => Ok(value),
                false => Err("`(` without `)`".to_owned()),
            };
        }
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() {
            return Err("a condition is missing".to_owned());
        }
        if let Ok(number) = word.parse::<i64>() {
            self.eat("");
            return Ok(number != 0);
        }
        if !self.rest.starts_with('(') {
            return Err(format!("`{word}` is no condition"));
        }
        let arguments = self.arguments()?;
        self.predicate(word, &arguments)
    }

    fn arguments(&mut self) -> Result<Vec<&'e str>, String> {
        let end = self.rest.find(')').ok_or("`(` without `)`")?;
        let inside = &self.rest[1..end];
        self.rest = self.rest[end + 1..].trim_start();
        Ok(inside.split(',').map(str::trim).collect())
    }

    fn predicate(&self, name: &str, arguments: &[&str]) -> Result<bool, String> {
        let version = |text: &str| -> Vec<u64> {
            text.split(['.', '-'])
                .map_while(|part| part.trim_start_matches("dev").parse().ok())
                .take(2)
                .collect()
        };
        Ok(match (name, arguments) {
            ("defined", [variable]) => self.around.variable(variable).is_some(),
            // Whatever OpenSSL, PCRE or the kernel would give HAProxy, Weir has in its own way.
            ("feature" | "enabled", [_]) => true,
            ("streq", [a, b]) => a == b,
            ("strneq", [a, b]) => a != b,
            ("strstr", [a, b]) => a.contains(b),
            ("version_atleast", [wanted]) => VERSION.as_slice() >= version(wanted).as_slice(),
            ("version_before", [wanted]) => VERSION.as_slice() < version(wanted).as_slice(),
            ("openssl_version_atleast" | "ssllib_name_startswith", [_]) => true,
            ("openssl_version_before", [_]) => false,
            _ => {
                return Err(format!(
                    "unknown condition `{name}` with {} arguments",
                    arguments.len()
                ));
            }
        })
    }

    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Nothing;

    #[test]
    fn conditions_are_worked_out() {
        for (text, wanted) in [
            ("1", true),
            ("0", false),
            ("defined(HOME)", false),
            ("!defined(HOME) && streq(a,a)", true),
            ("(0 || 1) && !0", true),
            ("version_atleast(2.4)", true),
            ("version_before(2.6)", false),
            ("version_atleast(2.8-dev1)", false),
        ] {
            assert_eq!(evaluate(text, &Nothing), Ok(wanted), "{text}");
        }
        for wrong in ["", "(1", "maybe", "what(1)", "1 1", &"(".repeat(1000)] {
            assert!(evaluate(wrong, &Nothing).is_err(), "{wrong}");
        }
    }
}
