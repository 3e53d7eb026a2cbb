//! What is known of a TLS connection and of the certificates in it, as texts that plugins and logs can use.

use std::{
    cell::OnceCell,
    fmt::Write as _,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{CommonState, ProtocolVersion, pki_types::CertificateDer};
use sha2::{Digest, Sha256};
use x509_parser::{
    extensions::GeneralName,
    objects::{oid_registry, oid2abbrev},
    prelude::{FromDer, X509Certificate},
    x509::X509Name,
};

use super::provider;
use crate::config::{Alpn, TlsVersion};

/// How a connection is encrypted, and who is at its other end. Texts are made when somebody asks.
#[derive(Debug)]
pub struct TlsFacts {
    sni: Option<Box<str>>,
    alpn: Option<Alpn>,
    version: TlsVersion,
    cipher: &'static str,
    peer: Option<Peer>,
}

/// The certificate that the other side has shown, which was found sound: others end the handshake.
#[derive(Debug)]
struct Peer {
    certificate: CertificateDer<'static>,
    subject: OnceCell<Option<Box<str>>>,
    san: OnceCell<Option<Box<str>>>,
    fingerprint: OnceCell<Box<str>>,
}

impl TlsFacts {
    /// Of a connection whose handshake is done.
    pub(super) fn new(state: &CommonState, sni: Option<Box<str>>) -> Self {
        let alpn = [Alpn::H2, Alpn::Http11]
            .into_iter()
            .find(|alpn| state.alpn_protocol() == Some(alpn.as_str().as_bytes()));
        let peer = state.peer_certificates().and_then(<[_]>::first);
        Self {
            sni,
            alpn,
            version: match state.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
                _ => TlsVersion::V1_2,
            },
            cipher: state
                .negotiated_cipher_suite()
                .map_or("", provider::name_of),
            peer: peer.map(|certificate| Peer {
                certificate: certificate.clone(),
                subject: OnceCell::new(),
                san: OnceCell::new(),
                fingerprint: OnceCell::new(),
            }),
        }
    }

    /// The name that the client asked for, in lower case.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// What both sides agreed to speak, if they talked about it.
    pub fn alpn(&self) -> Option<Alpn> {
        self.alpn
    }

    /// `TLSv1.2` or `TLSv1.3`
    pub fn version(&self) -> &'static str {
        self.version.as_str()
    }

    /// The suite's name as OpenSSL has it.
    pub fn cipher(&self) -> &'static str {
        self.cipher
    }

    /// Whether the other side has shown a certificate; one that is not sound would have ended the handshake.
    pub fn is_peer_verified(&self) -> bool {
        self.peer.is_some()
    }

    /// The subject of the other side's certificate as RFC 4514 writes it: `CN=ada,O=Example`.
    pub fn peer_subject(&self) -> Option<&str> {
        let peer = self.peer.as_ref()?;
        let make = || Some(distinguished_name(parsed(&peer.certificate)?.subject()).into());
        peer.subject.get_or_init(make).as_deref()
    }

    /// The alternative names in the other side's certificate: `DNS:a.example, URI:spiffe://b`.
    pub fn peer_san(&self) -> Option<&str> {
        let peer = self.peer.as_ref()?;
        let make = || {
            let names = alternative_names(&parsed(&peer.certificate)?);
            (!names.is_empty()).then(|| names.join(", ").into())
        };
        peer.san.get_or_init(make).as_deref()
    }

    /// SHA-256 of the other side's certificate, in hexadecimal digits.
    pub fn peer_fingerprint(&self) -> Option<&str> {
        let peer = self.peer.as_ref()?;
        let make = || {
            let digest = Sha256::digest(&peer.certificate);
            let mut text = String::with_capacity(64);
            for byte in digest {
                write!(text, "{byte:02x}").expect("writing to a string does not fail");
            }
            text.into()
        };
        Some(peer.fingerprint.get_or_init(make))
    }
}

/// What the configuration's own certificates are asked about.
#[derive(Debug)]
pub(super) struct About {
    /// Whom it is for, in lower case: the alternative names, or else the common name.
    pub names: Vec<String>,
    validity: Validity,
    /// Seconds since 1970.
    lifetime: (i64, i64),
}

#[derive(Debug)]
enum Validity {
    Now,
    NotYet(String),
    Over(String),
}

impl About {
    /// From when until when it is valid.
    pub fn lifetime(&self) -> Option<(SystemTime, SystemTime)> {
        let at = |seconds: i64| {
            let since = Duration::from_secs(u64::try_from(seconds).ok()?);
            UNIX_EPOCH.checked_add(since)
        };
        Some((at(self.lifetime.0)?, at(self.lifetime.1)?))
    }

