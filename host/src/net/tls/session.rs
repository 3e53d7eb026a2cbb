//! The TLS protocol without a socket: records in, records out, plain text on the other side. A thin layer over
//! the library's unbuffered connections, which leave all buffers to us.

use std::fmt;

use rustls::{
    CommonState, Error,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

use super::lent;
use crate::net::Buffer;

/// Our end of a TLS connection.
pub(super) enum Session {
    /// Towards a client.
    Server(UnbufferedServerConnection),
    /// Towards a server.
    Client(UnbufferedClientConnection),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Server(_) => "Session::Server",
            Self::Client(_) => "Session::Client",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

/// What came of looking at records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// All whole records were used up.
    All,
    /// The other side has said that it sends no more.
    End,
}

/// What one step left to do.
enum Step {
    Again,
    Done(Seen),
    /// Plain text was turned into records; so much of it.
    Encrypted,
}

impl Session {
    pub fn state(&self) -> &CommonState {
        match self {
            Self::Server(session) => session,
            Self::Client(session) => session,
        }
    }

    /// Takes in all whole records of `incoming`. Their text goes to `text`, what must be answered to
    /// `outgoing`, which on an error holds the alert that says so.
    pub fn take_in(
        &mut self,
        incoming: &mut Buffer,
        outgoing: &mut Buffer,
        text: &mut dyn FnMut(&[u8]),
    ) -> Result<Seen, Error> {
        let mut end = Seen::All;
        loop {
            let (discard, step) = self.step(incoming, outgoing, text, None);
            incoming.consume(discard);
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Done(Seen::End)) => end = Seen::End,
                Ok(Step::Done(Seen::All) | Step::Encrypted) => return Ok(end),
                Err(error) => {
                    self.collect_alert(incoming, outgoing);
                    return Err(error);
                }
            }
            if end == Seen::End && incoming.is_empty() {
                return Ok(end);
            }
        }
    }

    /// Appends the records for `plain` to `outgoing`. `incoming` holds no whole record.
    pub fn encrypt(
        &mut self,
        plain: &[u8],
        incoming: &mut Buffer,
        outgoing: &mut Buffer,
    ) -> Result<(), Error> {
        loop {
            let (discard, step) = self.step(incoming, outgoing, &mut |_| {}, Some(plain));
            incoming.consume(discard);
            match step? {
                Step::Again => {}
                Step::Encrypted => return Ok(()),
                Step::Done(_) => return Err(Error::HandshakeNotComplete),
            }
        }
    }

    /// Appends the alert that ends our side of the connection.
    pub fn close(&mut self, incoming: &mut Buffer, outgoing: &mut Buffer) {
        lent::make_room(outgoing, 64);
        match self {
            Self::Server(session) => {
                close(session.process_tls_records(incoming.filled_mut()), outgoing);
            }
            Self::Client(session) => {
                close(session.process_tls_records(incoming.filled_mut()), outgoing);
            }
        }
    }

    fn step(
        &mut self,
        incoming: &mut Buffer,
        outgoing: &mut Buffer,
        text: &mut dyn FnMut(&[u8]),
        plain: Option<&[u8]>,
    ) -> (usize, Result<Step, Error>) {
        match self {
            Self::Server(session) => step::<ServerConnectionData>(
                session.process_tls_records(incoming.filled_mut()),
                outgoing,
                text,
                plain,
            ),
            Self::Client(session) => step::<ClientConnectionData>(
                session.process_tls_records(incoming.filled_mut()),
                outgoing,
                text,
                plain,
            ),
        }
    }

    /// After an error the library has an alert for the other side, if one is due. Once that is out it is not
    /// asked again: it would look at what it could not read once more, and have another alert.
    fn collect_alert(&mut self, incoming: &mut Buffer, outgoing: &mut Buffer) {
        while self.state().wants_write() {
            let (discard, step) = self.step(incoming, outgoing, &mut |_| {}, None);
            incoming.consume(discard);
            if !matches!(step, Ok(Step::Again)) {
                return;
            }
        }
    }
}

/// Does what one state of the connection asks for.
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    outgoing: &mut Buffer,
    text: &mut dyn FnMut(&[u8]),
    plain: Option<&[u8]>,
) -> (usize, Result<Step, Error>) {
    let mut discard = status.discard;
    let step = match status.state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut result = Ok(Step::Again);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        text(record.payload);
                    }
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            result
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => loop {
            match data.encode(outgoing.free()) {
                Ok(n) => {
                    outgoing.advance(n);
                    break Ok(Step::Again);
                }
                Err(EncodeError::InsufficientSize(size)) => {
                    if !lent::make_room(outgoing, size.required_size) {
                        break Err(Error::General("a handshake message is too large".into()));
                    }
                }
                Err(EncodeError::AlreadyEncoded) => break Ok(Step::Again),
            }
        },
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It is in `outgoing`, which is sent before anything else.
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::PeerClosed) => Ok(Step::Done(Seen::End)),
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match plain {
            None => Ok(Step::Done(Seen::All)),
            Some(plain) => loop {
                match traffic.encrypt(plain, outgoing.free()) {
                    Ok(n) => {
                        outgoing.advance(n);
                        break Ok(Step::Encrypted);
                    }
                    Err(EncryptError::InsufficientSize(size)) => {
                        if !lent::make_room(outgoing, size.required_size) {
                            break Err(Error::General("too much text at a time".into()));
                        }
                    }
                    Err(EncryptError::EncryptExhausted) => break Err(Error::EncryptError),
                }
            },
        },
        // Nothing was asked for that could be early data.
        Ok(ConnectionState::ReadEarlyData(_)) => Err(Error::General("early data".into())),
        Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
            Ok(Step::Done(Seen::All))
        }
        Ok(_) => Err(Error::General("a state that is not known".into())),
    };
    (discard, step)
}

fn close<D>(status: UnbufferedStatus<'_, '_, D>, outgoing: &mut Buffer) {
    if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state
        && let Ok(n) = traffic.queue_close_notify(outgoing.free())
    {
        outgoing.advance(n);
    }
}
