//! What is hashed, and HAProxy's ways to hash it.

use std::net::IpAddr;

use weir_sdk::{Handle, Input, Needs, OnPick, Values};

use crate::config::On;

/// Where the key of a request comes from.
#[derive(Debug)]
pub enum KeySource {
    Address(Handle<OnPick>),
    Text(Handle<OnPick>),
    Uri {
        path: Handle<OnPick>,
        query: Handle<OnPick>,
    },
}

/// The key of one request.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    Address(IpAddr),
    /// Of several parts, hashed as one text.
    Text([&'a str; 3]),
}

impl KeySource {
    /// Paths are taken as the client sent them, as HAProxy does.
    pub fn new(on: On, needs: &mut Needs) -> Self {
        match on {
            On::Source => Self::Address(needs.input(Input::ClientAddress)),
            On::Path => Self::Text(needs.input(Input::RawPath)),
            On::Uri => Self::Uri {
                path: needs.input(Input::RawPath),
                query: needs.input(Input::Query),
            },
            On::Header(name) => Self::Text(needs.header(&name)),
            On::Cookie(name) => Self::Text(needs.cookie(&name)),
            On::QueryParam(name) => Self::Text(needs.input(Input::QueryParam(name))),
            On::Var(name) => Self::Text(needs.var(&name)),
        }
    }

    /// None if the request has no such thing; a client on a unix socket has no address.
    pub fn key<'a>(&self, values: &Values<'a, OnPick>) -> Option<Key<'a>> {
        match *self {
            Self::Address(address) => Some(Key::Address(values.get(address)?.parse().ok()?)),
            Self::Text(text) => Some(Key::Text([values.get(text)?, "", ""])),
            Self::Uri { path, query } => {
                let path = values.get(path)?;
                Some(Key::Text(match values.get(query) {
                    Some(query) => [path, "?", query],
                    None => [path, "", ""],
                }))
            }
        }
    }
}

/// How much of a path or URI counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    pub length: Option<usize>,
    pub depth: Option<usize>,
}

impl Extent {
    /// The beginning of a key that counts; addresses count whole.
    pub fn of(self, key: Key<'_>) -> Key<'_> {
        let Key::Text(parts) = key else { return key };
        if self.length.is_none() && self.depth.is_none() {
            return key;
        }
        let mut left = self.end(&parts);
        Key::Text(parts.map(|part| {
            let taken = part.get(..left.min(part.len())).unwrap_or(part);
            left -= taken.len().min(left);
            taken
        }))
    }

    /// Where it ends: before the slash that begins one segment too many, at the latest.
    fn end(self, parts: &[&str; 3]) -> usize {
        let most = self.length.unwrap_or(usize::MAX);
        let mut slashes = 0;
        let mut end = 0;
        for byte in bytes(parts).take(most) {
            slashes += usize::from(byte == b'/');
            if self.depth.is_some_and(|depth| slashes > depth) {
                break;
            }
            end += 1;
        }
        end
    }
}

impl Key<'_> {
    /// HAProxy's hash of a key: an address is the XOR of its 32-bit words, a text goes through sdbm.
    pub fn hash32(self) -> u32 {
        match self {
            Self::Address(IpAddr::V4(address)) => address.to_bits(),
            Self::Address(IpAddr::V6(address)) => {
                let bits = address.to_bits();
                (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
            }
            Self::Text(parts) => bytes(&parts).fold(0, |hash: u32, byte| {
                u32::from(byte)
                    .wrapping_add(hash << 6)
                    .wrapping_add(hash << 16)
                    .wrapping_sub(hash)
            }),
        }
    }

    /// A wide hash for tables that need all bits to be good.
    pub fn hash64(self) -> u64 {
        match self {
            Self::Address(IpAddr::V4(address)) => mixed(address.to_bits().into()),
            Self::Address(IpAddr::V6(address)) => {
                let bits = address.to_bits();
                mixed(mixed((bits >> 64) as u64) ^ bits as u64)
            }
            // FNV-1a, whose high bits the mix repairs.
            Self::Text(parts) => mixed(bytes(&parts).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })),
        }
    }
}

fn bytes<'a>(parts: &'a [&str; 3]) -> impl Iterator<Item = u8> + 'a {
    parts.iter().flat_map(|part| part.bytes())
}

/// Bob Jenkins's full avalanche, spread over the ring by a prime near 3/4 of it: HAProxy's `full_hash`.
pub fn avalanche(number: u32) -> u32 {
    let a = number.wrapping_add(0x7ed5_5d16).wrapping_add(number << 12);
    let a = (a ^ 0xc761_c23c) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    let a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    let a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

/// The output function of the generator splitmix64: every bit of the input moves half of the output's.
pub fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
