//! Networks and what is said of each; found by an address in as many steps as there are prefix lengths,
//! however many networks there are.

use std::{collections::HashMap, fmt, net::IpAddr, str::FromStr};

/// An address and the number of leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: Point,
    prefix: u8,
}

/// An address as a number, in its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Point {
    V4(u32),
    V6(u128),
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
        meant: String,
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

impl Point {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(address.to_bits()),
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::V4(_) => 32,
            Self::V6(_) => 128,
        }
    }

    /// With all bits after the prefix at 0.
    fn masked(self, prefix: u8) -> Self {
        match self {
            Self::V4(bits) => {
                Self::V4(bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
            }
            Self::V6(bits) => {
                Self::V6(bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0))
            }
        }
    }

    fn address(self) -> IpAddr {
        match self {
            Self::V4(bits) => IpAddr::V4(bits.into()),
            Self::V6(bits) => IpAddr::V6(bits.into()),
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NotAnAddress)?;
        let point = match address {
            IpAddr::V4(address) => Point::V4(address.to_bits()),
            IpAddr::V6(address) => Point::V6(address.to_bits()),
        };
        let most = point.bits();
        let prefix = match prefix {
            None => most,
            // `parse` alone would take `+8`.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                let prefix = digits.parse().ok().filter(|prefix| *prefix <= most);
                prefix.ok_or(NetworkError::PrefixTooLong { most })?
            }
            Some(_) => return Err(NetworkError::NotAnAddress),
        };
        let first = point.masked(prefix);
        if first != point {
            let meant = format!("{}/{prefix}", first.address());
            return Err(NetworkError::BitsAfterPrefix { meant });
        }
        Ok(Self { first, prefix })
    }
}

/// What is said of each network.
#[derive(Debug)]
pub struct Networks<T> {
    known: HashMap<Network, T>,
    /// The prefix lengths that occur, the longest first, for each family.
    lengths: [Vec<u8>; 2],
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            lengths: [Vec::new(), Vec::new()],
        }
    }
}

impl<T: Copy> Networks<T> {
    /// Answers with what was said of that very network before.
    pub fn insert(&mut self, network: Network, said: T) -> Option<T> {
        let lengths = &mut self.lengths[family(network.first)];
        if let Err(at) = lengths.binary_search_by(|known| network.prefix.cmp(known)) {
            lengths.insert(at, network.prefix);
        }
        self.known.insert(network, said)
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is said of the smallest network that holds the address.
    pub fn smallest_with(&self, address: IpAddr) -> Option<T> {
        let point = Point::of(address);
        let lengths = self.lengths[family(point)].iter();
        let mut around = lengths.map(|&prefix| Network {
            first: point.masked(prefix),
            prefix,
        });
        around.find_map(|network| self.known.get(&network).copied())
    }
}

fn family(point: Point) -> usize {
    match point {
        Point::V4(_) => 0,
        Point::V6(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(named: &[(&str, u32)]) -> Networks<u32> {
        let mut networks = Networks::default();
        for (text, said) in named {
            networks.insert(text.parse().unwrap(), *said);
        }
        networks
    }

    #[test]
    fn the_smallest_network_around_an_address_is_found() {
        let known = networks(&[
            ("0.0.0.0/0", 0),
            ("10.0.0.0/8", 8),
            ("10.1.0.0/16", 16),
            ("10.1.2.3", 32),
            ("fd00::/8", 6),
        ]);
        for (address, expected) in [
            ("192.0.2.1", Some(0)),
            ("10.255.255.255", Some(8)),
            ("10.1.255.255", Some(16)),
            ("10.1.2.3", Some(32)),
            ("::ffff:10.1.2.3", Some(32)),
            ("fdff::1", Some(6)),
            ("fe00::1", None),
        ] {
            assert_eq!(
                known.smallest_with(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "x",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.1/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
