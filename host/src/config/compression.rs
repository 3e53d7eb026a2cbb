//! `compression` of a frontend or backend: which answers are compressed on their way to clients, and how.

use super::{
    read::Fields,
    value::{Node, shorten},
};

/// A content coding that the proxy can apply (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// As in `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// How answers are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// The best first, for clients that take several alike.
    pub algorithms: Vec<Coding>,
    pub types: Vec<TypePattern>,
    /// An answer whose length is known to be less is left alone.
    pub min_size: u64,
    pub levels: Levels,
    /// Servers are not told that clients take compressed answers, so that they send none.
    pub hide_accept_encoding: bool,
    /// Answers that are compressed at a time. Further ones are sent as they came.
    pub max_streams: usize,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            algorithms: vec![Coding::Zstd, Coding::Brotli, Coding::Gzip],
            types: TYPES.iter().filter_map(|text| pattern(text)).collect(),
            min_size: 1024,
            levels: Levels::default(),
            hide_accept_encoding: false,
            max_streams: 500,
        }
    }
}

/// How hard each library tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    pub zstd: u32,
    pub brotli: u32,
    pub gzip: u32,
}

impl Default for Levels {
    /// Where each stops gaining much for its time: all take about as long.
    fn default() -> Self {
        Self {
            zstd: 3,
            brotli: 4,
            gzip: 4,
        }
    }
}

/// Media types: `text/html`, `text/*`, `application/*+json`, `*/*`. In small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypePattern {
    /// `None`: any.
    pub kind: Option<String>,
    pub of_kind: Subtype,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subtype {
    Any,
    Exactly(String),
    /// With its `+`.
    Suffix(String),
}

impl TypePattern {
    /// Whether `kind/of_kind` is one of them, in whatever case.
    pub fn matches(&self, kind: &[u8], of_kind: &[u8]) -> bool {
        let same_kind = self
            .kind
            .as_ref()
            .is_none_or(|wanted| kind.eq_ignore_ascii_case(wanted.as_bytes()));
        same_kind
            && match &self.of_kind {
                Subtype::Any => true,
                Subtype::Exactly(wanted) => of_kind.eq_ignore_ascii_case(wanted.as_bytes()),
                Subtype::Suffix(wanted) => of_kind
                    .len()
                    .checked_sub(wanted.len())
                    .is_some_and(|at| of_kind[at..].eq_ignore_ascii_case(wanted.as_bytes())),
            }
    }
}

/// What the frontend or backend says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Said<T> {
    /// Nothing: what the frontend says holds for the backend.
    #[default]
    Nothing,
    Off,
    On(T),
}

impl<T> Said<T> {
    pub fn map<U>(&self, make: impl FnOnce(&T) -> U) -> Said<U> {
        match self {
            Self::Nothing => Said::Nothing,
            Self::Off => Said::Off,
            Self::On(said) => Said::On(make(said)),
        }
    }
}

/// What is text and not compressed already.
const TYPES: &[&str] = &[
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "application/vnd.ms-fontobject",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
    "image/bmp",
];

const EXAMPLE: &str =
    "write `compression = true` or `{ algorithms = [\"zstd\", \"br\", \"gzip\"] }`";

/// Reads `compression`.
pub(super) fn read_compression(parent: &mut Fields<'_>) -> Said<Compression> {
    let Some(node) = parent.get("compression") else {
        return Said::Nothing;
    };
    match node.value().as_bool() {
        Some(true) => return Said::On(Compression::default()),
        Some(false) => return Said::Off,
        None => {}
    }
    if !node.value().is_table() {
        node.wrong_type("`true`, `false` or a table", EXAMPLE);
        return Said::Nothing;
    }
    let Some(mut fields) = node.fields("compression") else {
        return Said::Nothing;
    };
    let base = Compression::default();
    let read = Compression {
        algorithms: fields
            .get("algorithms")
            .and_then(|node| read_algorithms(&node))
            .unwrap_or(base.algorithms),
        types: fields
            .get("types")
            .and_then(|node| read_types(&node))
            .unwrap_or(base.types),
        min_size: fields
            .get("min_size")
            .and_then(|node| node.size(0..=1 << 30))
            .unwrap_or(base.min_size),
        levels: read_levels(&mut fields),
        hide_accept_encoding: fields
            .get("hide_accept_encoding")
            .and_then(|node| node.boolean())
            .unwrap_or(base.hide_accept_encoding),
        max_streams: fields
            .get("max_streams")
            .and_then(|node| node.index(1..=1_000_000))
            .unwrap_or(base.max_streams),
    };
    fields.finish(&[
        ("algo", "write `algorithms`"),
        ("type", "write `types`"),
        ("levels", "write `level`"),
        ("offload", "write `hide_accept_encoding = true`"),
    ]);
    Said::On(read)
}

