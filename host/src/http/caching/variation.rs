//! The fields of a request that an answer depends on (RFC 9111 §4.1).

use super::super::{request::RequestHead, response::ResponseHead, syntax::trim};

/// The names that `Vary` had, in small letters, each with what the request said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variation(Box<[Said]>);

/// A name and what the request said.
type Said = (Box<str>, Box<[u8]>);

impl Variation {
    /// `None`: it depends on more than fields, or on no field that could be one.
    pub fn of(head: &ResponseHead, request: &RequestHead) -> Option<Self> {
        let mut found: Vec<Said> = Vec::new();
        let names = head
            .fields
            .all("vary")
            .flat_map(|list| list.split(|&byte| byte == b','))
            .map(trim)
            .filter(|name| !name.is_empty());
        for name in names {
            if name == b"*" {
                return None;
            }
            let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
            if found.iter().any(|(known, _)| **known == *name) {
                continue;
            }
            let value = value(request, &name);
            found.push((name.into(), value));
        }
        Some(Self(found.into()))
    }

    pub fn names(&self, wanted: &str) -> bool {
        self.0.iter().any(|(name, _)| **name == *wanted)
    }

    /// Whether the request says the same in all of these fields.
    pub fn matches(&self, request: &RequestHead) -> bool {
        self.0
            .iter()
            .all(|(name, known)| value(request, name) == *known)
    }

    pub fn size(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32)
            .sum()
    }
}

/// What the request says in that field, its lines joined; that it has none is not the same as an empty one.
fn value(request: &RequestHead, name: &str) -> Box<[u8]> {
    let lines: Vec<&[u8]> = request.fields.all(name).map(trim).collect();
    match &lines[..] {
        [] => Box::default(),
        lines => [b"=", &lines.join(&b", "[..])[..]].concat().into(),
    }
}
