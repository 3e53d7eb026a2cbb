//! A client that sends exactly the bytes it is given.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream, UnixStream},
};

use crate::{
    deadline::within,
    message::{Framing, Head, read_chunked, read_length},
};

/// One connection. All its methods panic, saying what they waited for, when the deadline passes.
pub struct Client {
    stream: BufReader<Box<dyn Stream>>,
    local: Option<SocketAddr>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Client {
    /// Panics if nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Self::over(within("connecting", TcpStream::connect(address)).await?)
    }

    /// A client that has this address of its own, for what goes by clients' addresses: all of 127.0.0.0/8
    /// is at hand. Panics if nobody listens there.
    pub async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Self {
        let connecting = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((source, 0).into())?;
            Self::over(socket.connect(address).await?)
        };
        within("connecting", connecting)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {address} from {source}: {error}"))
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr().ok();
        Ok(Self {
            stream: BufReader::new(Box::new(stream)),
            local,
        })
    }

    pub async fn connect_unix(path: &Path) -> io::Result<Self> {
        let stream = within("connecting", UnixStream::connect(path)).await?;
        Ok(Self {
            stream: BufReader::new(Box::new(stream)),
            local: None,
        })
    }

    /// This end's address, as servers should learn it from X-Forwarded-For.
    pub fn local_address(&self) -> SocketAddr {
        self.local.expect("a TCP connection has an address")
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes)
            .await
            .expect("the proxy takes the bytes");
    }

    /// Like [`Client::send`] for bytes that the proxy may refuse by closing.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("sending", async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Sends a GET and reads the answer. The connection can be used again.
    pub async fn get(&mut self, target: &str) -> Response {
        self.get_with(target, &[]).await
    }

    /// [`Client::get`] with further fields.
    pub async fn get_with(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.request("GET", target, fields, b"").await
    }

    /// Sends a request with `Host: test`, unless `fields` has a Host, and a Content-Length if there is
    /// a body; reads the answer.
    pub async fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.send(request_bytes(method, target, fields, body)).await;
        self.response_to(method).await
    }

    /// Reads an answer to a GET.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await
    }

    /// Reads a whole answer; the method says whether a body belongs to it. Skips no 1xx.
    pub async fn response_to(&mut self, method: &str) -> Response {
        let response = within("the answer", Response::read(&mut self.stream, method)).await;
        response
            .expect("a well-formed answer")
            .expect("an answer, not just the end of the connection")
    }

    /// Reads an answer, or None if the proxy closed the connection without one.
    pub async fn response_or_close(&mut self) -> Option<Response> {
        match within("the answer", Response::read(&mut self.stream, "GET")).await {
            Ok(response) => response,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("a malformed answer: {error}"),
        }
    }

    /// Everything that still comes until the proxy closes. A reset counts as closing.
    pub async fn read_to_close(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // What was read before a reset stays in `bytes`.
        let _ = within(
            "the end of the connection",
            self.stream.read_to_end(&mut bytes),
        )
        .await;
        bytes
    }

    /// Some bytes that came, at least one, or none at the end; for tunnels.
    pub async fn read_some(&mut self) -> Vec<u8> {
        let bytes = within("bytes", self.stream.fill_buf())
            .await
            .unwrap_or_default()
            .to_vec();
        self.stream.consume(bytes.len());
        bytes
    }

    /// Waits until the connection breaks, and says how. Panics if it ends in an orderly way.
    pub async fn read_error(&mut self) -> io::ErrorKind {
        let mut bytes = Vec::new();
        let read = within(
            "the end of the connection",
            self.stream.read_to_end(&mut bytes),
        );
        read.await.expect_err("a broken connection").kind()
    }

    /// Waits until the proxy closes. Panics if it sends something instead.
    pub async fn expect_close(&mut self) {
        let rest = self.read_to_close().await;
        assert!(
            rest.is_empty(),
            "expected the end, got {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// Says that nothing more will be sent; the answer can still be read.
    pub async fn finish_sending(&mut self) {
        within("closing one side", self.stream.shutdown())
            .await
            .expect("the connection is still there");
    }
}

/// The bytes of a request, as [`Client::request`] sends them.
pub(crate) fn request_bytes(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    let names = |wanted: &str| {
        fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    if !names("host") {
        text.push_str("Host: test\r\n");
    }
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() && !names("transfer-encoding") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// An answer as the client got it.
#[derive(Clone)]
pub struct Response {
    pub head: Head,
    status: u16,
    body: Vec<u8>,
    trailers: Vec<String>,
}

impl Response {
    pub(crate) async fn read(
        from: &mut BufReader<impl AsyncRead + Unpin>,
        method: &str,
    ) -> io::Result<Option<Self>> {
        let Some(head) = Head::read(from).await? else {
            return Ok(None);
        };
        let status = head
            .start_line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("not a status line: {:?}", head.start_line),
                )
            })?;
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if method != "HEAD" && !matches!(status, 100..=199 | 204 | 304) {
            match head.framing()? {
                Framing::Length(length) => body = read_length(from, length).await?,
                Framing::Chunked => (body, trailers) = read_chunked(from).await?,
                Framing::Unsaid => {
                    from.read_to_end(&mut body).await?;
                }
            }
        }
        Ok(Some(Self {
            head,
            status,
            body,
            trailers,
        }))
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// All fields of that name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.head.headers(name).collect()
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; bytes that are not UTF-8 became U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The trailer lines of a chunked body.
    pub fn trailers(&self) -> &[String] {
        &self.trailers
    }

    /// Which [`crate::Origin`] answered. Panics if none did.
    #[track_caller]
    pub fn origin(&self) -> &str {
        self.header("x-origin")
            .unwrap_or_else(|| panic!("no origin answered: {self:?}"))
    }

    /// The request as the origin saw it, from the echo that it answers with by default: `method`,
    /// `target`, `version`, `headers` (pairs) and `body`. Panics if the body isn't one.
    #[track_caller]
    pub fn echo(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no echo: {self:?}"))
    }

    /// All fields of that name that reached the origin, from the echo.
    #[track_caller]
    pub fn forwarded(&self, name: &str) -> Vec<String> {
        let echo = self.echo();
        let pairs = echo["headers"]
            .as_array()
            .unwrap_or_else(|| panic!("no echo: {self:?}"));
        let named = pairs.iter().filter(|pair| {
            pair[0]
                .as_str()
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
        });
        named
            .map(|pair| pair[1].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            String::from_utf8_lossy(&self.head.raw),
            self.text()
        )
    }
}
