//! The talk with a server of HTTP/2: one stream on a connection that others use as well.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::{Reason, client::ResponseFuture};
use http::Request;
use tokio::time::Instant;

use super::{
    super::{
        client::SendError,
        conversation::{AskError, INTERIM, Limits, RelayFailure, Relayed},
        download::{Download, DownloadError},
        error::ExchangeError,
        reach::Reached,
        side::{ClientSide, Watch},
        talk::Beginning,
        transfer::WaitsFor,
        tunnel::{TunnelEnd, Tunnelled},
        upload::UploadError,
        worker::Worker,
    },
    tunnel::StreamPipe,
};
use crate::{
    backend::StreamSlot,
    http::{
        body::BodyReader,
        framing::{Framing, Version},
        h2::{Follows, Inlet, Last, Outlet, Piece, StreamError, read_opening, read_response},
        response::{Asked, ResponseHead},
        write::{ConnectionField, ResponseWrite},
    },
    model::ServerName,
    net::BufferPool,
};

/// One request and its answer, on one stream.
#[derive(Debug)]
pub struct StreamTalk<'a> {
    worker: &'a Worker,
    pub reached: Reached<StreamSlot>,
    pub server: ServerName,
    request: Option<Request<()>>,
    /// Of a client that opens a WebSocket.
    key: Option<Box<[u8]>>,
    upload: StreamUpload,
    answer: Option<ResponseFuture>,
    inlet: Option<Inlet>,
    pub head: Box<ResponseHead>,
    /// Nothing follows the head.
    bodiless: bool,
    /// Bytes of the request's body that the server took.
    pub uploaded: u64,
    interim: u32,
    limits: Limits,
    since: Instant,
}

/// The request's body on its way.
#[derive(Debug)]
struct StreamUpload {
    body: BodyReader,
    outlet: Option<Outlet>,
    /// What the client has sent and the server has not taken.
    piece: Option<Piece>,
    ended: bool,
    /// The server takes no more; its answer still counts.
    refused: bool,
    /// Whether any of the body was taken from the client, after which the request cannot be sent again.
    begun: bool,
}

impl StreamUpload {
    /// Moves as much as can be moved. On pending it says whom it waits for; the task is woken then.
    fn poll<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        buffers: &BufferPool,
        uploaded: &mut u64,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), UploadError>> {
        let gone = |_: StreamError| UploadError::ServerGone;
        loop {
            if self.ended || self.refused {
                return Poll::Ready(Ok(()));
            }
            let outlet = self.outlet.as_mut().ok_or(UploadError::ServerGone)?;
            *waits_for = WaitsFor::Server;
            match &mut self.piece {
                Some(Piece::Data(data)) => {
                    let room = ready!(outlet.poll_room(cx, data.len())).map_err(gone)?;
                    let now = data.split_to(room);
                    *uploaded += now.len() as u64;
                    outlet.send(now, Last::No).map_err(gone)?;
                    if data.is_empty() {
                        self.piece = None;
                    }
                }
                Some(Piece::End(trailers)) => {
                    outlet.end(trailers.as_deref()).map_err(gone)?;
                    self.ended = true;
                }
                None => {
                    *waits_for = WaitsFor::Client;
                    let piece = ready!(client.poll_piece(cx, &mut self.body, buffers))?;
                    self.begun = true;
                    self.piece = Some(piece);
                }
            }
        }
    }
}

