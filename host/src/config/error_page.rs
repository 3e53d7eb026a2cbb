//! `error_pages`: answers kept in files, read when the config is loaded, said in place (`own_page`), or
//! redirects to where pages are.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc};

use super::{
    ErrorPage, ErrorPages, address,
    own_page::{BODIES, read_own_page},
    read::Fields,
    value::{Node, shorten},
};

/// As much as is reasonable to keep in memory for each status of each frontend.
const MOST_BYTES: u64 = 256 << 10;

/// Why a file cannot be an error page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("has more than {MOST_BYTES} bytes")]
    TooLarge,
    #[error("begins like an HTTP answer but its first line is not a status line")]
    StatusLine,
    #[error("begins like an HTTP answer but has no empty line after the header fields")]
    NoBody,
    #[error("has a broken header field: `{0}`")]
    Field(String),
    #[error("answers with status {found}, not {expected}")]
    OtherStatus { found: u16, expected: u16 },
}

/// Reads a table of status → file.
pub(super) fn read_error_pages(parent: &mut Fields<'_>, section: &'static str) -> ErrorPages {
    let mut pages = BTreeMap::new();
    let Some(mut fields) = parent.table("error_pages", section) else {
        return ErrorPages(pages);
    };
    for (key, name, node) in fields.entries() {
        let Some(status) = name.parse().ok().filter(|s| (400..=599).contains(s)) else {
            fields.reader.error_with_hint(
                key,
                format!(
                    "{}`{}` is no status of an error",
                    fields.context(),
                    shorten(&name)
                ),
                "keys are numbers from 400 to 599, such as `503 = \"errors/503.html\"`",
            );
            continue;
        };
        if let Some(page) = read_page(&node, status) {
            pages.insert(status, Arc::new(page));
        }
    }
    ErrorPages(pages)
}

fn read_page(node: &Node<'_>, status: u16) -> Option<ErrorPage> {
    if node.value().is_table() {
        let mut fields = node.fields("error_pages")?;
        return match BODIES.into_iter().any(|key| fields.get(key).is_some()) {
            true => read_own_page(fields, node, status),
            false => read_redirect(fields),
        };
    }
    let path = node.plain_text("errors/503.html")?;
    let path = address::resolve(path, node.reader.base);
    let page = read_file(&path).and_then(|bytes| parse_page(&bytes, status));
    page.map_err(|error| {
        node.complain(
            format!("the error page for {status} {error}"),
            format!("looked at {}", path.display()),
        );
    })
    .ok()
}

/// Reads `{ redirect = "/sorry", status = 302 }`.
fn read_redirect(mut fields: Fields<'_>) -> Option<ErrorPage> {
    const EXAMPLE: &str = "https://status.example/";
    let to = fields.require("redirect", "\"https://status.example/\"");
    let to = to.and_then(|node| {
        let text = node.plain_text(EXAMPLE)?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let hint = "write it as it goes into the Location field, percent-encoded";
            node.wrong(format!("is no address: `{}`", shorten(text)), hint);
            return None;
        }
        Some(text.to_owned())
    });
    let status = fields.get("status").map(|node| {
        let said = node.integer(100..=599)?;
        let known = [301, 302, 303, 307, 308];
        let known = known.into_iter().find(|known| u64::from(*known) == said);
        if known.is_none() {
            node.wrong(
                format!("is no redirect: `{said}`"),
                "they are 301, 302, 303, 307 and 308",
            );
        }
        known
    });
    fields.finish(&[]);
    let status = match status {
        None => 302,
        Some(status) => status?,
    };
    let mut headers = vec![("location".to_owned(), to?)];
    // One that holds for now must not be kept, or it holds for longer.
    if matches!(status, 302 | 303 | 307) {
        headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    }
    Some(ErrorPage {
        status,
        reason: reason(status).to_owned(),
        headers,
        body: Vec::new(),
    })
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, PageError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(PageError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(PageError::TooLarge);
    }
    Ok(bytes)
}

