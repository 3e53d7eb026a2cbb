//! How servers are reached: `namespace`, `source`, `slots`, and the `[[resolver]]` that follows names.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{
    Address,
    address::{self, AddressError},
    name::{Unique, read_name},
    plugin_use::hint_among,
    read::Fields,
    tcp::{SendProxy, read_send_proxy},
    value::{Node, shorten},
};

/// Longest name that fits the folder where namespaces are.
const LONGEST_NAMESPACE: usize = 255;
/// Each is a server of its own to balancers and checks.
const MOST_SLOTS: u64 = 1_000;

/// How a server is reached, beyond its address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// A network namespace of this machine, by its name in /run/netns.
    pub namespace: Option<String>,
    /// Where connections to the server come from.
    pub source: Option<Source>,
    /// Who is asked for the address of its name, and how often.
    pub resolver: Arc<Resolver>,
    /// The PROXY header that comes first on connections to it.
    pub send_proxy: Option<SendProxy>,
    /// Which of the addresses of its name it gets.
    pub slot: Slot,
}

/// A local address, and perhaps a range of ports, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub address: IpAddr,
    pub ports: Option<(u16, u16)>,
}

/// One of the servers that a name with several addresses fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From 0.
    pub position: u32,
    pub of: u32,
}

impl Default for Slot {
    fn default() -> Self {
        Self { position: 0, of: 1 }
    }
}

/// How names are turned into addresses while the proxy runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Empty: those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// Of one question.
    pub timeout: Duration,
    /// Questions after the first that got no answer.
    pub attempts: usize,
    /// However short an answer is valid, the next question comes no sooner.
    pub min_interval: Duration,
    /// However long an answer is valid, the next question comes no later.
    pub max_interval: Duration,
    /// How long addresses are kept once it is denied that there are any.
    pub hold: Duration,
    /// Whether a name must have an address when the configuration is loaded.
    pub must_resolve: bool,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 2,
            min_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(60),
            hold: Duration::from_secs(30),
            must_resolve: true,
        }
    }
}

/// The resolvers of a file by their names.
pub(super) type Resolvers = HashMap<String, Arc<Resolver>>;

pub(super) fn read_resolvers(top: &mut Fields<'_>) -> Resolvers {
    let mut names = Unique::new("resolver");
    top.tables("resolver", "[[resolver]]")
        .into_iter()
        .filter_map(|fields| read_resolver(fields, &mut names))
        .collect()
}

fn read_resolver(mut fields: Fields<'_>, names: &mut Unique) -> Option<(String, Arc<Resolver>)> {
    let name = read_name(&mut fields, "resolver", names);
    let usual = Resolver::default();
    let nameservers = fields.get("nameservers").map(|node| read_servers(&node));
    let mut duration = |key, usual| {
        fields
            .get(key)
            .and_then(|node| node.duration())
            .unwrap_or(usual)
    };
    let resolver = Resolver {
        nameservers: nameservers.unwrap_or_default(),
        timeout: duration("timeout", usual.timeout),
        min_interval: duration("min_interval", usual.min_interval),
        max_interval: duration("max_interval", usual.max_interval),
        hold: duration("hold", usual.hold),
        attempts: fields
            .get("attempts")
            .and_then(|node| node.index(0..=10))
            .unwrap_or(usual.attempts),
        must_resolve: fields
            .get("must_resolve")
            .and_then(|node| node.boolean())
            .unwrap_or(usual.must_resolve),
    };
    if resolver.min_interval > resolver.max_interval {
        fields.reader.error_with_hint(
            fields.span(),
            format!(
                "{}`min_interval` is more than `max_interval`",
                fields.context()
            ),
            "the time between two questions is as long as the answer is valid, within these two",
        );
    }
    fields.finish(&[("server", "write `nameservers = [\"10.0.0.53:53\"]`")]);
    Some((name?, Arc::new(resolver)))
}

fn read_servers(node: &Node<'_>) -> Vec<SocketAddr> {
    let Some(entries) = node.list("addresses") else {
        return Vec::new();
    };
    if entries.is_empty() {
        node.wrong("is empty", "leave it out to ask those of /etc/resolv.conf");
    }
    let read = entries.iter().filter_map(|entry| {
        let text = entry.plain_text("10.0.0.53:53")?;
        entry.address(name_server(text))
    });
    read.collect()
}

fn name_server(text: &str) -> Result<SocketAddr, AddressError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 53));
    }
    address::socket(text).map_err(|error| AddressError {
        hint: "write `10.0.0.53`, `10.0.0.53:5353` or `[fd00::53]:53`".to_owned(),
        ..error
    })
}

