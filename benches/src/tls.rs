//! TLS on the clients' side: a certificate for the proxies, and connections that do nothing. What is measured is
//! the proxy, so a client blocks while it shakes hands, and the next one begins when it is done.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// Whom the certificate names.
const NAME: &str = "bench.local";
/// A proxy that takes longer for a handshake or an answer is not measured but mended.
const LIMIT: Duration = Duration::from_secs(10);

/// Files in PEM that a proxy reads.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Both, as HAProxy wants them.
    pub both: PathBuf,
}

impl Files {
    /// Makes them in `folder`, unless they are there.
    pub fn make(folder: &Path) -> Result<Self> {
        let files = Self {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            both: folder.join("both.pem"),
        };
        if files.both.exists() {
            return Ok(files);
        }
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", &format!("/CN={NAME}")])
            .args(["-addext", &format!("subjectAltName=DNS:{NAME}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&files.key)
            .arg("-out")
            .arg(&files.certificate)
            .output()
            .context("openssl is needed for this case")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "openssl made no certificate: {said}");
        let both = [fs::read(&files.certificate)?, fs::read(&files.key)?].concat();
        fs::write(&files.both, both).context("cannot write the certificate with its key")?;
        Ok(files)
    }
}

/// Clients that trust one certificate.
pub struct Clients(Arc<ClientConfig>);

/// A connection on which one request was answered.
pub type Held = StreamOwned<ClientConnection, TcpStream>;

impl Clients {
    /// `certificate` is a file in PEM.
    pub fn new(certificate: &Path) -> Result<Self> {
        let certificate = CertificateDer::from_pem_file(certificate)
            .with_context(|| format!("{} is no certificate", certificate.display()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Connects, sends `request` and reads its answer, which must have the status 200 and a Content-Length.
    pub fn ask(&self, to: SocketAddr, request: &[u8]) -> Result<Held> {
        let socket = TcpStream::connect_timeout(&to, LIMIT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LIMIT))?;
        let name = ServerName::try_from(NAME).expect("it is a name");
        let connection = ClientConnection::new(Arc::clone(&self.0), name)?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(request)?;
        read_answer(&mut stream)?;
        Ok(stream)
    }
}

fn read_answer(stream: &mut Held) -> Result<()> {
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            ensure!(head.starts_with("http/1.1 200 "), "the answer is {head}");
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length
                .context("an answer without a length")?
                .trim()
                .parse()?;
            if answer.len() >= end + 4 + length {
                return Ok(());
            }
        }
        match stream.read(&mut part)? {
            0 => bail!("the connection ended before its answer"),
            n => answer.extend_from_slice(&part[..n]),
        }
    }
}

/// Holds so many connections until stdin ends, once each had an answer to a request. Says how many had none.
pub fn hold(clients: &Clients, to: SocketAddr, count: usize, requests: &[Vec<u8>]) -> usize {
    let mut held = Vec::with_capacity(count);
    let mut failed = 0;
    for request in requests.iter().cycle().take(count) {
        match clients.ask(to, request) {
            Ok(stream) => held.push(stream),
            Err(error) => {
                eprintln!("a client got no answer: {error:#}");
                failed += 1;
            }
        }
    }
    println!("held");
    // Its end is what is waited for; there is nothing to read.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    failed
}
