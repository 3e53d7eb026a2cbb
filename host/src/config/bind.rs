//! `bind`: the addresses a frontend listens on, each with what is special about it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{
    Address, Bind, Process, SocketOptions, address,
    bind_socket::read_socket_options,
    http2::read_protocols,
    plugin_use::Surroundings,
    read::{Fields, Reader},
    tcp::read_accept_proxy,
    tls::read_listener_tls,
    value::{Node, shorten},
};

/// Each is a socket per worker.
const MOST_LISTENERS: usize = 4_096;

/// All addresses that are listened on, to find those given twice.
#[derive(Default)]
pub(super) struct Listeners {
    /// With who listens there.
    by_address: HashMap<(Address, Place), String>,
    full: bool,
}

/// Where an address is one of its own: namespace and interface.
type Place = (Option<String>, Option<String>);

/// Reads `bind`. What is listened on twice, here or in an earlier frontend, is an error.
pub(super) fn read_bind(
    fields: &mut Fields<'_>,
    frontend: &str,
    listeners: &mut Listeners,
    around: &Surroundings<'_>,
) -> Vec<Bind> {
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
        for one in read_entry(&entry, around) {
            // Of a range that is taken, one port says enough.
            if !listeners.take(&one, frontend, &entry) {
                break;
            }
            bind.push(one);
        }
    }
    bind
}

/// An entry is an address alone, or a table with more; a port range gives one for each of its ports.
fn read_entry(entry: &Node<'_>, around: &Surroundings<'_>) -> Vec<Bind> {
    const EXAMPLE: &str = "0.0.0.0:8080";
    if !entry.value().is_table() {
        if !entry.value().is_str() {
            entry.wrong_type(
                "a string or a table",
                "write \"0.0.0.0:8080\" or { address = \"0.0.0.0:8080\" }",
            );
            return Vec::new();
        }
        return read_addresses(entry, EXAMPLE)
            .into_iter()
            .map(|address| Bind {
                address,
                accept_proxy: None,
                socket: SocketOptions::default(),
                protocols: None,
                tls: None,
            })
            .collect();
    }
    let Some(mut fields) = entry.fields("[[frontend.bind]]") else {
        return Vec::new();
    };
    let addresses = fields
        .require("address", "\"0.0.0.0:8080\"")
        .map(|node| read_addresses(&node, EXAMPLE));
    let socket = read_socket_options(&mut fields);
    let protocols = fields
        .get("protocols")
        .and_then(|node| read_protocols(&node));
    let addresses: Vec<_> = addresses.into_iter().flatten().collect();
    refuse_what_does_not_fit(&fields, &addresses, &socket);
    let accept_proxy = read_accept_proxy(&mut fields, &addresses);
    let tls = fields.get("tls");
    let tls = tls.map(|node| read_listener_tls(&node, around).map(Arc::new));
    fields.finish(&[
        ("ssl", "write `tls = { certificate = \"site.pem\" }`"),
        ("crt", "write `tls = { certificate = \"site.pem\" }`"),
        (
            "certificate",
            "write `tls = { certificate = \"site.pem\" }`",
        ),
    ]);
    // If TLS was meant and is wrong, that was said; what is made here is not used then.
    let tls = tls.flatten();
    addresses
        .into_iter()
        .map(|address| Bind {
            address,
            accept_proxy: accept_proxy.clone(),
            socket: socket.clone(),
            protocols,
            tls: tls.clone(),
        })
        .collect()
}

fn read_addresses(node: &Node<'_>, example: &str) -> Vec<Address> {
    let text = node.plain_text(example);
    let read = text.and_then(|text| node.address(address::bind(text, node.reader.base)));
    read.unwrap_or_default()
}

/// Options that mean nothing for the kind of address would otherwise be silently without effect.
fn refuse_what_does_not_fit(fields: &Fields<'_>, addresses: &[Address], socket: &SocketOptions) {
    let refuse = |key: &str, what: &str, hint: &str| {
        let span = fields.key_span(key).unwrap_or(fields.span());
        let message = format!("{}`{key}` {what}", fields.context());
        fields.reader.error_with_hint(span, message, hint);
    };
    // All ports of a range are of one kind.
    let Some(address) = addresses.first() else {
        return;
    };
    let ip = matches!(address, Address::Tcp(_));
    let file = matches!(address, Address::Unix(_));
    if !ip && socket.namespace.is_some() {
        refuse("namespace", "is for IP addresses", "leave it out");
    }
    if !ip && socket.interface.is_some() {
        refuse("interface", "is for IP addresses", "leave it out");
    }
    if socket.dual_stack && !matches!(address, Address::Tcp(ip) if ip.is_ipv6()) {
        const HINT: &str = "write the address as `[::]:80`";
        refuse("dual_stack", "is for IPv6 addresses", HINT);
    }
    for (key, said) in [
        ("mode", socket.mode.is_some()),
        ("user", socket.user.is_some()),
        ("group", socket.group.is_some()),
    ] {
        if said && !file {
            refuse(key, "is for Unix sockets", "leave it out");
        }
    }
}

impl Listeners {
    /// Where the process itself listens.
    pub fn of(process: &Process) -> Self {
        let mut listeners = Self::default();
        let sockets = process.runtime_sockets.iter();
        let sockets = sockets.map(|socket| (&socket.address, "a [[runtime_socket]]"));
        let admin = process.admin.iter().map(|admin| (admin, "`admin`"));
        for (address, who) in sockets.chain(admin) {
            if !matches!(address, Address::Tcp(socket) if socket.port() == 0) {
                let place = (address.clone(), Place::default());
                listeners.by_address.insert(place, who.to_owned());
            }
        }
        listeners
    }

    /// Whether the address is free. If not, that was said.
    fn take(&mut self, bind: &Bind, frontend: &str, entry: &Node<'_>) -> bool {
        let address = &bind.address;
        let place = (bind.socket.namespace.clone(), bind.socket.interface.clone());
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
        if let Some(other) = self.by_address.get(&(address.clone(), place.clone())) {
            entry.complain(
                format!("{} is already listened on by {other}", show(address)),
                "choose another address or port",
            );
            return false;
        }
        self.warn_of_wildcards(address, &place, entry.reader, entry);
        let key = (address.clone(), place);
        let frontend = format!("frontend `{}`", shorten(frontend));
        self.by_address.insert(key, frontend);
        true
    }

    /// The system gives a connection to the most specific listener, which may surprise.
    fn warn_of_wildcards(
        &self,
        address: &Address,
        place: &Place,
        reader: &Reader<'_>,
        entry: &Node<'_>,
    ) {
        let Address::Tcp(socket) = address else {
            return;
        };
        let mut wildcard = *socket;
        wildcard.set_ip(match socket.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        });
        if let Some(other) = self
            .by_address
            .get(&(Address::Tcp(wildcard), place.clone()))
        {
            reader.warning(
                entry.span(),
                format!("{socket} is also covered by {wildcard} of {other}"),
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
        Address::Activated(name) => format!("systemd:{name}"),
        Address::Statistics => address::STATISTICS.to_owned(),
        Address::Name { host, port } => format!("{host}:{port}"),
        Address::ClientPort(ip) => ip.to_string(),
    }
}
