//! Networks and what is said of each; found by an address in as many steps as there are prefix lengths,
//! however many networks there are.

use std::{collections::HashMap, net::IpAddr};

use weir_sdk::Network;

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
        let lengths = &mut self.lengths[family(network.first())];
        if let Err(at) = lengths.binary_search_by(|known| network.prefix().cmp(known)) {
            lengths.insert(at, network.prefix());
        }
        self.known.insert(network, said)
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is said of the smallest network that holds the address.
    pub fn smallest_with(&self, address: IpAddr) -> Option<T> {
        let address = address.to_canonical();
        let mut lengths = self.lengths[family(address)].iter();
        lengths.find_map(|&prefix| {
            let network = Network::around(address, prefix);
            self.known.get(&network).copied()
        })
    }
}

fn family(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => 1,
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
}