    /// What there is to say about its dates, if anything.
    pub fn out_of_date(&self) -> Option<String> {
        match &self.validity {
            Validity::Now => None,
            Validity::NotYet(from) => Some(format!("is not valid before {from}")),
            Validity::Over(until) => Some(format!("has expired on {until}")),
        }
    }
}

/// Looks into a certificate.
///
/// # Errors
/// Why it cannot be understood.
pub(super) fn read_certificate(certificate: &CertificateDer<'_>) -> Result<About, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let mut names: Vec<String> = general_names(&parsed)
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = parsed.subject().iter_common_name();
        names.extend(
            common
                .filter_map(|name| name.as_str().ok())
                .map(str::to_ascii_lowercase),
        );
    }
    let validity = parsed.validity();
    let now = x509_parser::time::ASN1Time::now();
    Ok(About {
        names,
        lifetime: (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ),
        validity: if now < validity.not_before {
            Validity::NotYet(validity.not_before.to_string())
        } else if now > validity.not_after {
            Validity::Over(validity.not_after.to_string())
        } else {
            Validity::Now
        },
    })
}

fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed)
}

fn general_names<'a, 'b>(certificate: &'b X509Certificate<'a>) -> &'b [GeneralName<'a>] {
    match certificate.subject_alternative_name() {
        Ok(Some(names)) => &names.value.general_names,
        Ok(None) | Err(_) => &[],
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = general_names(certificate).iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(format!("DNS:{}", escaped(name, ","))),
            GeneralName::RFC822Name(name) => Some(format!("EMAIL:{}", escaped(name, ","))),
            GeneralName::URI(name) => Some(format!("URI:{}", escaped(name, ","))),
            GeneralName::IPAddress(bytes) => Some(format!("IP:{}", ip(bytes)?)),
            _ => None,
        })
        .collect()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// RFC 4514: the most specific part first, and nothing in a value can be mistaken for a part of its own.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name
        .iter_rdn()
        .map(|part| {
            let attributes = part.iter().map(|attribute| {
                let oid = attribute.attr_type();
                let kind = oid2abbrev(oid, oid_registry())
                    .map_or_else(|_| oid.to_id_string(), str::to_owned);
                let value = match attribute.as_str() {
                    Ok(text) => escaped(text, ",+\"\\<>;="),
                    Err(_) => hexadecimal(attribute.as_slice()),
                };
                format!("{kind}={value}")
            });
            attributes.collect::<Vec<_>>().join("+")
        })
        .collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// Puts a backslash before each of `special`, and writes control characters as RFC 4514 does.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (position, c) in text.char_indices() {
        let edge =
            position == 0 && (c == ' ' || c == '#') || position + 1 == text.len() && c == ' ';
        if c.is_ascii_control() {
            write!(out, "\\{:02X}", u32::from(c)).expect("writing to a string does not fail");
            continue;
        }
        if edge || c == '\\' || special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut out = String::from("#");
    for byte in bytes {
        write!(out, "{byte:02x}").expect("writing to a string does not fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_subject_cannot_pass_a_part_of_a_name_for_another() {
        let der = certificate(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::OrganizationName, "Example");
            params
                .distinguished_name
                .push(DnType::CommonName, "eve,O=Admin ");
        });
        let subject = distinguished_name(parsed(&der).unwrap().subject());
        assert_eq!(subject, "CN=eve\\,O\\=Admin\\ ,O=Example");
    }

    #[test]
    fn alternative_names_say_of_which_kind_they_are() {
        let der = certificate(|params| {
            params.subject_alt_names = vec![
                SanType::DnsName("a.example".try_into().unwrap()),
                SanType::URI("spiffe://b,DNS:c".try_into().unwrap()),
                SanType::IpAddress("192.0.2.1".parse().unwrap()),
            ];
        });
        assert_eq!(
            alternative_names(&parsed(&der).unwrap()).join(", "),
            "DNS:a.example, URI:spiffe://b\\,DNS:c, IP:192.0.2.1"
        );
    }

    #[test]
    fn a_certificate_without_alternative_names_is_for_its_common_name() {
        let der = certificate(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params
                .distinguished_name
                .push(DnType::CommonName, "Old.Example");
        });
        assert_eq!(read_certificate(&der).unwrap().names, ["old.example"]);
        let der = certificate(|params| {
            params.subject_alt_names = vec![SanType::DnsName("*.New.example".try_into().unwrap())];
        });
        assert_eq!(read_certificate(&der).unwrap().names, ["*.new.example"]);
    }

    #[test]
    fn an_old_certificate_is_noticed() {
        let der = certificate(|params| {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        });
        let about = read_certificate(&der).unwrap();
        assert!(about.out_of_date().unwrap().contains("2001"));
    }
}
