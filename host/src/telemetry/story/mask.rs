//! What stories do not show: credentials, cookies, and what the operator named. Names stay, values go; and a
//! value that was masked in one place is masked wherever else it turns up in the same story, for plugins
//! copy what they are given.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::model::{Input, words::Valued};

/// What stands in place of a secret.
const MASKED: &str = "***";
/// Shorter values are not looked for elsewhere: too much would be masked that only looks alike.
const SHORTEST: usize = 6;
const ALWAYS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];
/// What may stand before credentials in Authorization and is none of them.
const SCHEMES: [&str; 8] = [
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hoba",
    "mutual",
    "negotiate",
    "scram-sha-256",
];

/// Which values are masked.
#[derive(Debug, Clone)]
pub enum Mask {
    /// None of them.
    Nothing,
    Secrets(Named),
}

/// Names by which values are masked, besides those that always are.
#[derive(Debug, Clone, Default)]
pub struct Named {
    headers: Vec<String>,
    query_params: Vec<String>,
    vars: Vec<String>,
    others: Vec<Input>,
}

impl Mask {
    /// Masks what always is, and `inputs`. A header that is named is masked in both directions.
    pub fn secrets(inputs: &[Input]) -> Self {
        let mut named = Named::default();
        for input in inputs {
            match input {
                Input::Header(name)
                | Input::HeaderAll(name)
                | Input::ResponseHeader(name)
                | Input::ResponseHeaderAll(name) => named.headers.push(name.clone()),
                Input::QueryParam(name) => named.query_params.push(name.clone()),
                Input::Var(name) => named.vars.push(name.clone()),
                other => named.others.push(other.clone()),
            }
        }
        Self::Secrets(named)
    }

    fn named(&self) -> Option<&Named> {
        match self {
            Self::Nothing => None,
            Self::Secrets(named) => Some(named),
        }
    }

    /// Whether values of that header are secrets.
    pub fn hides_header(&self, name: &str) -> bool {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        self.named().is_some_and(|named| {
            ALWAYS.iter().any(|known| same(known)) || named.headers.iter().any(|known| same(known))
        })
    }

    /// The value of an input as it may be shown; `None`: as it is.
    fn input(&self, input: &Input, value: &str) -> Option<String> {
        let named = self.named()?;
        let hidden = || Some(MASKED.to_owned());
        match input {
            Input::Header(name)
            | Input::HeaderAll(name)
            | Input::ResponseHeader(name)
            | Input::ResponseHeaderAll(name) => self.header(name, value),
            Input::Cookie(_) | Input::ResponseCookie(_) | Input::FirstBytes(_) => hidden(),
            Input::QueryParam(name) if named.query_params.contains(name) => hidden(),
            Input::Var(name) if named.vars.contains(name) => hidden(),
            Input::Query => self.query(value),
            other if named.others.contains(other) => hidden(),
            _ => None,
        }
    }

    /// The value of a header as it may be shown; `None`: as it is.
    fn header(&self, name: &str, value: &str) -> Option<String> {
        if !self.hides_header(name) || value.is_empty() {
            return None;
        }
        Some(match name.to_ascii_lowercase().as_str() {
            "cookie" => {
                let cookies = value.split([';', ',']).map(masked_pair);
                cookies.collect::<Vec<_>>().join("; ")
            }
            "set-cookie" => match value.split_once(';') {
                Some((pair, attributes)) => format!("{};{attributes}", masked_pair(pair)),
                None => masked_pair(value),
            },
            "authorization" | "proxy-authorization" => match scheme(value) {
                Some((scheme, _)) => format!("{scheme} {MASKED}"),
                None => MASKED.to_owned(),
            },
            _ => MASKED.to_owned(),
        })
    }