impl<'a> StreamTalk<'a> {
    /// `request` is the head as it will be sent, `key` that of a WebSocket's opening, `body` follows what comes from
    /// the client.
    pub fn new(
        beginning: Beginning<'a>,
        reached: Reached<StreamSlot>,
        request: Request<()>,
        key: Option<&[u8]>,
        body: BodyReader,
    ) -> Self {
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
            request: Some(request),
            key: key.map(Box::from),
            upload: StreamUpload {
                ended: body.is_done(),
                body,
                outlet: None,
                piece: None,
                refused: false,
                begun: false,
            },
            answer: None,
            inlet: None,
            head: worker.response_head(),
            bodiless: false,
            uploaded: 0,
            interim: 0,
            limits,
            since,
        }
    }

    /// Sends the request and reads the head of the final answer. Interim answers are passed on to a client
    /// that knows them.
    pub async fn ask<C: ClientSide>(
        &mut self,
        client: &mut C,
        asked: Asked,
        version: Version,
    ) -> Result<(), AskError> {
        let Some(request) = self.request.take() else {
            return Err(AskError::Unprocessed);
        };
        let opens = request.extensions().get::<h2::ext::Protocol>().cloned();
        self.open(request, opens.is_some())?;
        loop {
            match self.await_answer(client).await? {
                Arrived::Interim(response) => {
                    self.interim += 1;
                    if self.interim > INTERIM {
                        return Err(AskError::Failed(ExchangeError::TooManyInterim {
                            server: self.server.clone(),
                            most: INTERIM,
                        }));
                    }
                    let (parts, ()) = response.into_parts();
                    self.read_head(&parts, Follows::Nothing, asked)?;
                    if version != Version::Http10 {
                        self.pass_on_interim(client).await?;
                    }
                    self.since = Instant::now();
                }
                Arrived::Final(response) => {
                    let (parts, body) = response.into_parts();
                    let follows = Follows::after(&body);
                    self.bodiless = follows == Follows::Nothing;
                    self.inlet = Some(Inlet::new(body));
                    if let Some(protocol) = &opens
                        && parts.status.is_success()
                    {
                        let limits = &self.limits.head;
                        let mut text = self.worker.buffers.scratch();
                        let protocol = protocol.as_str();
                        let head = &mut self.head;
                        let key = self.key.as_deref();
                        let read = read_opening(&parts, protocol, key, limits, &mut text, head);
                        self.worker.buffers.give_scratch(text);
                        return read.map_err(|source| self.bad(source));
                    }
                    return self.read_head(&parts, follows, asked);
                }
            }
        }
    }

    fn open(&mut self, request: Request<()>, upgrade: bool) -> Result<(), AskError> {
        let sender = &mut self.reached.stream;
        if upgrade && !sender.takes_upgrades() {
            return Err(AskError::Failed(ExchangeError::NoUpgrade {
                server: self.server.clone(),
            }));
        }
        let ends = self.upload.ended && !upgrade;
        match sender.send(request, ends) {
            Ok((answer, outlet)) => {
                self.answer = Some(answer);
                self.upload.outlet = Some(outlet);
                Ok(())
            }
            // The connection was about to close.
            Err(_) => {
                sender.retire();
                Err(AskError::Unprocessed)
            }
        }
    }

    fn read_head(
        &mut self,
        parts: &http::response::Parts,
        follows: Follows,
        asked: Asked,
    ) -> Result<(), AskError> {
        let mut text = self.worker.buffers.scratch();
        let limits = &self.limits.head;
        let read = read_response(parts, follows, asked, limits, &mut text, &mut self.head);
        self.worker.buffers.give_scratch(text);
        read.map_err(|source| self.bad(source))
    }

    fn bad(&self, source: crate::http::bad::BadResponse) -> AskError {
        AskError::Failed(ExchangeError::BadResponse {
            server: self.server.clone(),
            source,
        })
    }

    async fn pass_on_interim<C: ClientSide>(&mut self, client: &mut C) -> Result<(), AskError> {
        let sent = client.send_interim(&self.head, &self.worker.buffers, self.limits.client);
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
    async fn await_answer<C: ClientSide>(&mut self, client: &mut C) -> Result<Arrived, AskError> {
        let mut waits_for = WaitsFor::Server;
        let mut progressed = None;
        let mut since = self.since;
        let mut watch = client.watch();
        poll_fn(|cx| {
            if watch.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(AskError::Failed(ExchangeError::ClientGone)));
            }
            let buffers = &self.worker.buffers;
            let uploaded = &mut self.uploaded;
            match self
                .upload
                .poll(cx, client, buffers, uploaded, &mut waits_for)
            {
                Poll::Ready(Ok(())) => waits_for = WaitsFor::Server,
                Poll::Ready(Err(UploadError::ServerGone)) => {
                    self.upload.refused = true;
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
            if let Poll::Ready(arrived) = self.poll_arrived(cx) {
                return Poll::Ready(arrived.map_err(|error| self.without_answer(&error)));
            }
            if progressed != Some((self.uploaded, waits_for)) {
                if progressed.is_some() {
                    since = Instant::now();
                }
                progressed = Some((self.uploaded, waits_for));
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

    fn poll_arrived(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrived, h2::Error>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Pending;
        };
        if let Poll::Ready(Some(interim)) = answer.poll_informational(cx) {
            return Poll::Ready(interim.map(Arrived::Interim));
        }
        let response = ready!(Pin::new(answer).poll(cx));
        Poll::Ready(response.map(Arrived::Final))
    }

    /// What it means that no answer came.
    fn without_answer(&mut self, error: &h2::Error) -> AskError {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        // Streams that a GOAWAY takes leave of were not looked at (RFC 9113 §6.8).
        if refused || (error.is_go_away() && error.is_remote()) {
            self.reached.stream.retire();
            return AskError::Unprocessed;
        }
        let lost = !error.is_reset();
        if lost {
            self.reached.stream.retire();
        }
        if lost && self.reached.reused {
            return AskError::Closed;
        }
        AskError::Failed(ExchangeError::ServerClosed {
            server: self.server.clone(),
        })
    }

    pub fn is_repeatable(&self) -> bool {
        !self.upload.begun
    }

    pub fn into_unsent_body(self) -> BodyReader {
        self.worker.give_response_head(self.head);
        self.upload.body
    }

    pub fn is_sent(&self) -> bool {
        self.upload.ended
    }

    pub fn is_long(&self) -> bool {
        !self.bodiless || !self.is_sent()
    }

    /// Sends the answer to the client; a request that is still on its way goes on meanwhile.
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
        let follows = match self.head.framing() {
            Framing::None | Framing::Length(0) => Framing::None,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
        };
        let body = match BodyReader::new(follows, None) {
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
        let mut waits_for = WaitsFor::Server;
        let mut progressed = None;
        let mut piece = None;
        poll_fn(|cx| {
            self.poll_rest_of_request(cx, client);
            match self.poll_move(cx, client, download, &mut piece, &mut waits_for) {
                Poll::Ready(done) => return Poll::Ready(done),
                Poll::Pending => {}
            }
            let progress = (download.bytes, self.uploaded, waits_for);
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

    fn poll_move<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        download: &mut Download,
        piece: &mut Option<Piece>,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), RelayFailure>> {
        loop {
            let mut waiting = false;
            // What has arrived goes out with the head, in one piece.
            if piece.is_none() && !download.is_ended() {
                match self.poll_piece(cx) {
                    Poll::Ready(Ok(arrived)) => *piece = Some(arrived),
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => waiting = true,
                }
            }
            *waits_for = WaitsFor::Client;
            let delivered = ready!(client.poll_deliver(cx, download, piece));
            if let Err(DownloadError::ClientGone) = delivered {
                return Poll::Ready(Err(RelayFailure::ClientGone));
            }
            if download.is_ended() {
                return Poll::Ready(Ok(()));
            }
            if waiting {
                *waits_for = WaitsFor::Server;
                ready!(client.poll_abandoned(cx));
                return Poll::Ready(Err(RelayFailure::ClientGone));
            }
        }
    }

    /// Goes on sending the request while its answer is passed on.
    pub(in super::super) fn poll_rest_of_request<C: ClientSide>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
    ) {
        let mut ignored = WaitsFor::Server;
        let buffers = &self.worker.buffers;
        let uploaded = &mut self.uploaded;
        let sent = self
            .upload
            .poll(cx, client, buffers, uploaded, &mut ignored);
        // The answer has been decided; that the rest of the request is bad or missing only means that
        // the stream ends with it.
        self.upload.refused |= matches!(sent, Poll::Ready(Err(_)));
    }

    /// The next piece of the answer. Not to be called again after the end.
    pub(in super::super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Piece, RelayFailure>> {
        let Some(inlet) = &mut self.inlet else {
            return Poll::Ready(Err(RelayFailure::Truncated));
        };
        inlet.poll_piece(cx).map_err(|error| match error {
            StreamError::Gone(_) => RelayFailure::Truncated,
            StreamError::Bad(bad) => RelayFailure::BadBody(bad),
        })
    }

    pub(in super::super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Relays whatever is spoken after an extended CONNECT.
    pub async fn tunnel<C: ClientSide>(&mut self, client: &mut C, limit: Duration) -> Tunnelled {
        let (Some(inlet), Some(outlet)) = (&mut self.inlet, &mut self.upload.outlet) else {
            return Tunnelled {
                end: TunnelEnd::ServerGone,
                to_server: 0,
                to_client: 0,
            };
        };
        let server = StreamPipe { inlet, outlet };
        client
            .tunnel_stream(server, &self.worker.buffers, limit)
            .await
    }

    /// Ends the stream and gives the place on the server back.
    pub fn end(self) {
        self.worker.give_response_head(self.head);
    }
}

/// What a server has said.
enum Arrived {
    Interim(http::Response<()>),
    Final(http::Response<h2::RecvStream>),
}
