//! Networks as people write them: `10.0.0.0/8`, `192.0.2.7`, `fd00::/8`. Finding one of many by an address is
//! left to the plugin, which knows what it wants of them.

use std::{error::Error, fmt, net::IpAddr, str::FromStr};

/// An address and the number of its leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// All bits behind the prefix are 0.
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of this prefix length that holds the address. A length beyond the address's own is as good
    /// as that. An IPv4 address that is written as one of IPv6 (`::ffff:192.0.2.1`) is taken for what it is.
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(bits(address));
        Self {
            first: first(address, prefix),
            prefix,
        }
    }

    pub fn first(&self) -> IpAddr {
        self.first
    }

    pub fn last(&self) -> IpAddr {
        last(self.first, self.prefix)
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first(address, self.prefix) == self.first
    }
}

/// What a text that should name a network is instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkError {
    NotAnAddress,
    PrefixTooLong {
        most: u8,
    },
    /// The address has bits set where the prefix says that they do not matter.
    BitsAfterPrefix {
        meant: Network,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress => f.write_str(
                "not an address or network such as `10.0.0.0/8`, `192.0.2.7` or `fd00::/8`",
            ),
            Self::PrefixTooLong { most } => write!(f, "the prefix length must be 0 to {most}"),
            Self::BitsAfterPrefix { meant } => write!(
                f,
                "the address has bits after the prefix; the network is `{meant}`"
            ),
        }
    }
}

impl Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NotAnAddress)?;
        let most = bits(address);
        let prefix = match prefix {
            None => most,
            // `parse` alone would take `+8`.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                let prefix = digits.parse().ok().filter(|prefix| *prefix <= most);
                prefix.ok_or(NetworkError::PrefixTooLong { most })?
            }
            Some(_) => return Err(NetworkError::NotAnAddress),
        };
        let network = Self {
            first: first(address, prefix),
            prefix,
        };
        match network.first == address {
            true => Ok(network),
            false => Err(NetworkError::BitsAfterPrefix { meant: network }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn first(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & !rest_of_v4(prefix)).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !rest_of_v6(prefix)).into()),
    }
}

fn last(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() | rest_of_v4(prefix)).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() | rest_of_v6(prefix)).into()),
    }
}

/// The bits behind the prefix.
fn rest_of_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

fn rest_of_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_goes_from_its_first_address_to_its_last() {
        for (text, first, last) in [
            ("10.1.0.0/16", "10.1.0.0", "10.1.255.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            (
                "fd00::/9",
                "fd00::",
                "fd7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::1", "::1", "::1"),
        ] {
            let network = network(text);
            assert_eq!(network.first(), address(first), "{text}");
            assert_eq!(network.last(), address(last), "{text}");
            assert!(
                network.contains(address(first)) && network.contains(address(last)),
                "{text}"
            );
        }
    }

    #[test]
    fn families_are_apart_and_an_ipv4_address_is_one_however_it_is_written() {
        assert!(!network("0.0.0.0/0").contains(address("::1")));
        assert!(!network("::/0").contains(address("10.0.0.1")));
        assert!(network("10.0.0.0/8").contains(address("::ffff:10.2.3.4")));
        assert!(!network("10.0.0.0/8").contains(address("11.0.0.0")));
    }

    #[test]
    fn the_network_around_an_address_is_named_by_its_first_one() {
        for (text, prefix, around) in [
            ("10.1.2.3", 8, "10.0.0.0/8"),
            ("::ffff:10.1.2.3", 24, "10.1.2.0/24"),
            ("10.1.2.3", 64, "10.1.2.3/32"),
            ("2001:db8:1:2:3::4", 64, "2001:db8:1:2::/64"),
            ("2001:db8::1", 0, "::/0"),
        ] {
            let found = Network::around(address(text), prefix);
            assert_eq!(found.to_string(), around);
            assert_eq!(found, network(around));
        }
    }

    #[test]
    fn a_text_that_is_no_network_is_told_what_is_wrong() {
        let error = |text: &str| text.parse::<Network>().unwrap_err();
        for text in [
            "",
            "lan",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/x",
            "1.2.3.4.5",
            "10.0.0.0 /8",
        ] {
            assert_eq!(error(text), NetworkError::NotAnAddress, "{text}");
        }
        for (text, most) in [("10.0.0.0/33", 32), ("10.0.0.0/999", 32), ("::/129", 128)] {
            assert_eq!(error(text), NetworkError::PrefixTooLong { most }, "{text}");
        }
        for (text, meant) in [("10.1.2.3/8", "10.0.0.0/8"), ("fd00::1/64", "fd00::/64")] {
            let meant = network(meant);
            assert_eq!(error(text), NetworkError::BitsAfterPrefix { meant });
        }
    }
}
