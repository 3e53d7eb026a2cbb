//! Texts with facts of the request in them: `https://{host}{path}{?query}`.
//!
//! What stands between braces is a fact by the name that `inputs` gives it; `{?query}` is the query
//! with its `?`, or nothing. `{{` and `}}` are braces. A fact that the request lacks is an empty text.

use std::fmt;

use weir_sdk::Input;

use crate::inputs::{BadInput, Fact, Facts, Inputs, Slot};

/// What becomes of a filled-in text; it decides how facts are made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header value or variable: control characters become blanks.
    Field,
    /// A part of a URL: what cannot stand in one is percent-encoded.
    Url,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    place: Place,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Fact {
        slot: Slot,
        form: Form,
    },
    /// The query with the `?` before it, if there is one.
    QueryWithMark(Slot),
}

/// Whether a fact is URL text as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Taken from the request line: percent-encoded where needed.
    Encoded,
    /// Anything, so `%`, `?`, `#` and `&` are data.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    Unclosed {
        column: usize,
    },
    Unopened {
        column: usize,
    },
    Control,
    /// Of a URL's own text.
    NotUrl(char),
    Input(BadInput),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unclosed { column } => {
                write!(
                    f,
                    "column {column}: `{{` without `}}`; write `{{{{` for a brace"
                )
            }
            Self::Unopened { column } => {
                write!(
                    f,
                    "column {column}: `}}` without `{{`; write `}}}}` for a brace"
                )
            }
            Self::Control => f.write_str("control characters cannot be sent in a header or URL"),
            Self::NotUrl(c) => {
                write!(
                    f,
                    "`{}` cannot stand in a URL; percent-encode it",
                    c.escape_default()
                )
            }
            Self::Input(bad) => bad.fmt(f),
        }
    }
}

impl Template {
    /// Reads a template and notes the inputs that it needs.
    pub fn parse(text: &str, place: Place, inputs: &mut Inputs) -> Result<Self, TemplateError> {
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(TemplateError::Control);
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            let column = text[..text.len() - brace.len()].chars().count() + 1;
            if let Some(after) = brace
                .strip_prefix("{{")
                .or_else(|| brace.strip_prefix("}}"))
            {
                literal.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let Some(inner) = brace.strip_prefix('{') else {
                return Err(TemplateError::Unopened { column });
            };
            let (name, after) = inner
                .split_once('}')
                .ok_or(TemplateError::Unclosed { column })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part(name, inputs).map_err(TemplateError::Input)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let template = Self { place, parts };
        let not_url = template
            .literals()
            .flat_map(str::chars)
            .find(|c| !is_url(*c));
        match not_url {
            Some(c) if place == Place::Url => Err(TemplateError::NotUrl(c)),
            _ => Ok(template),
        }
    }

    /// Whether what comes out begins with `start`, whatever the request.
    pub fn begins_with(&self, start: &str) -> bool {
        matches!(self.parts.first(), Some(Part::Literal(text)) if text.starts_with(start))
    }

    /// Whether what comes out begins with the path or the path as sent.
    pub fn begins_with_path(&self, inputs: &Inputs) -> bool {
        matches!(self.parts.first(), Some(Part::Fact { slot, .. })
            if matches!(inputs.fact(*slot), Fact::Request(Input::Path | Input::RawPath)))
    }

    /// The texts between the facts.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Fact { .. } | Part::QueryWithMark(_) => None,
        })
    }

    /// The facts that are filled in.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Fact { slot, .. } | Part::QueryWithMark(slot) => Some(*slot),
        })
    }

    /// The text with the request's facts filled in.
    pub fn fill(&self, facts: &impl Facts) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Fact { slot, form } => {
                    self.push(&mut text, facts.value(*slot).unwrap_or_default(), *form);
                }
                Part::QueryWithMark(slot) => {
                    if let Some(query) = facts.value(*slot) {
                        text.push('?');
                        self.push(&mut text, query, Form::Encoded);
                    }
                }
            }
        }
        text
    }

    fn push(&self, text: &mut String, value: &str, form: Form) {
        match self.place {
            Place::Field => {
                text.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }))
            }
            Place::Url => push_url(text, value, form),
        }
    }
}

