//! A stream of HTTP/2 as the client's side of an exchange.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::Response;
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
    tunnel::{Pipe, SocketPipe, StreamPipe, tunnel},
};
use crate::{
    http::{
        body::{BadBody, BodyEvent, BodyReader},
        framing::Framing,
        h2::{Inlet, Last, Outlet, Piece, StreamError, write_interim, write_response},
        request::RequestHead,
        response::{Asked, ResponseHead},
        write::ResponseWrite,
    },
    net::{Buffer, BufferPool, Deadline, Stream},
};

/// A client's stream, from its head on.
#[derive(Debug)]
pub struct StreamClient {
    ends: Rc<Ends>,
    inlet: Inlet,
    respond: Rc<RefCell<Respond>>,
    /// There once an answer has begun that has a body.
    outlet: Option<Outlet>,
    /// The answer was sent to its end.
    complete: bool,
    deadline: Deadline,
}

/// The right to answer; shared with whoever watches for the client to give up.
struct Respond {
    send: SendResponse<Bytes>,
    answered: bool,
}

impl std::fmt::Debug for Respond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Respond")
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

/// Notices a reset as long as no answer has begun.
#[derive(Debug)]
pub struct StreamWatch(Rc<RefCell<Respond>>);

impl Watch for StreamWatch {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let respond = &mut *self.0.borrow_mut();
        match respond.answered {
            true => Poll::Pending,
            false => respond.send.poll_reset(cx).map(drop),
        }
    }
}

impl StreamClient {
    pub fn new(ends: Rc<Ends>, body: RecvStream, send: SendResponse<Bytes>) -> Self {
        Self {
            ends,
            inlet: Inlet::new(body),
            respond: Rc::new(RefCell::new(Respond {
                send,
                answered: false,
            })),
            outlet: None,
            complete: false,
            deadline: Deadline::new(),
        }
    }