/// Reads a whole HTTP answer, recognised by how it begins, or takes the bytes as the body.
pub(super) fn parse_page(bytes: &[u8], status: u16) -> Result<ErrorPage, PageError> {
    if !bytes.starts_with(b"HTTP/") {
        return Ok(ErrorPage {
            status,
            reason: reason(status).to_owned(),
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: bytes.to_owned(),
        });
    }
    let mut rest = bytes;
    let first = take_line(&mut rest).ok_or(PageError::StatusLine)?;
    let (found, reason) = status_line(first).ok_or(PageError::StatusLine)?;
    if found != status {
        return Err(PageError::OtherStatus {
            found,
            expected: status,
        });
    }
    let mut headers = Vec::new();
    loop {
        match take_line(&mut rest).ok_or(PageError::NoBody)? {
            b"" => break,
            line => {
                let (name, value) = field(line)
                    .ok_or_else(|| PageError::Field(shorten(&String::from_utf8_lossy(line))))?;
                if !is_framing(&name) {
                    headers.push((name, value));
                }
            }
        }
    }
    Ok(ErrorPage {
        status,
        reason,
        headers,
        body: rest.to_owned(),
    })
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr(b'\n', rest)?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn status_line(line: &[u8]) -> Option<(u16, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line
        .strip_prefix("HTTP/1.0 ")
        .or_else(|| line.strip_prefix("HTTP/1.1 "))?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let sound = code.len() == 3
        && code.bytes().all(|b| b.is_ascii_digit())
        && reason.chars().all(|c| !c.is_control());
    sound.then_some((code.parse().ok()?, reason.to_owned()))
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let (name, value) = line.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    let sound = is_token(name) && value.chars().all(|c| c == '\t' || !c.is_control());
    sound.then(|| (name.to_ascii_lowercase(), value.to_owned()))
}

/// Whether a text can be the name of a header field.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Fields that the proxy sets itself, for each connection anew. Takes a name in lower case.
pub(super) fn is_framing(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The words that go with a status where the file has none.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ if status < 500 => "Client Error",
        _ => "Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_body_becomes_html_with_the_status_it_is_for() {
        let page = parse_page(b"<h1>later</h1>", 503).unwrap();
        assert_eq!(
            (page.status, page.reason.as_str()),
            (503, "Service Unavailable")
        );
        assert_eq!(
            page.headers,
            [("content-type".to_owned(), "text/html".to_owned())]
        );
        assert_eq!(page.body, b"<h1>later</h1>");
    }

    #[test]
    fn a_whole_answer_keeps_its_fields_but_not_the_framing() {
        let file = b"HTTP/1.0 503 Later\r\nCache-Control: no-cache\r\nConnection: close\r\n\
            Content-Length: 3\r\nX-A:  b \r\n\r\nbody\n";
        let page = parse_page(file, 503).unwrap();
        assert_eq!(page.reason, "Later");
        assert_eq!(
            page.headers,
            [
                ("cache-control".to_owned(), "no-cache".to_owned()),
                ("x-a".to_owned(), "b".to_owned())
            ]
        );
        assert_eq!(page.body, b"body\n");
    }

    #[test]
    fn bare_line_feeds_do_in_a_file() {
        let page = parse_page(b"HTTP/1.1 404 No\nA: b\n\nx", 404).unwrap();
        assert_eq!(page.body, b"x");
    }

    #[test]
    fn what_is_no_answer_says_why() {
        for (file, expected) in [
            (
                &b"HTTP/1.1 abc\r\n\r\n"[..],
                "first line is not a status line",
            ),
            (b"HTTP/2 503 x\r\n\r\n", "first line is not a status line"),
            (b"HTTP/1.1 503 x", "first line is not a status line"),
            (b"HTTP/1.1 503 x\r\nA: b\r\n", "no empty line"),
            (
                b"HTTP/1.1 503 x\r\nA b\r\n\r\n",
                "broken header field: `A b`",
            ),
            (b"HTTP/1.1 503 x\r\nA : b\r\n\r\n", "broken header field"),
            (
                b"HTTP/1.1 404 x\r\n\r\n",
                "answers with status 404, not 503",
            ),
        ] {
            let error = parse_page(file, 503).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
