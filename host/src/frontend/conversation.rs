//! The talk with a server: the request goes out while the answer may already come in.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    client::SendError,
    download::{Download, DownloadError},
    error::ExchangeError,
    reach::Reached,
    side::{ClientSide, Watch},
    talk::Beginning,
    transfer::{WaitsFor, read_more},
    upload::{Upload, UploadError},
    worker::Worker,
};
use crate::{
    http::{
        body::{BadBody, BodyReader},
        framing::{Framing, Version},
        response::{Asked, ResponseHead, read_response},
        scan::{HeadLimits, Progress, Read},
        write::{ConnectionField, ResponseWrite},
    },
    model::ServerName,
    net::{Buffer, BufferPool},
};

/// Interim answers to one request. Nobody needs more than a few, and each starts the wait anew.
pub const INTERIM: u32 = 32;

/// One request and its answer, on one connection.
#[derive(Debug)]
pub struct Conversation<'a> {
    pub(super) worker: &'a Worker,
    pub reached: Reached,
    pub server: ServerName,
    pub upload: Upload,
    /// The server takes no more of the request; its answer still counts.
    upload_refused: bool,
    pub head: Box<ResponseHead>,
    /// What the server has sent beyond what was used.
    pub buffer: Option<Buffer>,
    progress: Progress,
    /// Interim answers so far.
    interim: u32,
    pub(super) limits: Limits,
    /// When it last made progress, as far as that is known without a look at the clock.
    since: Instant,
}

/// How long and how much, while talking.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub client: Duration,
    pub server: Duration,
    pub head: HeadLimits,
}

/// How the wait for an answer ended without one.
#[derive(Debug)]
pub enum AskError {
    /// A kept connection turned out to be closed before anything came back on it.
    Closed,
    /// The server said that it did not look at the request, or it could not even be sent.
    Unprocessed,
    Failed(ExchangeError),
}

/// What is known once an answer has been passed on.
#[derive(Debug)]
pub struct Relayed {
    /// Bytes the client took, head included.
    pub bytes: u64,
    /// Whether the client may have been sent any.
    pub begun: bool,
    /// Why it ended early, if it did.
    pub failed: Option<RelayFailure>,
}

impl Relayed {
    /// What came of `download`, which gives back what it borrowed.
    pub(super) fn end(
        download: Download,
        failed: Option<RelayFailure>,
        buffers: &BufferPool,
    ) -> Self {
        let (bytes, begun) = (download.bytes, download.is_begun());
        buffers.give_scratch(download.into_out());
        Self {
            bytes,
            begun,
            failed,
        }
    }

    pub(super) fn nothing(failure: RelayFailure) -> Self {
        Self {
            bytes: 0,
            begun: false,
            failed: Some(failure),
        }
    }
}

/// An answer that was cut off after its head had gone out.
#[derive(Debug)]
pub enum RelayFailure {
    ClientGone,
    ClientTimedOut,
    Truncated,
    ServerTimedOut,
    BadBody(BadBody),
    NotCompressed(io::Error),
}

impl<'a> Conversation<'a> {
    pub fn new(beginning: Beginning<'a>, reached: Reached, upload: Upload) -> Self {
        let Beginning {
            worker,
            server,
            limits,
            since,
        } = beginning;
        Self {
            worker,
            reached,
            server,
            upload,
            upload_refused: false,
            head: worker.response_head(),
            buffer: None,
            progress: Progress::default(),
            interim: 0,
            limits,
            since,
        }
    }

    /// Sends the request and reads the head of the final answer. Interim answers are passed on to a
    /// client that knows them.
    pub async fn ask<C: ClientSide>(
        &mut self,
        client: &mut C,
        asked: Asked,
        version: Version,
    ) -> Result<(), AskError> {
        loop {
            if let Some(buffer) = &mut self.buffer
                && !buffer.is_empty()
            {
                let read = read_response(
                    buffer.filled(),
                    &mut self.progress,
                    &mut self.head,
                    &self.limits.head,
                    asked,
                );
                let read = read.map_err(|source| ExchangeError::BadResponse {
                    server: self.server.clone(),
                    source,
                });
                match read.map_err(AskError::Failed)? {
                    Read::Partial => {}
                    Read::Complete => {
                        buffer.consume(self.head.len());
                        if !self.head.is_interim() || self.head.status() == 101 {
                            return Ok(());
                        }
                        self.interim += 1;
                        if self.interim > INTERIM {
                            return Err(AskError::Failed(ExchangeError::TooManyInterim {
                                server: self.server.clone(),
                                most: INTERIM,
                            }));
                        }
                        self.pass_on_interim(client, version).await?;
                        self.since = Instant::now();
                        continue;
                    }
                }
            }
            self.await_bytes(client).await?;
        }
    }

