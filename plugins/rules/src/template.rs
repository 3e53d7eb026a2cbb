//! Texts with facts of the request in them: `https://{host}{path}{?query}`.
//!
//! What stands between braces is a fact by the name that `inputs` gives it; `{?query}` is the query
//! with its `?`, or nothing. Converters stand behind a fact: `{header(Host)|lower}`. `{{` and `}}` are braces. A fact that the request lacks is an empty text.

use std::fmt;

use crate::{
    inputs::{Facts, Inputs, Slot},
    sample::{BadSample, Sample, end_of_braces, expand},
};

/// What becomes of a filled-in text; it decides how facts are made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header value or variable: control characters become blanks.
    Field,
    /// A body: anything goes, as it is.
    Body,
    /// A part of a URL: what cannot stand in one is percent-encoded.
    Url,
}

#[derive(Debug, Clone)]
pub struct Template {
    place: Place,
    parts: Vec<Part>,
    has_groups: bool,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Fact {
        sample: Sample,
        form: Form,
        /// Whether it begins with the path of the request.
        is_path: bool,
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
    Sample(BadSample),
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
            Self::Sample(bad) => bad.fmt(f),
        }
    }
}

impl Template {
    /// Reads a template and notes the inputs that it needs.
    pub fn parse(text: &str, place: Place, inputs: &mut Inputs) -> Result<Self, TemplateError> {
        Self::read(text, place, inputs, false)
    }

    /// Reads what takes the place of what a regular expression matched: in the text between facts, `\1`
    /// is its first group.
    pub fn parse_replacement(
        text: &str,
        place: Place,
        inputs: &mut Inputs,
    ) -> Result<Self, TemplateError> {
        Self::read(text, place, inputs, true)
    }

    fn read(
        text: &str,
        place: Place,
        inputs: &mut Inputs,
        has_groups: bool,
    ) -> Result<Self, TemplateError> {
        if place != Place::Body && text.chars().any(|c| c.is_control() && c != '\t') {
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
            let end = end_of_braces(inner).ok_or(TemplateError::Unclosed { column })?;
            let (name, after) = (&inner[..end], &inner[end + 1..]);
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part(name, inputs).map_err(TemplateError::Sample)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let template = Self {
            place,
            parts,
            has_groups,
        };
        let not_url = template
            .literals()
            .flat_map(str::chars)
            .find(|c| !(is_url(*c) || has_groups && *c == '\\'));
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
    pub fn begins_with_path(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Fact { is_path: true, .. }))
    }

    /// Whether what comes out begins with a text that stands in a map.
    pub fn begins_with_map(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Fact { sample, .. }) if sample.is_from_map())
    }

    /// The maps that are looked into.
    pub fn maps(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| {
            match part {
                Part::Fact { sample, .. } => Some(sample.maps()),
                Part::Literal(_) | Part::QueryWithMark(_) => None,
            }
            .into_iter()
            .flatten()
        })
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
        self.parts.iter().flat_map(|part| {
            let (sample, query) = match part {
                Part::Literal(_) => (None, None),
                Part::Fact { sample, .. } => (Some(sample.slots()), None),
                Part::QueryWithMark(slot) => (None, Some(*slot)),
            };
            sample.into_iter().flatten().chain(query)
        })
    }

    /// The text with the request's facts filled in.
    pub fn fill(&self, facts: &impl Facts) -> String {
        self.fill_with(facts, |_| None)
    }

    /// As `fill`, with `\1` in the text between facts replaced by the first of `groups`.
    pub fn fill_with(
        &self,
        facts: &impl Facts,
        groups: impl Fn(usize) -> Option<Vec<u8>>,
    ) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) if self.has_groups => {
                    let expanded = expand(literal.as_bytes(), &groups);
                    self.push(
                        &mut text,
                        &String::from_utf8_lossy(&expanded),
                        Form::Encoded,
                    );
                }
                Part::Literal(literal) => text.push_str(literal),
                Part::Fact { sample, form, .. } => {
                    self.push(&mut text, &sample.value(facts).unwrap_or_default(), *form);
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

    /// The text, if all facts in it are there.
    pub fn fill_whole(&self, facts: &impl Facts) -> Option<String> {
        let is_there = |part: &Part| match part {
            Part::Fact { sample, .. } => sample.value(facts).is_some(),
            Part::Literal(_) | Part::QueryWithMark(_) => true,
        };
        self.parts.iter().all(is_there).then(|| self.fill(facts))
    }

    fn push(&self, text: &mut String, value: &str, form: Form) {
        match self.place {
            Place::Field => {
                text.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }))
            }
            Place::Url => push_url(text, value, form),
            Place::Body => text.push_str(value),
        }
    }
}

fn part(name: &str, inputs: &mut Inputs) -> Result<Part, BadSample> {
    if name == "?query" {
        return inputs
            .named("query")
            .map(Part::QueryWithMark)
            .map_err(BadSample::Input);
    }
    let sample = Sample::parse(name, inputs)?;
    let form = if sample.is_url_text(inputs) {
        Form::Encoded
    } else {
        Form::Plain
    };
    let is_path = sample.is_path(inputs);
    Ok(Part::Fact {
        sample,
        form,
        is_path,
    })
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
    fn converters_stand_behind_facts() {
        let known = Known::new(&[("header(host)", "A.Example:80"), ("raw-path", "/x")]);
        assert_eq!(
            fill("{header(Host)|host_only|lower}!", Place::Field, &known),
            "a.example!"
        );
        assert_eq!(
            fill(
                "https://{header(Host)|regsub(\"^(.)\",\"{\\\\1}\")}",
                Place::Field,
                &known
            ),
            "https://{A}.Example:80"
        );
    }

    #[test]
    fn groups_are_filled_into_the_text_and_not_into_facts() {
        let known = Known::new(&[("query-param(q)", "\\1")]);
        let mut inputs = Inputs::new(Hook::Request);
        let template =
            Template::parse_replacement("/v/\\1/{query_param(q)}", Place::Url, &mut inputs)
                .unwrap();
        let filled = template.fill_with(&known.of(&inputs), |group| {
            (group == 1).then(|| b"a b".to_vec())
        });
        assert_eq!(filled, "/v/a%20b/%5C1");
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
        let in_url = |text| match Template::parse(text, Place::Url, &mut Inputs::new(Hook::Request))
        {
            Err(TemplateError::NotUrl(c)) => c,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(in_url("/a b"), ' ');
        assert_eq!(in_url("/{{"), '{');
        assert_eq!(in_url("/\\evil"), '\\');
    }
}
