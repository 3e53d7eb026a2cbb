//! What follows the addresses of a version 2 header: type, length, value.

use super::{crc32c::crc32c, read::BadHeader};

pub(super) const ALPN: u8 = 0x01;
pub(super) const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
pub(super) const UNIQUE_ID: u8 = 0x05;
pub(super) const TLS: u8 = 0x20;
pub(super) const TLS_VERSION: u8 = 0x21;
pub(super) const TLS_CN: u8 = 0x22;
pub(super) const TLS_CIPHER: u8 = 0x23;
pub(super) const NETNS: u8 = 0x30;

/// The client came by TLS.
const CLIENT_TLS: u8 = 0x01;
/// It showed a certificate on this connection, or in this session.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;

const LONGEST_UNIQUE_ID: usize = 128;

/// What a sender can tell of a client besides addresses. Of types that are not known here nothing is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs {
    pub alpn: Option<Vec<u8>>,
    /// The host name that the client asked for.
    pub authority: Option<Vec<u8>>,
    pub unique_id: Option<Vec<u8>>,
    pub netns: Option<Vec<u8>>,
    /// `None` if the client did not come by TLS or the sender does not say.
    pub tls: Option<Tls>,
}

/// The TLS connection that the sender terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub version: Option<Vec<u8>>,
    pub cipher: Option<Vec<u8>>,
    /// The common name of the client's certificate.
    pub client_cn: Option<Vec<u8>>,
    /// It showed a certificate, and the certificate was good.
    pub verified: bool,
}

/// Reads what stands behind the addresses. `header` is all of the header, `start` where that begins.
pub(super) fn read_tlvs(header: &[u8], start: usize) -> Result<Tlvs, BadHeader> {
    let mut tlvs = Tlvs::default();
    let mut at = start;
    while at < header.len() {
        let (kind, value) = next(&header[at..])?;
        match kind {
            ALPN => tlvs.alpn = Some(value.to_vec()),
            AUTHORITY => tlvs.authority = Some(value.to_vec()),
            UNIQUE_ID if value.len() > LONGEST_UNIQUE_ID => return Err(BadHeader::Addition),
            UNIQUE_ID => tlvs.unique_id = Some(value.to_vec()),
            NETNS => tlvs.netns = Some(value.to_vec()),
            TLS => tlvs.tls = read_tls(value)?,
            CRC32C => check(header, at + 3, value)?,
            _ => {}
        }
        at += 3 + value.len();
    }
    Ok(tlvs)
}

fn next(bytes: &[u8]) -> Result<(u8, &[u8]), BadHeader> {
    let (head, rest) = bytes.split_at_checked(3).ok_or(BadHeader::Addition)?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    let value = rest.get(..length).ok_or(BadHeader::Addition)?;
    Ok((head[0], value))
}

fn read_tls(value: &[u8]) -> Result<Option<Tls>, BadHeader> {
    let (fixed, mut rest) = value.split_at_checked(5).ok_or(BadHeader::Addition)?;
    let verified = fixed[0] & CLIENT_CERTIFICATE != 0 && fixed[1..] == [0; 4];
    let mut tls = Tls {
        verified,
        ..Tls::default()
    };
    while !rest.is_empty() {
        let (kind, value) = next(rest)?;
        match kind {
            TLS_VERSION => tls.version = Some(value.to_vec()),
            TLS_CN => tls.client_cn = Some(value.to_vec()),
            TLS_CIPHER => tls.cipher = Some(value.to_vec()),
            _ => {}
        }
        rest = &rest[3 + value.len()..];
    }
    Ok((fixed[0] & CLIENT_TLS != 0).then_some(tls))
}

/// The checksum is made with zeros where it stands itself.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), BadHeader> {
    let said: [u8; 4] = value.try_into().map_err(|_| BadHeader::Addition)?;
    let parts = [&header[..at], &[0; 4], &header[at + 4..]];
    match crc32c(parts) == u32::from_be_bytes(said) {
        true => Ok(()),
        false => Err(BadHeader::Checksum),
    }
}

/// Appends one.
pub(super) fn push(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&value[..usize::from(length)]);
}

pub(super) fn push_tls(out: &mut Vec<u8>, tls: &Tls) {
    let certificate = tls.client_cn.is_some() || tls.verified;
    let mut value = vec![CLIENT_TLS];
    if certificate {
        value[0] |= CLIENT_CERTIFICATE;
    }
    let verify: u32 = match tls.verified || !certificate {
        true => 0,
        false => 1,
    };
    value.extend_from_slice(&verify.to_be_bytes());
    for (kind, text) in [
        (TLS_VERSION, &tls.version),
        (TLS_CN, &tls.client_cn),
        (TLS_CIPHER, &tls.cipher),
    ] {
        if let Some(text) = text {
            push(&mut value, kind, text);
        }
    }
    push(out, TLS, &value);
}
