//! An answer that is not passed on as it comes but changed on its way: a piece at a time, from a server of
//! either version of HTTP to a client of either.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    compress::Compressor,
    conversation::{Conversation, Limits, RelayFailure, Relayed},
    download::DownloadError,
    h2::StreamTalk,
    side::ClientSide,
    transfer::{WaitsFor, read_more},
    worker::Worker,
};
use crate::{
    cache::Fill,
    http::{
        body::{BadBody, BodyEvent, BodyReader},
        coding::drop_digests,
        fields::Fields,
        framing::Framing,
        h2::Piece,
        response::ResponseHead,
        write::{ConnectionField, ResponseWrite},
    },
};

/// The most of a body that is looked at in one go.
const PIECE: usize = 16 * 1024;
/// So much of a body is worked on before other tasks of the worker get their turn: about a millisecond of
/// compressing.
const TURN: usize = 64 * 1024;

/// Where the pieces of an answer come from.
pub trait Source {
    fn head(&self) -> &ResponseHead;
    fn limits(&self) -> Limits;

    /// Goes on sending what is left of the request.
    fn poll_rest_of_request<C: ClientSide>(&mut self, cx: &mut Context<'_>, client: &mut C);

    /// Bytes of the request that the server took.
    fn uploaded(&self) -> u64;

    /// The next piece of the answer. Not to be called again after the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, RelayFailure>>;
}

/// An answer that comes over HTTP/1.
pub struct FromHttp1<'t, 'w> {
    talk: &'t mut Conversation<'w>,
    body: BodyReader,
}

impl<'t, 'w> FromHttp1<'t, 'w> {
    pub fn new(talk: &'t mut Conversation<'w>) -> Result<Self, BadBody> {
        let body = BodyReader::new(talk.head.framing(), None)?;
        Ok(Self { talk, body })
    }
}

impl Source for FromHttp1<'_, '_> {
    fn head(&self) -> &ResponseHead {
        &self.talk.head
    }

    fn limits(&self) -> Limits {
        self.talk.limits
    }

    fn poll_rest_of_request<C: ClientSide>(&mut self, cx: &mut Context<'_>, client: &mut C) {
        self.talk.poll_rest_of_request(cx, client);
    }

    fn uploaded(&self) -> u64 {
        self.talk.upload.bytes
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, RelayFailure>> {
        let Conversation {
            worker,
            reached,
            buffer,
            ..
        } = &mut *self.talk;
        loop {
            if let Some(buffer) = buffer.as_mut().filter(|buffer| !buffer.is_empty()) {
                let there = buffer.filled().len().min(PIECE);
                let event = self.body.next(buffer.slice(0..there));
                match event.map_err(RelayFailure::BadBody)? {
                    BodyEvent::Data(data) => {
                        let end = data.end;
                        let bytes = Bytes::copy_from_slice(buffer.slice(data));
                        buffer.consume(end);
                        return Poll::Ready(Ok(Piece::Data(bytes)));
                    }
                    BodyEvent::NeedMore => buffer.consume(there),
                    BodyEvent::End(used) => {
                        buffer.consume(used);
                        return Poll::Ready(Ok(self.end()));
                    }
                }
                continue;
            }
            if self.body.is_done() {
                return Poll::Ready(Ok(self.end()));
            }
            match ready!(read_more(cx, &mut reached.stream, buffer, &worker.buffers)) {
                Ok(0) if self.body.eof().is_ok() => {
                    return Poll::Ready(Ok(Piece::End(None)));
                }
                // A reset is never an orderly end, even where the end of the connection is one.
                Ok(0) | Err(_) => return Poll::Ready(Err(RelayFailure::Truncated)),
                Ok(_) => {}
            }
        }
    }
}

impl FromHttp1<'_, '_> {
    fn end(&self) -> Piece {
        Piece::End(self.body.trailers().cloned().map(Box::new))
    }
}

impl Source for StreamTalk<'_> {
    fn head(&self) -> &ResponseHead {
        &self.head
    }

    fn limits(&self) -> Limits {
        Self::limits(self)
    }

    fn poll_rest_of_request<C: ClientSide>(&mut self, cx: &mut Context<'_>, client: &mut C) {
        Self::poll_rest_of_request(self, cx, client);
    }

