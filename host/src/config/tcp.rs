//! What goes by connections rather than requests: `mode`, PROXY headers in both directions, and whose word
//! about a client is taken.

use std::time::Duration;

use super::{
    Address, Network, address,
    frontend::read_header_name,
    read::Fields,
    value::{Node, shorten},
};

/// What a frontend makes of its clients' bytes, and a backend of its servers'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Http,
    /// Nothing: they are passed on as they are.
    Tcp,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Clients in these networks, and on Unix sockets, speak for others: a PROXY header is wanted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptProxy {
    pub from: Vec<Network>,
    /// How long the header may take.
    pub timeout: Duration,
}

/// The PROXY header that a server is sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendProxy {
    V1,
    V2(ProxyAdditions),
}

/// What is added to the addresses of a version 2 header, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyAdditions {
    pub alpn: bool,
    pub authority: bool,
    pub unique_id: bool,
    pub tls: bool,
    pub checksum: bool,
}

/// Whose word about a client's address is taken, and where they write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Vec<Network>,
    pub header: ForwardedBy,
}

/// The field in which proxies pass on whom they speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardedBy {
    /// A list of addresses, each proxy's client behind those it was told of; `X-Forwarded-For`.
    List(String),
    /// RFC 7239.
    Forwarded,
}

/// Keys of a frontend or backend that mean nothing without requests.
pub(super) fn refuse_http_keys(fields: &Fields<'_>, mode: Mode, keys: &[&str]) {
    if mode == Mode::Http {
        return;
    }
    for key in keys {
        if let Some(span) = fields.key_span(key) {
            fields.reader.error_with_hint(
                span,
                format!(
                    "{}`{key}` is for requests, and there are none with `mode = \"tcp\"`",
                    fields.context()
                ),
                "leave it out",
            );
        }
    }
}

pub(super) fn read_mode(fields: &mut Fields<'_>) -> Mode {
    let modes = [("http", Mode::Http), ("tcp", Mode::Tcp)];
    let mode = fields.get("mode").and_then(|node| node.choice(&modes));
    mode.unwrap_or_default()
}

/// Reads `accept_proxy` of an entry of `bind`.
pub(super) fn read_accept_proxy(
    fields: &mut Fields<'_>,
    addresses: &[Address],
) -> Option<AcceptProxy> {
    const LIMIT: Duration = Duration::from_secs(5);
    let node = fields.get("accept_proxy")?;
    let unix = addresses
        .iter()
        .all(|address| matches!(address, Address::Unix(_)));
    match node.value().as_bool() {
        Some(false) => return None,
        // Who may open the socket's file is said by its permissions.
        Some(true) if unix => {
            return Some(AcceptProxy {
                from: Vec::new(),
                timeout: LIMIT,
            });
        }
        _ => {}
    }
    if !node.value().is_table() {
        node.wrong(
            "must say whose word is taken",
            "write `accept_proxy = { from = [\"10.0.0.0/8\"] }`: a header from anybody else could name any client",
        );
        return None;
    }
    let mut fields = node.fields("accept_proxy")?;
    let from = fields
        .require("from", "[\"10.0.0.0/8\"]")
        .map(|node| read_networks(&node));
    let timeout = fields.get("timeout").and_then(|node| node.duration());
    fields.finish(&[]);
    Some(AcceptProxy {
        from: from?,
        timeout: timeout.unwrap_or(LIMIT),
    })
}

/// Reads `send_proxy`: a version, or a table with what is added.
pub(super) fn read_send_proxy(node: &Node<'_>) -> Option<SendProxy> {
    const V2: SendProxy = SendProxy::V2(ProxyAdditions {
        alpn: false,
        authority: false,
        unique_id: false,
        tls: false,
        checksum: false,
    });
    let versions = [("v1", SendProxy::V1), ("v2", V2)];
    if node.value().as_bool() == Some(false) {
        return None;
    }
    if node.value().is_str() {
        return node.choice(&versions);
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`false`, a version or a table",
            "write `send_proxy = \"v2\"` or `send_proxy = { version = \"v2\", add = [\"tls\"] }`",
        );
        return None;
    }
    let mut fields = node.fields("send_proxy")?;
    let version = fields
        .require("version", "\"v2\"")
        .and_then(|node| node.choice(&versions));
    let add = fields.get("add");
    if let (Some(SendProxy::V1), Some(add)) = (version, &add) {
        add.wrong("needs version 2", "write `version = \"v2\"`");
    }
    let listed = add.and_then(|node| node.list("words"));
    let mut additions = ProxyAdditions::default();
    for word in listed.into_iter().flatten() {
        let choices = [
            ("alpn", 0),
            ("authority", 1),
            ("unique-id", 2),
            ("tls", 3),
            ("crc32c", 4),
        ];
        match word.choice(&choices) {
            Some(0) => additions.alpn = true,
            Some(1) => additions.authority = true,
            Some(2) => additions.unique_id = true,
            Some(3) => additions.tls = true,
            Some(_) => additions.checksum = true,
            None => {}
        }
    }
    fields.finish(&[]);
    match version? {
        SendProxy::V1 => Some(SendProxy::V1),
        SendProxy::V2(_) => Some(SendProxy::V2(additions)),
    }
}

/// Reads `trusted_proxies`: a list of networks, or a table with the field that is believed.
pub(super) fn read_trusted_proxies(node: &Node<'_>) -> Option<TrustedProxies> {
    const DEFAULT: &str = "X-Forwarded-For";
    let usual = || ForwardedBy::List(DEFAULT.to_owned());
    if !node.value().is_table() {
        return Some(TrustedProxies {
            networks: read_networks(node),
            header: usual(),
        });
    }
    let mut fields = node.fields("trusted_proxies")?;
    let networks = fields
        .require("networks", "[\"10.0.0.0/8\"]")
        .map(|node| read_networks(&node));
    let header = fields
        .get("header")
        .map(|node| read_header_name(&node, DEFAULT));
    fields.finish(&[]);
    let header = match header {
        None => usual(),
        Some(name) => match name? {
            name if name.eq_ignore_ascii_case("forwarded") => ForwardedBy::Forwarded,
            name => ForwardedBy::List(name),
        },
    };
    Some(TrustedProxies {
        networks: networks?,
        header,
    })
}

fn read_networks(node: &Node<'_>) -> Vec<Network> {
    let entries = node.list("networks").unwrap_or_default();
    if entries.is_empty() && node.value().is_array() {
        node.wrong("is empty", "name at least one network, or leave it out");
    }
    let read = entries.iter().filter_map(|entry| {
        let text = entry.plain_text("10.0.0.0/8")?;
        entry.address(address::network(text))
    });
    read.collect()
}

/// Complains about a backend of the other mode.
pub(super) fn check_mode(node: &Node<'_>, name: &str, frontend: Mode, backend: Mode) {
    if frontend == backend {
        return;
    }
    let (own, other) = (frontend.as_str(), backend.as_str());
    node.complain(
        format!(
            "backend `{}` has `mode = \"{other}\"`, and this frontend `mode = \"{own}\"`",
            shorten(name)
        ),
        format!("give both the same mode, or choose a backend with `mode = \"{own}\"`"),
    );
}
