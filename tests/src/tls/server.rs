//! TLS in front of an origin.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::{
    HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::{Authority, Issued};

/// Takes TLS connections and passes what is in them on in clear text.
pub struct TlsServer {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    full: AtomicUsize,
    resumed: AtomicUsize,
    failed: AtomicUsize,
    with_certificate: AtomicUsize,
}

impl TlsServer {
    /// Shows `own`, in front of `origin`. Clients are asked for certificates of that authority, if there is one.
    pub async fn start(own: &Issued, origin: SocketAddr, clients: Option<&Authority>) -> Self {
        Self::made(
            own.certificate.as_bytes(),
            own.key.as_bytes(),
            origin,
            clients,
        )
        .await
    }

    /// The same with a certificate and a key in PEM.
    pub async fn of_pem(certificate: &[u8], key: &[u8], origin: SocketAddr) -> Self {
        Self::made(certificate, key, origin, None).await
    }

    async fn made(
        certificate: &[u8],
        key: &[u8],
        origin: SocketAddr,
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for all versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(authority.der())
                    .expect("an authority's certificate is sound");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("there is a root"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(key).expect("a test's keys are sound");
        let certificate = CertificateDer::from_pem_slice(certificate).expect("it is PEM");
        let config = builder
            .with_single_cert(vec![certificate], key)
            .expect("issued keys can be used");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has one");
        let seen = Arc::new(Seen::default());
        let counts = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, counts) = (acceptor.clone(), Arc::clone(&counts));
                tokio::spawn(async move {
                    socket.set_nodelay(true).ok();
                    let Ok(mut near) = acceptor.accept(socket).await else {
                        counts.failed.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    let state = near.get_ref().1;
                    match state.handshake_kind() {
                        Some(HandshakeKind::Resumed) => &counts.resumed,
                        _ => &counts.full,
                    }
                    .fetch_add(1, Ordering::SeqCst);
                    if state.peer_certificates().is_some() {
                        counts.with_certificate.fetch_add(1, Ordering::SeqCst);
                    }
                    if let Ok(mut far) = TcpStream::connect(origin).await {
                        far.set_nodelay(true).ok();
                        copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Handshakes done from scratch.
    pub fn full(&self) -> usize {
        self.seen.full.load(Ordering::SeqCst)
    }

    /// Handshakes that took an earlier session up.
    pub fn resumed(&self) -> usize {
        self.seen.resumed.load(Ordering::SeqCst)
    }

    pub fn failed(&self) -> usize {
        self.seen.failed.load(Ordering::SeqCst)
    }

    /// Clients that have shown a certificate.
    pub fn with_certificate(&self) -> usize {
        self.seen.with_certificate.load(Ordering::SeqCst)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
