//! What can be wrong with files of keys and certificates, and with handshakes.

use std::{io, path::PathBuf, time::Duration};

use crate::config::{ConfigError, Spot};

/// Something about a file that the configuration names.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct TlsFileError {
    /// Where the configuration names it.
    pub spot: Spot,
    #[source]
    pub fault: TlsFault,
}

impl TlsFileError {
    /// As it is shown to an operator.
    pub fn located(&self) -> ConfigError {
        self.spot.error(self.fault.to_string(), self.fault.hint())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has {size} bytes", path.display())]
    TooLarge { path: PathBuf, size: u64 },
    #[error("{} is no PEM: {reason}", path.display())]
    NotPem { path: PathBuf, reason: String },
    #[error("{} has no certificate in it", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the folder {} has no certificate in it", path.display())]
    EmptyFolder { path: PathBuf },
    #[error("the certificate in {} cannot be understood: {reason}", path.display())]
    BadCertificate { path: PathBuf, reason: String },
    #[error("{} has no private key in it{}", path.display(), beside(looked))]
    NoKey { path: PathBuf, looked: Vec<PathBuf> },
    #[error("the private key in {} is encrypted", path.display())]
    EncryptedKey { path: PathBuf },
    #[error("the private key in {} cannot be used: {reason}", path.display())]
    BadKey { path: PathBuf, reason: String },
    #[error("the private key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    KeyMismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} is no OCSP response: {reason}", path.display())]
    BadOcsp { path: PathBuf, reason: &'static str },
    #[error("{} has no revocation list in it", path.display())]
    NoRevocationList { path: PathBuf },
    #[error("{reason}")]
    Unusable { reason: String },
    #[error("a server cannot be asked for the name `{name}`")]
    BadName { name: String },
    #[error("the system has no certificates of authorities: {reason}")]
    NoSystemRoots { reason: String },
}

impl TlsFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that the proxy may read",
            Self::TooLarge { .. } => "name a file of certificates; none is larger than 1 MiB",
            Self::NotPem { .. } => {
                "`openssl x509 -inform der -in … -out …` turns a binary certificate into PEM"
            }
            Self::NoCertificate { .. } | Self::BadCertificate { .. } => {
                "name a PEM file that begins with `-----BEGIN CERTIFICATE-----`"
            }
            Self::EmptyFolder { .. } => "put a PEM file into it, or name another folder",
            Self::NoKey { .. } => {
                "append the key, put it beside as `….key`, or write `{ file = \"…\", key = \"…\" }`"
            }
            Self::EncryptedKey { .. } => "`openssl pkey -in … -out …` takes the password off",
            Self::BadKey { .. } => {
                "RSA from 2048 bits, ECDSA (P-256, P-384, P-521) and Ed25519 will do"
            }
            Self::KeyMismatch { .. } => "the first certificate of the file must be the key's own",
            Self::BadOcsp { .. } => "`openssl ocsp … -respout FILE` writes one",
            Self::NoRevocationList { .. } => {
                "name a PEM file that begins with `-----BEGIN X509 CRL-----`"
            }
            Self::Unusable { .. } => "change what is written here",
            Self::BadName { .. } => "add `sni = \"app.internal\"`",
            Self::NoSystemRoots { .. } => {
                "install `ca-certificates`, or name the authority: `tls = { ca = \"ca.pem\" }`"
            }
        }
    }
}

fn beside(looked: &[PathBuf]) -> String {
    let names: Vec<_> = looked
        .iter()
        .filter_map(|path| Some(format!("`{}`", path.file_name()?.to_string_lossy())))
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(", and there is no {} beside it", names.join(" or ")),
    }
}

/// Why two sides did not come to an understanding.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("the other side closed the connection during the handshake")]
    Closed {
        /// Whether it had said anything.
        begun: bool,
    },
    #[error("the connection was lost during the handshake")]
    Io(#[source] io::Error),
    #[error("the handshake was not done within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("an authority's challenge was answered")]
    Challenge,
    #[error("what came is not TLS")]
    NotTls,
    #[error("there is no certificate for the name `{name}`")]
    UnknownName { name: String },
    #[error("the handshake failed")]
    Failed(#[source] rustls::Error),
}

impl HandshakeError {
    /// What happened, with its cause, in one line.
    pub fn reason(&self) -> String {
        match self {
            Self::Io(source) => format!("{self}: {source}"),
            Self::Failed(source) => format!("{self}: {source}"),
            Self::Challenge
            | Self::Closed { .. }
            | Self::TimedOut { .. }
            | Self::NotTls
            | Self::UnknownName { .. } => self.to_string(),
        }
    }
}
