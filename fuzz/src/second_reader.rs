//! What hyper makes of the same bytes.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request, Response, body::Incoming, rt::ReadBufCursor, service::service_fn};

/// One message as hyper understood it.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Method or status.
    pub what: String,
    pub path: String,
    pub query: Option<String>,
    pub host: Option<Vec<u8>>,
    /// `None`: the body did not end as it should.
    pub body: Option<Vec<u8>>,
}

/// The requests that a hyper server takes out of `input`, which ends with the connection.
pub fn requests(input: &[u8]) -> Vec<Message> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let message = Message {
                what: head.method.to_string(),
                path: head.uri.path().to_owned(),
                query: head.uri.query().map(str::to_owned),
                host: head
                    .headers
                    .get("host")
                    .map(|host| host.as_bytes().to_vec()),
                body: whole(body).await,
            };
            seen.borrow_mut().push(message);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .serve_connection(Script::at_once(input), service);
    // How it ends is hyper's own affair; what it passed on is what counts.
    let _ = block_on(connection);
    seen.take()
}

/// The final response that a hyper client takes out of `input`, which ends with the connection.
pub fn response(input: &[u8], method: Method) -> Option<Message> {
    block_on(async {
        let script = Script::after_request(input);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(script).await.ok()?;
        let request = Request::builder()
            .method(method)
            .uri("/")
            .header("host", "a")
            .body(Empty::<Bytes>::new())
            .ok()?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await.ok()?.into_parts();
            let body = whole(body).await;
            drop(sender);
            Some(Message {
                what: head.status.as_str().to_owned(),
                path: String::new(),
                query: None,
                host: None,
                body,
            })
        };
        let (message, _) = tokio::join!(exchange, connection);
        message
    })
}

async fn whole(body: Incoming) -> Option<Vec<u8>> {
    body.collect()
        .await
        .ok()
        .map(|body| body.to_bytes().to_vec())
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers can be built")
        .block_on(future)
}

/// A connection on which everything has been said already. What is written to it is lost.
struct Script {
    input: Vec<u8>,
    at: usize,
    /// The input can be read; a client would take it amiss before it has asked.
    open: bool,
    waiting: Option<Waker>,
}

impl Script {
    fn at_once(input: &[u8]) -> Self {
        Self {
            input: input.to_vec(),
            at: 0,
            open: true,
            waiting: None,
        }
    }

    fn after_request(input: &[u8]) -> Self {
        Self {
            open: false,
            ..Self::at_once(input)
        }
    }
}

impl hyper::rt::Read for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.open {
            self.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let end = self.input.len().min(self.at + buffer.remaining());
        buffer.put_slice(&self.input[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