    /// A query, or a target with one, as it may be shown; `None`: as it is.
    fn query(&self, text: &str) -> Option<String> {
        let names = &self.named()?.query_params;
        if names.is_empty() {
            return None;
        }
        let (before, query) = match text.split_once('?') {
            Some((path, query)) => (Some(path), query),
            None => (None, text),
        };
        let mut changed = false;
        let shown = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if names.iter().any(|known| known == name) => {
                changed = true;
                Cow::Owned(format!("{name}={MASKED}"))
            }
            _ => Cow::Borrowed(pair),
        });
        let shown = shown.collect::<Vec<_>>().join("&");
        changed.then(|| match before {
            Some(path) => format!("{path}?{shown}"),
            None => shown,
        })
    }
}

/// `sid=***`
fn masked_pair(pair: &str) -> String {
    match pair.trim().split_once('=') {
        Some((name, _)) => format!("{name}={MASKED}"),
        None => MASKED.to_owned(),
    }
}

/// `Basic` and what follows it.
fn scheme(value: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    let known = SCHEMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    known.then(|| (scheme, rest.trim()))
}

/// The secrets of one exchange, and how its texts are shown.
#[derive(Debug)]
pub struct Secrets<'a> {
    mask: &'a Mask,
    values: Vec<String>,
}

impl<'a> Secrets<'a> {
    pub fn new(mask: &'a Mask) -> Self {
        Self {
            mask,
            values: Vec::new(),
        }
    }

    /// Whether nothing is masked.
    pub fn are_shown(&self) -> bool {
        self.mask.named().is_none()
    }