    async fn pass_on_interim<C: ClientSide>(
        &mut self,
        client: &mut C,
        version: Version,
    ) -> Result<(), AskError> {
        // HTTP/1.0 knows no interim answers.
        if version == Version::Http10 {
            return Ok(());
        }
        let buffers = &self.worker.buffers;
        let sent = client.send_interim(&self.head, buffers, self.limits.client);
        sent.await.map_err(|error| {
            AskError::Failed(match error {
                SendError::Gone => ExchangeError::ClientGone,
                SendError::TimedOut => ExchangeError::ClientTimedOut {
                    limit: self.limits.client,
                },
            })
        })
    }

    /// Sends what can be sent until the server has said something.
    async fn await_bytes<C: ClientSide>(&mut self, client: &mut C) -> Result<(), AskError> {
        let buffers = &self.worker.buffers;
        let mut waits_for = WaitsFor::Server;
        let mut progressed = None;
        let mut since = self.since;
        let mut watch = client.watch();
        poll_fn(|cx| {
            if watch.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(AskError::Failed(ExchangeError::ClientGone)));
            }
            if !self.upload.is_done() && !self.upload_refused {
                let sent = client.poll_upload(
                    cx,
                    &mut self.upload,
                    buffers,
                    &mut self.reached.stream,
                    &mut waits_for,
                );
                match sent {
                    Poll::Ready(Ok(())) => waits_for = WaitsFor::Server,
                    Poll::Ready(Err(UploadError::ServerGone)) => {
                        self.upload_refused = true;
                        waits_for = WaitsFor::Server;
                    }
                    Poll::Ready(Err(UploadError::ClientGone)) => {
                        return Poll::Ready(Err(AskError::Failed(ExchangeError::ClientGone)));
                    }
                    Poll::Ready(Err(UploadError::Bad(bad))) => {
                        let error = ExchangeError::BadRequestBody(bad);
                        return Poll::Ready(Err(AskError::Failed(error)));
                    }
                    Poll::Pending => {}
                }
            }
            let stream = &mut self.reached.stream;
            match read_more(cx, stream, &mut self.buffer, buffers) {
                Poll::Ready(Ok(1..)) => return Poll::Ready(Ok(())),
                Poll::Ready(_) => return Poll::Ready(Err(self.closed_without_answer())),
                Poll::Pending => {}
            }
            if progressed != Some((self.upload.bytes, waits_for)) {
                if progressed.is_some() {
                    since = Instant::now();
                }
                progressed = Some((self.upload.bytes, waits_for));
                let limit = match waits_for {
                    WaitsFor::Client => self.limits.client,
                    WaitsFor::Server => self.limits.server,
                };
                client.deadline().set(since, limit);
            }
            client.deadline().poll_expired(cx).map(|()| {
                Err(AskError::Failed(match waits_for {
                    WaitsFor::Client => ExchangeError::RequestBodyTimedOut {
                        limit: self.limits.client,
                    },
                    WaitsFor::Server => ExchangeError::ServerTimedOut {
                        server: self.server.clone(),
                        limit: self.limits.server,
                    },
                }))
            })
        })
        .await
    }

    fn closed_without_answer(&self) -> AskError {
        let partial = self.buffer.as_ref().is_some_and(|b| !b.is_empty());
        if self.reached.reused && !partial {
            return AskError::Closed;
        }
        AskError::Failed(ExchangeError::ServerClosed {
            server: self.server.clone(),
        })
    }

    /// Whether the request is with the server in full.
    pub fn is_sent(&self) -> bool {
        self.upload.is_done()
    }

    /// Whether more of the answer or of the request is to come than is here already.
    pub fn is_long(&self) -> bool {
        let here = self.buffer.as_ref().map_or(0, |b| b.filled().len());
        let answer = match self.head.framing() {
            Framing::None => false,
            Framing::Length(length) => length > here as u64,
            Framing::Chunked | Framing::UntilClose => true,
        };
        answer || !self.is_sent()
    }

    /// Sends the answer to the client; a request that is still on its way goes on meanwhile. On failure
    /// the client sees that the answer is incomplete, since its connection closes in the middle.
    pub async fn relay<C: ClientSide>(
        &mut self,
        client: &mut C,
        to_client: Framing,
        connection: ConnectionField,
    ) -> Relayed {
        let how = ResponseWrite {
            connection,
            framing: to_client,
            extra: &[],
        };
        let body = match BodyReader::new(self.head.framing(), None) {
            Ok(body) => body,
            Err(bad) => return Relayed::nothing(RelayFailure::BadBody(bad)),
        };
        let buffers = &self.worker.buffers;
        let mut download = client.begin_download(&self.head, &how, body, buffers);
        let failed = self.transfer(client, &mut download).await.err();
        Relayed::end(download, failed, buffers)
    }

    async fn transfer<C: ClientSide>(
        &mut self,
        client: &mut C,
        download: &mut Download,
    ) -> Result<(), RelayFailure> {
        let buffers = &self.worker.buffers;
        let mut waits_for = WaitsFor::Server;
        let mut progressed = None;
        poll_fn(|cx| {
            self.poll_rest_of_request(cx, client);
            let moved = client.poll_download(
                cx,
                download,
                (&mut self.reached.stream, &mut self.buffer),
                buffers,
                &mut waits_for,
            );
            match moved {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(match error {
                        DownloadError::ClientGone => RelayFailure::ClientGone,
                        DownloadError::Truncated => RelayFailure::Truncated,
                        DownloadError::Bad(bad) => RelayFailure::BadBody(bad),
                    }));
                }
                Poll::Pending => {}
            }
            let progress = (download.bytes, self.upload.bytes, waits_for);
            if progressed != Some(progress) {
                progressed = Some(progress);
                let limit = match waits_for {
                    WaitsFor::Client => self.limits.client,
                    WaitsFor::Server => self.limits.server,
                };
                client.deadline().set(Instant::now(), limit);
            }
            client.deadline().poll_expired(cx).map(|()| {
                Err(match waits_for {
                    WaitsFor::Client => RelayFailure::ClientTimedOut,
                    WaitsFor::Server => RelayFailure::ServerTimedOut,
                })
            })
        })
        .await
    }

    /// Goes on sending the request while its answer is passed on.
    pub(super) fn poll_rest_of_request<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
    ) {
        if !self.upload.is_done() && !self.upload_refused {
            let mut ignored = WaitsFor::Server;
            let sent = client.poll_upload(
                cx,
                &mut self.upload,
                &self.worker.buffers,
                &mut self.reached.stream,
                &mut ignored,
            );
            // The answer has been decided; that the rest of the request is bad or missing only
            // means that neither connection is used again.
            self.upload_refused |= matches!(sent, Poll::Ready(Err(_)));
        }
    }

    /// Whether the connection can serve another request: both messages ended where they should, and the
    /// server has sent nothing beyond.
    pub fn is_reusable(&self) -> bool {
        self.head.persistent()
            && self.upload.is_done()
            && self.head.framing() != Framing::UntilClose
            && self.buffer.as_ref().is_none_or(Buffer::is_empty)
    }

    /// The body of the request, to be sent to another server; nothing of it has left.
    pub fn into_unsent_body(self) -> BodyReader {
        debug_assert!(self.upload.is_repeatable());
        self.worker.give_response_head(self.head);
        self.upload.into_body()
    }

    /// Gives what was borrowed back and keeps the rest.
    pub fn end(self: Box<Self>) -> Reached {
        // Each part is taken out of the box by itself: that copies less than all of it at once.
        let Self {
            worker,
            reached,
            upload,
            head,
            buffer,
            ..
        } = *self;
        upload.end(&worker.buffers);
        worker.give_response_head(head);
        if let Some(buffer) = buffer {
            worker.buffers.give(buffer);
        }
        reached
    }
}
