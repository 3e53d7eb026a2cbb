//! A socket with TLS on it. Text is read and written as on any stream; what is on the wire are records.
//!
//! Between two calls `incoming` holds at most the beginning of a record, and `outgoing` what the socket would
//! not take yet. Both are usually empty, and then there is no buffer at all.

use std::{
    io,
    task::{Context, Poll, ready},
};

use rustls::HandshakeKind;

use super::{
    error::HandshakeError,
    facts::TlsFacts,
    lent, names,
    session::{Seen, Session},
};
use crate::net::{Buffer, Stream};

/// The first byte of every handshake record.
const HANDSHAKE: u8 = 22;
/// A fatal alert in clear text: there is no certificate for that name.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// The most text that is encrypted before the socket is asked to take it.
const AT_A_TIME: usize = 4 * lent::RECORD;

/// A TLS connection over `socket`.
#[derive(Debug)]
pub struct TlsStream {
    socket: Stream,
    session: Session,
    incoming: Option<Buffer>,
    outgoing: Option<Buffer>,
    /// Text that was decrypted and did not fit where it was to go.
    text: Option<Buffer>,
    /// Text that `outgoing` stands for, which the caller has not been told of.
    owed: Option<usize>,
    /// What a client has asked for.
    sni: Option<Box<str>>,
    /// The other side sends no more.
    ended: bool,
    /// We have said that we send no more.
    closed: bool,
}

impl TlsStream {
    pub(super) fn new(socket: Stream, session: Session) -> Self {
        Self {
            socket,
            session,
            incoming: None,
            outgoing: None,
            text: None,
            owed: None,
            sni: None,
            ended: false,
            closed: false,
        }
    }

    /// What is known of the connection once its handshake is done.
    pub(super) fn facts(&mut self) -> TlsFacts {
        TlsFacts::new(self.session.state(), self.sni.take())
    }

    /// Whether this is what both sides are to speak.
    pub(super) fn has_agreed_on(&self, protocol: &[u8]) -> bool {
        self.session.state().alpn_protocol() == Some(protocol)
    }

