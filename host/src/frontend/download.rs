//! A server's answer on its way to the client, after its head was read.

use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::{
    splicing::{DOWNLOAD_PIECE, Splicing},
    transfer::{WaitsFor, read_more},
};
use crate::{
    http::{
        body::{BadBody, BodyEvent, BodyReader},
        chunk::{write_chunk, write_last_chunk},
        framing::Framing,
        h2::{Last, Piece},
    },
    net::{Buffer, BufferPool, Stream},
};

/// Sends an answer and counts what it sent.
#[derive(Debug)]
pub struct Download {
    body: BodyReader,
    /// The client is sent chunks.
    chunked: bool,
    out: Vec<u8>,
    sent: usize,
    /// Bytes at the start of the server's buffer that go out as they are.
    plain: usize,
    splicing: Splicing,
    ended: bool,
    /// The client may have been sent some of it.
    begun: bool,
    /// Bytes taken by the client, head included.
    pub bytes: u64,
}

/// Why the answer could not be sent in full.
#[derive(Debug)]
pub enum DownloadError {
    ClientGone,
    /// The server stopped in the middle.
    Truncated,
    Bad(BadBody),
}

impl Download {
    /// `out` holds the head already; `to_client` is the framing that it states.
    pub fn new(out: Vec<u8>, to_client: Framing, body: BodyReader) -> Self {
        let chunked = to_client == Framing::Chunked;
        Self {
            ended: body.is_done() && !chunked,
            chunked,
            body,
            out,
            sent: 0,
            plain: 0,
            splicing: Splicing::default(),
            begun: false,
            bytes: 0,
        }
    }

    pub fn into_out(self) -> Vec<u8> {
        self.out
    }

    /// Follows what comes from the server. This and what is below is for clients that are not sent bytes but
    /// pieces.
    pub fn body_mut(&mut self) -> &mut BodyReader {
        &mut self.body
    }

    /// Whether the data that the reader has just found were the last of the answer.
    pub fn ends_with_data(&self) -> Last {
        match self.body.is_done() && !self.chunked {
            true => Last::Yes,
            false => Last::No,
        }
    }

    /// The client was told that this was all.
    pub fn set_ended(&mut self) {
        self.ended = true;
    }

    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the client may have been sent some of it.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// The client was sent the head by other means.
    pub fn set_begun(&mut self) {
        self.begun = true;
    }

    /// Sends what is there already, and then a piece, which is taken away. Ready means that all was sent.
    pub fn poll_deliver(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Stream,
        piece: &mut Option<Piece>,
    ) -> Poll<Result<(), DownloadError>> {
        if let Some(Piece::Data(data)) = piece
            && (self.chunked || !self.out.is_empty())
        {
            match self.chunked {
                true => write_chunk(&mut self.out, data),
                false => self.out.extend_from_slice(data),
            }
            *piece = None;
        }
        if let Some(Piece::End(trailers)) = piece {
            if self.chunked {
                write_last_chunk(&mut self.out, trailers.as_deref());
            }
            self.ended = true;
            *piece = None;
        }
        loop {
            let bytes = match piece {
                _ if self.sent < self.out.len() => &self.out[self.sent..],
                Some(Piece::Data(data)) if !data.is_empty() => data,
                _ => break,
            };
            self.begun = true;
            let n = match ready!(client.poll_write(cx, bytes)) {
                Ok(n) if n > 0 => n,
                Ok(_) | Err(_) => return Poll::Ready(Err(DownloadError::ClientGone)),
            };
            self.bytes += n as u64;
            match piece {
                _ if self.sent < self.out.len() => self.sent += n,
                Some(Piece::Data(data)) => data.advance(n),
                Some(Piece::End(_)) | None => {}
            }
        }
        self.out.clear();
        self.sent = 0;
        *piece = None;
        Poll::Ready(Ok(()))
    }

