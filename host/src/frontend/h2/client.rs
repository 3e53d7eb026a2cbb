//! A stream of HTTP/2 as the client's side of an exchange.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use tokio::time::Instant;

use super::{
    super::{
        client::SendError,
        download::{Download, DownloadError},
        exchange::Next,
        facts::Ends,
        side::{ClientSide, Watch, WholeAnswer},
        transfer::{WaitsFor, read_more},
        tunnel::{TunnelEnd, Tunnelled},
        upload::{Upload, UploadError},
    },
    connection::Connection,
    tunnel::{Lost, Pipe, SocketPipe, StreamPipe, tunnel},
};
use crate::{
    http::{
        body::{BadBody, BodyEvent, BodyReader},
        fields::Fields,
        framing::Framing,
        h2::{Gone, Key, Last, Piece},
        request::RequestHead,
        response::{Asked, ResponseHead},
        write::ResponseWrite,
    },
    net::{Buffer, BufferPool, Deadline, Stream},
};

/// The right to a stream, which is over when nobody holds it.
#[derive(Debug)]
pub struct StreamHandle {
    pub connection: Rc<Connection>,
    key: Key,
}

impl StreamHandle {
    pub fn new(connection: Rc<Connection>, key: Key) -> Self {
        Self { connection, key }
    }

    /// To be called when it begins to be served. False if the client has given it up meanwhile.
    pub fn look_at(&self) -> bool {
        self.connection.streams.borrow_mut().look_at(self.key)
    }

    pub fn reset(&self, reason: Reason) {
        self.connection.streams.borrow_mut().reset(self.key, reason);
    }

    fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Result<Piece, Gone>> {
        self.connection
            .streams
            .borrow_mut()
            .poll_piece(self.key, cx)
    }

    fn is_taken(&self) -> bool {
        self.connection.streams.borrow().is_taken(self.key)
    }

    fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        self.connection.streams.borrow_mut().poll_gone(self.key, cx)
    }

    fn poll_room(&self, cx: &Context<'_>, wanted: usize) -> Poll<Result<usize, Gone>> {
        let streams = &mut *self.connection.streams.borrow_mut();
        streams.poll_room(self.key, cx, wanted)
    }

    fn send(&self, data: &[u8], last: Last) -> Result<(), Gone> {
        self.connection
            .streams
            .borrow_mut()
            .send(self.key, data, last)
    }

    fn send_end(&self, trailers: Option<&Fields>) -> Result<(), Gone> {
        let streams = &mut *self.connection.streams.borrow_mut();
        streams.send_end(self.key, trailers)
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.connection.streams.borrow_mut().release(self.key);
    }
}

/// A client's stream, from its head on.
#[derive(Debug)]
pub struct StreamClient<'a> {
    stream: StreamHandle,
    /// The answer was sent to its end.
    complete: bool,
    deadline: &'a mut Deadline,
}

/// Notices a reset as long as no answer has begun.
#[derive(Debug)]
pub struct StreamWatch(Rc<Connection>, Key);

impl Watch for StreamWatch {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.streams.borrow_mut().poll_given_up(self.1, cx)
    }
}

impl<'a> StreamClient<'a> {
    pub fn new(stream: StreamHandle, deadline: &'a mut Deadline) -> Self {
        Self {
            stream,
            complete: false,
            deadline,
        }
    }

    /// Whether the answer was sent, and all of the request was looked at.
    pub fn is_finished(&self) -> bool {
        self.complete && self.stream.is_taken()
    }

