//! Addresses as converters see them: masks, hosts and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A mask for IPv4 and one for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    v4: u32,
    v6: u128,
}

impl Mask {
    /// Each as a number of bits or as an address.
    pub fn parse(v4: &str, v6: Option<&str>) -> Result<Self, String> {
        let wrong = |text: &str| format!("`ipmask`: `{text}` is no mask");
        let v4 = match v4.parse::<u32>() {
            Ok(bits @ 0..=32) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
            _ => v4.parse::<Ipv4Addr>().map_err(|_| wrong(v4))?.to_bits(),
        };
        let v6 = match v6 {
            None => u128::MAX,
            Some(text) => match text.parse::<u32>() {
                Ok(bits @ 0..=128) => u128::MAX.checked_shl(128 - bits).unwrap_or(0),
                _ => text.parse::<Ipv6Addr>().map_err(|_| wrong(text))?.to_bits(),
            },
        };
        Ok(Self { v4, v6 })
    }

    pub fn apply(self, text: &str) -> Option<String> {
        Some(match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & self.v4).to_string(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & self.v6).to_string(),
        })
    }
}

/// `a.example:8080`, `[::1]:80` → host and port.
pub fn split_host(text: &str) -> (&str, Option<&str>) {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    match text[after_bracket..].rfind(':') {
        Some(at) => (
            &text[..after_bracket + at],
            Some(&text[after_bracket + at + 1..]),
        ),
        None => (text, None),
    }
}
