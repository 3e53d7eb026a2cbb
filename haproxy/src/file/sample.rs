//! Sample expressions: `req.hdr(host),lower,field(1,.)`.

use std::fmt;

/// A fact and what is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub fetch: Call,
    pub converters: Vec<Call>,
}

/// A name with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<String>,
}

impl Call {
    pub fn argument(&self, position: usize) -> Option<&str> {
        self.arguments
            .get(position)
            .map(String::as_str)
            .filter(|argument| !argument.is_empty())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.arguments.as_slice() {
            [] => Ok(()),
            arguments => write!(f, "({})", arguments.join(",")),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fetch.fmt(f)?;
        self.converters
            .iter()
            .try_for_each(|converter| write!(f, ",{converter}"))
    }
}

impl Sample {
    /// Reads a whole text.
    ///
    /// # Errors
    /// What is wrong with it, for a message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (sample, rest) = Self::parse_start(text)?;
        match rest {
            "" => Ok(sample),
            rest => Err(format!("`{rest}` after the expression `{sample}`")),
        }
    }

    /// Reads as far as the expression goes.
    pub fn parse_start(text: &str) -> Result<(Self, &str), String> {
        let (fetch, mut rest) = call(text)?;
        let mut converters = Vec::new();
        while let Some(after) = rest.strip_prefix(',') {
            let (converter, after) = call(after)?;
            converters.push(converter);
            rest = after;
        }
        Ok((Self { fetch, converters }, rest))
    }
}

fn call(text: &str) -> Result<(Call, &str), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err(match rest.chars().next() {
            Some(c) => format!("`{c}` where the name of a fact or converter should stand"),
            None => "an expression that ends where a name should stand".to_owned(),
        });
    }
    let name = name.to_owned();
    let Some(inside) = rest.strip_prefix('(') else {
        return Ok((
            Call {
                name,
                arguments: Vec::new(),
            },
            rest,
        ));
    };
    let (arguments, rest) = arguments(inside).ok_or_else(|| format!("`{name}(` without `)`"))?;
    Ok((Call { name, arguments }, rest))
}

/// What stands before the closing parenthesis. Quotes and `\` keep commas and parentheses together.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut arguments = vec![String::new()];
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        let last = arguments.last_mut().expect("there is always one");
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            // A backslash keeps its own place before what only a regular expression understands.
            (None | Some('"'), '\\') => match characters.next()? {
                (_, c @ (',' | '(' | ')' | '"' | '\'' | '\\' | ' ')) => last.push(c),
                (_, other) => last.extend(['\\', other]),
            },
            (Some(_), c) => last.push(c),
            (None, ',') => arguments.push(String::new()),
            (None, ')') => {
                if arguments == [""] {
                    arguments.clear();
                }
                return Some((arguments, &text[at + 1..]));
            }
            (None, c) => last.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<(String, Vec<String>)> {
        let Sample { fetch, converters } = Sample::parse(text).unwrap();
        std::iter::once(fetch)
            .chain(converters)
            .map(|call| (call.name, call.arguments))
            .collect()
    }

    #[test]
    fn an_expression_is_a_fact_and_converters() {
        let owned = |name: &str, arguments: &[&str]| {
            (
                name.to_owned(),
                arguments
                    .iter()
                    .map(|a| (*a).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            shape("req.hdr(host),lower,field(1,.)"),
            [
                owned("req.hdr", &["host"]),
                owned("lower", &[]),
                owned("field", &["1", "."])
            ]
        );
        assert_eq!(
            shape(r"path,regsub('^/a,(b)\.',/x)"),
            [owned("path", &[]), owned("regsub", &[r"^/a,(b)\.", "/x"])]
        );
        assert_eq!(
            shape(r"src,map_ip(/etc/a.map,none)")[1],
            owned("map_ip", &["/etc/a.map", "none"])
        );
        assert_eq!(shape(r"hdr(a),field(1,\,)")[1], owned("field", &["1", ","]));
        assert_eq!(shape("src()"), [owned("src", &[])]);
        for wrong in [
            "",
            ",lower",
            "hdr(host",
            "path,,lower",
            "path lower",
            "hdr(a)b",
            "hdr('a)",
        ] {
            assert!(Sample::parse(wrong).is_err(), "{wrong}");
        }
    }
}
