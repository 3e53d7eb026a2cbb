//! `check`: how a backend's servers are probed, and what one server changes about it.

use std::time::Duration;

use super::{
    Check, CheckKind,
    read::Fields,
    value::{Node, shorten},
};

/// As HAProxy's `check` without more.
fn plain() -> Check {
    Check {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(2),
        fall: 3,
        rise: 2,
    }
}

/// Reads `check`: `true`, `false`, or a table of what is different from `base`.
pub(super) fn read_check(
    node: &Node<'_>,
    section: &'static str,
    base: Option<&Check>,
) -> Option<Check> {
    let base = base.cloned().unwrap_or_else(plain);
    if let Some(wanted) = node.value().as_bool() {
        return wanted.then_some(base);
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`true`, `false` or a table",
            "write `check = true` or `check = { http = \"GET /status\" }`",
        );
        return None;
    }
    let mut fields = node.fields(section)?;
    let kind = read_kind(&mut fields, &base.kind);
    let interval = fields.get("interval").and_then(|node| node.duration());
    let timeout = fields.get("timeout").and_then(|node| node.duration());
    let check = Check {
        kind,
        interval: interval.unwrap_or(base.interval),
        // HAProxy's rule: a probe may take as long as the next one is away.
        timeout: match (timeout, interval) {
            (Some(timeout), _) => timeout,
            (None, Some(interval)) if base.timeout == base.interval => interval,
            (None, _) => base.timeout,
        },
        fall: fields
            .get("fall")
            .and_then(|node| node.small(1..=1_000))
            .unwrap_or(base.fall),
        rise: fields
            .get("rise")
            .and_then(|node| node.small(1..=1_000))
            .unwrap_or(base.rise),
    };
    if check.timeout > check.interval {
        fields.reader.warning(
            fields.span(),
            format!(
                "{}a check may take longer than the time until the next one",
                fields.context()
            ),
            "make `timeout` at most `interval`",
        );
    }
    fields.finish(&[]);
    Some(check)
}

fn read_kind(fields: &mut Fields<'_>, base: &CheckKind) -> CheckKind {
    let tcp = fields.get("tcp");
    let http = fields.get("http");
    let host = fields.get("host");
    let expect = fields.get("expect");

    if let (Some(tcp), Some(_)) = (&tcp, &http) {
        tcp.wrong("and `http` exclude each other", "keep one of them");
    }
    if let Some(tcp) = tcp {
        if tcp.boolean() == Some(false) {
            tcp.wrong(
                "cannot be `false`",
                "leave it out, or write `check = false` for no check at all",
            );
        }
        refuse_http_keys(&[host, expect]);
        return CheckKind::Tcp;
    }

    let (base_method, base_path, base_host, base_expect) = match base {
        CheckKind::Http {
            method,
            path,
            host,
            expect,
        } => (method.as_str(), path.as_str(), host.clone(), expect.clone()),
        CheckKind::Tcp if http.is_none() => {
            refuse_http_keys(&[host, expect]);
            return CheckKind::Tcp;
        }
        CheckKind::Tcp => ("GET", "/", None, vec![(200, 399)]),
    };
    let (method, path) = http
        .and_then(|node| read_request(&node))
        .unwrap_or((base_method, base_path));
    CheckKind::Http {
        method: method.to_owned(),
        path: path.to_owned(),
        host: host.map_or(base_host, |node| read_host(&node)),
        expect: expect.map_or(base_expect, |node| read_expect(&node)),
    }
}

fn refuse_http_keys(nodes: &[Option<Node<'_>>]) {
    for node in nodes.iter().flatten() {
        node.wrong(
            "is only for HTTP checks",
            "add `http = \"GET /status\"`, or leave it out",
        );
    }
}

/// `GET /status`
fn read_request<'a>(node: &Node<'a>) -> Option<(&'a str, &'a str)> {
    const HINT: &str = "write a method and a path, such as \"GET /status\"";
    let text = node.plain_text("GET /status")?;
    let Some((method, path)) = text.split_once(' ') else {
        node.wrong(format!("is no request: `{}`", shorten(text)), HINT);
        return None;
    };
    let sound_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
    let sound_path =
        path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !sound_method || !sound_path {
        node.wrong(format!("is no request: `{}`", shorten(text)), HINT);
        return None;
    }
    Some((method, path))
}

fn read_host(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text("app.local")?;
    if !text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    {
        node.wrong(
            format!("is no host name: `{}`", shorten(text)),
            "write it as it goes into the Host field, such as \"app.local\"",
        );
        return None;
    }
    Some(text.to_owned())
}

/// `[200, "300-399"]`
fn read_expect(node: &Node<'_>) -> Vec<(u16, u16)> {
    let Some(items) = node.list("statuses") else {
        return Vec::new();
    };
    if items.is_empty() {
        node.wrong("is empty", "no answer would do: list the statuses that do");
    }
    items.iter().filter_map(read_range).collect()
}

fn read_range(node: &Node<'_>) -> Option<(u16, u16)> {
    const HINT: &str = "write 200 or \"200-299\", from 100 to 599";
    let status = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|status| text.len() == 3 && (100..=599).contains(status))
    };
    if node.value().is_integer() {
        let status = u16::try_from(node.integer(100..=599)?).ok()?;
        return Some((status, status));
    }
    let text = node.text("200-299")?;
    let range = match text.split_once('-') {
        Some((first, last)) => status(first).zip(status(last)),
        None => status(text).map(|status| (status, status)),
    };
    let range = range.filter(|(first, last)| first <= last);
    if range.is_none() {
        node.wrong(
            format!("is no range of statuses: `{}`", shorten(text)),
            HINT,
        );
    }
    range
}
