//! What a shared cache may do by RFC 9111, told from heads alone: which requests it may answer, which answers
//! it may keep and for how long, and which of them a request means. Pure; what is kept is kept in `cache`.
//!
//! Stricter than the RFC, since what is kept is never asked about again at its server: an answer with
//! `no-cache`, with a cookie, or that ends with its connection is not kept, and nothing is served stale.

mod date;
mod directives;
mod terms;
mod variation;

use std::time::{Duration, SystemTime};

use super::{
    framing::Framing, known::Known, request::RequestHead, response::ResponseHead, syntax::trim,
};

use self::directives::Directives;
pub use self::{
    date::parse as parse_date,
    terms::{Lookup, Terms},
    variation::Variation,
};

/// How an answer may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepable {
    /// How old it is already.
    pub age: Duration,
    /// For how much longer it can be given.
    pub fresh_for: Duration,
    /// Whether clients with credentials may be given it as well.
    pub even_with_credentials: bool,
    pub variation: Variation,
}

/// Whether the answer to a request may be kept, seen at `now`, `delay` after it was asked for. `most` is how long
/// anything is kept, and how long what says nothing of it but can be told from what replaces it.
pub fn keepable(
    request: &RequestHead,
    head: &ResponseHead,
    now: SystemTime,
    delay: Duration,
    most: Duration,
) -> Option<Keepable> {
    let fields = &head.fields;
    let whole = matches!(head.framing(), Framing::Length(_) | Framing::Chunked);
    if request.method() != "GET"
        || head.status() != 200
        || !whole
        || fields.known(Known::SetCookie).is_some()
        || fields.known(Known::ContentRange).is_some()
    {
        return None;
    }
    let said = Directives::of(fields);
    let silent = fields.known(Known::CacheControl).is_none();
    let pragma = || fields.all("pragma").any(|list| has(list, b"no-cache"));
    if said.no_store || said.private || said.no_cache || (silent && pragma()) {
        return None;
    }
    let even_with_credentials = said.public || said.must_revalidate || said.s_maxage.is_some();
    if request.fields.known(Known::Authorization).is_some() && !even_with_credentials {
        return None;
    }
    let variation = Variation::of(head, request)?;
    let encoded = fields.known(Known::ContentEncoding).is_some();
    if encoded && !variation.names("accept-encoding") {
        // Who cannot read it would be given it.
        return None;
    }
    let date = fields.known(Known::Date).and_then(parse_date);
    let lifetime = match (said.s_maxage.or(said.max_age), fields.get("expires")) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(expires)) => {
            // What is no date is in the past.
            let expires = parse_date(expires)?;
            expires.duration_since(date.unwrap_or(now)).ok()?
        }
        // A guess; not made of what may be one client's alone.
        (None, None) => {
            let told_apart = fields.get("etag").is_some() || fields.get("last-modified").is_some();
            let personal = request.fields.known(Known::Cookie).is_some() && !said.public;
            (told_apart && !personal).then_some(most)?
        }
    };
    let apparent = date.and_then(|date| now.duration_since(date).ok());
    let stated = fields
        .get("age")
        .map(|age| directives::seconds(age).unwrap_or(u64::MAX / 4));
    let stated = stated.map_or(Duration::ZERO, Duration::from_secs);
    let age = apparent
        .unwrap_or_default()
        .max(stated.saturating_add(delay));
    let left = lifetime.checked_sub(age).filter(|left| !left.is_zero())?;
    Some(Keepable {
        age,
        fresh_for: left.min(most),
        even_with_credentials,
        variation,
    })
}

/// Whether what the client has, by the conditions of its request, is what is kept (RFC 9110 §13.2.2).
pub fn is_not_modified(request: &RequestHead, kept: &ResponseHead) -> bool {
    let mut tags = request.fields.all("if-none-match").peekable();
    if tags.peek().is_some() {
        let kept = kept.fields.get("etag").map(without_weakness);
        return tags
            .flat_map(|list| list.split(|&byte| byte == b','))
            .map(trim)
            .any(|tag| match kept {
                Some(kept) => tag == b"*" || without_weakness(tag) == kept,
                None => tag == b"*",
            });
    }
    let since = request.fields.get("if-modified-since").and_then(parse_date);
    let modified = kept.fields.get("last-modified").and_then(parse_date);
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

/// The head that says so: what a 200 would have said of the cached answer and not of its body.
pub fn not_modified(kept: &ResponseHead) -> ResponseHead {
    const SAID: [&str; 8] = [
        "age",
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
    ];
    let mut head = ResponseHead::new(304);
    for field in kept.fields.iter() {
        if SAID
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
        {
            // It was sound where it came from.
            let _ = head.fields.add(field.name, field.value);
        }
    }
    head
}

/// Whether what was asked for may have changed what is kept of it (RFC 9111 §4.4).
pub fn invalidates(request: &RequestHead, status: u16) -> bool {
    let safe = matches!(request.method(), "GET" | "HEAD" | "OPTIONS" | "TRACE");
    !safe && (200..400).contains(&status)
}

/// Weak tags are compared as strong ones where only a 304 is at stake.
fn without_weakness(tag: &[u8]) -> &[u8] {
    let tag = trim(tag);
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn has(list: &[u8], wanted: &[u8]) -> bool {
    list.split(|&byte| byte == b',')
        .any(|item| trim(item).eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests;
