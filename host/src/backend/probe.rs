//! One check of a server: a connection, a talk, an HTTP or a gRPC request, within a time limit.

use std::{fmt, io, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode, Version,
    body::{Body, Bytes, Incoming},
    client::conn::{http1, http2},
    header,
    rt::Executor,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{Server, ServerAddress};
use crate::{
    config::{Check, CheckKind, HttpCheck, SendProxy, Step},
    event_loop::spawn_local,
    net::{
        FirstWord, HandshakeError, Stream,
        proxy_protocol::{Checked, write_v1, write_v2},
    },
};

/// As much of an answer as is looked at.
const MOST_BYTES: usize = 64 * 1024;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailure {
    #[error("Layer4 connection problem, info: \"{0}\"")]
    Connect(io::Error),
    #[error("Layer4 timeout")]
    ConnectTimeout,
    #[error("Layer6 invalid response, info: \"{}\"", .0.reason())]
    Handshake(HandshakeError),
    #[error("Layer6 timeout")]
    HandshakeTimeout,
    #[error("Layer7 wrong status, code: {0}")]
    Status(u16),
    #[error("Layer7 invalid response, info: \"{0}\"")]
    Response(hyper::Error),
    #[error("Layer7 invalid response, info: \"HTTP content check did not match\"")]
    Content,
    #[error("Layer7 invalid response, info: \"step {step} {what}\"")]
    Step { step: usize, what: &'static str },
    #[error("Layer7 invalid response, info: \"gRPC says {0}\"")]
    NotServing(String),
    #[error("Layer7 timeout")]
    ResponseTimeout,
    /// No check at all, but the traffic of clients.
    #[error("Health analyze, info: \"Detected {0} consecutive errors\"")]
    Traffic(u32),
}

/// How a check succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    Layer4,
    /// And the TLS handshake.
    Layer6,
    Layer7 {
        status: u16,
    },
    /// A talk, or a gRPC health service.
    Talk,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer4 => f.write_str("Layer4 check passed"),
            Self::Layer6 => f.write_str("Layer6 check passed"),
            Self::Layer7 { status } => write!(f, "Layer7 check passed, code: {status}"),
            Self::Talk => f.write_str("Layer7 check passed"),
        }
    }
}

/// A connection that a check is made on.
trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// Checks `server` once.
pub async fn probe(server: &Server, check: &Check) -> Result<Passed, CheckFailure> {
    let deadline = Instant::now() + check.timeout;
    let left = || -> Duration { deadline.saturating_duration_since(Instant::now()) };
    let socket = timeout(check.timeout, connect(server, check))
        .await
        .map_err(|_| CheckFailure::ConnectTimeout)?
        .map_err(CheckFailure::Connect)?;
    let mut socket = socket;
    let introduced = server.send_proxy.filter(|_| check.send_proxy);
    if let Some(send) = introduced {
        timeout(left(), introduce(&mut socket, send))
            .await
            .map_err(|_| CheckFailure::ConnectTimeout)?
            .map_err(CheckFailure::Connect)?;
    }
    let tls = server.tls.as_deref().filter(|_| check.tls);
    let mut stream = match tls {
        None => socket,
        Some(tls) => {
            timeout(left(), tls.connect(socket))
                .await
                .map_err(|_| CheckFailure::HandshakeTimeout)?
                .map_err(CheckFailure::Handshake)?
                .stream
        }
    };
    if check.kind == CheckKind::Tcp {
        if tls.is_some() {
            stream.say_goodbye();
            return Ok(Passed::Layer6);
        }
        // The application need not hear of it: a reset instead of an orderly close. Who has been told of us is told
        // that we leave.
        if introduced.is_none() {
            stream.reset_on_close();
        }
        return Ok(Passed::Layer4);
    }
    let talking = talk(Box::new(stream), &check.kind, host_of(&server.address));
    timeout(left(), talking)
        .await
        .map_err(|_| CheckFailure::ResponseTimeout)?
}

/// Says in a PROXY header that it is the proxy itself who comes.
async fn introduce(socket: &mut Stream, send: SendProxy) -> io::Result<()> {
    let mut header = Vec::new();
    match send {
        SendProxy::V1 => write_v1(&mut header, None),
        SendProxy::V2(_) => write_v2(&mut header, None, Checked::No),
    }
    socket.write_all(&header).await
}

