//! The client's end of a connection: waiting for a request, reading its head, sending answers.

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    answer,
    download::{Download, DownloadError},
    exchange::Next,
    facts::Ends,
    h2::{self, SocketPipe, StreamPipe},
    record::Arrived,
    side::{ClientSide, Unwatched, WholeAnswer},
    transfer::{WaitsFor, grow, read_more},
    tunnel::{Tunnelled, tunnel},
    upload::{Upload, UploadError},
    worker::{IdleTicket, Worker},
};
use crate::{
    http::{
        bad::BadRequest,
        body::{BadBody, BodyEvent, BodyReader},
        h2::{PREFACE, Piece},
        request::{RequestHead, read_request},
        response::ResponseHead,
        scan::{HeadLimits, Progress, Read},
        write::ResponseWrite,
    },
    net::{Buffer, BufferPool, Deadline, ListenerId, Stream},
};

/// A client's connection between and during its exchanges.
#[derive(Debug)]
pub struct Client {
    pub stream: Stream,
    pub ends: Rc<Ends>,
    pub listener: ListenerId,
    /// What was read and not used yet. An idle connection has none.
    pub buffer: Option<Buffer>,
    pub deadline: Deadline,
    pub accepted: Instant,
    /// When the last exchange ended.
    pub idle_since: Instant,
    /// Requests whose head was read.
    pub requests: u64,
    progress: Progress,
    ticket: Option<IdleTicket>,
    worker: Rc<Worker>,
}

/// How waiting for a request's first byte ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Awaited {
    Readable,
    TimedOut,
    /// The proxy is stopping, or the listener's frontend is gone.
    Leaving,
}

/// Why no request head was read.
#[derive(Debug)]
pub enum HeadError {
    Bad(BadRequest),
    /// Part of a head had arrived or not, as said.
    TimedOut {
        begun: bool,
    },
    /// The client closed; again, with part of a head or without.
    Closed {
        begun: bool,
    },
}

/// The client is gone or does not take what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    Gone,
    TimedOut,
}

impl Client {
    pub fn new(worker: Rc<Worker>, stream: Stream, ends: Ends, listener: ListenerId) -> Self {
        let ticket = Some(worker.join_idle());
        let now = Instant::now();
        Self {
            stream,
            ends: Rc::new(ends),
            listener,
            buffer: None,
            deadline: Deadline::new(),
            accepted: now,
            idle_since: now,
            requests: 0,
            progress: Progress::default(),
            ticket,
            worker,
        }
    }

    /// Waits, owning no buffer, until the client sends something or `limit` since `from` is over.
    pub async fn wait_for_request(&mut self, from: Instant, limit: Duration) -> Awaited {
        self.deadline.set(from, limit);
        let generation = self.worker.current().shared.number;
        poll_fn(|cx| {
            if self.poll_first_bytes(cx) {
                return Poll::Ready(Awaited::Readable);
            }
            if self.worker.process.is_draining() || self.is_orphaned(generation) {
                // A request that has arrived but was not announced yet is still served.
                return Poll::Ready(match self.stream.is_quiet() {
                    true => Awaited::Leaving,
                    false => Awaited::Readable,
                });
            }
            if let Some(ticket) = &self.ticket {
                self.worker.set_idle_waker(ticket, cx.waker());
            }
            ready!(self.deadline.poll_expired(cx));
            Poll::Ready(Awaited::TimedOut)
        })
        .await
    }

    /// Reads what the client begins with, into memory that is only borrowed if there is anything. True once there
    /// is, be it the end.
    fn poll_first_bytes(&mut self, cx: &mut Context<'_>) -> bool {
        let mut buffer = self.worker.buffers.small();
        let read = self.stream.poll_read(cx, &mut buffer);
        match buffer.is_empty() {
            true => self.worker.buffers.give(buffer),
            false => self.buffer = Some(buffer),
        }
        read.is_ready()
    }

    /// Whether a generation since `seen` took the listener away.
    fn is_orphaned(&self, seen: u64) -> bool {
        let current = self.worker.current();
        current.shared.number != seen && current.frontend_of(self.listener).is_none()
    }

