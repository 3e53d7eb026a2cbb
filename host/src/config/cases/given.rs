//! What a call is given: a request that nobody sent, an answer to it, vars, or single values.

use std::net::SocketAddr;

use crate::{
    config::{
        read::Fields,
        value::{Node, shorten},
    },
    model::{Candidate, Input},
};

/// What the values of a plugin's inputs are taken from.
#[derive(Debug, Clone)]
pub struct Given {
    pub request: GivenRequest,
    pub response: GivenResponse,
    pub vars: Vec<(String, String)>,
    pub frontend: String,
    pub backend: String,
    /// Single values, which come before all else; `None`: the request has no such thing.
    pub inputs: Vec<(Input, Option<String>)>,
}

/// A request as a client would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenRequest {
    pub method: String,
    pub target: String,
    /// Without Host.
    pub headers: Vec<(String, String)>,
    pub host: String,
    pub client: SocketAddr,
    pub listener: SocketAddr,
}

/// A server's answer as far as its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            request: GivenRequest {
                method: "GET".to_owned(),
                target: "/".to_owned(),
                headers: Vec::new(),
                host: "weir.test".to_owned(),
                client: SocketAddr::from(([192, 0, 2, 1], 40_000)),
                listener: SocketAddr::from(([192, 0, 2, 100], 80)),
            },
            response: GivenResponse {
                status: 200,
                headers: Vec::new(),
            },
            vars: Vec::new(),
            frontend: "web".to_owned(),
            backend: "apps".to_owned(),
            inputs: Vec::new(),
        }
    }
}

/// Reads what a step gives; what it does not say is as in [`Given::default`].
pub(super) fn read_given(fields: &mut Fields<'_>) -> Given {
    let mut given = Given::default();
    let request = &mut given.request;
    if let Some(node) = fields.get("request")
        && let Some((method, target)) = read_request_line(&node)
    {
        request.method = method;
        request.target = target;
    }
    read_text(fields, "host", "example.com", &mut request.host);
    read_socket(fields, "client", &mut request.client);
    read_socket(fields, "listener", &mut request.listener);
    request.headers = read_pairs(fields, "headers");
    if let Some(status) = fields.get("status").and_then(|node| node.small(100..=599)) {
        given.response.status = u16::try_from(status).unwrap_or_default();
    }
    given.response.headers = read_pairs(fields, "response_headers");
    given.vars = read_pairs(fields, "vars");
    read_text(fields, "frontend", "web", &mut given.frontend);
    read_text(fields, "backend", "apps", &mut given.backend);
    given.inputs = read_inputs(fields);
    given
}

/// `GET /path`, or the path alone.
fn read_request_line(node: &Node<'_>) -> Option<(String, String)> {
    const EXAMPLE: &str = "GET /index.html?a=1";
    let text = node.plain_text(EXAMPLE)?;
    let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
    if target.contains(' ') || !(target.starts_with('/') || target == "*" || target.contains("://"))
    {
        node.wrong(
            format!("is no request: `{}`", shorten(text)),
            format!("write a method and a target, such as \"{EXAMPLE}\""),
        );
        return None;
    }
    Some((method.to_owned(), target.to_owned()))
}

fn read_text(fields: &mut Fields<'_>, key: &'static str, example: &str, into: &mut String) {
    if let Some(text) = fields.get(key).and_then(|node| node.plain_text(example)) {
        text.clone_into(into);
    }
}

/// An address with or without a port.
fn read_socket(fields: &mut Fields<'_>, key: &'static str, into: &mut SocketAddr) {
    let Some(node) = fields.get(key) else { return };
    let Some(text) = node.plain_text("192.0.2.1") else {
        return;
    };
    if let Ok(address) = text.parse() {
        into.set_ip(address);
    } else if let Ok(socket) = text.parse() {
        *into = socket;
    } else {
        node.wrong(
            format!("is no address: `{}`", shorten(text)),
            "write \"192.0.2.1\" or \"192.0.2.1:40000\"",
        );
    }
}

/// A table of texts, in the order of the file. A list gives several of one name.
fn read_pairs(fields: &mut Fields<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(mut table) = fields.table(key, "a table of texts") else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for (_, name, node) in table.entries() {
        if node.value().is_array() {
            let texts = node.list("texts").into_iter().flatten();
            pairs.extend(
                texts.filter_map(|node| Some((name.clone(), node.text("gold")?.to_owned()))),
            );
        } else if let Some(text) = node.text("gold") {
            pairs.push((name, text.to_owned()));
        }
    }
    pairs
}

/// `inputs = { "header(x-tier)" = "gold", path = false }`
fn read_inputs(fields: &mut Fields<'_>) -> Vec<(Input, Option<String>)> {
    let Some(mut table) = fields.table("inputs", "a table of inputs") else {
        return Vec::new();
    };
    let mut inputs = Vec::new();
    for (span, name, node) in table.entries() {
        let Ok(input) = name.parse::<Input>() else {
            node.reader.error_with_hint(
                span,
                format!("{}no input is called `{}`", table.context(), shorten(&name)),
                "inputs are named as in `configure`: path, header(NAME), cookie(NAME), …",
            );
            continue;
        };
        let value = match node.value().as_bool() {
            Some(false) => None,
            Some(true) | None => match node.text("gold") {
                Some(text) => Some(text.to_owned()),
                None => continue,
            },
        };
        inputs.push((input, value));
    }
    inputs
}

/// Servers by name, or as tables with `weight`, `id` and `limit`.
pub(super) fn read_servers(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<Candidate>> {
    let nodes = fields.get(key)?.list("servers")?;
    let servers = nodes.iter().zip(1..).filter_map(|(node, position)| {
        let plain = |name: &str| Candidate {
            name: name.to_owned(),
            id: position,
            weight: 1,
            limit: 0,
        };
        if node.value().is_str() {
            return node.plain_text("web-a").map(plain);
        }
        let mut fields = node.fields("a server")?;
        let name = fields
            .require("name", "\"web-a\"")
            .and_then(|node| node.plain_text("web-a"));
        let mut number = |key, range| fields.get(key).and_then(|node| node.small(range));
        let server = Candidate {
            id: number("id", 1..=u64::from(u32::MAX)).unwrap_or(position),
            weight: number("weight", 1..=256).unwrap_or(1),
            limit: number("limit", 0..=u64::from(u32::MAX)).unwrap_or(0),
            ..plain(name.unwrap_or_default())
        };
        fields.finish(&[]);
        name.map(|_| server)
    });
    Some(servers.collect())
}
