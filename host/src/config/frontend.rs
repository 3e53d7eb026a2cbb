//! `[[frontend]]`: where clients connect, who judges them, and the default backend.

use std::{collections::HashMap, ops::Range};

use super::{
    Address, ForwardedFor, Frontend,
    address::{self, AddressError},
    error_page::{is_framing, is_token, read_error_pages},
    name::{Unique, read_name},
    plugin_use::{Surroundings, hint_among, read_filter},
    process::{client_timeouts, read_limits},
    read::{Fields, Reader},
    value::{Node, shorten},
};
use crate::model::{BackendName, FrontendName};

/// Each is a socket per worker.
const MOST_LISTENERS: usize = 4_096;

/// All addresses that are listened on, to find those given twice.
#[derive(Default)]
struct Listeners {
    by_address: HashMap<Address, String>,
    full: bool,
}

/// Reads all frontends. At least one is needed.
pub(super) fn read_frontends(
    top: &mut Fields<'_>,
    around: &Surroundings<'_>,
    backends: &[(&str, Range<usize>)],
) -> Vec<Frontend> {
    let mut names = Unique::new("frontend");
    let mut listeners = Listeners::default();
    let said = top.key_span("frontend").is_some();
    let tables = top.tables("frontend", "[[frontend]]");
    if !said {
        top.reader.error_with_hint(
            0..0,
            "there is no frontend, so nothing would be listened on",
            "add `[[frontend]]` with `name` and `bind`",
        );
    }
    tables
        .into_iter()
        .filter_map(|fields| read_frontend(fields, around, backends, &mut names, &mut listeners))
        .collect()
}

fn read_frontend(
    mut fields: Fields<'_>,
    around: &Surroundings<'_>,
    backends: &[(&str, Range<usize>)],
    names: &mut Unique,
    listeners: &mut Listeners,
) -> Option<Frontend> {
    let name = read_name(&mut fields, "frontend", names);
    let bind = read_bind(&mut fields, name.as_deref().unwrap_or("?"), listeners);
    let default_backend = fields.get("default_backend");
    let has_default = default_backend.is_some();
    let default_backend = default_backend.and_then(|node| read_backend_name(&node, backends));
    let max_connections = fields
        .get("max_connections")
        .and_then(|node| node.index(1..=10_000_000));
    let filters: Vec<_> = fields
        .tables("filter", "[[frontend.filter]]")
        .into_iter()
        .map(|filter| read_filter(filter, around))
        .collect();
    if !has_default && filters.is_empty() {
        fields.reader.warning(
            fields.span(),
            format!(
                "{}every request will be answered with 503",
                fields.context()
            ),
            "add `default_backend`, or a filter that chooses a backend",
        );
    }
    let forwarded_for = fields
        .get("forwarded_for")
        .and_then(|node| read_forwarded_for(&node));
    let log_empty_connections = fields
        .get("log_empty_connections")
        .and_then(|node| node.boolean());
    let request_id_header = fields
        .get("request_id_header")
        .and_then(|node| read_header_name(&node, "X-Request-Id"));
    let timeouts = match fields.table("timeouts", "[frontend.timeouts]") {
        Some(mut timeouts) => {
            let read = client_timeouts(&mut timeouts, &around.defaults.client);
            const BACKEND: &str = "it is the server's: write it in `[backend.timeouts]`";
            timeouts.finish(&[
                ("connect", BACKEND),
                ("server", BACKEND),
                ("queue", BACKEND),
                ("tunnel", BACKEND),
            ]);
            read
        }
        None => around.defaults.client.clone(),
    };
    let limits = read_limits(&mut fields, "[frontend.limits]", &around.defaults.limits);
    let error_pages = read_error_pages(&mut fields, "[frontend.error_pages]");
    const BACKEND: &str = "it belongs to a `[[backend]]`";
    fields.finish(&[
        ("balance", BACKEND),
        ("server", BACKEND),
        ("check", BACKEND),
        ("persistence", BACKEND),
        ("retries", BACKEND),
        (
            "acl",
            "conditions and routes are a filter's: `plugin = \"rules\"`",
        ),
        ("use_backend", "routes are a filter's: `plugin = \"rules\"`"),
        ("mode", "frontends speak HTTP; leave it out"),
    ]);
    Some(Frontend {
        name: FrontendName::new(&name?),
        bind,
        default_backend,
        max_connections,
        filters: filters.into_iter().flatten().collect(),
        forwarded_for,
        log_empty_connections: log_empty_connections.unwrap_or(true),
        request_id_header,
        timeouts,
        limits,
        error_pages,
    })
}

