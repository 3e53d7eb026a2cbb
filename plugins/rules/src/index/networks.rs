//! Client networks, flattened into intervals: whatever their number, an address costs one binary
//! search.

use std::{fmt, net::IpAddr, str::FromStr};

/// An address and the number of leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: Point,
    last: u128,
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
            Self::BitsAfterPrefix { meant } => {
                write!(
                    f,
                    "the address has bits after the prefix; the network is `{meant}`"
                )
            }
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
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            // `parse` alone would take `+8`.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits
                    .parse()
                    .ok()
                    .filter(|prefix| *prefix <= most)
                    .ok_or(NetworkError::PrefixTooLong { most })?
            }
            Some(_) => return Err(NetworkError::NotAnAddress),
        };
        let first = Point::of(address);
        let ignored = low_bits(most - prefix);
        if first.bits & ignored != 0 {
            let meant = format!(
                "{}/{prefix}",
                first.with_bits(first.bits & !ignored).address()
            );
            return Err(NetworkError::BitsAfterPrefix { meant });
        }
        Ok(Self {
            first,
            last: first.bits | ignored,
        })
    }
}

/// An address as a number within its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    is_v4: bool,
    bits: u128,
}

impl Point {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self {
                is_v4: true,
                bits: u128::from(v4.to_bits()),
            },
            IpAddr::V6(v6) => Self {
                is_v4: false,
                bits: v6.to_bits(),
            },
        }
    }

    fn with_bits(self, bits: u128) -> Self {
        Self { bits, ..self }
    }

    fn address(self) -> IpAddr {
        match u32::try_from(self.bits) {
            Ok(bits) if self.is_v4 => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(self.bits.into()),
        }
    }
}

fn low_bits(count: u8) -> u128 {
    if count == 128 {
        u128::MAX
    } else {
        (1 << count) - 1
    }
}

/// Which of many networks contain an address.
#[derive(Debug)]
pub struct Networks {
    v4: Intervals,
    v6: Intervals,
}

impl Networks {
    /// Each network with the number that is reported for it.
    pub fn new(networks: &[(Network, u32)]) -> Self {
        let family = |is_v4| {
            Intervals::new(
                networks
                    .iter()
                    .filter(|(network, _)| network.first.is_v4 == is_v4)
                    .map(|(network, id)| (network.first.bits, network.last, *id))
                    .collect(),
            )
        };
        Self {
            v4: family(true),
            v6: family(false),
        }
    }

    /// Calls `found` for every network that contains the address in `text`; for none if it is no
    /// address. An IPv4 client of an IPv6 socket counts as the IPv4 address it is.
    pub fn find(&self, text: &str, found: impl FnMut(u32)) {
        let Ok(address) = text.parse::<IpAddr>() else {
            return;
        };
        let point = Point::of(address.to_canonical());
        let family = if point.is_v4 { &self.v4 } else { &self.v6 };
        family.at(point.bits).iter().copied().for_each(found);
    }
}

/// A line cut where the set of containing networks changes.
#[derive(Debug)]
struct Intervals {
    starts: Vec<u128>,
    /// The networks that contain the points from the start of the same position to the next.
    sets: Vec<Vec<u32>>,
}

impl Intervals {
    /// Networks are nested or apart, never overlapping by halves; so a stack knows which are open.
    fn new(mut networks: Vec<(u128, u128, u32)>) -> Self {
        networks.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut intervals = Self {
            starts: Vec::new(),
            sets: Vec::new(),
        };
        let mut open: Vec<(u128, u32)> = Vec::new();
        for (first, last, id) in networks {
            intervals.close(&mut open, |end| end < first);
            open.push((last, id));
            intervals.cut(first, &open);
        }
        intervals.close(&mut open, |_| true);
        intervals
    }

    /// Ends the innermost networks for which `ended` says so.
    fn close(&mut self, open: &mut Vec<(u128, u32)>, ended: impl Fn(u128) -> bool) {
        while let Some((last, _)) = open.pop_if(|(last, _)| ended(*last)) {
            if let Some(next) = last.checked_add(1) {
                self.cut(next, open);
            }
        }
    }

    fn cut(&mut self, start: u128, open: &[(u128, u32)]) {
        if self.starts.last() == Some(&start) {
            self.sets.pop();
        } else {
            self.starts.push(start);
        }
        self.sets.push(open.iter().map(|(_, id)| *id).collect());
    }

    fn at(&self, point: u128) -> &[u32] {
        match self.starts.partition_point(|start| *start <= point) {
            0 => &[],
            after => &self.sets[after - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(networks: &Networks, address: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        networks.find(address, |id| ids.push(id));
        ids.sort_unstable();
        ids
    }

    fn networks(texts: &[&str]) -> Networks {
        let parsed: Vec<(Network, u32)> = texts
            .iter()
            .map(|text| text.parse().unwrap())
            .zip(0..)
            .collect();
        Networks::new(&parsed)
    }

    #[test]
    fn every_network_around_an_address_is_found() {
        let all = networks(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "0.0.0.0/0",
            "10.1.2.0/24",
            "255.255.255.255",
        ]);
        assert_eq!(found(&all, "10.1.2.3"), [0, 1, 2, 3, 4]);
        assert_eq!(found(&all, "10.1.2.4"), [0, 1, 3, 4]);
        assert_eq!(found(&all, "10.1.3.0"), [0, 1, 3]);
        assert_eq!(found(&all, "10.2.0.0"), [0, 3]);
        assert_eq!(found(&all, "11.0.0.0"), [3]);
        assert_eq!(found(&all, "9.255.255.255"), [3]);
        assert_eq!(found(&all, "255.255.255.255"), [3, 5]);
    }

    #[test]
    fn neighbours_and_duplicates_keep_apart() {
        let all = networks(&["10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/9"]);
        assert_eq!(found(&all, "10.127.255.255"), [0, 2]);
        assert_eq!(found(&all, "10.128.0.0"), [1]);
        assert_eq!(found(&all, "11.0.0.0"), [] as [u32; 0]);
        assert_eq!(found(&networks(&[]), "10.0.0.1"), [] as [u32; 0]);
    }

    #[test]
    fn the_families_do_not_contain_each_other() {
        let all = networks(&["0.0.0.0/0", "::/0", "fd00::/8"]);
        assert_eq!(found(&all, "fd12::1"), [1, 2]);
        assert_eq!(found(&all, "127.0.0.1"), [0]);
        assert_eq!(
            found(&all, "::ffff:127.0.0.1"),
            [0],
            "a mapped IPv4 address is an IPv4 address"
        );
        assert_eq!(found(&all, "/run/weir.sock"), [] as [u32; 0]);
    }

    #[test]
    fn a_bad_network_is_told_what_is_wrong() {
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
        assert_eq!(
            error("10.0.0.0/33"),
            NetworkError::PrefixTooLong { most: 32 }
        );
        assert_eq!(error("::/129"), NetworkError::PrefixTooLong { most: 128 });
        assert_eq!(
            error("10.0.0.0/999"),
            NetworkError::PrefixTooLong { most: 32 }
        );
        let meant = |text| match error(text) {
            NetworkError::BitsAfterPrefix { meant } => meant,
            other => panic!("{other:?}"),
        };
        assert_eq!(meant("10.1.2.3/8"), "10.0.0.0/8");
        assert_eq!(meant("fd00::1/64"), "fd00::/64");
    }
}