async fn connect(server: &Server, check: &Check) -> io::Result<Stream> {
    let there = server.socket_address(0);
    let endpoint = &check.endpoint;
    let elsewhere = endpoint.address.is_some() || endpoint.port.is_some();
    if let (ServerAddress::Unix(path), false) = (&server.address, elsewhere) {
        return server.origin.connect_unix(path).await;
    }
    if let (ServerAddress::Statistics, false) = (&server.address, elsewhere) {
        return server.origin.connect_inner();
    }
    let ip = endpoint.address.or(there.map(|address| address.ip()));
    let port = endpoint.port.or(there.map(|address| address.port()));
    match (ip, port.filter(|port| *port > 0)) {
        (Some(ip), Some(port)) => {
            let address = SocketAddr::new(ip, port);
            // A check may have nothing to say.
            server.origin.connect_tcp(address, FirstWord::Theirs).await
        }
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a server without a port cannot be checked",
        )),
    }
}

/// What goes into the Host field if the file says nothing.
fn host_of(address: &ServerAddress) -> String {
    match address {
        // A path is no host, and servers that look at the field refuse it.
        ServerAddress::Unix(_) | ServerAddress::Statistics => "localhost".to_owned(),
        address => address.to_string(),
    }
}

async fn talk(
    stream: Box<dyn Wire>,
    kind: &CheckKind,
    host: String,
) -> Result<Passed, CheckFailure> {
    match kind {
        CheckKind::Tcp => Ok(Passed::Layer4),
        CheckKind::Steps(steps) => talk_through(stream, steps).await,
        CheckKind::Grpc { service } => ask_grpc(stream, service, &host).await,
        CheckKind::Http(check) => ask_http(stream, check, host).await,
    }
}

async fn talk_through(mut stream: Box<dyn Wire>, steps: &[Step]) -> Result<Passed, CheckFailure> {
    let mut seen: Vec<u8> = Vec::new();
    for (step, said) in (1..).zip(steps) {
        let failed = |what| CheckFailure::Step { step, what };
        match said {
            Step::Send(bytes) => {
                // What came before does not answer what is said now.
                seen.clear();
                let sent = stream.write_all(bytes).await;
                sent.map_err(|_| failed("cannot be sent"))?;
            }
            Step::Expect(wanted) => loop {
                if let Some(at) = memchr::memmem::find(&seen, wanted) {
                    seen.drain(..at + wanted.len());
                    break;
                }
                let mut piece = [0; 4096];
                match stream.read(&mut piece).await {
                    Ok(0) | Err(_) => return Err(failed("did not match before the end")),
                    Ok(_) if seen.len() > MOST_BYTES => return Err(failed("did not match")),
                    Ok(read) => seen.extend_from_slice(&piece[..read]),
                }
            },
        }
    }
    Ok(Passed::Talk)
}

async fn ask_http(
    stream: Box<dyn Wire>,
    check: &HttpCheck,
    host: String,
) -> Result<Passed, CheckFailure> {
    let host = check.host.clone().unwrap_or(host);
    let target = match check.http2 {
        true => format!("http://{host}{}", check.path),
        false => check.path.clone(),
    };
    let mut request = Request::builder().method(check.method.as_str()).uri(target);
    for (name, value) in &check.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    let names_itself = check.headers.iter().any(|(name, _)| name == "user-agent");
    if !names_itself {
        let agent = concat!("weir/", env!("CARGO_PKG_VERSION"), " check");
        request = request.header(header::USER_AGENT, agent);
    }
    if check.http2 {
        request = request.version(Version::HTTP_2);
    } else {
        request = request
            .header(header::HOST, host)
            .header(header::CONNECTION, "close");
    }
    let request = request
        .body(Full::<Bytes>::default())
        .expect("the config reader has checked method, path, host and fields");
    let wants_body = check.body.is_some();
    let (status, _, body) = exchange(stream, request, check.http2, wants_body).await?;
    let code = status.as_u16();
    let good = |(low, high): &(u16, u16)| (*low..=*high).contains(&code);
    if !check.expect.iter().any(good) {
        return Err(CheckFailure::Status(code));
    }
    if let Some(wanted) = &check.body
        && memchr::memmem::find(&body, wanted.as_bytes()).is_none()
    {
        return Err(CheckFailure::Content);
    }
    Ok(Passed::Layer7 { status: code })
}

