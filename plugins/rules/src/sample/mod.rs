//! What stands between the braces of a template, and in a `value` matcher: a fact, and what is made of
//! it: `header(Host)|lower|field(1,.)`.

mod address;
mod arguments;
mod convert;
mod keyed;

use std::borrow::Cow;

use crate::inputs::{BadInput, Fact, Facts, Inputs, Slot};

pub use arguments::end_of_braces;
pub use convert::{Converter, expand, regex};

/// A fact with converters.
#[derive(Debug, Clone)]
pub struct Sample {
    source: Source,
    converters: Vec<Converter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Fact(Slot),
    /// The path as sent, with the query behind a `?` if there is one.
    Url {
        path: Slot,
        query: Slot,
    },
    /// The Host field and the path as sent.
    Base {
        host: Slot,
        path: Slot,
    },
    /// Always the same.
    Text(String),
}

/// Why something between braces makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadSample {
    Input(BadInput),
    Converter(String),
}

impl std::fmt::Display for BadSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input(bad) => bad.fmt(f),
            Self::Converter(what) => f.write_str(what),
        }
    }
}

impl Sample {
    /// Reads what stands between braces and notes the inputs that it needs.
    pub fn parse(text: &str, inputs: &mut Inputs) -> Result<Self, BadSample> {
        let mut pieces = arguments::pieces(text).into_iter();
        let first = pieces.next().unwrap_or_default();
        let source = source(first, inputs)?;
        let converters: Result<Vec<Converter>, String> = pieces.map(Converter::parse).collect();
        Ok(Self {
            source,
            converters: converters.map_err(BadSample::Converter)?,
        })
    }

    /// The text; `None` if the request lacks the fact, or a converter made nothing of it.
    pub fn value<'f>(&self, facts: &'f impl Facts) -> Option<Cow<'f, str>> {
        let source = self.source.value(facts)?;
        if self.converters.is_empty() {
            return Some(source);
        }
        let mut bytes: Cow<'f, [u8]> = match source {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        for converter in &self.converters {
            bytes = converter.apply(bytes, facts)?;
        }
        Some(text_of(bytes))
    }

    /// The facts that it is made of.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let (first, second) = match self.source {
            Source::Fact(slot) => (Some(slot), None),
            Source::Url { path, query } => (Some(path), Some(query)),
            Source::Base { host, path } => (Some(host), Some(path)),
            Source::Text(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Whether it begins with the path of the request, unless a converter changes that.
    pub fn is_path(&self, inputs: &Inputs) -> bool {
        use weir_sdk::Input;

        match self.source {
            Source::Fact(slot) => matches!(
                inputs.fact(slot),
                Fact::Request(Input::Path | Input::RawPath)
            ),
            Source::Url { .. } => true,
            Source::Base { .. } | Source::Text(_) => false,
        }
    }

    /// Whether what comes out is URL text as it is: from the request line, or written by the operator.
    pub fn is_url_text(&self, inputs: &Inputs) -> bool {
        use weir_sdk::Input;

        let from_request_line = match self.source {
            Source::Fact(slot) => matches!(
                inputs.fact(slot),
                Fact::Request(
                    Input::Path | Input::RawPath | Input::Query | Input::Host | Input::Scheme
                )
            ),
            Source::Url { .. } | Source::Base { .. } => true,
            Source::Text(_) => true,
        };
        from_request_line || self.is_from_map()
    }

    /// Whether the operator wrote all that can come out.
    pub fn is_from_map(&self) -> bool {
        self.converters.last().is_some_and(Converter::is_map)
    }

    /// The maps that it looks into.
    pub fn maps(&self) -> impl Iterator<Item = &str> {
        self.converters.iter().filter_map(Converter::map)
    }
}

impl Source {
    fn value<'f>(&self, facts: &'f impl Facts) -> Option<Cow<'f, str>> {
        match self {
            Self::Fact(slot) => facts.value(*slot).map(Cow::Borrowed),
            Self::Url { path, query } => {
                let path = facts.value(*path)?;
                Some(match facts.value(*query) {
                    Some(query) => Cow::Owned(format!("{path}?{query}")),
                    None => Cow::Borrowed(path),
                })
            }
            Self::Base { host, path } => {
                let host = facts.value(*host).unwrap_or_default();
                Some(Cow::Owned(format!("{host}{}", facts.value(*path)?)))
            }
            Self::Text(text) => Some(Cow::Owned(text.clone())),
        }
    }
}