    /// Reads until `head` is complete, of which something is known to be there. The deadline is the caller's to
    /// set.
    pub async fn read_head(
        &mut self,
        head: &mut RequestHead,
        limits: &HeadLimits,
    ) -> Result<Arrived, HeadError> {
        let mut arrived = Arrived::AtOnce;
        loop {
            let buffer = self
                .buffer
                .get_or_insert_with(|| self.worker.buffers.small());
            if !buffer.is_empty() {
                let read = read_request(buffer.filled(), &mut self.progress, head, limits);
                match read.map_err(HeadError::Bad)? {
                    Read::Complete => {
                        buffer.consume(head.len());
                        self.requests += 1;
                        return Ok(arrived);
                    }
                    Read::Partial => arrived = Arrived::InPieces,
                }
            }
            if buffer.free().is_empty() {
                // The limit on heads was raised after this worker's buffers were made.
                grow(buffer, &self.worker.buffers);
            }
            self.read_some(self.progress.has_begun()).await?;
        }
    }

    /// Reads until it shows whether the client begins to speak HTTP/2. What was read stays in the buffer.
    pub async fn begins_with_preface(&mut self) -> Result<bool, HeadError> {
        loop {
            let buffer = self
                .buffer
                .get_or_insert_with(|| self.worker.buffers.small());
            let there = buffer.filled().len().min(PREFACE.len());
            if buffer.filled()[..there] != PREFACE[..there] {
                return Ok(false);
            }
            if there == PREFACE.len() {
                return Ok(true);
            }
            self.read_some(there > 0).await?;
        }
    }

