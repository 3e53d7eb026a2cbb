//! Clients: each sends a request, reads the answer, sends the next. One thread, no timers.

use std::{
    fs,
    io::{self, Read, Write},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use serde::{Deserialize, Serialize};

use crate::{
    hold,
    http::{self, AnswerHead},
};

#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    to: SocketAddr,
    /// A JSON list of byte strings as texts
    #[arg(long)]
    requests: PathBuf,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    seconds: f64,
    /// Open a new connection for each request
    #[arg(long)]
    reconnect: bool,
    /// One request per client, then hold the connections until stdin ends
    #[arg(long)]
    hold: bool,
    /// With --hold: over TLS, trusting this certificate
    #[arg(long, requires = "hold")]
    trust: Option<PathBuf>,
}

/// What all clients saw.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Answers with status 200.
    pub ok: u64,
    /// Other answers.
    pub bad: u64,
    /// Requests whose connection failed before the answer was there.
    pub failed: u64,
    pub seconds: f64,
    /// Microseconds from sending to the last byte.
    pub p50: u32,
    pub p99: u32,
    pub max: u32,
}

impl Report {
    pub fn answers(&self) -> u64 {
        self.ok + self.bad
    }

    pub fn errors(&self) -> u64 {
        self.bad + self.failed
    }
}

const READ_SIZE: usize = 64 << 10;

pub fn run(options: &Options) -> Result<()> {
    let requests = read_requests(&options.requests)?;
    if options.hold {
        let clients = hold::Clients::new(options.trust.as_deref())?;
        let report = hold::run(&clients, options.to, options.clients, &requests);
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let mut load = Load::new(options, &requests)?;
    load.run()?;
    println!("{}", serde_json::to_string(&load.report())?);
    Ok(())
}

pub fn write_requests(file: &PathBuf, requests: &[Vec<u8>]) -> Result<()> {
    let texts: Vec<_> = requests
        .iter()
        .map(|request| String::from_utf8_lossy(request))
        .collect();
    fs::write(file, serde_json::to_string(&texts)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

fn read_requests(file: &PathBuf) -> Result<Vec<Vec<u8>>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let texts: Vec<String> = serde_json::from_str(&text)?;
    Ok(texts.into_iter().map(String::into_bytes).collect())
}

struct Load<'a> {
    options: &'a Options,
    requests: &'a [Vec<u8>],
    poll: Poll,
    clients: Vec<Client>,
    /// The request that the next client to be free sends.
    turn: usize,
    latencies: Vec<u32>,
    report: Report,
    started: Instant,
}

struct Client {
    stream: TcpStream,
    /// Which request it is at.
    request: usize,
    written: usize,
    /// The head of the answer while it is incomplete.
    head: Vec<u8>,
    /// Bytes of the answer's body that are missing, once the head is there.
    missing: Option<(usize, u16)>,
    /// The proxy said that it closes the connection after this answer.
    closing: bool,
    since: Instant,
}

/// What became of a client after it did all it could.
enum Progress {
    Waiting,
    Answered(u16),
    Ended,
}

impl<'a> Load<'a> {
    fn new(options: &'a Options, requests: &'a [Vec<u8>]) -> Result<Self> {
        let mut load = Self {
            options,
            requests,
            poll: Poll::new()?,
            clients: Vec::new(),
            turn: 0,
            latencies: Vec::with_capacity(1 << 20),
            report: Report::default(),
            started: Instant::now(),
        };
        for index in 0..options.clients {
            let client = load.connect(index)?;
            load.clients.push(client);
        }
        Ok(load)
    }

    fn connect(&mut self, index: usize) -> Result<Client> {
        let mut stream = TcpStream::connect(self.options.to)?;
        stream.set_nodelay(true)?;
        self.poll.registry().register(
            &mut stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let request = self.next_request();
        let since = Instant::now();
        Ok(Client {
            stream,
            request,
            written: 0,
            head: Vec::new(),
            missing: None,
            closing: false,
            since,
        })
    }

    fn next_request(&mut self) -> usize {
        self.turn += 1;
        self.turn % self.requests.len()
    }

    fn run(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_SIZE];
        let limit = Duration::from_secs_f64(self.options.seconds);
        while self.started.elapsed() < limit {
            self.poll
                .poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                self.drive(event.token().0, &mut buffer)?;
            }
        }
        self.report.seconds = self.started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Lets a client go on until it has to wait.
    fn drive(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        loop {
            let client = &mut self.clients[index];
            match client.advance(&self.requests[client.request], buffer) {
                Ok(Progress::Waiting) => return Ok(()),
                Ok(Progress::Answered(status)) => self.answered(index, status)?,
                Ok(Progress::Ended) | Err(_) => {
                    self.report.failed += 1;
                    return self.replace(index);
                }
            }
        }
    }

    fn answered(&mut self, index: usize, status: u16) -> Result<()> {
        match status {
            200 => self.report.ok += 1,
            _ => self.report.bad += 1,
        }
        let microseconds = self.clients[index].since.elapsed().as_micros();
        self.latencies
            .push(u32::try_from(microseconds).unwrap_or(u32::MAX));
        if self.options.reconnect || self.clients[index].closing {
            return self.replace(index);
        }
        let request = self.next_request();
        self.clients[index].begin(request);
        Ok(())
    }

    /// The old connection is closed by being dropped.
    fn replace(&mut self, index: usize) -> Result<()> {
        self.clients[index] = self.connect(index)?;
        Ok(())
    }

    fn report(&mut self) -> Report {
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let index = (self.latencies.len() as f64 * part) as usize;
            self.latencies
                .get(index)
                .or(self.latencies.last())
                .copied()
                .unwrap_or(0)
        };
        Report {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            ..self.report.clone()
        }
    }
}

impl Client {
    fn begin(&mut self, request: usize) {
        self.request = request;
        self.written = 0;
        self.head.clear();
        self.missing = None;
        self.since = Instant::now();
    }

    fn advance(&mut self, request: &[u8], buffer: &mut [u8]) -> io::Result<Progress> {
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if would_wait(&error) => return Ok(Progress::Waiting),
                Err(error) => return Err(error),
            }
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(Progress::Ended),
                Ok(count) => {
                    if let Some(status) = self.take(&buffer[..count]) {
                        return Ok(Progress::Answered(status));
                    }
                }
                Err(error) if would_wait(&error) => return Ok(Progress::Waiting),
                Err(error) => return Err(error),
            }
        }
    }

    /// The status once the whole answer is there.
    fn take(&mut self, bytes: &[u8]) -> Option<u16> {
        let (missing, status) = match self.missing {
            Some((missing, status)) => (missing.saturating_sub(bytes.len()), status),
            None => {
                self.head.extend_from_slice(bytes);
                let AnswerHead {
                    head,
                    body,
                    status,
                    closing,
                } = http::answer_head(&self.head)?;
                self.closing = closing;
                ((head + body).saturating_sub(self.head.len()), status)
            }
        };
        self.missing = Some((missing, status));
        (missing == 0).then_some(status)
    }
}

fn would_wait(error: &io::Error) -> bool {
    // A connection that isn't there yet is told as "not connected".
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}
