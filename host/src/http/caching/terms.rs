//! What a request lets a cache do.

use std::time::Duration;

use super::{
    super::{framing::Framing, known::Known, request::RequestHead},
    directives::Directives,
};

/// The terms of a request that a cache may answer at all: GET or HEAD, whole, without a body and without
/// conditions that only the server can judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub lookup: Lookup,
    /// What comes may be kept.
    pub keep: bool,
    /// The server is not to be asked.
    pub only_if_cached: bool,
    /// How old an answer may be.
    pub max_age: Option<Duration>,
    /// For how long it must still be fresh.
    pub min_fresh: Duration,
    pub has_credentials: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Yes,
    /// The client wants to hear from the server; what that says replaces what is kept.
    Refresh,
}

impl Terms {
    /// `None`: the cache has no part in this request.
    pub fn of(head: &RequestHead) -> Option<Self> {
        let fields = &head.fields;
        let plain = matches!(head.method(), "GET" | "HEAD")
            && matches!(head.framing(), Framing::None | Framing::Length(0))
            && fields.known(Known::Expect).is_none()
            && head.upgrades().next().is_none()
            && ["range", "if-match", "if-unmodified-since", "if-range"]
                .iter()
                .all(|name| fields.get(name).is_none());
        if !plain {
            return None;
        }
        let said = Directives::of(fields);
        let silent = fields.known(Known::CacheControl).is_none();
        let pragma = || {
            fields
                .all("pragma")
                .any(|list| super::has(list, b"no-cache"))
        };
        let refresh = said.no_cache || said.max_age == Some(0) || (silent && pragma());
        Some(Self {
            lookup: match refresh {
                true => Lookup::Refresh,
                false => Lookup::Yes,
            },
            keep: !said.no_store && head.method() == "GET",
            only_if_cached: said.only_if_cached,
            max_age: said.max_age.map(Duration::from_secs),
            min_fresh: Duration::from_secs(said.min_fresh.unwrap_or(0)),
            has_credentials: fields.known(Known::Authorization).is_some(),
        })
    }

    /// Whether an answer of this age that is fresh for so much longer will do.
    pub fn take(&self, age: Duration, fresh_for: Duration) -> bool {
        self.max_age.is_none_or(|most| age <= most) && fresh_for > self.min_fresh
    }
}
