//! `error_pages` whose type and fields are said in place:
//! `{ body = '{"error": "later"}', content_type = "application/json", headers = { Retry-After = "30" } }`.

use super::{
    ErrorPage, address,
    error_page::{is_framing, is_token, read_file, reason},
    read::Fields,
    value::{Node, shorten},
};

/// The keys of which one makes a table such a page.
pub(super) const BODIES: [&str; 2] = ["body", "file"];

/// Reads the page for `status`. What is wrong with it was said.
pub(super) fn read_own_page(
    mut fields: Fields<'_>,
    node: &Node<'_>,
    status: u16,
) -> Option<ErrorPage> {
    let body = fields.get("body");
    let file = fields.get("file");
    let kind = fields.get("content_type").map(|node| media_type(&node));
    let headers = fields
        .table("headers", "[error_pages.headers]")
        .map(read_headers);
    fields.finish(&[("redirect", "a page is a redirect or has a body")]);
    let body = match (body, file) {
        (Some(_), Some(file)) => {
            file.wrong("stands beside `body`", "a page has one of the two");
            return None;
        }
        (Some(body), None) => body.text("Back soon.")?.as_bytes().to_vec(),
        (None, Some(file)) => {
            let path = address::resolve(file.plain_text("errors/503.json")?, node.reader.base);
            let read = read_file(&path).map_err(|error| {
                file.complain(
                    format!("the error page for {status} {error}"),
                    format!("looked at {}", path.display()),
                );
            });
            read.ok()?
        }
        (None, None) => return None,
    };
    let kind = match kind {
        None => "text/html".to_owned(),
        Some(kind) => kind?,
    };
    let mut all = vec![("content-type".to_owned(), kind)];
    all.extend(match headers {
        None => Vec::new(),
        Some(headers) => headers?,
    });
    Some(ErrorPage {
        status,
        reason: reason(status).to_owned(),
        headers: all,
        body,
    })
}

fn media_type(node: &Node<'_>) -> Option<String> {
    const EXAMPLE: &str = "application/json";
    let text = node.plain_text(EXAMPLE)?;
    let is_sound = text.contains('/') && is_value(text);
    if !is_sound {
        node.wrong(format!("is no media type: `{}`", shorten(text)), EXAMPLE);
        return None;
    }
    Some(text.to_owned())
}

fn read_headers(mut fields: Fields<'_>) -> Option<Vec<(String, String)>> {
    let mut headers = Some(Vec::new());
    for (key, name, node) in fields.entries() {
        let lower = name.to_ascii_lowercase();
        let objection = if !is_token(&name) {
            Some(("is no name of a field", "letters, digits and `-`"))
        } else if is_framing(&lower) {
            Some((
                "says how the message is framed",
                "that is the proxy's business; leave it out",
            ))
        } else if lower == "content-type" {
            Some(("has a key of its own", "write `content_type = \"…\"`"))
        } else {
            None
        };
        if let Some((what, hint)) = objection {
            let message = format!("{}`{}` {what}", fields.context(), shorten(&name));
            fields.reader.error_with_hint(key, message, hint);
            headers = None;
            continue;
        }
        let value = node.text("30");
        if let Some(text) = value
            && !is_value(text)
        {
            node.wrong("has a control character in it", "a field is one line");
            headers = None;
            continue;
        }
        match (value, &mut headers) {
            (Some(value), Some(headers)) => headers.push((lower, value.to_owned())),
            _ => headers = None,
        }
    }
    headers
}

fn is_value(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_control())
}