fn source(text: &str, inputs: &mut Inputs) -> Result<Source, BadSample> {
    if let Some(literal) = arguments::quoted(text) {
        return Ok(Source::Text(literal));
    }
    let mut named = |name: &str| inputs.named(name).map_err(BadSample::Input);
    Ok(match text {
        "url" => Source::Url {
            path: named("raw_path")?,
            query: named("query")?,
        },
        "base" => Source::Base {
            host: named("header(host)")?,
            path: named("raw_path")?,
        },
        name => Source::Fact(named(name)?),
    })
}

/// Bytes that are no UTF-8 are read as Latin-1, as the proxy does with header values.
fn text_of(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    let latin1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(latin1(bytes)),
        },
        Cow::Owned(bytes) => {
            Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| latin1(error.as_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{Hook, tests::Known};

    fn value(text: &str, facts: &[(&str, &str)]) -> Option<String> {
        let mut inputs = Inputs::new(Hook::Request);
        let sample = Sample::parse(text, &mut inputs).unwrap();
        let known = Known::new(facts);
        sample.value(&known.of(&inputs)).map(Cow::into_owned)
    }

    fn of(header: &str, converters: &str) -> Option<String> {
        value(&format!("header(x)|{converters}"), &[("header(x)", header)])
    }

    #[test]
    fn converters_make_of_a_fact_what_haproxys_make_of_it() {
        for (given, converters, wanted) in [
            ("WWW.Example.com", "lower", "www.example.com"),
            ("abc", "upper", "ABC"),
            ("a.b.c", "field(1,.)", "a"),
            ("a.b.c", "field(-1,.)", "c"),
            ("a.b.c", "field(2,.,2)", "b.c"),
            ("1.2.3.4, 5.6.7.8", "field(-1,\",\")|trim", "5.6.7.8"),
            ("--a--b", "word(2,-)", "b"),
            ("a b", "url_enc", "a%20b"),
            ("a%20b+c", "url_dec", "a b+c"),
            ("a+b", "url_dec(1)", "a b"),
            ("hello", "base64", "aGVsbG8="),
            ("aGVsbG8=", "b64dec", "hello"),
            (
                "abc",
                "sha2(256)|hex",
                "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            ),
            ("abcdef", "bytes(1,3)", "bcd"),
            ("abcdef", "bytes(4)", "ef"),
            ("abc", "length", "3"),
            ("10", "add(5)|mul(2)|sub(1)|div(2)|mod(10)", "4"),
            ("7", "odd", "1"),
            ("0", "not", "1"),
            ("1", "iif(yes,no)", "yes"),
            ("xxhixx", "ltrim(x)|rtrim(x)", "hi"),
            (
                "/api/v1/x",
                "regsub(\"^/api/(v[0-9])/\",\"/\\\\1/\")",
                "/v1/x",
            ),
            ("aXbX", "regsub(x,-,gi)", "a-b-"),
            ("10.1.2.3", "ipmask(16)", "10.1.0.0"),
            ("2001:db8:1::5", "ipmask(24,32)", "2001:db8::"),
            ("a.example:8080", "host_only", "a.example"),
            ("a.example:8080", "port_only", "8080"),
            ("abc", "crc32", "891568578"),
            ("a", "append(\"b|c\")", "ab|c"),
        ] {
            assert_eq!(
                of(given, converters).as_deref(),
                Some(wanted),
                "{given} {converters}"
            );
        }
    }

    #[test]
    fn what_cannot_be_made_is_as_good_as_absent() {
        for (given, converters) in [
            ("a.b", "field(3,.)"),
            ("x", "b64dec"),
            ("x", "add(1)"),
            ("1", "div(0)"),
            ("nope", "ipmask(8)"),
            ("x", "map(none)"),
        ] {
            assert_eq!(of(given, converters), None, "{given} {converters}");
        }
        assert_eq!(value("header(x)|lower", &[]), None);
    }

    #[test]
    fn facts_can_be_put_together() {
        let facts = [
            ("raw-path", "/a"),
            ("query", "q=1"),
            ("header(host)", "h:80"),
        ];
        assert_eq!(value("url", &facts).as_deref(), Some("/a?q=1"));
        assert_eq!(value("base", &facts).as_deref(), Some("h:80/a"));
        assert_eq!(value("\"a,|b\"|upper", &facts).as_deref(), Some("A,|B"));
    }

    #[test]
    fn a_wrong_converter_is_named() {
        let complaint = |text: &str| {
            Sample::parse(text, &mut Inputs::new(Hook::Request))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            complaint("path|lowr"),
            "no converter named `lowr`; did you mean `lower`?"
        );
        assert_eq!(complaint("path|field(x,.)"), "`field`: `x` is no number");
        assert!(complaint("path|field").contains("`field` needs"));
        assert!(complaint("path|regsub((,x)").contains("no regular expression"));
        assert!(complaint("path|sha2(1)").contains("256"));
        assert!(complaint("path|").contains("no converter named ``"));
    }
}