/// Reads `namespace`, `source` and `resolver` of a backend or a server; what is not said is as in `base`.
pub(super) fn read_reach(fields: &mut Fields<'_>, base: &Reach, resolvers: &Resolvers) -> Reach {
    let namespace = fields.get("namespace").map(|node| read_namespace(&node));
    let source = fields.get("source").map(|node| {
        let text = node.plain_text("10.0.0.1")?;
        node.address(source(text))
    });
    let resolver = fields
        .get("resolver")
        .and_then(|node| read_resolver_name(&node, resolvers));
    let send_proxy = fields.get("send_proxy").map(|node| read_send_proxy(&node));
    Reach {
        send_proxy: send_proxy.unwrap_or(base.send_proxy),
        namespace: namespace.unwrap_or_else(|| base.namespace.clone()),
        source: source.unwrap_or(base.source),
        resolver: resolver.unwrap_or_else(|| Arc::clone(&base.resolver)),
        slot: Slot::default(),
    }
}

/// The name of a network namespace as `ip netns add` takes it.
pub(super) fn read_namespace(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text("blue")?;
    let sound =
        !text.contains('/') && text != "." && text != ".." && text.len() <= LONGEST_NAMESPACE;
    if !sound {
        node.wrong(
            format!("is no name of a network namespace: `{}`", shorten(text)),
            "write it as `ip netns list` does: `namespace = \"blue\"`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn read_resolver_name(node: &Node<'_>, resolvers: &Resolvers) -> Option<Arc<Resolver>> {
    let name = node.plain_text("internal")?;
    let found = resolvers.get(name);
    if found.is_none() {
        let known = resolvers.keys().map(String::as_str);
        node.complain(
            format!("no resolver named `{}`", shorten(name)),
            hint_among("resolver", name, known),
        );
    }
    found.cloned()
}

/// `10.0.0.1`, `10.0.0.1:40000`, `10.0.0.1:40000-49999`, `[fd00::1]:40000`
fn source(text: &str) -> Result<Source, AddressError> {
    let wrong = || AddressError {
        message: format!(
            "`{}` is no address that connections could come from",
            shorten(text)
        ),
        hint: "write `10.0.0.1`, `10.0.0.1:40000-49999` or `[fd00::1]:40000-49999`".to_owned(),
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Source {
            address,
            ports: None,
        });
    }
    let (host, ports) = text.rsplit_once(':').ok_or_else(wrong)?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let ports = port(first)
        .zip(port(last))
        .filter(|(first, last)| first <= last);
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    Ok(Source {
        address: host.parse().map_err(|_| wrong())?,
        ports: Some(ports.ok_or_else(wrong)?),
    })
}

/// Reads `slots` of a server and says what does not go with its address.
pub(super) fn read_slots(fields: &mut Fields<'_>, reach: &Reach, address: Option<&Address>) -> u32 {
    let node = fields.get("slots");
    let slots = node.as_ref().and_then(|node| node.small(1..=MOST_SLOTS));
    let named = matches!(address, Some(Address::Name { .. }) | None);
    if let (Some(node), false) = (&node, named) {
        node.wrong(
            "is for names that have several addresses",
            "write a host name into `address`, or a `[[backend.server]]` for each address",
        );
    }
    let path = matches!(address, Some(Address::Unix(_)));
    if path && fields.key_span("namespace").is_some() && reach.namespace.is_some() {
        fields.reader.error_with_hint(
            fields.span(),
            format!(
                "{}a Unix socket is in no network namespace",
                fields.context()
            ),
            "leave `namespace` out: paths are the same in all of them",
        );
    }
    slots.unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_as_written() {
        let read = |text: &str| source(text).ok().map(|s| (s.address.to_string(), s.ports));
        assert_eq!(read("10.0.0.1"), Some(("10.0.0.1".to_owned(), None)));
        assert_eq!(
            read("10.0.0.1:40000-49999"),
            Some(("10.0.0.1".to_owned(), Some((40_000, 49_999))))
        );
        assert_eq!(
            read("[fd00::1]:40000"),
            Some(("fd00::1".to_owned(), Some((40_000, 40_000))))
        );
        assert_eq!(read("fd00::1"), Some(("fd00::1".to_owned(), None)));
        for wrong in [
            "",
            "host",
            "10.0.0.1:",
            "10.0.0.1:0",
            "10.0.0.1:9-8",
            "1.2.3.4:x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