fn read_algorithms(node: &Node<'_>) -> Option<Vec<Coding>> {
    let mut found = Vec::new();
    for entry in node.list("algorithms")? {
        let coding = entry.choice(&[
            ("zstd", Coding::Zstd),
            ("br", Coding::Brotli),
            ("gzip", Coding::Gzip),
        ])?;
        if found.contains(&coding) {
            entry.wrong("is there twice", "leave one of them out");
            return None;
        }
        found.push(coding);
    }
    if found.is_empty() {
        node.wrong(
            "is empty",
            "write `algorithms = [\"zstd\", \"br\", \"gzip\"]`",
        );
        return None;
    }
    Some(found)
}

fn read_types(node: &Node<'_>) -> Option<Vec<TypePattern>> {
    let mut found = Vec::new();
    for entry in node.list("media types")? {
        let text = entry.plain_text("text/*")?;
        let Some(pattern) = pattern(text) else {
            entry.wrong(
                format!("is no media type: `{}`", shorten(text)),
                "write one like \"text/html\", \"text/*\", \"application/*+json\" or \"*/*\"",
            );
            return None;
        };
        found.push(pattern);
    }
    if found.is_empty() {
        node.wrong(
            "is empty",
            "write `types = [\"text/*\", \"application/json\"]`",
        );
        return None;
    }
    Some(found)
}

fn read_levels(parent: &mut Fields<'_>) -> Levels {
    let base = Levels::default();
    let Some(mut fields) = parent.table("level", "level") else {
        return base;
    };
    let levels = Levels {
        zstd: fields
            .get("zstd")
            .and_then(|node| node.small(1..=19))
            .unwrap_or(base.zstd),
        brotli: fields
            .get("br")
            .and_then(|node| node.small(0..=11))
            .unwrap_or(base.brotli),
        gzip: fields
            .get("gzip")
            .and_then(|node| node.small(1..=9))
            .unwrap_or(base.gzip),
    };
    fields.finish(&[("brotli", "write `br`"), ("deflate", "write `gzip`")]);
    levels
}

fn pattern(text: &str) -> Option<TypePattern> {
    let text = text.to_ascii_lowercase();
    let (kind, of_kind) = text.split_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let kind = match kind {
        "*" => None,
        _ if is_name(kind) => Some(kind.to_owned()),
        _ => return None,
    };
    let of_kind = match of_kind {
        "*" => Subtype::Any,
        _ => match of_kind.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('+') && is_name(suffix) => {
                Subtype::Suffix(suffix.to_owned())
            }
            None if is_name(of_kind) => Subtype::Exactly(of_kind.to_owned()),
            _ => return None,
        },
    };
    let any_of_exact = kind.is_none() && of_kind != Subtype::Any;
    (!any_of_exact).then_some(TypePattern { kind, of_kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_types_in_any_case() {
        for (text, kind, of_kind, expected) in [
            ("text/html", "text", "html", true),
            ("text/html", "Text", "HTML", true),
            ("text/html", "text", "html5", false),
            ("text/*", "text", "event-stream", true),
            ("text/*", "image", "png", false),
            ("application/*+json", "application", "problem+json", true),
            ("application/*+json", "application", "json", false),
            ("*/*", "image", "png", true),
        ] {
            let pattern = pattern(text).unwrap();
            let matches = pattern.matches(kind.as_bytes(), of_kind.as_bytes());
            assert_eq!(matches, expected, "{text} {kind}/{of_kind}");
        }
    }

    #[test]
    fn what_is_no_type_is_no_pattern() {
        for text in [
            "",
            "text",
            "/",
            "text/",
            "/html",
            "*/html",
            "te xt/*",
            "text/*json",
            "*",
        ] {
            assert_eq!(pattern(text), None, "{text}");
        }
    }

    #[test]
    fn the_types_of_the_default_are_all_sound() {
        assert_eq!(Compression::default().types.len(), TYPES.len());
    }
}
