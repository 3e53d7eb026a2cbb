//! Writing a header towards a server.

use std::{io::Write, net::IpAddr};

use super::{
    Ends, FIXED, SIGNATURE,
    crc32c::crc32c,
    tlv::{self, Tlvs},
};

/// Both addresses in one family, as the protocol wants them.
enum SameFamily {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

impl SameFamily {
    fn of(ends: &Ends) -> Self {
        let source = ends.source.ip().to_canonical();
        let destination = ends.destination.ip().to_canonical();
        let v6 = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Self::V4(source.octets(), destination.octets())
            }
            _ => Self::V6(v6(source), v6(destination)),
        }
    }
}

/// Appends a line of version 1; `UNKNOWN` if the addresses are not known, as for checks.
pub fn write_v1(out: &mut Vec<u8>, ends: Option<&Ends>) {
    let Some(ends) = ends else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (from, to) = (ends.source.port(), ends.destination.port());
    let (family, source, destination) = match SameFamily::of(ends) {
        SameFamily::V4(source, destination) => {
            ("TCP4", IpAddr::from(source), IpAddr::from(destination))
        }
        SameFamily::V6(source, destination) => {
            ("TCP6", IpAddr::from(source), IpAddr::from(destination))
        }
    };
    // Writing to a vector cannot fail.
    let _ = write!(out, "PROXY {family} {source} {destination} {from} {to}\r\n");
}

/// Appends a header of version 2: for a client, or without `client` for the proxy itself (`LOCAL`). Its
/// addresses may be unknown, its additions are ended with a checksum if `checked`.
pub fn write_v2(out: &mut Vec<u8>, client: Option<(Option<&Ends>, &Tlvs)>, checked: Checked) {
    let start = out.len();
    out.extend_from_slice(&SIGNATURE);
    let command = match client {
        Some(_) => 0x21,
        None => 0x20,
    };
    // The family and the length are filled in below.
    out.extend_from_slice(&[command, 0, 0, 0]);
    if let Some((Some(ends), tlvs)) = client {
        out[start + 13] = push_ends(out, ends);
        push_tlvs(out, tlvs);
        if checked == Checked::Yes {
            tlv::push(out, tlv::CRC32C, &[0; 4]);
        }
    }
    let length = u16::try_from(out.len() - start - FIXED).unwrap_or(u16::MAX);
    out[start + 14..start + FIXED].copy_from_slice(&length.to_be_bytes());
    if checked == Checked::Yes && matches!(client, Some((Some(_), _))) {
        let sum = crc32c([&out[start..]]).to_be_bytes();
        let at = out.len() - sum.len();
        out[at..].copy_from_slice(&sum);
    }
}

/// Whether a header carries a checksum of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    Yes,
    No,
}

/// Appends the addresses and says of which family they are.
fn push_ends(out: &mut Vec<u8>, ends: &Ends) -> u8 {
    let family = match SameFamily::of(ends) {
        SameFamily::V4(source, destination) => {
            out.extend_from_slice(&source);
            out.extend_from_slice(&destination);
            0x11
        }
        SameFamily::V6(source, destination) => {
            out.extend_from_slice(&source);
            out.extend_from_slice(&destination);
            0x21
        }
    };
    for port in [ends.source.port(), ends.destination.port()] {
        out.extend_from_slice(&port.to_be_bytes());
    }
    family
}

fn push_tlvs(out: &mut Vec<u8>, tlvs: &Tlvs) {
    for (kind, value) in [
        (tlv::ALPN, &tlvs.alpn),
        (tlv::AUTHORITY, &tlvs.authority),
        (tlv::UNIQUE_ID, &tlvs.unique_id),
        (tlv::NETNS, &tlvs.netns),
    ] {
        if let Some(value) = value {
            tlv::push(out, kind, value);
        }
    }
    if let Some(tls) = &tlvs.tls {
        tlv::push_tls(out, tls);
    }
}