    /// Whether the session is an earlier one that was taken up again.
    pub(super) fn is_resumed(&self) -> bool {
        self.session.state().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(in crate::net) fn socket(&self) -> &Stream {
        &self.socket
    }

    /// Whether text is here already, or the end of it.
    pub(in crate::net) fn has_arrived(&self) -> bool {
        self.text.is_some() || self.ended
    }

    /// Whether nothing has come that was not used.
    pub(in crate::net) fn is_quiet(&self) -> bool {
        !self.has_arrived() && self.incoming.is_none() && self.socket.is_quiet()
    }

    /// The same by the events already delivered; see [`Stream::seems_quiet`].
    pub(in crate::net) fn seems_quiet(&self) -> bool {
        !self.has_arrived() && self.incoming.is_none() && self.socket.seems_quiet()
    }

    /// Exchanges handshake messages until both sides are ready and have been told so.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        // A client speaks first, so there may be something to say before anything has come.
        let mut look = matches!(self.session, Session::Client(_));
        loop {
            if look {
                self.take_in_handshake(cx)?;
            }
            ready!(self.poll_send(cx)).map_err(HandshakeError::Io)?;
            if !self.session.state().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.ended {
                return Poll::Ready(Err(HandshakeError::Closed { begun: true }));
            }
            let begun =
                self.session.state().protocol_version().is_some() || self.incoming.is_some();
            match ready!(self.poll_receive(cx, lent::RECORD)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Closed { begun })),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(HandshakeError::Io(error))),
            }
            let first = self.incoming.as_ref().and_then(|b| b.filled().first());
            if !begun && matches!(self.session, Session::Server(_)) && first != Some(&HANDSHAKE) {
                return Poll::Ready(Err(HandshakeError::NotTls));
            }
            look = true;
        }
    }

    fn take_in_handshake(&mut self, cx: &mut Context<'_>) -> Result<(), HandshakeError> {
        let mut none = [];
        let taken = self.take_in(&mut none);
        let name = names::take_asked();
        let Err(error) = taken else {
            self.sni = name.or(self.sni.take());
            return Ok(());
        };
        let refused = names::take_refused();
        if refused {
            let mut alert = lent::borrow(0);
            lent::append(&mut alert, &UNRECOGNIZED_NAME);
            self.outgoing = Some(alert);
        }
        // The alert is a courtesy; if the socket has no room for it, so be it.
        let _ = self.poll_send(cx);
        match (refused, name) {
            (true, name) => Err(HandshakeError::UnknownName {
                name: name.map_or_else(String::new, String::from),
            }),
            (false, _) => Err(HandshakeError::Failed(error)),
        }
    }

    /// Reads text into `into`; 0 is the end, or no room. An end that the other side has not announced is an
    /// error, since somebody else may have cut the connection.
    pub(in crate::net) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if let Some(text) = &mut self.text {
                let n = text.filled().len().min(into.len());
                into[..n].copy_from_slice(text.slice(0..n));
                text.consume(n);
                if let Some(empty) = self.text.take_if(|text| text.is_empty()) {
                    lent::give(empty);
                }
                return Poll::Ready(Ok(n));
            }
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            if ready!(self.poll_receive(cx, into.len()))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let taken = self.take_in(into);
            // What has to be answered (a change of keys, an alert) need not be waited for.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
            match taken {
                Ok(0) => {}
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(error) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
            }
        }
    }

    /// Writes the beginning of `bytes`. Ready once the socket has taken all that stands for it. After pending
    /// the next call must begin with the same bytes: they are encrypted already.
    pub(in crate::net) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if let Some(n) = self.owed.take() {
            debug_assert!(
                n <= bytes.len(),
                "a write that was pending goes on as it began"
            );
            return Poll::Ready(Ok(n));
        }
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = bytes.len().min(AT_A_TIME);
        let mut outgoing = lent::borrow(n);
        let mut incoming = self.incoming.take().unwrap_or_else(|| Buffer::of_size(0));
        let encrypted = self
            .session
            .encrypt(&bytes[..n], &mut incoming, &mut outgoing);
        self.incoming = kept(incoming);
        self.outgoing = kept(outgoing);
        encrypted.map_err(io::Error::other)?;
        match self.poll_send(cx)? {
            Poll::Ready(()) => Poll::Ready(Ok(n)),
            Poll::Pending => {
                self.owed = Some(n);
                Poll::Pending
            }
        }
    }

    /// Says that no more will come, and closes the sending side of the socket.
    pub(in crate::net) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_goodbye();
        ready!(self.poll_send(cx))?;
        self.socket.poll_shutdown(cx)
    }

    /// Sends what is left to be sent.
    pub(in crate::net) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// Tells the other side that the end is meant, as far as the socket takes it at once.
    pub(in crate::net) fn close(&mut self) {
        self.say_goodbye();
        if let Some(mut outgoing) = self.outgoing.take() {
            // It is about to be closed, whatever becomes of this.
            let sent = self.socket.write_at_once(outgoing.filled());
            outgoing.consume(sent.unwrap_or(0));
            self.outgoing = kept(outgoing);
        }
    }

    fn say_goodbye(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        let mut outgoing = self.outgoing.take().unwrap_or_else(|| lent::borrow(0));
        let mut incoming = self.incoming.take().unwrap_or_else(|| Buffer::of_size(0));
        self.session.close(&mut incoming, &mut outgoing);
        self.incoming = kept(incoming);
        self.outgoing = kept(outgoing);
    }

    /// Uses up the whole records that are here. Text goes to `into`, and what doesn't fit is kept; returns how
    /// much is in `into`.
    fn take_in(&mut self, into: &mut [u8]) -> Result<usize, rustls::Error> {
        let mut incoming = self.incoming.take().unwrap_or_else(|| Buffer::of_size(0));
        let mut outgoing = self.outgoing.take().unwrap_or_else(|| Buffer::of_size(0));
        let mut n = 0;
        let kept_text = &mut self.text;
        let seen = self
            .session
            .take_in(&mut incoming, &mut outgoing, &mut |text| {
                let fits = match kept_text {
                    None => text.len().min(into.len() - n),
                    Some(_) => 0,
                };
                into[n..n + fits].copy_from_slice(&text[..fits]);
                n += fits;
                let rest = &text[fits..];
                if !rest.is_empty() {
                    let kept = kept_text.get_or_insert_with(|| lent::borrow(rest.len()));
                    let room = lent::append(kept, rest);
                    debug_assert!(room, "text is shorter than the records it was in");
                }
            });
        self.incoming = kept(incoming);
        self.outgoing = kept(outgoing);
        if seen? == Seen::End {
            self.ended = true;
        }
        Ok(n)
    }

    /// Reads records off the socket; 0 is the end. `wanted` says how much text is hoped for.
    fn poll_receive(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        let mut incoming = self.incoming.take().unwrap_or_else(|| lent::borrow(wanted));
        if incoming.free().is_empty() && !lent::make_room(&mut incoming, lent::RECORD) {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let read = self.socket.poll_read(cx, &mut incoming);
        self.incoming = kept(incoming);
        read
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        while !outgoing.is_empty() {
            match ready!(self.socket.poll_write(cx, outgoing.filled()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => outgoing.consume(n),
            }
        }
        if let Some(empty) = self.outgoing.take() {
            lent::give(empty);
        }
        Poll::Ready(Ok(()))
    }
}

/// The buffer if there is something in it; an empty one goes back.
fn kept(buffer: Buffer) -> Option<Buffer> {
    match buffer.is_empty() {
        false => Some(buffer),
        true => {
            lent::give(buffer);
            None
        }
    }
}
