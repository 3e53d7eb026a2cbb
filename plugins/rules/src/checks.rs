//! Whether a pattern can match at all. One that cannot is a slip, and silence would hide it until the day
//! the rule was needed.

use crate::index::Technique;

/// Refuses what every text would match.
pub fn check_text(technique: Technique, pattern: &str) -> Result<(), String> {
    if pattern.is_empty() && technique != Technique::Exact {
        return Err("an empty text, which everything matches".to_owned());
    }
    Ok(())
}

/// Refuses what the path as sent cannot look like.
pub fn check_raw_path(technique: Technique, pattern: &str) -> Result<(), String> {
    if pattern.is_empty() {
        return Err("an empty text; a path has at least a `/`".to_owned());
    }
    if technique == Technique::Regex {
        return Ok(());
    }
    if let Some(c) = pattern.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(format!(
            "`{pattern}` can never match: a path ends before `{c}`; look at `query` for the rest"
        ));
    }
    if let Some(c) = pattern.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(format!(
            "`{pattern}` can never match: `{}` is sent percent-encoded",
            c.escape_default()
        ));
    }
    let is_start = matches!(
        technique,
        Technique::Exact | Technique::Prefix | Technique::Segment
    );
    if is_start && !pattern.starts_with('/') && pattern != "*" {
        return Err(format!(
            "`{pattern}` can never match: a path begins with `/`"
        ));
    }
    Ok(())
}

/// Refuses what a normalised path cannot look like.
pub fn check_path(technique: Technique, pattern: &str) -> Result<(), String> {
    check_raw_path(technique, pattern)?;
    if technique == Technique::Regex {
        return Ok(());
    }
    let is_start = matches!(
        technique,
        Technique::Exact | Technique::Prefix | Technique::Segment
    );
    let odd = if pattern.contains("//") {
        Some("doubled slashes are merged")
    } else if is_start
        && pattern
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
    {
        Some("dot segments are removed")
    } else if has_needless_escape(pattern) {
        Some("letters, digits and `-._~` are not percent-encoded")
    } else {
        None
    };
    match odd {
        Some(why) => Err(format!(
            "`{pattern}` can never match: `path` is normalised ({why}); see `raw_path`"
        )),
        None => Ok(()),
    }
}

fn has_needless_escape(pattern: &str) -> bool {
    pattern.split('%').skip(1).any(|rest| {
        let code = rest
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    })
}

/// Refuses what a host cannot look like.
pub fn check_host(technique: Technique, pattern: &str) -> Result<(), String> {
    check_text(technique, pattern)?;
    if technique == Technique::Regex {
        return Ok(());
    }
    if pattern.is_empty() {
        return Err("an empty text; a host has a name".to_owned());
    }
    if pattern.contains(':') && !pattern.contains('[') {
        return Err(format!(
            "`{pattern}` can never match: the host is looked at without its port; see `listener_port`"
        ));
    }
    if pattern.ends_with('.') && technique != Technique::Prefix && technique != Technique::Contains
    {
        return Err(format!(
            "`{pattern}` can never match: the host is looked at without a final dot"
        ));
    }
    if let Some(c) = pattern
        .chars()
        .find(|c| !c.is_ascii_graphic() || *c == '/' || *c == '*')
    {
        let hint = if c == '*' {
            "; for all names below one say `domain`"
        } else {
            ""
        };
        return Err(format!(
            "`{pattern}` can never match: no host has `{}` in it{hint}",
            c.escape_default()
        ));
    }
    Ok(())
}

pub fn check_method(method: &str) -> Result<(), String> {
    if !is_token(method) {
        return Err(format!("`{method}` is no method"));
    }
    if method.chars().any(|c| c.is_ascii_lowercase()) {
        return Err(format!(
            "methods have case: write `{}`",
            method.to_ascii_uppercase()
        ));
    }
    Ok(())
}

pub fn check_scheme(scheme: &str) -> Result<(), String> {
    match scheme {
        "http" | "https" => Ok(()),
        other => Err(format!(
            "`{other}` is no scheme that Weir serves; they are `http` and `https`"
        )),
    }
}

/// Whether `text` can be a method or the name of a header field (RFC 9110 §5.6.2).
pub fn is_token(text: &str) -> bool {
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