    /// Moves as much as can be moved. Pending says whom it waits for; the task is woken then.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &mut Stream,
        buffer: &mut Option<Buffer>,
        buffers: &BufferPool,
        client: &mut Stream,
        waits_for: &mut WaitsFor,
    ) -> Poll<Result<(), DownloadError>> {
        loop {
            *waits_for = WaitsFor::Client;
            self.encode(buffer.as_mut())?;
            if self.sent < self.out.len() {
                self.begun = true;
                match ready!(client.poll_write(cx, &self.out[self.sent..])) {
                    Ok(n) if n > 0 => {
                        self.sent += n;
                        self.bytes += n as u64;
                    }
                    Ok(_) | Err(_) => return Poll::Ready(Err(DownloadError::ClientGone)),
                }
                continue;
            }
            self.out.clear();
            self.sent = 0;
            if self.plain > 0
                && let Some(buffer) = buffer
            {
                match ready!(client.poll_write(cx, buffer.slice(0..self.plain))) {
                    Ok(n) if n > 0 => {
                        buffer.consume(n);
                        self.plain -= n;
                        self.bytes += n as u64;
                    }
                    Ok(_) | Err(_) => return Poll::Ready(Err(DownloadError::ClientGone)),
                }
                continue;
            }
            match ready!(self.splicing.poll_drain(cx, client)) {
                Ok(0) => {}
                Ok(n) => {
                    self.bytes += n as u64;
                    continue;
                }
                Err(_) => return Poll::Ready(Err(DownloadError::ClientGone)),
            }
            if self.ended {
                self.splicing.rest(buffers);
                return Poll::Ready(Ok(()));
            }
            *waits_for = WaitsFor::Server;
            let left = match self.chunked {
                true => 0,
                false => self.body.unbroken(),
            };
            let sockets = (&*server, &*client);
            if self.splicing.takes_over(left, sockets, buffer, buffers) {
                let piece = left.min(DOWNLOAD_PIECE);
                match ready!(self.splicing.poll_fill(cx, server, piece, buffers)) {
                    Ok(Some(n)) if n > 0 => {
                        self.body.skip(n as u64);
                        self.ended = self.body.is_done();
                        continue;
                    }
                    Ok(None) => {}
                    Ok(Some(_)) | Err(_) => return Poll::Ready(Err(DownloadError::Truncated)),
                }
            }
            match ready!(read_more(cx, server, buffer, buffers)) {
                Ok(0) if self.body.eof().is_ok() => self.end(),
                // A reset is never an orderly end, even where the end of the connection is one.
                Ok(0) | Err(_) => return Poll::Ready(Err(DownloadError::Truncated)),
                Ok(_) => {}
            }
        }
    }

    fn encode(&mut self, buffer: Option<&mut Buffer>) -> Result<(), DownloadError> {
        let Some(buffer) = buffer else {
            if !self.ended && self.body.is_done() {
                self.end();
            }
            return Ok(());
        };
        while !self.ended && self.plain == 0 {
            match self
                .body
                .next(buffer.filled())
                .map_err(DownloadError::Bad)?
            {
                BodyEvent::Data(data) if self.chunked => {
                    let end = data.end;
                    write_chunk(&mut self.out, buffer.slice(data));
                    buffer.consume(end);
                }
                BodyEvent::Data(data) => {
                    // Whatever came with the head goes out with the head, in one piece.
                    if self.out.is_empty() {
                        // Bytes of the framing before the data are not for a client that gets none.
                        buffer.consume(data.start);
                        self.plain = data.len();
                    } else {
                        let end = data.end;
                        self.out.extend_from_slice(buffer.slice(data));
                        buffer.consume(end);
                    }
                    self.ended = self.body.is_done() && !self.chunked;
                }
                BodyEvent::NeedMore => {
                    let all = buffer.filled().len();
                    buffer.consume(all);
                    return Ok(());
                }
                BodyEvent::End(used) => {
                    buffer.consume(used);
                    self.end();
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ended = true;
        if self.chunked {
            write_last_chunk(&mut self.out, self.body.trailers());
        }
    }
}