    /// Ends the stream. One whose answer is not complete is reset, lest anybody takes it for that. Of a request
    /// that was answered early the rest is read away, within bounds: some clients forget an answer that they
    /// have not looked at yet when a reset follows it, even one without an error.
    pub async fn finish(self) {
        const BYTES: usize = 1024 * 1024;
        const LIMIT: Duration = Duration::from_secs(2);
        let Self {
            stream,
            complete,
            deadline,
        } = self;
        if !complete {
            stream.reset(Reason::INTERNAL_ERROR);
            return;
        }
        deadline.set(Instant::now(), LIMIT);
        let mut left = BYTES;
        poll_fn(|cx| {
            while !stream.is_taken() {
                match stream.poll_piece(cx) {
                    Poll::Ready(Ok(Piece::Data(data))) if data.len() <= left => left -= data.len(),
                    Poll::Ready(_) => break,
                    Poll::Pending => return deadline.poll_expired(cx),
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Begins an answer, and says how large its head is.
    fn begin(
        &mut self,
        head: &ResponseHead,
        framing: Framing,
        last: Last,
    ) -> Result<u64, SendError> {
        let streams = &mut *self.stream.connection.streams.borrow_mut();
        let sent = streams.send_head(self.stream.key, head, framing, last);
        let bytes = sent.map_err(|_| SendError::Gone)?;
        self.complete = last == Last::Yes;
        Ok(bytes)
    }

    /// Sends all of `body` and the end, as long as the client takes some every `limit`.
    async fn send_body(&mut self, body: &[u8], limit: Duration) -> Result<(), SendError> {
        let Self {
            stream, deadline, ..
        } = self;
        let mut rest = body;
        deadline.set(Instant::now(), limit);
        poll_fn(|cx| {
            while !rest.is_empty() {
                match stream.poll_room(cx, rest.len()) {
                    Poll::Ready(Ok(room)) => {
                        let (now, later) = rest.split_at(room);
                        let last = if later.is_empty() {
                            Last::Yes
                        } else {
                            Last::No
                        };
                        stream.send(now, last).map_err(|_| SendError::Gone)?;
                        rest = later;
                        deadline.set(Instant::now(), limit);
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(SendError::Gone)),
                    Poll::Pending => {
                        ready!(deadline.poll_expired(cx));
                        return Poll::Ready(Err(SendError::TimedOut));
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        self.complete = true;
        Ok(())
    }

    async fn tunnel_with(&mut self, mut server: impl Pipe, limit: Duration) -> Tunnelled {
        self.complete = false;
        let mut client = ClientPipe(&self.stream);
        let done = tunnel(&mut client, &mut server, self.deadline, limit).await;
        self.complete = done.end == TunnelEnd::Finished;
        done
    }

    /// Passes on what is in `buffer`, as far as there is room for it.
    fn poll_pass_on(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        buffer: &mut Buffer,
    ) -> Poll<Result<(), DownloadError>> {
        let (stream, gone) = (&self.stream, |_: Gone| DownloadError::ClientGone);
        while !download.is_ended() {
            // The end of an answer, and trailers, take no room: a client that has taken all there is need not
            // ask for more.
            let framing = download.body_mut().pass_framing(buffer.filled());
            buffer.consume(framing.map_err(DownloadError::Bad)?);
            if buffer.is_empty() || download.body_mut().is_done() {
                break;
            }
            let room = ready!(stream.poll_room(cx, buffer.filled().len())).map_err(gone)?;
            let event = download.body_mut().next(buffer.slice(0..room));
            match event.map_err(DownloadError::Bad)? {
                BodyEvent::Data(data) => {
                    let end = data.end;
                    download.bytes += data.len() as u64;
                    // After chunks there may be trailers, so theirs is the end.
                    let last = download.ends_with_data();
                    stream.send(buffer.slice(data), last).map_err(gone)?;
                    buffer.consume(end);
                    if last == Last::Yes {
                        download.set_ended();
                    }
                }
                // What is no data was passed over.
                BodyEvent::NeedMore | BodyEvent::End(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl ClientSide for StreamClient<'_> {
    type Watch = StreamWatch;

    fn watch(&self) -> StreamWatch {
        StreamWatch(Rc::clone(&self.stream.connection), self.stream.key)
    }

    /// A stream that is given up is noticed by its watch.
    fn has_finished(&self) -> bool {
        false
    }

    fn ends(&self) -> &Ends {
        &self.stream.connection.ends
    }

    fn deadline(&mut self) -> &mut Deadline {
        self.deadline
    }

    /// The frames tell where the body ends, so the reader only counts.
    fn body_reader(&self, head: &RequestHead, limit: Option<u64>) -> Result<BodyReader, BadBody> {
        match head.framing() {
            Framing::None | Framing::Length(0) => BodyReader::new(Framing::None, limit),
            framing @ Framing::Length(_) => {
                BodyReader::new(framing, limit)?;
                BodyReader::new(Framing::UntilClose, limit)
            }
            Framing::Chunked | Framing::UntilClose => BodyReader::new(Framing::UntilClose, limit),
        }
    }

    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload,
        _: &BufferPool,
        server: &mut Stream,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            *waits_for = WaitsFor::Server;
            ready!(upload.poll_flush(cx, server))?;
            if upload.is_done() {
                return Poll::Ready(Ok(()));
            }
            *waits_for = WaitsFor::Client;
            upload.push(ready!(self.stream.poll_piece(cx))?)?;
        }
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyReader,
        _: &BufferPool,
    ) -> Poll<Result<Piece, UploadError>> {
        let piece = ready!(self.stream.poll_piece(cx))?;
        if let Piece::Data(data) = &piece {
            body.next(data).map_err(UploadError::Bad)?;
        }
        Poll::Ready(Ok(piece))
    }

    /// What is still to come does not get in the way of other streams.
    fn skip_body(&mut self, _: &mut BodyReader) -> bool {
        true
    }

    async fn send_interim(
        &mut self,
        head: &ResponseHead,
        _: &BufferPool,
        _: Duration,
    ) -> Result<(), SendError> {
        let streams = &mut *self.stream.connection.streams.borrow_mut();
        let sent = streams.send_interim(self.stream.key, head);
        sent.map_err(|_| SendError::Gone)
    }

    async fn send_answer(
        &mut self,
        answer: WholeAnswer<'_>,
        _: &BufferPool,
        limit: Duration,
    ) -> Result<u64, SendError> {
        let bodiless = matches!(answer.head.status(), 204 | 304);
        let framing = match bodiless {
            true => Framing::None,
            false => Framing::Length(answer.body.len() as u64),
        };
        let no_body = bodiless || answer.asked == Asked::Head || answer.body.is_empty();
        let last = match no_body {
            true => Last::Yes,
            false => Last::No,
        };
        let mut bytes = self.begin(answer.head, framing, last)?;
        if !no_body {
            self.send_body(answer.body, limit).await?;
            bytes += answer.body.len() as u64;
        }
        Ok(bytes)
    }

    fn begin_download(
        &mut self,
        head: &ResponseHead,
        how: &ResponseWrite<'_>,
        body: BodyReader,
        buffers: &BufferPool,
    ) -> Download {
        let mut download = Download::new(buffers.scratch(), how.framing, body);
        // An answer that ended with its head says no length that its server did not say: trailers may stand in
        // that head.
        let framing = match (how.framing, head.length()) {
            (Framing::Length(0), None) => Framing::None,
            (framing, _) => framing,
        };
        // After a 101 come the tunnel's bytes.
        let last = match download.is_ended() && head.status() != 101 {
            true => Last::Yes,
            false => Last::No,
        };
        // A client that is gone shows when the first piece is to be sent.
        download.bytes = self.begin(head, framing, last).unwrap_or(0);
        download.set_begun();
        download
    }

    fn poll_download(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        (server, buffer): (&mut Stream, &mut Option<Buffer>),
        buffers: &BufferPool,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), DownloadError>> {
        loop {
            *waits_for = WaitsFor::Client;
            if let Some(buffer) = buffer {
                ready!(self.poll_pass_on(cx, download, buffer))?;
            }
            let stream = &self.stream;
            if !download.is_ended() && download.body_mut().is_done() {
                let trailers = download.body_mut().trailers();
                stream
                    .send_end(trailers)
                    .map_err(|_| DownloadError::ClientGone)?;
                download.set_ended();
            }
            if download.is_ended() {
                self.complete = true;
                return Poll::Ready(Ok(()));
            }
            *waits_for = WaitsFor::Server;
            match read_more(cx, server, buffer, buffers) {
                Poll::Ready(Ok(0)) if download.body_mut().eof().is_ok() => {
                    stream
                        .send_end(None)
                        .map_err(|_| DownloadError::ClientGone)?;
                    download.set_ended();
                }
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(DownloadError::Truncated));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    ready!(stream.poll_gone(cx));
                    return Poll::Ready(Err(DownloadError::ClientGone));
                }
            }
        }
    }

    fn poll_deliver(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        piece: &mut Option<Piece>,
    ) -> Poll<Result<(), DownloadError>> {
        let (stream, gone) = (&self.stream, |_: Gone| DownloadError::ClientGone);
        match piece {
            Some(Piece::Data(data)) => {
                while !data.is_empty() {
                    let room = ready!(stream.poll_room(cx, data.len())).map_err(gone)?;
                    stream.send(&data.split_to(room), Last::No).map_err(gone)?;
                    download.bytes += room as u64;
                }
            }
            Some(Piece::End(trailers)) => {
                stream.send_end(trailers.as_deref()).map_err(gone)?;
                download.set_ended();
            }
            None => {}
        }
        *piece = None;
        self.complete |= download.is_ended();
        Poll::Ready(Ok(()))
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_gone(cx)
    }

    async fn tunnel(
        &mut self,
        (stream, buffer): (&mut Stream, Option<Buffer>),
        buffers: &BufferPool,
        limit: Duration,
    ) -> Tunnelled {
        let server = SocketPipe {
            stream,
            buffer,
            buffers,
        };
        self.tunnel_with(server, limit).await
    }

    async fn tunnel_stream(
        &mut self,
        server: StreamPipe<'_>,
        _: &BufferPool,
        limit: Duration,
    ) -> Tunnelled {
        self.tunnel_with(server, limit).await
    }

    fn close(&self, _: bool) -> Next {
        Next::Close
    }

    fn ended(&mut self, _: Instant) {}
}

impl From<Gone> for UploadError {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Client | Gone::Lost | Gone::Own => Self::ClientGone,
            Gone::Bad(bad) => Self::Bad(bad),
        }
    }
}

/// A client's stream as one side of a tunnel.
struct ClientPipe<'a>(&'a StreamHandle);

impl Pipe for ClientPipe<'_> {
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Lost>> {
        Poll::Ready(match ready!(self.0.poll_piece(cx)) {
            Ok(Piece::Data(data)) => Ok(Some(data)),
            Ok(Piece::End(_)) => Ok(None),
            Err(_) => Err(Lost),
        })
    }

    fn poll_give(&mut self, cx: &mut Context<'_>, bytes: &mut Bytes) -> Poll<Result<(), Lost>> {
        let room = ready!(self.0.poll_room(cx, bytes.len())).map_err(|_| Lost)?;
        let sent = self.0.send(&bytes.split_to(room), Last::No);
        Poll::Ready(sent.map_err(|_| Lost))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        Poll::Ready(self.0.send_end(None).map_err(|_| Lost))
    }

    fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_gone(cx)
    }
}
