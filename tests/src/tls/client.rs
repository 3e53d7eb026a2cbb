//! A client that speaks TLS, and a way for clients that don't.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Authority, Issued};
use crate::deadline::within;

/// Remembers sessions, as browsers do.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

/// What a handshake came to.
#[derive(Debug)]
pub struct Handshake {
    pub certificate: CertificateDer<'static>,
    pub alpn: Option<String>,
    pub resumed: bool,
}

impl TlsClient {
    /// Believes `authority`.
    pub fn new(authority: &Authority) -> Self {
        Self::made(authority, None, &[])
    }

    /// Shows this certificate when asked.
    pub fn with_certificate(authority: &Authority, own: &Issued) -> Self {
        Self::made(authority, Some(own), &[])
    }

    /// Offers these protocols.
    pub fn offering(authority: &Authority, protocols: &[&str]) -> Self {
        Self::made(authority, None, protocols)
    }

    fn made(authority: &Authority, own: Option<&Issued>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.der())
            .expect("an authority's certificate is sound");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for all versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes());
                builder
                    .with_client_auth_cert(
                        vec![own.der.clone()],
                        key.expect("issued keys are sound"),
                    )
                    .expect("issued keys can be used")
            }
        };
        config.alpn_protocols = protocols.iter().map(|name| (*name).into()).collect();
        Self {
            config: Arc::new(config),
        }
    }

    /// Connects to `address` and asks for `name`.
    pub async fn connect(
        &self,
        address: SocketAddr,
        name: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let connecting = async {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let name = ServerName::try_from(name.to_owned()).expect("a test's name is one");
            TlsConnector::from(Arc::clone(&self.config))
                .connect(name, socket)
                .await
        };
        within("a TLS handshake", connecting).await
    }

    /// Connects, asks for `/` once, and says what the handshake came to.
    pub async fn shake_hands(&self, address: SocketAddr, name: &str) -> std::io::Result<Handshake> {
        let mut stream = self.connect(address, name).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        within("an answer over TLS", stream.read_to_end(&mut answer)).await?;
        if !answer.starts_with(b"HTTP/1.1 ") {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let (_, state) = stream.get_ref();
        let certificates = state.peer_certificates().unwrap_or_default();
        Ok(Handshake {
            certificate: certificates[0].clone(),
            alpn: state
                .alpn_protocol()
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

/// Takes connections in clear text and passes them on over TLS, so that clients which know none can be used.
pub struct TlsTunnel {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsTunnel {
    /// To `address`, asking for `name`.
    pub async fn start(client: TlsClient, address: SocketAddr, name: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has free ports");
        let own = listener.local_addr().expect("a bound socket has one");
        let name = name.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (client, name) = (client.clone(), name.clone());
                tokio::spawn(async move {
                    near.set_nodelay(true).ok();
                    if let Ok(mut far) = client.connect(address, &name).await {
                        copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        });
        Self { address: own, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsTunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