    /// Takes note of what is secret in a header, if anything is.
    pub fn learn_header(&mut self, name: &str, value: &str) {
        if !self.mask.hides_header(name) {
            return;
        }
        match name.to_ascii_lowercase().as_str() {
            "cookie" => {
                for pair in value.split([';', ',']) {
                    self.learn_pair(pair);
                }
            }
            "set-cookie" => self.learn_pair(value.split(';').next().unwrap_or_default()),
            "authorization" | "proxy-authorization" => {
                let (basic, credentials) = match scheme(value) {
                    Some((scheme, rest)) => (scheme.eq_ignore_ascii_case("basic"), rest),
                    None => (false, value.trim()),
                };
                self.learn(credentials);
                let decoded = STANDARD.decode(credentials).ok().filter(|_| basic);
                if let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok())
                    && let Some((_, password)) = text.split_once(':')
                {
                    self.learn(password);
                }
            }
            _ => self.learn(value),
        }
    }

    /// Takes note of an input that is secret as a whole.
    pub fn learn_input(&mut self, input: &Input, value: &str) {
        match input {
            Input::Header(name)
            | Input::HeaderAll(name)
            | Input::ResponseHeader(name)
            | Input::ResponseHeaderAll(name) => self.learn_header(name, value),
            // Parts of it are known by what they are.
            Input::Query | Input::FirstBytes(_) => {}
            other if self.mask.input(other, value).is_some() => self.learn(value),
            _ => {}
        }
    }

    /// Takes note of the parameters in a target that are secret.
    pub fn learn_target(&mut self, target: &str) {
        let Some(named) = self.mask.named() else {
            return;
        };
        let query = target.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&') {
            if let Some((name, value)) = pair.split_once('=')
                && named.query_params.iter().any(|known| known == name)
            {
                self.learn(value);
            }
        }
    }

    fn learn_pair(&mut self, pair: &str) {
        if let Some((_, value)) = pair.split_once('=') {
            self.learn(value.trim());
        }
    }

    fn learn(&mut self, value: &str) {
        if value.len() >= SHORTEST && !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
        }
    }

    /// A text as it may be shown, and whether that is another one.
    pub fn text(&self, text: &str) -> (String, bool) {
        let mut shown = Cow::Borrowed(text);
        for secret in &self.values {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), MASKED));
            }
        }
        let changed = matches!(shown, Cow::Owned(_));
        (shown.into_owned(), changed)
    }

    /// A request's target, or a query.
    pub fn target(&self, target: &str) -> (String, bool) {
        self.masked(self.mask.query(target), target)
    }

    pub fn input(&self, input: &Input, value: &str) -> (String, bool) {
        self.masked(self.mask.input(input, value), value)
    }

    pub fn header(&self, name: &str, value: &str) -> (String, bool) {
        self.masked(self.mask.header(name, value), value)
    }

    /// The value in an edit.
    pub fn valued(&self, valued: Valued<'_>, value: &str) -> (String, bool) {
        match valued {
            Valued::Header(name) => self.header(name, value),
            Valued::Cookie(name) => self.input(&Input::Cookie(name.to_owned()), value),
            Valued::Var(name) => self.input(&Input::Var(name.to_owned()), value),
            Valued::Query => self.target(value),
        }
    }

    fn masked(&self, masked: Option<String>, value: &str) -> (String, bool) {
        let found = masked.is_some();
        let (shown, changed) = self.text(masked.as_deref().unwrap_or(value));
        (shown, found || changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(inputs: &[&str]) -> Mask {
        let inputs: Vec<Input> = inputs.iter().map(|text| text.parse().unwrap()).collect();
        Mask::secrets(&inputs)
    }

    fn header(mask: &Mask, name: &str, value: &str) -> String {
        Secrets::new(mask).header(name, value).0
    }

    #[test]
    fn credentials_and_cookies_are_masked_and_their_names_stay() {
        let mask = mask(&[]);
        for (name, value, shown) in [
            ("Authorization", "Basic Ym9iOnNlY3JldA==", "Basic ***"),
            ("authorization", "Bearer a.b.c", "Bearer ***"),
            ("proxy-authorization", "just-a-token", "***"),
            ("authorization", "odd token", "***"),
            ("Cookie", "sid=12; theme=dark", "sid=***; theme=***"),
            ("cookie", "bare", "***"),
            (
                "set-cookie",
                "sid=12; Path=/; Secure",
                "sid=***; Path=/; Secure",
            ),
            ("x-api-key", "12", "12"),
        ] {
            assert_eq!(header(&mask, name, value), shown);
        }
    }

    #[test]
    fn what_the_operator_names_is_masked_in_every_form() {
        let mask = mask(&["header(x-api-key)", "query-param(token)", "var(user)"]);
        let secrets = Secrets::new(&mask);
        let input = |name: &str, value| secrets.input(&name.parse().unwrap(), value);
        assert_eq!(header(&mask, "X-Api-Key", "12"), "***");
        assert_eq!(input("response-header(x-api-key)", "12").0, "***");
        assert_eq!(input("query-param(token)", "12").0, "***");
        assert_eq!(input("var(user)", "ada").0, "***");
        assert_eq!(input("var(tier)", "gold"), ("gold".to_owned(), false));
        assert_eq!(input("query", "a=1&token=12&b").0, "a=1&token=***&b");
        assert_eq!(secrets.target("/x?token=12").0, "/x?token=***");
        assert_eq!(secrets.target("/token=12"), ("/token=12".to_owned(), false));
    }

    #[test]
    fn a_secret_that_was_copied_elsewhere_is_masked_there_too() {
        let mask = mask(&["query-param(token)"]);
        let mut secrets = Secrets::new(&mask);
        secrets.learn_header("Cookie", "theme=dark; sid=4711-0815");
        secrets.learn_header("Authorization", "Basic Ym9iOmh1bnRlcjIy");
        secrets.learn_header("X-Plain", "plain-as-day");
        secrets.learn_target("/?token=abcdefg");
        assert_eq!(secrets.text("/by/4711-0815/x").0, "/by/***/x");
        assert_eq!(secrets.text("pass=hunter22").0, "pass=***");
        assert_eq!(secrets.text("abcdefgh").0, "***h");
        assert!(
            !secrets.text("dark plain-as-day").1,
            "too short, or no secret"
        );
    }

    #[test]
    fn nothing_is_masked_where_nothing_is_to_be() {
        let mut secrets = Secrets::new(&Mask::Nothing);
        secrets.learn_header("Authorization", "Bearer abcdefgh");
        let shown = secrets.header("Authorization", "Bearer abcdefgh");
        assert_eq!(shown, ("Bearer abcdefgh".to_owned(), false));
    }
}
