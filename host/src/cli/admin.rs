//! The way to a running proxy's administrators' door: finding it, and a request over it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use super::DEFAULT_CONFIG;
use crate::config::{self, Address};

/// The proxy is on this machine; one that says nothing for so long won't.
const PATIENCE: Duration = Duration::from_secs(30);
/// As long as compiling a component may take.
const WHILE_BUILDING: Duration = Duration::from_secs(600);

/// Which proxy is meant.
#[derive(Debug, Args)]
pub struct Door {
    /// Where the proxy serves administrators: `unix:/run/weir/admin.sock` or `127.0.0.1:9000`.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    admin: Option<String>,
    /// The proxy's configuration, whose `admin` says where.
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// What came back, as far as it was read.
pub struct Reply {
    pub status: u16,
    body: BufReader<Box<dyn Stream>>,
}

impl Door {
    /// Asks for `target`; the reply's body can be read as it comes.
    pub fn get(&self, target: &str) -> anyhow::Result<Reply> {
        self.send("GET", target, "", PATIENCE)
    }

    /// Asks for something to be done, for which plugins may have to be compiled.
    pub fn post(&self, target: &str, body: &str) -> anyhow::Result<Reply> {
        self.send("POST", target, body, WHILE_BUILDING)
    }

    /// `patience` is for each part of the reply.
    fn send(
        &self,
        method: &str,
        target: &str,
        body: &str,
        patience: Duration,
    ) -> anyhow::Result<Reply> {
        let mut stream = self.connect(patience)?;
        // A reply to HTTP/1.0 ends with the connection, and comes as it is made.
        let request = format!(
            "{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let mut body = BufReader::new(stream);
        let status = head(&mut body).context("the proxy's administrators' door did not answer")?;
        Ok(Reply { status, body })
    }

    fn connect(&self, patience: Duration) -> anyhow::Result<Box<dyn Stream>> {
        let address = self.address()?;
        let unreachable = || format!("no proxy serves administrators at {}", shown(&address));
        match &address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).with_context(unreachable)?;
                stream.set_read_timeout(Some(patience))?;
                Ok(Box::new(stream))
            }
            Address::Tcp(socket) => {
                let stream = TcpStream::connect(socket).with_context(unreachable)?;
                stream.set_read_timeout(Some(patience))?;
                Ok(Box::new(stream))
            }
            _ => bail!("{} is no place to reach a proxy at", shown(&address)),
        }
    }

    fn address(&self) -> anyhow::Result<Address> {
        if let Some(text) = &self.admin {
            return match text.strip_prefix("unix:") {
                Some(path) => Ok(Address::Unix(Path::new(path).to_owned())),
                None => text.parse().map(Address::Tcp).map_err(|_| {
                    anyhow!("`{text}` is no address; write `unix:/run/weir/admin.sock` or `127.0.0.1:9000`")
                }),
            };
        }
        let config = config::load(&self.config).map_err(|errors| anyhow!("{errors}"))?;
        config.process.admin.ok_or_else(|| {
            anyhow!(
                "{} has no `admin`, so nobody can be asked; add `admin = \"unix:/run/weir/admin.sock\"` at its top",
                self.config.display()
            )
        })
    }
}

impl Reply {
    /// The whole body, if the status says that it is what was asked for; else the body is the error.
    pub fn text(mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        self.body.read_to_string(&mut text)?;
        match self.status {
            200 => Ok(text),
            // A door says in a line what is wrong.
            status if text.trim().is_empty() || text.starts_with('<') => {
                bail!("what answers there is no proxy's door: it says {status}")
            }
            _ => bail!("{}", text.trim_end()),
        }
    }

    /// Hands over each line as it comes, with its line end.
    pub fn lines(
        mut self,
        mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.status != 200 {
            self.text()?;
            return Ok(());
        }
        let mut line = Vec::new();
        loop {
            match self.body.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(()),
                // Nothing happens where no request comes.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("the recording broke off"),
                Ok(_) => {}
            }
            each(&line)?;
            line.clear();
        }
    }
}

/// Reads the status and all fields.
fn head(body: &mut impl BufRead) -> anyhow::Result<u16> {
    let mut line = String::new();
    body.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| anyhow!("what answers there is no proxy's door"))?;
    while !matches!(line.as_str(), "\r\n" | "") {
        line.clear();
        body.read_line(&mut line)?;
    }
    Ok(status)
}

fn shown(address: &Address) -> String {
    match address {
        Address::Unix(path) => format!("unix:{}", path.display()),
        Address::Tcp(socket) => socket.to_string(),
        _ => "that address".to_owned(),
    }
}

/// A value as it stands in a query.
pub fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