fn part(name: &str, inputs: &mut Inputs) -> Result<Part, BadInput> {
    if name == "?query" {
        return inputs.named("query").map(Part::QueryWithMark);
    }
    let form = match name {
        "path" | "raw_path" | "query" | "host" | "scheme" => Form::Encoded,
        _ => Form::Plain,
    };
    inputs.named(name).map(|slot| Part::Fact { slot, form })
}

fn is_url(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
}

fn push_url(text: &mut String, value: &str, form: Form) {
    for byte in value.bytes() {
        let keep = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => true,
            b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' | b'!' | b'$' | b'\'' | b'(' | b')'
            | b'*' | b',' | b';' => true,
            b'%' | b'?' | b'&' | b'=' | b'+' | b'[' | b']' => form == Form::Encoded,
            _ => false,
        };
        if keep {
            text.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{Hook, tests::Known};

    fn fill(template: &str, place: Place, known: &Known) -> String {
        let mut inputs = Inputs::new(Hook::Request);
        let template = Template::parse(template, place, &mut inputs).unwrap();
        template.fill(&known.of(&inputs))
    }

    fn complaint(template: &str) -> String {
        Template::parse(template, Place::Field, &mut Inputs::new(Hook::Request))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn facts_take_the_place_of_their_names() {
        let known = Known::new(&[
            ("host", "a.example"),
            ("path", "/x"),
            ("query", "q=1"),
            ("header(x-id)", "7"),
        ]);
        assert_eq!(
            fill("https://{host}{path}{?query}", Place::Url, &known),
            "https://a.example/x?q=1"
        );
        assert_eq!(
            fill("{header(X-Id)}:{query}", Place::Field, &known),
            "7:q=1"
        );
        assert_eq!(fill("{{{path}}} {{}}", Place::Field, &known), "{/x} {}");
    }

    #[test]
    fn what_the_request_lacks_is_empty() {
        let known = Known::new(&[("path", "/x")]);
        assert_eq!(
            fill("{path}{?query}[{cookie(a)}]", Place::Field, &known),
            "/x[]"
        );
        assert_eq!(
            fill(
                "{path}{?query}",
                Place::Url,
                &Known::new(&[("path", "/"), ("query", "")])
            ),
            "/?"
        );
    }

    #[test]
    fn a_client_cannot_break_out_of_a_field_or_a_url() {
        let known = Known::new(&[
            ("query-param(q)", "a\r\nSet-Cookie: x=1\0&b=%2f?#é"),
            ("path", "/a\\b %2f"),
        ]);
        assert_eq!(
            fill("{query_param(q)}", Place::Field, &known),
            "a  Set-Cookie: x=1 &b=%2f?#é"
        );
        assert_eq!(
            fill("/s?q={query_param(q)}", Place::Url, &known),
            "/s?q=a%0D%0ASet-Cookie:%20x%3D1%00%26b%3D%252f%3F%23%C3%A9"
        );
        assert_eq!(fill("{path}", Place::Url, &known), "/a%5Cb%20%2f");
    }

    #[test]
    fn an_error_says_where_and_what_would_do() {
        assert_eq!(
            complaint("a{path"),
            "column 2: `{` without `}`; write `{{` for a brace"
        );
        assert_eq!(
            complaint("é}"),
            "column 2: `}` without `{`; write `}}` for a brace"
        );
        assert!(complaint("{pth}").contains("no input named `pth`; did you mean `path`?"));
        assert!(complaint("{}").contains("no input named ``"));
        assert!(complaint("{header()}").contains("no input named `header()`"));
        assert!(complaint("{status}").contains("only a response has"));
        assert!(complaint("a\nb").contains("control characters"));
        let in_url = |text| Template::parse(text, Place::Url, &mut Inputs::new(Hook::Request));
        assert_eq!(in_url("/a b"), Err(TemplateError::NotUrl(' ')));
        assert_eq!(in_url("/{{"), Err(TemplateError::NotUrl('{')));
        assert_eq!(in_url("/\\evil"), Err(TemplateError::NotUrl('\\')));
    }
}
