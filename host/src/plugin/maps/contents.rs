//! A map's pairs, indexed for the way its keys are matched.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use crate::config::MapMatch;

use super::{
    Entry,
    parse::{BadLine, Line, LineFault},
};

/// Where a key stands more than once, the first counts.
pub struct Contents {
    entries: Arc<[Entry]>,
    index: Index,
}

enum Index {
    Exact(HashMap<Arc<str>, Arc<str>>),
    Prefix(Prefixes),
    Cidr(Networks),
}

impl Contents {
    pub fn new(lines: Vec<Line>, matching: MapMatch) -> Result<Self, Vec<BadLine>> {
        let index = match matching {
            MapMatch::Exact => Index::Exact(exact(&lines)),
            MapMatch::Prefix => Index::Prefix(Prefixes::new(&lines)),
            MapMatch::Cidr => Index::Cidr(Networks::new(&lines)?),
        };
        let entries = lines.into_iter().map(|line| line.entry).collect();
        Ok(Self { entries, index })
    }

    pub fn entries(&self) -> &Arc<[Entry]> {
        &self.entries
    }

    pub fn lookup(&self, key: &str) -> Option<&Arc<str>> {
        match &self.index {
            Index::Exact(pairs) => pairs.get(key),
            Index::Prefix(prefixes) => prefixes.longest(key),
            Index::Cidr(networks) => networks.smallest(key),
        }
    }
}

fn exact(lines: &[Line]) -> HashMap<Arc<str>, Arc<str>> {
    let mut pairs = HashMap::with_capacity(lines.len());
    for Line { entry, .. } in lines {
        let (key, value) = entry.clone();
        pairs.entry(key).or_insert(value);
    }
    pairs
}

/// Keys in sorted order, each knowing the next shorter key that it begins with.
///
/// The greatest key that isn't after the text begins with the longest matching key, if there is one:
/// whatever sorts between a prefix of the text and the text begins with that prefix too. So one binary
/// search finds where to start, and the way up the chain ends at the answer.
struct Prefixes {
    keys: Vec<PrefixKey>,
}

struct PrefixKey {
    key: Arc<str>,
    value: Arc<str>,
    shorter: Option<usize>,
}

impl Prefixes {
    fn new(lines: &[Line]) -> Self {
        let mut sorted: Vec<Entry> = lines.iter().map(|line| line.entry.clone()).collect();
        // Stable, so of equal keys the first of the file stays.
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        sorted.dedup_by(|later, first| later.0 == first.0);

        let mut keys: Vec<PrefixKey> = Vec::with_capacity(sorted.len());
        for (key, value) in sorted {
            let mut shorter = keys.len().checked_sub(1);
            while let Some(index) = shorter
                && !key.starts_with(&*keys[index].key)
            {
                shorter = keys[index].shorter;
            }
            keys.push(PrefixKey {
                key,
                value,
                shorter,
            });
        }
        Self { keys }
    }

    fn longest(&self, text: &str) -> Option<&Arc<str>> {
        let after = self.keys.partition_point(|entry| &*entry.key <= text);
        let mut candidate = self.keys.get(after.checked_sub(1)?)?;
        let common = common_length(candidate.key.as_bytes(), text.as_bytes());
        while candidate.key.len() > common {
            candidate = &self.keys[candidate.shorter?];
        }
        Some(&candidate.value)
    }
}

fn common_length(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Networks by how many of their leading bits count, longest first. There are at most 33 and 129 such
/// lengths, and few in practice, so a lookup is a few hash look-ups.
#[derive(Default)]
struct Networks {
    v4: Vec<SameLength>,
    v6: Vec<SameLength>,
}

struct SameLength {
    length: u8,
    values: HashMap<u128, Arc<str>>,
}

impl Networks {
    fn new(lines: &[Line]) -> Result<Self, Vec<BadLine>> {
        let mut networks = Self::default();
        let mut bad = Vec::new();
        for line in lines {
            let (key, value) = &line.entry;
            match network(key) {
                Some((address, length)) => networks.insert(address, length, Arc::clone(value)),
                None => bad.push(BadLine {
                    line: line.number,
                    fault: LineFault::NotANetwork(key.to_string()),
                }),
            }
        }
        if bad.is_empty() {
            Ok(networks)
        } else {
            Err(bad)
        }
    }

    fn insert(&mut self, address: IpAddr, length: u8, value: Arc<str>) {
        let (lengths, bits) = match address {
            IpAddr::V4(_) => (&mut self.v4, aligned(address)),
            IpAddr::V6(_) => (&mut self.v6, aligned(address)),
        };
        let at = match lengths.binary_search_by(|same| length.cmp(&same.length)) {
            Ok(at) => at,
            Err(at) => {
                let values = HashMap::new();
                lengths.insert(at, SameLength { length, values });
                at
            }
        };
        lengths[at]
            .values
            .entry(masked(bits, length))
            .or_insert(value);
    }

    fn smallest(&self, key: &str) -> Option<&Arc<str>> {
        let address = key.parse::<IpAddr>().ok()?.to_canonical();
        let lengths = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        let bits = aligned(address);
        lengths
            .iter()
            .find_map(|same| same.values.get(&masked(bits, same.length)))
    }
}

/// `10.0.0.0/8`, `2001:db8::/32` or a bare address. An IPv4 network written inside IPv6
/// (`::ffff:10.0.0.0/104`) is the IPv4 network, since that is how clients' addresses are shown.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        // `u8::from_str` would take `+8`.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
        None => bits,
    };
    if length > bits {
        return None;
    }
    match address.to_canonical() {
        canonical @ IpAddr::V4(_) if address.is_ipv6() && length >= 96 => {
            Some((canonical, length - 96))
        }
        _ => Some((address, length)),
    }
}

