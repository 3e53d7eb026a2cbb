//! `check`: how a backend's servers are probed, and what one server changes about it.

use std::{net::IpAddr, time::Duration};

use super::{
    Check, CheckKind,
    check_steps::read_steps,
    error_page::{is_framing, is_token},
    read::Fields,
    value::{Node, shorten},
};

/// As HAProxy's `check` without more.
fn plain() -> Check {
    Check {
        send_proxy: true,
        kind: CheckKind::Tcp,
        endpoint: Endpoint::default(),
        interval: Duration::from_secs(2),
        fast_interval: None,
        down_interval: None,
        timeout: Duration::from_secs(2),
        fall: 3,
        rise: 2,
        starts_up: true,
        tls: true,
    }
}

impl Check {
    /// As `check = true` has it: a connection, every two seconds.
    pub fn plain() -> Self {
        plain()
    }
}

/// Where a server is asked, if not where it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Endpoint {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
}

/// Reads `address` and `port`.
pub(super) fn read_endpoint(fields: &mut Fields<'_>, base: &Endpoint) -> Endpoint {
    let address = fields.get("address").and_then(|node| {
        let text = node.plain_text("10.0.0.2")?;
        let read = text.parse();
        if read.is_err() {
            node.wrong(
                format!("is not an IP address: `{}`", shorten(text)),
                "write `10.0.0.2` or `fd00::2`, and the port into `port`",
            );
        }
        read.ok()
    });
    let port = fields.get("port").and_then(|node| node.small(1..=65_535));
    Endpoint {
        address: address.or(base.address),
        port: port.and_then(|port| u16::try_from(port).ok()).or(base.port),
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
    let endpoint = read_endpoint(&mut fields, &base.endpoint);
    let mut duration = |key| fields.get(key).and_then(|node| node.duration());
    let (interval, timeout) = (duration("interval"), duration("timeout"));
    let fast_interval = duration("fast_interval").or(base.fast_interval);
    let down_interval = duration("down_interval").or(base.down_interval);
    let starts_up = fields
        .get("initial")
        .and_then(|node| node.choice(&[("up", true), ("down", false)]));
    let send_proxy = fields.get("send_proxy").and_then(|node| node.boolean());
    let check = Check {
        send_proxy: send_proxy.unwrap_or(base.send_proxy),
        kind,
        endpoint,
        fast_interval,
        down_interval,
        starts_up: starts_up.unwrap_or(base.starts_up),
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
        tls: fields
            .get("tls")
            .and_then(|node| node.boolean())
            .unwrap_or(base.tls),
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
    fields.finish(&[
        ("fastinter", "write `fast_interval`"),
        ("downinter", "write `down_interval`"),
        ("inter", "write `interval`"),
        (
            "send",
            "write `steps = [{ send = \"PING\\r\\n\" }, { expect = \"+PONG\" }]`",
        ),
    ]);
    Some(check)
}

fn read_kind(fields: &mut Fields<'_>, base: &CheckKind) -> CheckKind {
    let tcp = fields.get("tcp");
    let http = fields.get("http");
    let grpc = fields.get("grpc");
    let steps = fields.get("steps");
    let of_http = HttpKeys {
        host: fields.get("host"),
        expect: fields.get("expect"),
        body: fields.get("expect_body"),
        headers: fields.get("headers"),
        http2: fields.get("http2"),
    };

    let kinds: Vec<&Node<'_>> = [&tcp, &http, &grpc, &steps].into_iter().flatten().collect();
    if let [first, second, ..] = kinds[..] {
        first.wrong(
            format!("and {} exclude each other", second.label()),
            "keep one of them",
        );
    }
    if let Some(tcp) = tcp {
        if tcp.boolean() == Some(false) {
            tcp.wrong(
                "cannot be `false`",
                "leave it out, or write `check = false` for no check at all",
            );
        }
        of_http.refuse();
        return CheckKind::Tcp;
    }
    if let Some(grpc) = grpc {
        of_http.refuse();
        // The empty name stands for the server as a whole.
        let service = grpc.text("my.Service").unwrap_or_default().to_owned();
        return CheckKind::Grpc { service };
    }
    if let Some(steps) = steps {
        of_http.refuse();
        return CheckKind::Steps(read_steps(&steps));
    }

    let usual = HttpCheck {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: None,
        expect: vec![(200, 399)],
        body: None,
        headers: Vec::new(),
        http2: false,
    };
    let base = match base {
        CheckKind::Http(base) => base.clone(),
        other if http.is_none() => {
            of_http.refuse();
            return other.clone();
        }
        _ => usual,
    };
    let (method, path) = http
        .and_then(|node| read_request(&node))
        .unwrap_or((&base.method, &base.path));
    CheckKind::Http(HttpCheck {
        method: method.to_owned(),
        path: path.to_owned(),
        host: of_http.host.map_or(base.host, |node| read_host(&node)),
        expect: of_http
            .expect
            .map_or(base.expect, |node| read_expect(&node)),
        body: of_http
            .body
            .map_or(base.body, |node| node.plain_text("OK").map(str::to_owned)),
        headers: of_http
            .headers
            .map_or(base.headers, |node| read_headers(&node)),
        http2: of_http
            .http2
            .and_then(|node| node.boolean())
            .unwrap_or(base.http2),
    })
}

/// Keys that only say something about an HTTP check.
struct HttpKeys<'a> {
    host: Option<Node<'a>>,
    expect: Option<Node<'a>>,
    body: Option<Node<'a>>,
    headers: Option<Node<'a>>,
    http2: Option<Node<'a>>,
}

impl HttpKeys<'_> {
    fn refuse(&self) {
        refuse_http_keys(&[
            &self.host,
            &self.expect,
            &self.body,
            &self.headers,
            &self.http2,
        ]);
    }
}

/// What an HTTP check asks, and which answers are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    pub method: String,
    pub path: String,
    pub host: Option<String>,
    /// Inclusive ranges.
    pub expect: Vec<(u16, u16)>,
    /// A text that the body must contain.
    pub body: Option<String>,
    /// Further fields of the request, by names in lower case.
    pub headers: Vec<(String, String)>,
    /// Asked in HTTP/2, without an upgrade.
    pub http2: bool,
}

fn refuse_http_keys(nodes: &[&Option<Node<'_>>]) {
    for node in nodes.iter().copied().flatten() {
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

/// `{ Authorization = "Basic …" }`
fn read_headers(node: &Node<'_>) -> Vec<(String, String)> {
    let Some(mut fields) = node.fields("headers") else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (key, name, node) in fields.entries() {
        let lower = name.to_ascii_lowercase();
        let hint = match lower.as_str() {
            "host" => "write `host = \"app.local\"` beside `http`",
            own if is_framing(own) || own == "expect" => "the proxy says that itself",
            name if is_token(name) => {
                headers.extend(read_header_value(&node).map(|value| (lower, value)));
                continue;
            }
            _ => "names of fields have letters, digits and `-`",
        };
        fields.reader.error_with_hint(
            key,
            format!(
                "{}`{}` cannot be a field of a check",
                fields.context(),
                shorten(&name)
            ),
            hint,
        );
    }
    headers
}

fn read_header_value(node: &Node<'_>) -> Option<String> {
    let text = node.text("Basic dXNlcjpwYXNz")?;
    if text
        .chars()
        .any(|c| !(c == '\t' || c == ' ' || c.is_ascii_graphic()))
    {
        node.wrong(
            "cannot be sent in a field",
            "leave out all but visible ASCII characters",
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
