//! What an exchange needs of its client, whichever version of HTTP the client speaks. `exchange.rs` is
//! compiled once for each kind of client, so that HTTP/1 does not pay for there being others.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    client::SendError,
    download::{Download, DownloadError},
    exchange::Next,
    facts::Ends,
    h2::StreamPipe,
    transfer::WaitsFor,
    tunnel::Tunnelled,
    upload::{Upload, UploadError},
};
use crate::{
    http::{
        body::{BadBody, BodyReader},
        h2::Piece,
        request::RequestHead,
        response::{Asked, ResponseHead},
        write::{ConnectionField, ResponseWrite},
    },
    net::{Buffer, BufferPool, Deadline, Stream},
};

/// The client's side of one exchange at a time.
pub trait ClientSide {
    /// Notices that the client gave its request up while nobody reads from it.
    type Watch: Watch;

    fn watch(&self) -> Self::Watch;
    fn ends(&self) -> &Ends;

    /// Whether the client is known to send no more.
    fn has_finished(&self) -> bool;

    /// The one timer of the exchange.
    fn deadline(&mut self) -> &mut Deadline;

    /// What will follow the request's body. A body that is announced to be larger than `limit` is refused.
    fn body_reader(&self, head: &RequestHead, limit: Option<u64>) -> Result<BodyReader, BadBody>;

    /// Moves as much of the request to a server of HTTP/1 as can be moved. On pending it says whom it waits
    /// for; the task is woken then.
    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload,
        buffers: &BufferPool,
        server: &mut Stream,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), UploadError>>;

    /// The next piece of the request's body, which `body` follows. Not to be called again after the end.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyReader,
        buffers: &BufferPool,
    ) -> Poll<Result<Piece, UploadError>>;

    /// Drops the part of the request's body that is here. False if there is more to come and the next request
    /// cannot be told from it.
    fn skip_body(&mut self, body: &mut BodyReader) -> bool;

    /// Sends an interim answer.
    async fn send_interim(
        &mut self,
        head: &ResponseHead,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Result<(), SendError>;

    /// Sends an answer that is here in full, and says how many bytes that were.
    async fn send_answer(
        &mut self,
        answer: WholeAnswer<'_>,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Result<u64, SendError>;

    /// Begins an answer whose body is yet to come: bytes that `body` will read, or pieces.
    fn begin_download(
        &mut self,
        head: &ResponseHead,
        how: &ResponseWrite<'_>,
        body: BodyReader,
        buffers: &BufferPool,
    ) -> Download;

    /// Moves as much of that answer as can be moved; see [`poll_upload`](Self::poll_upload). `buffer` is what
    /// was read from the server and not used yet.
    fn poll_download(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        server: (&mut Stream, &mut Option<Buffer>),
        buffers: &BufferPool,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), DownloadError>>;

    /// Sends what is there of an answer that comes in pieces, and then `piece`, which is taken away once it is sent.
    /// Waits for the client.
    fn poll_deliver(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        piece: &mut Option<Piece>,
    ) -> Poll<Result<(), DownloadError>>;

    /// Ready once it shows that the client does not want the rest of an answer.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Relays bytes both ways once client and server have changed to another protocol.
    async fn tunnel(
        &mut self,
        server: (&mut Stream, Option<Buffer>),
        buffers: &BufferPool,
        limit: Duration,
    ) -> Tunnelled;

    /// The same with a server of HTTP/2.
    async fn tunnel_stream(
        &mut self,
        server: StreamPipe<'_>,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Tunnelled;

    /// How to end a connection that is not to be used again after an answer. `whole`: the request was read to
    /// its end.
    fn close(&self, whole: bool) -> Next;

    /// The exchange was over at that time.
    fn ended(&mut self, at: Instant);
}

/// An answer of the proxy's own.
#[derive(Debug, Clone, Copy)]
pub struct WholeAnswer<'a> {
    pub head: &'a ResponseHead,
    pub body: &'a [u8],
    pub asked: Asked,
    pub connection: ConnectionField,
}

/// Looks for the end of a client's interest.
pub trait Watch {
    /// Ready once nobody waits for the answer any more.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// For clients that are only heard when they are read from.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
