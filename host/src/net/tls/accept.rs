//! TLS towards clients: what a listener's settings come to, and the handshake.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Weak},
    time::Duration,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs::Ticketer},
    server::{
        NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
        UnbufferedServerConnection,
    },
};

use super::{
    acme::{AcmeChallenges, PROTOCOL, placeholder},
    error::{HandshakeError, TlsFault, TlsFileError},
    facts::TlsFacts,
    files::{Loaded, load_certificate, load_certificates},
    names::Names,
    provider::{provider, versions},
    session::Session,
    stream::TlsStream,
    trust::{ContentDigest, client_verifier},
};
use crate::{
    config::{AcmeNames, Alpn, ListenerTls, Protocols},
    event_loop::timeout,
    net::Stream,
};

/// Sessions without a ticket that are remembered for clients which know no tickets.
const REMEMBERED: usize = 10_000;

/// Takes clients in on a listener.
#[derive(Debug)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    limit: Duration,
    _sessions: Option<Arc<Sessions>>,
}

/// A client whose handshake is done.
#[derive(Debug)]
pub struct Accepted {
    pub stream: Stream,
    pub facts: TlsFacts,
    /// Whether it took an earlier session up again.
    pub resumed: bool,
}

impl TlsAcceptor {
    /// Reads all files that the settings name. `protocols` are offered to clients that ask.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(
        settings: &ListenerTls,
        protocols: Protocols,
        keeper: &mut SessionKeeper,
        challenges: &AcmeChallenges,
    ) -> Result<Self, Vec<TlsFileError>> {
        let provider = provider(settings.ciphers.as_deref());
        let mut errors = Vec::new();
        let mut loaded = Vec::new();
        for files in &settings.certificates {
            match load_certificates(files, &provider) {
                Ok(more) => loaded.extend(more),
                Err(error) => errors.push(error),
            }
        }
        if let Some(wanted) = &settings.acme {
            match load_obtained(wanted, &provider) {
                Ok(certificate) => loaded.push(certificate),
                Err(fault) => errors.push(TlsFileError {
                    spot: settings.spot.clone(),
                    fault,
                }),
            }
        }
        let clients = client_verifier(&settings.clients, &provider, &settings.spot);
        let (verifier, digest) = match clients {
            Ok(made) => made,
            Err(error) => {
                errors.push(error);
                return Err(errors);
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let unusable = |error: rustls::Error| {
            vec![TlsFileError {
                spot: settings.spot.clone(),
                fault: TlsFault::Unusable {
                    reason: error.to_string(),
                },
            }]
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(settings.versions))
            .map_err(unusable)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let names = Names::new(loaded, settings.unknown_name, challenges.clone());
        let mut config = builder.with_cert_resolver(Arc::new(names));
        let offered = match protocols {
            Protocols::Http1 => &[Alpn::Http11][..],
            Protocols::Http2 => &[Alpn::H2],
            Protocols::Both => &[Alpn::H2, Alpn::Http11],
        };
        config.alpn_protocols = offered.iter().map(|alpn| alpn.as_str().into()).collect();
        if settings.acme.is_some() {
            config.alpn_protocols.push(PROTOCOL.into());
        }
        let mut sessions = None;
        if settings.resumption {
            let kept = keeper.of(digest).map_err(unusable)?;
            config.ticketer = Arc::clone(&kept.tickets);
            config.session_storage = Arc::clone(&kept.remembered);
            sessions = Some(kept);
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self {
            config: Arc::new(config),
            limit: settings.handshake_timeout,
            _sessions: sessions,
        })
    }

    /// Does the handshake with a client that has connected. Dropping the future closes the connection.
    pub async fn accept(&self, socket: Stream) -> Result<Accepted, HandshakeError> {
        let session = UnbufferedServerConnection::new(Arc::clone(&self.config))
            .map_err(HandshakeError::Failed)?;
        let mut stream = Box::new(TlsStream::new(socket, Session::Server(session)));
        let done = timeout(self.limit, poll_fn(|cx| stream.poll_handshake(cx))).await;
        done.map_err(|_elapsed| HandshakeError::TimedOut { limit: self.limit })??;
        if stream.has_agreed_on(PROTOCOL) {
            stream.close();
            return Err(HandshakeError::Challenge);
        }
        Ok(Accepted {
            facts: stream.facts(),
            resumed: stream.is_resumed(),
            stream: Stream::Tls(stream),
        })
    }
}

/// The certificate that was obtained, or something to show until it is.
fn load_obtained(wanted: &AcmeNames, provider: &CryptoProvider) -> Result<Loaded, TlsFault> {
    if wanted.file.exists() {
        return load_certificate(&wanted.file, None, None, provider);
    }
    placeholder(&wanted.names, provider).map_err(|error| TlsFault::Unusable {
        reason: error.to_string(),
    })
}

/// What clients' earlier sessions are known by.
#[derive(Debug)]
struct Sessions {
    /// Keys that change by themselves every six hours.
    tickets: Arc<dyn ProducesTickets>,
    remembered: Arc<dyn StoresServerSessions>,
}

/// Keeps sessions over all generations, so that a reload costs no client a full handshake. Listeners share
/// theirs only if they check clients by the same files: whoever was let in by one set of authorities, or before
/// a certificate was revoked, has to show it again.
#[derive(Debug, Default)]
pub struct SessionKeeper {
    known: HashMap<ContentDigest, Weak<Sessions>>,
}

impl SessionKeeper {
    fn of(&mut self, clients: ContentDigest) -> Result<Arc<Sessions>, rustls::Error> {
        if let Some(known) = self.known.get(&clients).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let made = Arc::new(Sessions {
            tickets: Ticketer::new()?,
            remembered: ServerSessionMemoryCache::new(REMEMBERED),
        });
        self.known.retain(|_, known| known.strong_count() > 0);
        self.known.insert(clients, Arc::downgrade(&made));
        Ok(made)
    }
}