    fn uploaded(&self) -> u64 {
        self.uploaded
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, RelayFailure>> {
        Self::poll_piece(self, cx)
    }
}

/// What happens to an answer on its way.
#[derive(Debug)]
pub struct Change {
    pub compressor: Option<Compressor>,
    /// What is kept of it.
    pub fill: Option<Fill>,
}

impl Change {
    /// `None` if there is nothing to be done: the usual case.
    pub fn of(compressor: Option<Compressor>, fill: Option<Fill>) -> Option<Self> {
        (compressor.is_some() || fill.is_some()).then_some(Self { compressor, fill })
    }
}

/// An answer under way.
struct Passing<'c> {
    change: &'c mut Change,
    /// What the client is to be given next.
    out: Option<Piece>,
    /// What comes after that.
    end: Option<Option<Box<Fields>>>,
    /// What becomes of it once the client has all that came.
    failed: Option<RelayFailure>,
    /// Bytes until others get their turn.
    turn: usize,
    /// Bytes of the body that came.
    came: u64,
}

/// Sends an answer to a client, changed; a request that is still on its way goes on meanwhile. On failure the
/// client sees that the answer is incomplete, as with [`Conversation::relay`].
pub async fn pass_on<C: ClientSide>(
    worker: &Worker,
    client: &mut C,
    source: &mut impl Source,
    to_client: Framing,
    connection: ConnectionField,
    change: &mut Change,
) -> Relayed {
    let how = ResponseWrite {
        connection,
        framing: to_client,
        extra: &[],
    };
    // Pieces come read already.
    let body = match BodyReader::new(Framing::UntilClose, None) {
        Ok(body) => body,
        Err(bad) => return Relayed::nothing(RelayFailure::BadBody(bad)),
    };
    let mut download = client.begin_download(source.head(), &how, body, &worker.buffers);
    let limits = source.limits();
    let mut passing = Passing {
        change,
        out: None,
        end: None,
        failed: None,
        turn: TURN,
        came: 0,
    };
    let mut waits_for = WaitsFor::Server;
    let mut progressed = None;
    let passed = poll_fn(|cx| {
        source.poll_rest_of_request(cx, client);
        let moved = loop {
            let waiting = match passing.poll_fill(cx, source) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(failure)) => break Poll::Ready(Err(failure)),
                Poll::Pending => true,
            };
            // What has arrived goes out with the head, in one piece.
            waits_for = WaitsFor::Client;
            match client.poll_deliver(cx, &mut download, &mut passing.out) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(failure_of(error))),
                Poll::Pending => break Poll::Pending,
            }
            if download.is_ended() {
                break Poll::Ready(Ok(()));
            }
            if waiting {
                waits_for = WaitsFor::Server;
                let gone = client.poll_abandoned(cx);
                break gone.map(|()| Err(RelayFailure::ClientGone));
            }
        };
        if moved.is_ready() {
            return moved;
        }
        let progress = (passing.came, download.bytes, source.uploaded(), waits_for);
        if progressed != Some(progress) {
            progressed = Some(progress);
            let limit = match waits_for {
                WaitsFor::Client => limits.client,
                WaitsFor::Server => limits.server,
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
    .await;
    Relayed::end(download, passed.err(), &worker.buffers)
}

fn failure_of(error: DownloadError) -> RelayFailure {
    match error {
        DownloadError::ClientGone => RelayFailure::ClientGone,
        DownloadError::Truncated => RelayFailure::Truncated,
        DownloadError::Bad(bad) => RelayFailure::BadBody(bad),
    }
}

impl Passing<'_> {
    /// Gets the next piece for the client. Pending: the server has sent no more, or others get their turn.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Source,
    ) -> Poll<Result<(), RelayFailure>> {
        while self.out.is_none() {
            if let Some(trailers) = self.end.take() {
                self.out = Some(Piece::End(trailers));
                break;
            }
            if let Some(failure) = self.failed.take() {
                return Poll::Ready(Err(failure));
            }
            if self.turn == 0 {
                self.turn = TURN;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Change { compressor, fill } = &mut *self.change;
            self.out = match source.poll_piece(cx) {
                Poll::Ready(Ok(Piece::Data(data))) => {
                    self.turn = self.turn.saturating_sub(data.len());
                    self.came += data.len() as u64;
                    if fill.as_mut().is_some_and(|fill| !fill.put(&data)) {
                        *fill = None;
                    }
                    // Before the client has the last of it, so that whoever asks then finds it.
                    if let Some(whole) = fill.take_if(|fill| fill.is_whole()) {
                        whole.keep();
                    }
                    match compressor {
                        None => Some(Piece::Data(data)),
                        Some(compressor) => {
                            compressor.put(&data).map_err(broken)?;
                            compressor.take_enough().map(piece)
                        }
                    }
                }
                Poll::Ready(Ok(Piece::End(trailers))) => {
                    // What followed the body would be missing.
                    let has_trailers = trailers.as_ref().is_some_and(|all| !all.is_empty());
                    if let Some(fill) = fill.take().filter(|_| !has_trailers) {
                        fill.keep();
                    }
                    match compressor {
                        None => Some(Piece::End(trailers)),
                        Some(compressor) => {
                            self.end = Some(without_digests(trailers));
                            Some(piece(compressor.end().map_err(broken)?))
                        }
                    }
                }
                Poll::Ready(Err(failure)) => {
                    self.failed = Some(failure);
                    let held = compressor.as_mut().map(Compressor::take_all);
                    self.out = held.transpose().map_err(broken)?.flatten().map(piece);
                    return Poll::Ready(Ok(()));
                }
                // The server pauses, so the client gets what there is.
                Poll::Pending => {
                    let held = compressor.as_mut().map(Compressor::take_all);
                    match held.transpose().map_err(broken)?.flatten() {
                        Some(held) => Some(piece(held)),
                        None => return Poll::Pending,
                    }
                }
            };
        }
        Poll::Ready(Ok(()))
    }
}

fn piece(data: Vec<u8>) -> Piece {
    Piece::Data(data.into())
}

fn broken(error: io::Error) -> RelayFailure {
    RelayFailure::NotCompressed(error)
}

fn without_digests(trailers: Option<Box<Fields>>) -> Option<Box<Fields>> {
    let mut trailers = trailers?;
    // Fields of those names can always be removed.
    let _ = drop_digests(&mut trailers);
    Some(trailers)
}
