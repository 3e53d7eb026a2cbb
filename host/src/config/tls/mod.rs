//! What a configuration says about TLS, on a listener and towards servers. Which files there are and what is in
//! them is found later, when a generation is built.

mod cipher;
mod read;
mod spot;

use std::{path::PathBuf, time::Duration};

use super::AcmeNames;

pub use cipher::{Cipher, TlsVersion};
pub(super) use read::{read_listener_tls, read_server_tls};
pub use spot::Spot;

/// TLS on one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The first is the default. There is at least one, if not of these then by `acme`.
    pub certificates: Vec<CertificateFiles>,
    /// A certificate that is obtained from an authority.
    pub acme: Option<AcmeNames>,
    pub unknown_name: UnknownName,
    pub versions: TlsVersions,
    /// `None`: all that there are.
    pub ciphers: Option<Vec<Cipher>>,
    pub clients: ClientCertificates,
    /// Whether a client may take an earlier session up again.
    pub resumption: bool,
    pub handshake_timeout: Duration,
    pub spot: Spot,
}

/// What a client gets that asks for a name no certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownName {
    DefaultCertificate,
    Refused,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    NotAsked,
    /// A client may have none; one that it shows must be sound.
    Optional(Trust),
    Required(Trust),
}

impl ClientCertificates {
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Self::NotAsked => None,
            Self::Optional(trust) | Self::Required(trust) => Some(trust),
        }
    }
}

/// Who is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    pub ca: Vec<NamedFile>,
    pub crl: Vec<NamedFile>,
}

/// A file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub path: PathBuf,
    pub spot: Spot,
}

/// Where a certificate is, or a folder of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: NamedFile,
    /// `None`: in the same file, or beside it.
    pub key: Option<NamedFile>,
    /// `None`: beside it, if there is one.
    pub ocsp: Option<NamedFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsVersions {
    pub min: TlsVersion,
    pub max: TlsVersion,
}

impl TlsVersions {
    pub fn contains(self, version: TlsVersion) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

/// A protocol to speak inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alpn {
    H2,
    Http11,
}

impl Alpn {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H2 => "h2",
            Self::Http11 => "http/1.1",
        }
    }
}

/// TLS towards a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    pub verify: ServerCertificates,
    /// The name that the server is asked for and its certificate must have; `None`: the address's.
    pub sni: Option<String>,
    /// What Weir shows if the server asks who it is.
    pub certificate: Option<CertificateFiles>,
    /// Empty: the server is not asked.
    pub alpn: Vec<Alpn>,
    pub versions: TlsVersions,
    /// `None`: all that there are.
    pub ciphers: Option<Vec<Cipher>>,
    pub spot: Spot,
}

/// Which certificates of a server are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCertificates {
    /// Any whatever, even a stranger's.
    Unchecked,
    /// Those that the system believes.
    System {
        crl: Vec<NamedFile>,
    },
    Issued(Trust),
}

impl ListenerTls {
    /// Everything whose change means something.
    pub fn files(&self) -> impl Iterator<Item = &NamedFile> {
        let certificates = self.certificates.iter().flat_map(CertificateFiles::files);
        certificates.chain(self.clients.trust().into_iter().flat_map(Trust::files))
    }
}

impl ServerTls {
    /// Everything whose change means something.
    pub fn files(&self) -> impl Iterator<Item = &NamedFile> {
        let (ca, crl) = match &self.verify {
            ServerCertificates::Unchecked => (&[][..], &[][..]),
            ServerCertificates::System { crl } => (&[][..], &crl[..]),
            ServerCertificates::Issued(trust) => (&trust.ca[..], &trust.crl[..]),
        };
        let certificate = self.certificate.iter().flat_map(CertificateFiles::files);
        certificate.chain(ca).chain(crl)
    }
}

impl Trust {
    fn files(&self) -> impl Iterator<Item = &NamedFile> {
        self.ca.iter().chain(&self.crl)
    }
}

impl CertificateFiles {
    fn files(&self) -> impl Iterator<Item = &NamedFile> {
        let beside = self.key.iter().chain(&self.ocsp);
        std::iter::once(&self.certificate).chain(beside)
    }
}
