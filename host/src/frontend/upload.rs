//! A request on its way to a server: the head, and the body as it comes in.

use std::{
    mem,
    task::{Context, Poll, ready},
};

use super::{
    splicing::{Splicing, UPLOAD_PIECE},
    transfer::{WaitsFor, read_more},
};
use crate::{
    http::{
        body::{BadBody, BodyEvent, BodyReader},
        chunk::{write_chunk, write_last_chunk},
        framing::Framing,
        h2::Piece,
    },
    net::{Buffer, BufferPool, Stream},
};

/// Sends a request and counts what it sent. Polled beside the wait for the answer, because a server may
/// answer before it has the whole body.
#[derive(Debug)]
pub struct Upload {
    body: BodyReader,
    chunked: bool,
    /// Written before anything else: the head, then encoded chunks.
    out: Vec<u8>,
    sent: usize,
    /// Bytes at the start of the client's buffer that go out as they are.
    plain: usize,
    splicing: Splicing,
    /// The end of the body is in `out`, or has gone.
    ended: bool,
    pub bytes: u64,
    /// Whether any of the body has left the proxy, after which the request cannot be sent again.
    body_begun: bool,
}

/// Why the request could not be sent in full.
#[derive(Debug)]
pub enum UploadError {
    /// The client sent what is no body.
    Bad(BadBody),
    /// The client closed before its request was complete.
    ClientGone,
    /// The server takes no more; it may have answered all the same.
    ServerGone,
}

impl Upload {
    /// `out` holds the head already.
    pub fn new(out: Vec<u8>, framing: Framing, body: BodyReader) -> Self {
        Self {
            ended: body.is_done() && framing != Framing::Chunked,
            chunked: framing == Framing::Chunked,
            body,
            out,
            sent: 0,
            plain: 0,
            splicing: Splicing::default(),
            bytes: 0,
            body_begun: false,
        }
    }

    pub fn is_done(&self) -> bool {
        self.ended && self.plain == 0 && self.sent == self.out.len() && self.splicing.is_empty()
    }

    /// Whether all of the request is still here or yet to come, so that nothing of its body could arrive
    /// twice.
    pub fn is_repeatable(&self) -> bool {
        !self.body_begun
    }

    /// What follows the body, for a request of which nothing was sent.
    pub fn into_body(self) -> BodyReader {
        self.body
    }

    /// Gives the scratch space back once nothing of it is left to send, so that the next request is written
    /// where this one was.
    fn rest(&mut self, buffers: &BufferPool) {
        if self.out.capacity() > 0 {
            buffers.give_scratch(mem::take(&mut self.out));
            self.sent = 0;
        }
    }

    /// Gives back what it borrowed.
    pub fn end(mut self, buffers: &BufferPool) {
        self.rest(buffers);
    }

