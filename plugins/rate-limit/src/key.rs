//! By what is counted: one key out of several facts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_sdk::{Handle, Hook, Input, Needs, Values};

/// How to make the key in one hook.
#[derive(Debug)]
pub struct Key<H: Hook> {
    parts: Vec<(Handle<H>, Kind)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Of which so many leading bits count.
    Address(Prefixes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    pub ipv4: u8,
    pub ipv6: u8,
}

impl<H: Hook> Key<H> {
    pub fn new(inputs: &[Input], prefixes: Prefixes, needs: &mut Needs) -> Self {
        let part = |input: &Input| {
            let kind = match input {
                Input::ClientAddress => Kind::Address(prefixes),
                _ => Kind::Text,
            };
            (needs.input(input.clone()), kind)
        };
        Self {
            parts: inputs.iter().map(part).collect(),
        }
    }

    /// None if one of the facts is missing. Without any facts all have the same key.
    pub fn of(&self, values: &Values<'_, H>) -> Option<String> {
        match self.parts.as_slice() {
            [] => Some("*".to_owned()),
            [(handle, kind)] => values.get(*handle).map(|value| kind.shown(value)),
            parts => {
                let mut key = String::new();
                for (position, (handle, kind)) in parts.iter().enumerate() {
                    if position > 0 {
                        key.push('|');
                    }
                    // Escaped, or a client could pass two facts off as others.
                    for c in kind.shown(values.get(*handle)?).chars() {
                        if matches!(c, '|' | '\\') {
                            key.push('\\');
                        }
                        key.push(c);
                    }
                }
                Some(key)
            }
        }
    }
}

impl Kind {
    fn shown(self, value: &str) -> String {
        match (self, value.parse()) {
            (Self::Address(prefixes), Ok(address)) => network(address, prefixes),
            (Self::Text | Self::Address(_), _) => value.to_owned(),
        }
    }
}

/// The network that the address is in; the address itself where all bits count.
fn network(address: IpAddr, prefixes: Prefixes) -> String {
    match address {
        // A client that came over IPv4 to a socket of IPv6.
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            let address = address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED);
            network(IpAddr::V4(address), prefixes)
        }
        IpAddr::V4(address) if prefixes.ipv4 < 32 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefixes.ipv4));
            let first = Ipv4Addr::from_bits(address.to_bits() & mask.unwrap_or(0));
            format!("{first}/{}", prefixes.ipv4)
        }
        IpAddr::V6(address) if prefixes.ipv6 < 128 => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefixes.ipv6));
            let first = Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or(0));
            format!("{first}/{}", prefixes.ipv6)
        }
        whole => whole.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_their_networks() {
        let shown =
            |address: &str, ipv4, ipv6| network(address.parse().unwrap(), Prefixes { ipv4, ipv6 });
        assert_eq!(shown("192.0.2.77", 32, 64), "192.0.2.77");
        assert_eq!(shown("192.0.2.77", 24, 64), "192.0.2.0/24");
        assert_eq!(shown("192.0.2.77", 0, 64), "0.0.0.0/0");
        assert_eq!(shown("2001:db8:1:2:3::4", 32, 64), "2001:db8:1:2::/64");
        assert_eq!(shown("2001:db8:1:2:3::4", 32, 56), "2001:db8:1::/56");
        assert_eq!(shown("2001:db8::4", 32, 128), "2001:db8::4");
        assert_eq!(shown("2001:db8::4", 32, 0), "::/0");
        assert_eq!(shown("::ffff:192.0.2.7", 32, 64), "192.0.2.7");
    }
}