fn read_bind(fields: &mut Fields<'_>, frontend: &str, listeners: &mut Listeners) -> Vec<Address> {
    let Some(node) = fields.require("bind", "[\"0.0.0.0:8080\"]") else {
        return Vec::new();
    };
    if let Some(text) = node.value().as_str() {
        node.wrong(
            "must be a list, found a string",
            format!("write `bind = [\"{}\"]`", shorten(text)),
        );
        return Vec::new();
    }
    let Some(entries) = node.list("addresses") else {
        return Vec::new();
    };
    if entries.is_empty() {
        node.wrong("is empty", "a frontend listens on at least one address");
    }
    let mut bind = Vec::new();
    for entry in entries {
        let text = entry.plain_text("0.0.0.0:8080");
        let addresses = text.and_then(|text| entry.address(address::bind(text, entry.reader.base)));
        for address in addresses.into_iter().flatten() {
            // Of a range that is taken, one port says enough.
            if !listeners.take(&address, frontend, &entry) {
                break;
            }
            bind.push(address);
        }
    }
    bind
}

impl Listeners {
    /// Whether the address is free. If not, that was said.
    fn take(&mut self, address: &Address, frontend: &str, entry: &Node<'_>) -> bool {
        if self.full {
            return false;
        }
        if self.by_address.len() >= MOST_LISTENERS {
            self.full = true;
            entry.complain(
                format!("more than {MOST_LISTENERS} addresses would be listened on"),
                "use fewer or shorter port ranges",
            );
            return false;
        }
        if matches!(address, Address::Tcp(socket) if socket.port() == 0) {
            return true;
        }
        if let Some(other) = self.by_address.get(address) {
            entry.complain(
                format!(
                    "{} is already listened on by frontend `{}`",
                    show(address),
                    shorten(other)
                ),
                "choose another address or port",
            );
            return false;
        }
        self.warn_of_wildcards(address, entry.reader, entry);
        self.by_address.insert(address.clone(), frontend.to_owned());
        true
    }

    /// The system gives a connection to the most specific listener, which may surprise.
    fn warn_of_wildcards(&self, address: &Address, reader: &Reader<'_>, entry: &Node<'_>) {
        let Address::Tcp(socket) = address else {
            return;
        };
        let mut wildcard = *socket;
        wildcard.set_ip(match socket.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        });
        if let Some(other) = self.by_address.get(&Address::Tcp(wildcard)) {
            reader.warning(
                entry.span(),
                format!(
                    "{socket} is also covered by {wildcard} of frontend `{}`",
                    shorten(other)
                ),
                "connections to it come here",
            );
        }
    }
}

fn show(address: &Address) -> String {
    match address {
        Address::Tcp(socket) => socket.to_string(),
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Inherited(fd) => format!("fd@{fd}"),
        Address::Name { host, port } => format!("{host}:{port}"),
        Address::ClientPort(ip) => ip.to_string(),
    }
}

fn read_backend_name(node: &Node<'_>, backends: &[(&str, Range<usize>)]) -> Option<BackendName> {
    let name = node.plain_text("api")?;
    let names = backends.iter().map(|(name, _)| *name);
    if names.clone().all(|known| known != name) {
        node.complain(
            format!("no backend named `{}`", shorten(name)),
            hint_among("backend", name, names),
        );
        return None;
    }
    Some(BackendName::new(name))
}

fn read_forwarded_for(node: &Node<'_>) -> Option<ForwardedFor> {
    const DEFAULT: &str = "X-Forwarded-For";
    if let Some(wanted) = node.value().as_bool() {
        return wanted.then(|| ForwardedFor {
            header: DEFAULT.to_owned(),
            except: Vec::new(),
        });
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`true`, `false` or a table",
            "write `forwarded_for = true` or `{ header = \"X-Client\", except = [\"127.0.0.0/8\"] }`",
        );
        return None;
    }
    let mut fields = node.fields("forwarded_for")?;
    let header = fields
        .get("header")
        .map(|node| read_header_name(&node, DEFAULT));
    let except = fields.get("except").and_then(|node| node.list("networks"));
    let except = except
        .into_iter()
        .flatten()
        .filter_map(|node| {
            let text = node.plain_text("127.0.0.0/8")?;
            node.address(address::network(text))
        })
        .collect();
    fields.finish(&[]);
    Some(ForwardedFor {
        header: header.unwrap_or_else(|| Some(DEFAULT.to_owned()))?,
        except,
    })
}

fn read_header_name(node: &Node<'_>, example: &str) -> Option<String> {
    let text = node.plain_text(example)?;
    let problem = if !is_token(text) {
        Some("is no header name")
    } else if is_framing(&text.to_ascii_lowercase()) || text.eq_ignore_ascii_case("host") {
        Some("is a field that the proxy itself needs")
    } else {
        None
    };
    match problem {
        None => Some(text.to_owned()),
        Some(problem) => node.address(Err(AddressError {
            message: format!("`{}` {problem}", shorten(text)),
            hint: format!("write something like `{example}`"),
        })),
    }
}