    /// Ends the stream. One whose answer is not complete is reset, lest anybody takes it for that. Of a request
    /// that was answered early the rest is read away, within bounds: some clients forget an answer that they
    /// have not looked at yet when a reset follows it, even one without an error.
    pub async fn finish(mut self) {
        const BYTES: usize = 1024 * 1024;
        const LIMIT: Duration = Duration::from_secs(2);
        if !self.complete {
            let mut respond = self.respond.borrow_mut();
            respond.send.send_reset(Reason::INTERNAL_ERROR);
            return;
        }
        self.deadline.set(Instant::now(), LIMIT);
        let mut left = BYTES;
        poll_fn(|cx| {
            while !self.inlet.is_ended() {
                match self.inlet.poll_piece(cx) {
                    Poll::Ready(Ok(Piece::Data(data))) if data.len() <= left => left -= data.len(),
                    Poll::Ready(_) => break,
                    Poll::Pending => return self.deadline.poll_expired(cx),
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    fn begin(&mut self, response: Response<()>, last: Last) -> Result<(), SendError> {
        let respond = &mut *self.respond.borrow_mut();
        respond.answered = true;
        let sent = respond.send.send_response(response, last == Last::Yes);
        self.outlet = Some(Outlet::new(sent.map_err(|_| SendError::Gone)?));
        self.complete = last == Last::Yes;
        Ok(())
    }

    /// Sends all of `body` and the end, as long as the client takes some every `limit`.
    async fn send_body(&mut self, body: &[u8], limit: Duration) -> Result<(), SendError> {
        let Self {
            outlet: Some(outlet),
            deadline,
            ..
        } = self
        else {
            return Err(SendError::Gone);
        };
        let mut rest = body;
        deadline.set(Instant::now(), limit);
        poll_fn(|cx| {
            while !rest.is_empty() {
                match outlet.poll_room(cx, rest.len()) {
                    Poll::Ready(Ok(room)) => {
                        let (now, later) = rest.split_at(room);
                        let last = if later.is_empty() {
                            Last::Yes
                        } else {
                            Last::No
                        };
                        let sent = outlet.send(Bytes::copy_from_slice(now), last);
                        sent.map_err(|_| SendError::Gone)?;
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
        let Some(outlet) = &mut self.outlet else {
            return Tunnelled::without_client();
        };
        self.complete = false;
        let mut client = StreamPipe {
            inlet: &mut self.inlet,
            outlet,
        };
        let done = tunnel(&mut client, &mut server, &mut self.deadline, limit).await;
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
        let outlet = self.outlet.as_mut().ok_or(DownloadError::ClientGone)?;
        let gone = |_: StreamError| DownloadError::ClientGone;
        while !buffer.is_empty() && !download.is_ended() {
            let room = ready!(outlet.poll_room(cx, buffer.filled().len())).map_err(gone)?;
            let event = download.body_mut().next(buffer.slice(0..room));
            match event.map_err(DownloadError::Bad)? {
                BodyEvent::Data(data) => {
                    let end = data.end;
                    let bytes = Bytes::copy_from_slice(buffer.slice(data));
                    buffer.consume(end);
                    download.bytes += bytes.len() as u64;
                    // After chunks there may be trailers, so theirs is the end.
                    let last = download.ends_with_data();
                    outlet.send(bytes, last).map_err(gone)?;
                    if last == Last::Yes {
                        download.set_ended();
                    }
                }
                BodyEvent::NeedMore => buffer.consume(room),
                BodyEvent::End(used) => {
                    buffer.consume(used);
                    let trailers = download.body_mut().trailers();
                    outlet.end(trailers).map_err(gone)?;
                    download.set_ended();
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl ClientSide for StreamClient {
    type Watch = StreamWatch;

    fn watch(&self) -> StreamWatch {
        StreamWatch(Rc::clone(&self.respond))
    }

    /// A stream that is given up is noticed by its watch.
    fn has_finished(&self) -> bool {
        false
    }

    fn ends(&self) -> &Ends {
        &self.ends
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
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
            upload.push(ready!(self.inlet.poll_piece(cx))?)?;
        }
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyReader,
        _: &BufferPool,
    ) -> Poll<Result<Piece, UploadError>> {
        let piece = ready!(self.inlet.poll_piece(cx))?;
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
        let respond = &mut *self.respond.borrow_mut();
        let sent = respond.send.send_informational(write_interim(head));
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
        let response = write_response(answer.head, framing);
        let mut bytes = size_of_head(&response);
        if bodiless || answer.asked == Asked::Head || answer.body.is_empty() {
            self.begin(response, Last::Yes)?;
        } else {
            self.begin(response, Last::No)?;
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
        let response = write_response(head, framing);
        download.bytes = size_of_head(&response);
        // After a 101 come the tunnel's bytes.
        let last = match download.is_ended() && head.status() != 101 {
            true => Last::Yes,
            false => Last::No,
        };
        // A client that is gone shows when the first piece is to be sent.
        let _ = self.begin(response, last);
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
            let outlet = self.outlet.as_mut().ok_or(DownloadError::ClientGone)?;
            if !download.is_ended() && download.body_mut().is_done() {
                let trailers = download.body_mut().trailers();
                outlet
                    .end(trailers)
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
                    outlet.end(None).map_err(|_| DownloadError::ClientGone)?;
                    download.set_ended();
                }
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(DownloadError::Truncated));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    ready!(outlet.poll_gone(cx));
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
        let gone = |_: StreamError| DownloadError::ClientGone;
        let outlet = self.outlet.as_mut().ok_or(DownloadError::ClientGone)?;
        match piece {
            Some(Piece::Data(data)) => {
                while !data.is_empty() {
                    let room = ready!(outlet.poll_room(cx, data.len())).map_err(gone)?;
                    outlet.send(data.split_to(room), Last::No).map_err(gone)?;
                    download.bytes += room as u64;
                }
            }
            Some(Piece::End(trailers)) => {
                outlet.end(trailers.as_deref()).map_err(gone)?;
                download.set_ended();
            }
            None => {}
        }
        *piece = None;
        self.complete |= download.is_ended();
        Poll::Ready(Ok(()))
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.outlet {
            Some(outlet) => outlet.poll_gone(cx),
            None => Poll::Ready(()),
        }
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

/// What the head would take over HTTP/1. Over HTTP/2 nobody knows: it is sent compressed, against what was sent
/// before.
fn size_of_head(response: &Response<()>) -> u64 {
    let fields = response.headers().iter();
    let bytes: usize = fields
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    (bytes + "HTTP/2 200\r\n\r\n".len()) as u64
}

impl From<StreamError> for UploadError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Gone(_) => Self::ClientGone,
            StreamError::Bad(bad) => Self::Bad(bad),
        }
    }
}
