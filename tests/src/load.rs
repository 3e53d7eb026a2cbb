//! Steady keep-alive traffic in the background of a test.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, io::BufReader, net::TcpStream, task::JoinSet};

use crate::{client::Response, client::request_bytes, deadline::eventually};

/// Connections that send one GET after the other until [`Load::stop`].
pub struct Load {
    running: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    connections: JoinSet<LoadReport>,
}

/// What all connections saw together.
#[derive(Debug, Default, Clone)]
pub struct LoadReport {
    /// Requests answered with 200.
    pub ok: usize,
    /// What went wrong and how often: another status, a malformed answer, a connection that ended.
    pub failures: BTreeMap<String, usize>,
    /// Requests answered by each origin.
    pub by_origin: BTreeMap<String, usize>,
    pub slowest: Duration,
}

impl LoadReport {
    pub fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    fn add(mut self, other: Self) -> Self {
        self.ok += other.ok;
        self.slowest = self.slowest.max(other.slowest);
        for (what, count) in other.failures {
            *self.failures.entry(what).or_default() += count;
        }
        for (origin, count) in other.by_origin {
            *self.by_origin.entry(origin).or_default() += count;
        }
        self
    }
}

impl Load {
    /// Starts `connections` clients that each ask for `targets` in turn and wait `pause` between an
    /// answer and the next request.
    ///
    /// A connection that the proxy closes counts as a failure, even between two requests, unless the answer
    /// before announced it; the client then opens another.
    pub fn start(
        address: SocketAddr,
        connections: usize,
        targets: &[&str],
        pause: Duration,
    ) -> Self {
        let (running, done) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicUsize::new(0)),
        );
        let requests: Vec<Vec<u8>> = targets
            .iter()
            .map(|target| request_bytes("GET", target, &[], b""))
            .collect();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let client = Looping {
                address,
                requests: requests.clone(),
                pause,
                running: running.clone(),
                done: done.clone(),
            };
            tasks.spawn(client.run());
        }
        Self {
            running,
            done,
            connections: tasks,
        }
    }

    /// Answers so far, good or bad.
    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until `count` more requests are answered, so that what was just changed is in use.
    pub async fn another(&self, count: usize) {
        let goal = self.done() + count;
        eventually("more answers", async || (self.done() >= goal).then_some(())).await;
    }

    /// Lets all clients finish the request they are at.
    pub async fn stop(mut self) -> LoadReport {
        self.running.store(false, Ordering::Relaxed);
        let mut total = LoadReport::default();
        while let Some(report) = self.connections.join_next().await {
            total = total.add(report.expect("a client does not panic"));
        }
        total
    }
}

struct Looping {
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    pause: Duration,
    running: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Looping {
    async fn run(self) -> LoadReport {
        let mut report = LoadReport::default();
        let mut connection = None;
        let mut turn = 0;
        while self.running.load(Ordering::Relaxed) {
            let started = Instant::now();
            let request = &self.requests[turn % self.requests.len()];
            match tokio::time::timeout(
                crate::DEADLINE,
                exchange(&mut connection, self.address, request),
            )
            .await
            {
                Ok(Ok(response)) => report.count(&response),
                Ok(Err(error)) => report.fail(error.to_string(), &mut connection),
                Err(_) => report.fail("no answer in time".to_owned(), &mut connection),
            }
            report.slowest = report.slowest.max(started.elapsed());
            self.done.fetch_add(1, Ordering::Relaxed);
            turn += 1;
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
        report
    }
}

impl LoadReport {
    fn count(&mut self, response: &Response) {
        if response.status() == 200 {
            self.ok += 1;
        } else {
            *self
                .failures
                .entry(format!("status {}", response.status()))
                .or_default() += 1;
        }
        if let Some(origin) = response.header("x-origin") {
            *self.by_origin.entry(origin.to_owned()).or_default() += 1;
        }
    }

    fn fail(&mut self, what: String, connection: &mut Option<BufReader<TcpStream>>) {
        *self.failures.entry(what).or_default() += 1;
        *connection = None;
    }
}

async fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    address: SocketAddr,
    request: &[u8],
) -> std::io::Result<Response> {
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connection.insert(BufReader::new(stream))
        }
    };
    stream.write_all(request).await?;
    let response = Response::read(stream, "GET").await?;
    let response = response
        .ok_or_else(|| std::io::Error::other("the connection was closed without an answer"))?;
    if response
        .header("connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    {
        *connection = None;
    }
    Ok(response)
}