/// The protocol of grpc.health.v1: a message with the service's name, answered by one with its status.
async fn ask_grpc(
    stream: Box<dyn Wire>,
    service: &str,
    host: &str,
) -> Result<Passed, CheckFailure> {
    let request = Request::post(format!("http://{host}/grpc.health.v1.Health/Check"))
        .version(Version::HTTP_2)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(Full::new(Bytes::from(health_request(service))))
        .map_err(|_| CheckFailure::NotServing("the server's address is no authority".to_owned()))?;
    let (status, trailers, body) = exchange(stream, request, true, true).await?;
    if status != StatusCode::OK {
        return Err(CheckFailure::Status(status.as_u16()));
    }
    if let Some(code) = trailers.get("grpc-status")
        && code != "0"
    {
        let code = String::from_utf8_lossy(code.as_bytes()).into_owned();
        return Err(CheckFailure::NotServing(format!("status {code}")));
    }
    match serving(&body) {
        Some(1) => Ok(Passed::Talk),
        Some(other) => Err(CheckFailure::NotServing(
            match other {
                0 => "UNKNOWN",
                2 => "NOT_SERVING",
                3 => "SERVICE_UNKNOWN",
                _ => "nothing known",
            }
            .to_owned(),
        )),
        None => Err(CheckFailure::NotServing("nothing understood".to_owned())),
    }
}

/// A gRPC message: not compressed, its length, and field 1, the name.
fn health_request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    // A service's name is a line in a file.
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

/// Field 1 of the answer; a message without it says 0.
fn serving(body: &[u8]) -> Option<u8> {
    let (head, message) = body.split_at_checked(5)?;
    if head[0] != 0 {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, status, ..] => Some(*status),
        _ => None,
    }
}

/// Where a connection of HTTP/2 has its own tasks run.
#[derive(Debug, Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

/// Sends a request and reads the answer; its body only if it is wanted, and no more than is looked at.
async fn exchange(
    stream: Box<dyn Wire>,
    request: Request<Full<Bytes>>,
    http2: bool,
    wants_body: bool,
) -> Result<(StatusCode, HeaderMap, Bytes), CheckFailure> {
    let stream = TokioIo::new(stream);
    if http2 {
        let (mut sender, connection) = http2::handshake(OnThisThread, stream)
            .await
            .map_err(CheckFailure::Response)?;
        let answer = async {
            let answer = sender.send_request(request).await;
            read_answer(answer.map_err(CheckFailure::Response)?, wants_body).await
        };
        return drive(answer, connection).await;
    }
    let (mut sender, connection) = http1::handshake(stream)
        .await
        .map_err(CheckFailure::Response)?;
    let answer = async {
        let answer = sender.send_request(request).await;
        read_answer(answer.map_err(CheckFailure::Response)?, wants_body).await
    };
    drive(answer, connection).await
}

/// The connection must be driven for the answer to come; its end alone is no answer.
async fn drive<T>(
    answer: impl Future<Output = Result<T, CheckFailure>>,
    connection: impl Future<Output = Result<(), hyper::Error>>,
) -> Result<T, CheckFailure> {
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended.map_err(CheckFailure::Response)?;
            answer.await
        }
    }
}

async fn read_answer(
    answer: hyper::Response<Incoming>,
    wants_body: bool,
) -> Result<(StatusCode, HeaderMap, Bytes), CheckFailure> {
    let status = answer.status();
    let mut fields = answer.headers().clone();
    if !wants_body || answer.body().is_end_stream() {
        return Ok((status, fields, Bytes::new()));
    }
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|_| CheckFailure::Content)?;
    if let Some(trailers) = body.trailers() {
        fields.extend(trailers.clone());
    }
    Ok((status, fields, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_health_protocol_are_as_grpc_wants_them() {
        assert_eq!(health_request(""), [0, 0, 0, 0, 0]);
        assert_eq!(health_request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(1));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0));
        assert_eq!(serving(&[1, 0, 0]), None);
    }
}
