//! Who the client is when another proxy speaks for it: the last address in X-Forwarded-For or Forwarded that
//! was not written by somebody trusted. What stands before it could have been written by the client itself.

use std::net::{IpAddr, SocketAddr};

use super::facts::Ends;
use crate::{
    config::{ForwardedBy, Network, TrustedProxies},
    http::{fields::Fields, request::RequestHead},
    net::PeerAddress,
};

/// A client as a trusted proxy names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedClient {
    address: IpAddr,
    text: Box<str>,
}

impl ForwardedClient {
    fn new(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            text: address.to_string().into_boxed_str(),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_in(&self, networks: &[Network]) -> bool {
        networks
            .iter()
            .any(|network| network.contains(self.address))
    }

    /// For logs. Proxies tell no port.
    pub fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, 0)
    }
}

impl TrustedProxies {
    /// The client of a request that came from `ends`; none if it is whoever connected.
    pub(super) fn client_of(
        &self,
        head: &RequestHead,
        ends: &Ends,
    ) -> Option<Box<ForwardedClient>> {
        let trusted = |ip: IpAddr| self.networks.iter().any(|network| network.contains(ip));
        match ends.peer {
            PeerAddress::Ip(peer) if !trusted(peer.ip()) => return None,
            // Who may open the socket's file is said by its permissions.
            PeerAddress::Ip(_) | PeerAddress::Unix => {}
        }
        let mut last = None;
        for hop in self.hops(&head.fields) {
            // Behind an address that makes no sense nothing is worth more.
            let Some(address) = hop else {
                break;
            };
            last = Some(address);
            if !trusted(address) {
                break;
            }
        }
        last.map(|address| Box::new(ForwardedClient::new(address)))
    }

    /// The addresses on the way here, the nearest first.
    fn hops(&self, fields: &Fields) -> Vec<Option<IpAddr>> {
        let (name, forwarded) = match &self.header {
            ForwardedBy::List(name) => (name.as_str(), false),
            ForwardedBy::Forwarded => ("forwarded", true),
        };
        let mut hops = Vec::new();
        for field in fields.all(name) {
            let Ok(field) = str::from_utf8(field) else {
                hops.push(None);
                continue;
            };
            match forwarded {
                false => hops.extend(field.split(',').map(|hop| address(hop.trim()))),
                true => hops.extend(split(field, ',').into_iter().map(forwarded_for)),
            }
        }
        hops.reverse();
        hops
    }
}

/// The `for` of one element: `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = split(element, ';');
    let mut named = pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, value) = named.next()?;
    // Said twice, it could be understood in two ways.
    if named.next().is_some() {
        return None;
    }
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    address(quoted.unwrap_or(value))
}

/// Splits outside of quoted texts.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(|c: char| {
        let here = c == at && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        here
    })
    .collect()
}

/// An address, perhaps with a port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::heads::request_head;

    fn network(address: &str, prefix: u8) -> Network {
        Network {
            address: address.parse().unwrap(),
            prefix,
        }
    }

    /// Who the client is if `peer` connects and sends these fields.
    fn client(header: ForwardedBy, peer: &str, fields: &str) -> Option<String> {
        let trusted = TrustedProxies {
            networks: vec![network("10.0.0.0", 8), network("fd00::", 8)],
            header,
        };
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = request_head(&text);
        let ends = Ends::new(PeerAddress::Ip(peer.parse().unwrap()), None);
        trusted
            .client_of(&head, &ends)
            .map(|client| client.text().to_owned())
    }

    fn listed(peer: &str, fields: &str) -> Option<String> {
        client(
            ForwardedBy::List("X-Forwarded-For".to_owned()),
            peer,
            fields,
        )
    }

    fn forwarded(fields: &str) -> Option<String> {
        client(ForwardedBy::Forwarded, "10.0.0.1:1", fields)
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        let fields = "X-Forwarded-For: 192.0.2.7\r\n";
        assert_eq!(listed("198.51.100.1:1", fields), None);
        assert_eq!(listed("10.0.0.1:1", fields).as_deref(), Some("192.0.2.7"));
        assert_eq!(
            listed("[::ffff:10.0.0.1]:1", fields).as_deref(),
            Some("192.0.2.7")
        );
        assert_eq!(listed("10.0.0.1:1", ""), None);
    }

    #[test]
    fn what_the_client_wrote_itself_does_not_count() {
        for (fields, expected) in [
            ("X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n", "192.0.2.7"),
            (
                "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
                "192.0.2.7",
            ),
            (
                "X-Forwarded-For: 10.9.9.9, 192.0.2.7, 10.0.0.2\r\n",
                "192.0.2.7",
            ),
            (
                "X-Forwarded-For: 192.0.2.7, 10.0.0.3\r\nx-forwarded-for: 10.0.0.2\r\n",
                "192.0.2.7",
            ),
            ("X-Forwarded-For: 10.0.0.3, fd00::2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 192.0.2.7, junk, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7"),
            ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
            ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
        ] {
            assert_eq!(
                listed("10.0.0.1:1", fields).as_deref(),
                Some(expected),
                "{fields}"
            );
        }
        for fields in ["unknown", "", "1.1.1.1, ", "1.1.1.1, _hidden", "1.1.1"] {
            let fields = format!("X-Forwarded-For: {fields}\r\n");
            assert_eq!(listed("10.0.0.1:1", &fields), None, "{fields}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (field, expected) in [
            ("for=192.0.2.7", Some("192.0.2.7")),
            (
                "For=\"[2001:db8::7]:4711\"; proto=https",
                Some("2001:db8::7"),
            ),
            (
                "for=1.1.1.1, by=10.0.0.1;for=192.0.2.7;host=a",
                Some("192.0.2.7"),
            ),
            ("for=192.0.2.7, for=10.0.0.2", Some("192.0.2.7")),
            ("for=\"1.1.1.1, for=2.2.2.2\"", None),
            ("for=192.0.2.7;for=1.1.1.1", None),
            ("for=unknown", None),
            ("proto=https", None),
        ] {
            let fields = format!("Forwarded: {field}\r\n");
            assert_eq!(forwarded(&fields).as_deref(), expected, "{field}");
        }
    }
}
