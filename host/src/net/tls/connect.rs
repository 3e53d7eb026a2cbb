//! TLS towards servers: what a server's settings come to, and the handshake.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rustls::{
    ClientConfig,
    client::{Resumption, UnbufferedClientConnection},
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
};
use sha2::{Digest, Sha256};

use super::{
    error::{HandshakeError, TlsFault, TlsFileError},
    files::load_certificates,
    provider::{provider, versions},
    session::Session,
    stream::TlsStream,
    trust::{ContentDigest, SystemRoots, server_verifier},
};
use crate::{
    config::{Alpn, ServerTls},
    net::Stream,
};

/// Connects to one server. Remembers the sessions it had there, for all workers.
#[derive(Debug)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    digest: ContentDigest,
    number: u32,
    /// The last handshake failed, and that was said.
    failing: AtomicBool,
}

impl TlsConnector {
    /// Reads all files that the settings name. `host` is the server's name or address, which its certificate
    /// must be for unless the settings have a name.
    pub fn load(
        settings: &ServerTls,
        host: &str,
        system: &SystemRoots,
    ) -> Result<Self, TlsFileError> {
        let at = |fault| TlsFileError {
            spot: settings.spot.clone(),
            fault,
        };
        let unusable = |error: &rustls::Error| {
            at(TlsFault::Unusable {
                reason: error.to_string(),
            })
        };
        let mut digest = Sha256::new();
        let provider = provider(settings.ciphers.as_deref());
        let verifier = server_verifier(
            &settings.verify,
            &provider,
            system,
            &settings.spot,
            &mut digest,
        )?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(settings.versions))
            .map_err(|error| unusable(&error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &settings.certificate {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let loaded = load_certificates(files, &provider)?;
                let first = loaded.into_iter().next();
                let key = first.map(|loaded| loaded.key).ok_or_else(|| {
                    at(TlsFault::NoCertificate {
                        path: files.certificate.path.clone(),
                    })
                })?;
                add_to(&mut digest, &key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols = settings.alpn.iter().map(|p| p.as_str().into()).collect();
        config.resumption = Resumption::in_memory_sessions(8);
        let name = settings.sni.as_deref().unwrap_or(host);
        for part in [
            format!("{:?}", settings.versions),
            format!("{:?}", settings.ciphers),
            format!("{:?}", settings.alpn),
            name.to_owned(),
        ] {
            digest.update(part);
        }
        Ok(Self {
            config: Arc::new(config),
            name: ServerName::try_from(name.to_owned()).map_err(|_invalid| {
                at(TlsFault::BadName {
                    name: name.to_owned(),
                })
            })?,
            digest: digest.finalize().into(),
            number: next_number(),
            failing: AtomicBool::new(false),
        })
    }

    /// Does the handshake on a connection that was opened. The caller limits the time; dropping the future
    /// closes the connection.
    pub async fn connect(&self, socket: Stream) -> Result<Connected, HandshakeError> {
        let config = Arc::clone(&self.config);
        let session = UnbufferedClientConnection::new(config, self.name.clone())
            .map_err(HandshakeError::Failed)?;
        let mut stream = Box::new(TlsStream::new(socket, Session::Client(session)));
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Relaxed);
        }
        Ok(Connected {
            alpn: stream.facts().alpn(),
            stream: Stream::Tls(stream),
        })
    }

    /// Whether a failure is the first since a handshake went well, and so is worth telling an operator.
    pub fn begins_to_fail(&self) -> bool {
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Differs between any two that connect in different ways; never 0.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether both connect in the same way, so that one may take the place of the other with all that it
    /// remembers.
    pub fn is_like(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// A server whose handshake is done.
#[derive(Debug)]
pub struct Connected {
    pub stream: Stream,
    /// What both sides agreed to speak, if they talked about it.
    pub alpn: Option<Alpn>,
}

fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn add_to(digest: &mut Sha256, key: &CertifiedKey) {
    for certificate in &key.cert {
        digest.update(certificate);
    }
}
