//! Clients that hold their connections, in clear text or over TLS. What is measured is the proxy at rest, so one
//! begins when the one before has had its answer: what thousands at once would leave in the allocator is not
//! what a connection takes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::{load::Report, tls};

/// A proxy that takes longer for a handshake or an answer is not measured but mended.
const LIMIT: Duration = Duration::from_secs(10);

/// Who asks.
pub struct Clients(Option<Arc<ClientConfig>>);

/// A connection on which a request was answered.
pub trait Held: Read + Write {}

impl<T: Read + Write> Held for T {}

impl Clients {
    /// With a certificate, a file in PEM, over TLS, and trusting that one alone.
    pub fn new(certificate: Option<&Path>) -> Result<Self> {
        let Some(certificate) = certificate else {
            return Ok(Self(None));
        };
        let certificate = CertificateDer::from_pem_file(certificate)
            .with_context(|| format!("{} is no certificate", certificate.display()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(config))))
    }

    /// Connects, sends `request` and reads its answer, which must have the status 200 and a Content-Length.
    pub fn ask(&self, to: SocketAddr, request: &[u8]) -> Result<Box<dyn Held>> {
        let socket = TcpStream::connect_timeout(&to, LIMIT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LIMIT))?;
        let mut held: Box<dyn Held> = match &self.0 {
            None => Box::new(socket),
            Some(config) => {
                let name = ServerName::try_from(tls::NAME).expect("it is a name");
                let connection = ClientConnection::new(Arc::clone(config), name)?;
                Box::new(StreamOwned::new(connection, socket))
            }
        };
        held.write_all(request)?;
        read_answer(&mut *held)?;
        Ok(held)
    }
}

fn read_answer(stream: &mut dyn Held) -> Result<()> {
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

/// Holds so many connections until stdin ends, once each had an answer to a request.
pub fn run(clients: &Clients, to: SocketAddr, count: usize, requests: &[Vec<u8>]) -> Report {
    let started = Instant::now();
    let mut held = Vec::with_capacity(count);
    let mut failed = 0;
    for request in requests.iter().cycle().take(count) {
        match clients.ask(to, request) {
            Ok(connection) => held.push(connection),
            Err(error) => {
                eprintln!("a client got no answer: {error:#}");
                failed += 1;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("held");
    // Its end is what is waited for; there is nothing to read.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Report {
        ok: held.len() as u64,
        failed,
        seconds,
        ..Report::default()
    }
}