    /// Moves as much as can be moved. On pending it says whom it waits for; the task is woken then.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        buffer: &mut Option<Buffer>,
        buffers: &BufferPool,
        server: &mut Stream,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            *waits_for = WaitsFor::Server;
            self.encode(buffer.as_mut())?;
            if self.sent < self.out.len() {
                match ready!(server.poll_write(cx, &self.out[self.sent..])) {
                    Ok(n) if n > 0 => self.count(n, |upload, n| upload.sent += n),
                    Ok(_) | Err(_) => return Poll::Ready(Err(UploadError::ServerGone)),
                }
                continue;
            }
            self.out.clear();
            self.sent = 0;
            if self.plain > 0
                && let Some(buffer) = buffer
            {
                match ready!(server.poll_write(cx, buffer.slice(0..self.plain))) {
                    Ok(n) if n > 0 => {
                        buffer.consume(n);
                        self.count(n, |upload, n| upload.plain -= n);
                    }
                    Ok(_) | Err(_) => return Poll::Ready(Err(UploadError::ServerGone)),
                }
                continue;
            }
            match ready!(self.splicing.poll_drain(cx, server)) {
                Ok(0) => {}
                Ok(n) => {
                    self.bytes += n as u64;
                    continue;
                }
                Err(_) => return Poll::Ready(Err(UploadError::ServerGone)),
            }
            if self.ended {
                self.splicing.rest(buffers);
                self.rest(buffers);
                return Poll::Ready(Ok(()));
            }
            *waits_for = WaitsFor::Client;
            let left = match self.chunked || !self.body_begun {
                true => 0,
                false => self.body.unbroken(),
            };
            let sockets = (&*client, &*server);
            if self.splicing.takes_over(left, sockets, buffer, buffers) {
                let piece = left.min(UPLOAD_PIECE);
                match ready!(self.splicing.poll_fill(cx, client, piece, buffers)) {
                    Ok(Some(n)) if n > 0 => {
                        self.body.skip(n as u64);
                        self.ended = self.body.is_done();
                        continue;
                    }
                    Ok(None) => {}
                    Ok(Some(_)) | Err(_) => return Poll::Ready(Err(UploadError::ClientGone)),
                }
            }
            if !matches!(ready!(read_more(cx, client, buffer, buffers)), Ok(1..)) {
                return Poll::Ready(Err(UploadError::ClientGone));
            }
        }
    }

    /// Sends what is there already. For clients whose body comes in pieces, see [`push`](Self::push).
    pub fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
    ) -> Poll<Result<(), UploadError>> {
        while self.sent < self.out.len() {
            match ready!(server.poll_write(cx, &self.out[self.sent..])) {
                Ok(n) if n > 0 => self.count(n, |upload, n| upload.sent += n),
                Ok(_) | Err(_) => return Poll::Ready(Err(UploadError::ServerGone)),
            }
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes a piece of the body, to be sent next. Only after everything before it was.
    pub fn push(&mut self, piece: Piece) -> Result<(), UploadError> {
        self.body_begun = true;
        match piece {
            Piece::Data(data) => {
                self.body.next(&data).map_err(UploadError::Bad)?;
                match self.chunked {
                    true => write_chunk(&mut self.out, &data),
                    false => self.out.extend_from_slice(&data),
                }
            }
            Piece::End(trailers) => {
                self.ended = true;
                if self.chunked {
                    write_last_chunk(&mut self.out, trailers.as_deref());
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, n: usize, moved: impl FnOnce(&mut Self, usize)) {
        self.bytes += n as u64;
        moved(self, n);
    }

    /// Turns what is in the client's buffer into what is to be sent.
    fn encode(&mut self, buffer: Option<&mut Buffer>) -> Result<(), UploadError> {
        let Some(buffer) = buffer else {
            if !self.ended && self.body.is_done() {
                self.end_body();
            }
            return Ok(());
        };
        while !self.ended && self.plain == 0 {
            match self.body.next(buffer.filled()).map_err(UploadError::Bad)? {
                BodyEvent::Data(data) if self.chunked => {
                    self.body_begun = true;
                    let end = data.end;
                    write_chunk(&mut self.out, buffer.slice(data));
                    buffer.consume(end);
                }
                BodyEvent::Data(data) => {
                    self.body_begun = true;
                    // Whatever stands with the head goes out with the head, in one piece.
                    if self.sent == self.out.len() {
                        self.plain = data.len();
                    } else {
                        let end = data.end;
                        self.out.extend_from_slice(buffer.slice(data));
                        buffer.consume(end);
                    }
                    self.ended = self.body.is_done();
                }
                BodyEvent::NeedMore => {
                    let all = buffer.filled().len();
                    buffer.consume(all);
                    return Ok(());
                }
                BodyEvent::End(used) => {
                    buffer.consume(used);
                    self.end_body();
                }
            }
        }
        Ok(())
    }

    fn end_body(&mut self) {
        self.ended = true;
        if self.chunked {
            write_last_chunk(&mut self.out, self.body.trailers());
        }
    }
}
