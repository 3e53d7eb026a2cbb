//! The origin's side of its connections.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    After, Answer, Request, Shared,
    answer::{Body, Content, When},
    lock,
};
use crate::message::{Framing, Head, read_chunked, read_length};

/// Serves until dropped, and every connection with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        // Out of descriptors, say: the test will notice that nobody answers.
        let Ok((stream, peer)) = listener.accept().await else {
            continue;
        };
        lock(&shared.peers).push(peer);
        while connections.try_join_next().is_some() {}
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(connection(stream, shared.clone(), number));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, number: usize) {
    let _open = Open::new(&shared);
    // How a connection ends badly is the other side's to notice and the test's to assert.
    let _ = exchanges(stream, &shared, number).await;
}

async fn exchanges(stream: TcpStream, shared: &Shared, number: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(head) = Head::read(&mut stream).await? {
        let mut request = Request::new(head, number);
        let probe = request.path() == "/status";
        let answer = if probe {
            shared.probe()
        } else {
            lock(&shared.script)(&request)
        };
        if answer.when == When::AfterBody {
            request.body = read_body(&mut stream, &request).await?;
        }
        let closing = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let bytes = answer_bytes(shared, &answer, &request);
        if !probe && shared.recording.load(Ordering::SeqCst) {
            lock(&shared.requests).push(request);
        }
        tokio::time::sleep(answer.delay).await;
        for (pause, piece) in bytes {
            tokio::time::sleep(pause).await;
            stream.write_all(&piece).await?;
        }
        shared
            .answered
            .fetch_add(usize::from(!probe), Ordering::SeqCst);
        match answer.after {
            After::KeepAlive if closing => return Ok(()),
            After::KeepAlive => {}
            After::Close => return Ok(()),
            After::Reset => return stream.get_ref().set_zero_linger(),
            After::Hang => std::future::pending().await,
            After::EchoTunnel => return echo(stream).await,
        }
    }
    Ok(())
}

async fn read_body(stream: &mut BufReader<TcpStream>, request: &Request) -> io::Result<Vec<u8>> {
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    match request.head.framing()? {
        Framing::Unsaid => Ok(Vec::new()),
        Framing::Length(length) => read_length(stream, length).await,
        Framing::Chunked => Ok(read_chunked(stream).await?.0),
    }
}

async fn echo(mut stream: BufReader<TcpStream>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

type Pieces = Vec<(std::time::Duration, Vec<u8>)>;

fn answer_bytes(shared: &Shared, answer: &Answer, request: &Request) -> Pieces {
    match &answer.content {
        Content::Bytes(pieces) => pieces.clone(),
        Content::Message {
            status,
            fields,
            body,
        } => {
            let mut bytes = format!(
                "HTTP/1.1 {status} Scripted\r\nx-origin: {}\r\n",
                shared.name
            )
            .into_bytes();
            for (name, value) in fields {
                bytes.extend(format!("{name}: {value}\r\n").into_bytes());
            }
            add_body(&mut bytes, *status, body, shared, request);
            vec![(std::time::Duration::ZERO, bytes)]
        }
    }
}

fn add_body(bytes: &mut Vec<u8>, status: u16, body: &Body, shared: &Shared, request: &Request) {
    let has_body = request.method != "HEAD" && !matches!(status, 100..=199 | 204 | 304);
    match body {
        Body::Echo => add_length(
            bytes,
            &shared.echo(request),
            "content-type: application/json\r\n",
            has_body,
        ),
        Body::Length(_) if matches!(status, 100..=199 | 204) => bytes.extend(b"\r\n"),
        Body::Length(body) => add_length(bytes, body, "", has_body),
        Body::Chunks { chunks, trailers } => {
            bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in chunks.iter().filter(|_| has_body) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            if has_body {
                bytes.extend(b"0\r\n");
                for (name, value) in trailers {
                    bytes.extend(format!("{name}: {value}\r\n").into_bytes());
                }
                bytes.extend(b"\r\n");
            }
        }
    }
}

fn add_length(bytes: &mut Vec<u8>, body: &[u8], fields: &str, has_body: bool) {
    bytes.extend(format!("{fields}content-length: {}\r\n\r\n", body.len()).into_bytes());
    if has_body {
        bytes.extend(body);
    }
}

impl Request {
    fn new(head: Head, connection: usize) -> Self {
        let mut words = head.start_line.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Self {
            method: word(),
            target: word(),
            version: word(),
            body: Vec::new(),
            connection,
            head,
        }
    }
}

impl Shared {
    fn probe(&self) -> Answer {
        self.probes.fetch_add(1, Ordering::SeqCst);
        Answer::status(if self.healthy.load(Ordering::SeqCst) {
            200
        } else {
            503
        })
    }

    fn echo(&self, request: &Request) -> Vec<u8> {
        let echo = json!({
            "origin": self.name,
            "method": request.method,
            "target": request.target,
            "version": request.version,
            "headers": request.head.fields,
            "body": String::from_utf8_lossy(&request.body),
            "connection": request.connection,
        });
        echo.to_string().into_bytes()
    }
}

/// Counts a connection as open while it lives.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
