//! Reading a header from the first bytes of a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    Ends, FIXED, Header, LONGEST_LINE, MOST_BYTES, SIGNATURE, Said,
    tlv::{Tlvs, read_tlvs},
};

const LINE_BEGINS: &[u8] = b"PROXY ";

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("it does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY line is longer than {LONGEST_LINE} bytes or does not end with CR LF")]
    Line,
    #[error("the PROXY line has no addresses that make sense")]
    Addresses,
    #[error("the PROXY header has the version and command {0:#04x}, neither 0x20 nor 0x21")]
    Command(u8),
    #[error("the PROXY header has the address family {0:#04x}, which nobody has defined")]
    Family(u8),
    #[error("the PROXY header is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("the PROXY header is too short for its addresses")]
    Short,
    #[error("the PROXY header has an addition that does not fit into it")]
    Addition,
    #[error("the PROXY header's checksum is wrong")]
    Checksum,
}

/// Reads the header that `bytes` begin with; `None` if more of them are needed. Give all bytes from the
/// beginning each time.
///
/// # Errors
/// As soon as the bytes cannot become a header.
pub fn read_header(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    if begins(bytes, &SIGNATURE) {
        return read_v2(bytes);
    }
    if begins(bytes, LINE_BEGINS) {
        return read_v1(bytes);
    }
    Err(BadHeader::Missing)
}

/// Whether one is the beginning of the other.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

fn read_v1(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    let visible = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = memchr::memchr(b'\n', visible) else {
        return match bytes.len() < LONGEST_LINE {
            true => Ok(None),
            false => Err(BadHeader::Line),
        };
    };
    let line = visible[..end].strip_suffix(b"\r").ok_or(BadHeader::Line)?;
    let line = str::from_utf8(line).map_err(|_| BadHeader::Addresses)?;
    let said = match line.strip_prefix("PROXY UNKNOWN") {
        // Whatever else the line says is to be ignored.
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => Said::Unknown(Box::default()),
        Some(_) => return Err(BadHeader::Addresses),
        None => Said::Proxied {
            ends: line_ends(line).ok_or(BadHeader::Addresses)?,
            tlvs: Box::default(),
        },
    };
    Ok(Some(Header {
        length: end + 1,
        said,
    }))
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 40000 443`
fn line_ends(line: &str) -> Option<Ends> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (address()?, address()?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Ends {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

/// Without signs and leading zeros.
fn port(word: &str) -> Option<u16> {
    let canonical = word == "0" || word.starts_with(|first: char| ('1'..='9').contains(&first));
    word.parse().ok().filter(|_| canonical)
}

fn read_v2(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    // Versions and commands of the future are told apart at once.
    let command = bytes.get(12).copied();
    if let Some(other) = command.filter(|command| !matches!(command, 0x20 | 0x21)) {
        return Err(BadHeader::Command(other));
    }
    let Some(fixed) = bytes.get(..FIXED) else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MOST_BYTES {
        return Err(BadHeader::TooLong);
    }
    let family = fixed[13];
    let addresses = match family {
        // All that the proxy says for itself is to be discarded, its family too.
        _ if command == Some(0x20) => 0,
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        // The protocol may be unspecified within a family that is not.
        0x10 | 0x20 | 0x30 | 0x01 | 0x02 => 0,
        _ => return Err(BadHeader::Family(family)),
    };
    if length < FIXED + addresses {
        return Err(BadHeader::Short);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    if command == Some(0x20) {
        let said = Said::Local;
        return Ok(Some(Header { length, said }));
    }
    // Without a family nothing says where additions would begin.
    let tlvs = match addresses {
        0 => Box::<Tlvs>::default(),
        _ => Box::new(read_tlvs(header, FIXED + addresses)?),
    };
    let said = match family {
        0x11 => Said::Proxied {
            ends: v4_ends(&header[FIXED..]).ok_or(BadHeader::Short)?,
            tlvs,
        },
        0x21 => Said::Proxied {
            ends: v6_ends(&header[FIXED..]).ok_or(BadHeader::Short)?,
            tlvs,
        },
        _ => Said::Unknown(tlvs),
    };
    Ok(Some(Header { length, said }))
}

fn v4_ends(bytes: &[u8]) -> Option<Ends> {
    let address = |at: usize| {
        Some(IpAddr::from(
            <[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?,
        ))
    };
    Some(Ends {
        source: SocketAddr::new(address(0)?, port_at(bytes, 8)?),
        destination: SocketAddr::new(address(4)?, port_at(bytes, 10)?),
    })
}

fn v6_ends(bytes: &[u8]) -> Option<Ends> {
    let address = |at: usize| {
        Some(IpAddr::from(
            <[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?,
        ))
    };
    Some(Ends {
        source: SocketAddr::new(address(0)?, port_at(bytes, 32)?),
        destination: SocketAddr::new(address(16)?, port_at(bytes, 34)?),
    })
}

fn port_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