    /// Reads into the buffer. The deadline is the caller's to set; `begun` is what the error will say.
    async fn read_some(&mut self, begun: bool) -> Result<(), HeadError> {
        let Some(buffer) = &mut self.buffer else {
            return Ok(());
        };
        let (deadline, stream) = (&mut self.deadline, &mut self.stream);
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = stream.poll_read(cx, buffer) {
                return Poll::Ready(Some(read));
            }
            deadline.poll_expired(cx).map(|()| None)
        });
        match read.await {
            Some(Ok(0) | Err(_)) => Err(HeadError::Closed { begun }),
            Some(Ok(_)) => Ok(()),
            None => Err(HeadError::TimedOut { begun }),
        }
    }

    /// Gives an empty buffer back, so that waiting costs no memory.
    pub fn release_buffer(&mut self) {
        if let Some(buffer) = self.buffer.take_if(|buffer| buffer.is_empty()) {
            self.worker.buffers.give(buffer);
        }
    }

    /// Whether bytes of a next request are here already.
    pub fn has_pipelined(&self) -> bool {
        self.buffer
            .as_ref()
            .is_some_and(|buffer| !buffer.is_empty())
    }

    /// Sends all of `bytes`, as long as the client takes some every `limit`.
    pub async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), SendError> {
        let mut sent = 0;
        // Most answers fit into the socket's buffer, and then no deadline is needed.
        let mut armed = false;
        poll_fn(|cx| {
            while sent < bytes.len() {
                match self.stream.poll_write(cx, &bytes[sent..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(SendError::Gone)),
                    Poll::Ready(Ok(n)) => {
                        sent += n;
                        armed = false;
                    }
                    Poll::Pending => {
                        if !armed {
                            self.deadline.set(Instant::now(), limit);
                            armed = true;
                        }
                        ready!(self.deadline.poll_expired(cx));
                        return Poll::Ready(Err(SendError::TimedOut));
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Closes so that the client gets to see the last answer: says that nothing more will come, then
    /// reads away what the client still sends, within bounds. Closing at once would reset the
    /// connection and could destroy the answer on its way.
    pub async fn linger(&mut self) {
        const BYTES: usize = 1024 * 1024;
        const LIMIT: Duration = Duration::from_secs(2);
        self.deadline.set(Instant::now(), LIMIT);
        let mut buffer = self
            .buffer
            .take()
            .unwrap_or_else(|| self.worker.buffers.small());
        let mut left = BYTES;
        let mut told = false;
        poll_fn(|cx| {
            if !told {
                match self.stream.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => told = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            loop {
                buffer.clear();
                match self.stream.poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(n)) if n > 0 && n <= left => left -= n,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.deadline.poll_expired(cx),
                }
            }
        })
        .await;
        self.worker.buffers.give(buffer);
    }
}

impl ClientSide for Client {
    type Watch = Unwatched;

    fn watch(&self) -> Unwatched {
        Unwatched
    }

    fn has_finished(&self) -> bool {
        self.stream.is_read_closed()
    }

    fn ends(&self) -> &Ends {
        &self.ends
    }

    fn deadline(&mut self) -> &mut Deadline {
        &mut self.deadline
    }

    fn body_reader(&self, head: &RequestHead, limit: Option<u64>) -> Result<BodyReader, BadBody> {
        BodyReader::new(head.framing(), limit)
    }

    fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload,
        buffers: &BufferPool,
        server: &mut Stream,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), UploadError>> {
        let Self { stream, buffer, .. } = self;
        upload.poll(cx, stream, buffer, buffers, server, waits_for)
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyReader,
        buffers: &BufferPool,
    ) -> Poll<Result<Piece, UploadError>> {
        loop {
            if body.is_done() {
                let trailers = body.trailers().cloned().map(Box::new);
                return Poll::Ready(Ok(Piece::End(trailers)));
            }
            if let Some(buffer) = self.buffer.as_mut().filter(|buffer| !buffer.is_empty()) {
                match body.next(buffer.filled()).map_err(UploadError::Bad)? {
                    BodyEvent::Data(data) => {
                        let end = data.end;
                        let bytes = Bytes::copy_from_slice(buffer.slice(data));
                        buffer.consume(end);
                        return Poll::Ready(Ok(Piece::Data(bytes)));
                    }
                    BodyEvent::NeedMore => buffer.clear(),
                    BodyEvent::End(used) => buffer.consume(used),
                }
                continue;
            }
            let read = read_more(cx, &mut self.stream, &mut self.buffer, buffers);
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(Err(UploadError::ClientGone));
            }
        }
    }

    fn skip_body(&mut self, body: &mut BodyReader) -> bool {
        while !body.is_done() {
            let Some(buffer) = &mut self.buffer else {
                return false;
            };
            match body.next(buffer.filled()) {
                Ok(BodyEvent::Data(data)) => buffer.consume(data.end),
                Ok(BodyEvent::End(used)) => {
                    buffer.consume(used);
                    return true;
                }
                Ok(BodyEvent::NeedMore) | Err(_) => return false,
            }
        }
        true
    }

    async fn send_interim(
        &mut self,
        head: &ResponseHead,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Result<(), SendError> {
        let mut out = buffers.scratch();
        head.write(&mut out, &ResponseWrite::default());
        let sent = self.send(&out, limit).await;
        buffers.give_scratch(out);
        sent
    }

    async fn send_answer(
        &mut self,
        answer: WholeAnswer<'_>,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Result<u64, SendError> {
        let mut out = buffers.scratch();
        answer::write(&mut out, &answer);
        let sent = self.send(&out, limit).await;
        let bytes = out.len() as u64;
        buffers.give_scratch(out);
        sent.map(|()| bytes)
    }

    fn begin_download(
        &mut self,
        head: &ResponseHead,
        how: &ResponseWrite<'_>,
        body: BodyReader,
        buffers: &BufferPool,
    ) -> Download {
        let mut out = buffers.scratch();
        head.write(&mut out, how);
        Download::new(out, how.framing, body)
    }

    fn poll_download(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        (server, buffer): (&mut Stream, &mut Option<Buffer>),
        buffers: &BufferPool,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), DownloadError>> {
        download.poll(cx, server, buffer, buffers, &mut self.stream, waits_for)
    }

    fn poll_deliver(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Download,
        piece: &mut Option<Piece>,
    ) -> Poll<Result<(), DownloadError>> {
        download.poll_deliver(cx, &mut self.stream, piece)
    }

    fn poll_abandoned(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    async fn tunnel(
        &mut self,
        (server, from_server): (&mut Stream, Option<Buffer>),
        buffers: &BufferPool,
        limit: Duration,
    ) -> Tunnelled {
        let from_client = self.buffer.take();
        tunnel(
            &mut self.stream,
            from_client,
            server,
            from_server,
            buffers,
            &mut self.deadline,
            limit,
        )
        .await
    }

    async fn tunnel_stream(
        &mut self,
        mut server: StreamPipe<'_>,
        buffers: &BufferPool,
        limit: Duration,
    ) -> Tunnelled {
        let mut client = SocketPipe {
            stream: &mut self.stream,
            buffer: self.buffer.take(),
            buffers,
        };
        h2::tunnel(&mut client, &mut server, &mut self.deadline, limit).await
    }

    /// A client that has more on its way would see a reset, perhaps before it saw the answer; what has
    /// arrived and was not read counts, too.
    fn close(&self, whole: bool) -> Next {
        match whole && !self.has_pipelined() && !self.stream.has_unread() {
            true => Next::Close,
            false => Next::Linger,
        }
    }

    fn ended(&mut self, at: Instant) {
        self.idle_since = at;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.worker.leave_idle(ticket);
        }
        if let Some(buffer) = self.buffer.take() {
            self.worker.buffers.give(buffer);
        }
    }
}
