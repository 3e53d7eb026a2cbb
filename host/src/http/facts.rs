//! Facts about a head in the form that plugins are given them. Borrowed where nothing had to change.

use std::borrow::Cow;

use super::{fields::Fields, request::RequestHead};

/// The path as rules should see it: percent-encoded unreserved characters decoded, other escapes in upper
/// case, dot segments removed, runs of slashes merged. `%2F` stays as it is: it is not a separator.
///
/// Never leaves the root, always begins with `/`, and normalising again changes nothing. A path that is not
/// one (`*`) comes back as it is.
pub fn normalised_path(raw: &str) -> Cow<'_, str> {
    if !raw.starts_with('/') || is_normal(raw.as_bytes()) {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(remove_dot_segments(&decode_unreserved(raw)))
}

/// The first query parameter of that name, percent-decoded, with `+` as space. A parameter without `=` has
/// an empty value. Bytes that are no UTF-8 after decoding become U+FFFD.
pub fn query_param<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (!pair.is_empty() && form_decoded(key) == name).then(|| form_decoded(value))
    })
}

/// The host that the request is for: lower case, without port and without the dot that may end it.
pub fn host(head: &RequestHead) -> Option<Cow<'_, str>> {
    let authority = head.authority()?;
    let end = match authority.rfind(']') {
        Some(close) => close + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let host = &authority[..end];
    let host = host.strip_suffix('.').unwrap_or(host);
    Some(if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// A field value as text: UTF-8 if it is, else every byte as the Latin-1 character it would be.
pub fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|&b| char::from(b)).collect()),
    }
}

/// All values of that name as one text, joined with `, `. `None` if there is none.
pub fn joined<'a>(fields: &'a Fields, name: &'a str) -> Option<Cow<'a, str>> {
    let mut values = fields.all(name);
    let mut all = text(values.next()?);
    for value in values {
        let all = all.to_mut();
        all.push_str(", ");
        all.push_str(&text(value));
    }
    Some(all)
}

fn is_normal(path: &[u8]) -> bool {
    let escaped = memchr::memchr(b'%', path).is_some();
    !escaped && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

fn decode_unreserved(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        let escape = &rest.as_bytes()[percent..];
        match escape.get(1..3).and_then(hex_pair) {
            Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            Some(_) => out.push_str(&rest[percent..percent + 3].to_ascii_uppercase()),
            // Not an escape. Spelt as one, lest it becomes one with what is decoded behind it.
            None => {
                out.push_str("%25");
                rest = &rest[percent + 1..];
                continue;
            }
        }
        rest = &rest[percent + 3..];
    }
    out.push_str(rest);
    out
}

/// RFC 3986 §5.2.4, with runs of slashes as one.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path[1..].split('/').peekable();
    let mut ends_in_slash = false;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" | "." => ends_in_slash = last,
            ".." => {
                kept.pop();
                ends_in_slash = last;
            }
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if ends_in_slash || out.is_empty() {
        out.push('/');
    }
    out
}

fn form_decoded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if memchr::memchr2(b'%', b'+', bytes).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = match bytes[at] {
            b'%' => bytes.get(at + 1..at + 3).and_then(hex_pair),
            _ => None,
        };
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