/// The address's bits, moved to the top of the number so that one mask serves both families.
fn aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

fn masked(bits: u128, length: u8) -> u128 {
    match length {
        0 => 0,
        length => bits & (u128::MAX << (128 - u32::from(length))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::maps::parse::parse_bytes;

    fn check(matching: MapMatch, text: &str, lookups: &[(&str, Option<&str>)]) {
        let contents = Contents::new(parse_bytes(text.as_bytes()).unwrap(), matching).unwrap();
        for (key, wanted) in lookups {
            let found = contents.lookup(key).map(|value| &**value);
            assert_eq!(found, *wanted, "{matching:?} `{key}` in {text:?}");
        }
    }

    #[test]
    fn an_exact_map_knows_the_key_as_written_and_the_first_of_two() {
        check(
            MapMatch::Exact,
            "vip deluxe\nvip standard\n",
            &[
                ("vip", Some("deluxe")),
                ("VIP", None),
                ("vi", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn a_prefix_map_answers_with_the_longest_key() {
        check(
            MapMatch::Prefix,
            "/app one\n/app/long two\n/b three\n/app four\n",
            &[
                ("/app", Some("one")),
                ("/app/x", Some("one")),
                ("/app/lonely", Some("one")),
                ("/app/long/x", Some("two")),
                ("/b", Some("three")),
                ("/c", None),
                ("/ap", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn a_prefix_map_finds_the_way_up_past_keys_that_sort_between() {
        check(
            MapMatch::Prefix,
            "/ root\n/a a\n/a/b/c abc\n/a/b/c/d abcd\n/a/b/ca abca\n",
            &[
                ("/a/b/c/zzz", Some("abc")),
                ("/a/b/cb", Some("abc")),
                ("/a/b/c/d", Some("abcd")),
                ("/a/b", Some("a")),
                ("/zebra", Some("root")),
                ("x", None),
            ],
        );
    }

    #[test]
    fn a_prefix_may_end_anywhere_but_is_never_cut_inside_a_character() {
        check(
            MapMatch::Prefix,
            "/\u{e4} umlaut\n",
            &[("/\u{e4}b", Some("umlaut")), ("/\u{e5}", None)],
        );
    }

    /// A prefix map must agree with the plainest way to do it.
    #[test]
    fn a_prefix_map_agrees_with_trying_every_key() {
        let mut seed = 7_u32;
        let mut word = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = 1 + seed as usize % 6;
            (0..length)
                .map(|i| if (seed >> (8 + i)) & 1 == 0 { 'a' } else { 'b' })
                .collect::<String>()
        };
        let text: String = (0..40).map(|n| format!("{} v{n}\n", word())).collect();
        let lines = parse_bytes(text.as_bytes()).unwrap();
        let contents = Contents::new(lines.clone(), MapMatch::Prefix).unwrap();
        for _ in 0..500 {
            let key = word() + &word();
            let mut best: Option<&Entry> = None;
            for Line { entry, .. } in &lines {
                let longer = best.is_none_or(|best| entry.0.len() > best.0.len());
                if key.starts_with(&*entry.0) && longer {
                    best = Some(entry);
                }
            }
            let wanted = best.map(|(_, value)| value);
            assert_eq!(contents.lookup(&key), wanted, "{key} in {text}");
        }
    }

    #[test]
    fn a_cidr_map_answers_with_the_smallest_network() {
        check(
            MapMatch::Cidr,
            "10.0.0.0/8 lan\n10.1.0.0/16 office\n10.1.2.3 desk\n0.0.0.0/0 world\n",
            &[
                ("10.1.2.3", Some("desk")),
                ("10.1.2.4", Some("office")),
                ("10.200.0.1", Some("lan")),
                ("192.0.2.1", Some("world")),
                ("::1", None),
                ("not an address", None),
            ],
        );
    }

    #[test]
    fn a_cidr_map_knows_both_families_and_addresses_inside_the_other() {
        check(
            MapMatch::Cidr,
            "2001:db8::/32 docs\n2001:db8::1 one\n::ffff:10.0.0.0/104 lan\n",
            &[
                ("2001:db8::1", Some("one")),
                ("2001:db8:ffff::", Some("docs")),
                ("10.9.9.9", Some("lan")),
                ("::ffff:10.9.9.9", Some("lan")),
                ("2001:db9::", None),
            ],
        );
    }

    #[test]
    fn bits_after_the_prefix_do_not_count() {
        check(
            MapMatch::Cidr,
            "10.1.2.3/8 lan\n",
            &[("10.200.0.1", Some("lan"))],
        );
    }

    #[test]
    fn keys_that_are_no_networks_are_reported_with_their_lines() {
        let lines =
            parse_bytes(b"10.0.0.0/8 a\n10.0.0.0/33 b\nx c\n::/129 d\n1.2.3.4/+8 e\n1.2.3.4/ f\n");
        let bad = match Contents::new(lines.unwrap(), MapMatch::Cidr) {
            Ok(_) => panic!("accepted"),
            Err(bad) => bad,
        };
        let lines: Vec<usize> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6]);
    }
}
