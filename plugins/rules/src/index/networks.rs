//! Client networks, flattened into intervals: whatever their number, an address costs one binary
//! search.

use std::net::IpAddr;

use weir_sdk::Network;

/// Which of many networks contain an address.
#[derive(Debug)]
pub struct Networks {
    v4: Intervals,
    v6: Intervals,
}

impl Networks {
    /// Each network with the number that is reported for it.
    pub fn new(networks: &[(Network, u32)]) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = networks
            .iter()
            .partition(|(network, _)| network.first().is_ipv4());
        Self {
            v4: Intervals::new(&v4),
            v6: Intervals::new(&v6),
        }
    }

    /// Calls `found` for every network that contains the address in `text`; for none if it is no
    /// address. An IPv4 client of an IPv6 socket counts as the IPv4 address it is.
    pub fn find(&self, text: &str, found: impl FnMut(u32)) {
        let Ok(address) = text.parse::<IpAddr>() else {
            return;
        };
        let address = address.to_canonical();
        let family = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        family.at(point(address)).iter().copied().for_each(found);
    }
}

/// An address as a number within its family.
fn point(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
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
    fn new(networks: &[(Network, u32)]) -> Self {
        let mut networks: Vec<(u128, u128, u32)> = networks
            .iter()
            .map(|(network, id)| (point(network.first()), point(network.last()), *id))
            .collect();
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
}
