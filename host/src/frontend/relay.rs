//! Bytes both ways between a client and a server, whatever they mean, until both have finished, one is lost, or
//! they fall silent. Small pieces go through a buffer; a sender that fills buffers is handed to the system,
//! which moves bytes from socket to socket by itself.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{transfer::read_more, worker::Worker};
use crate::{
    event_loop::last_look,
    net::{Buffer, Deadline, Pipe, Stream},
};

/// So many buffers must be filled in a row before the system takes over, and so many small pieces must come
/// before it hands back: a pipe costs more calls than it saves where little is moved.
const PATIENCE: u32 = 4;
/// What counts as a small piece.
const SMALL: usize = 8 * 1024;
/// The most that the system moves at a time.
const PIECE: usize = 256 * 1024;

/// How long either side may do nothing.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Both sides, while both may still send.
    pub silence: Duration,
    /// The client, while it takes nothing of what it is sent.
    pub client: Duration,
    /// The server, likewise.
    pub server: Duration,
    /// The client, once its server has finished.
    pub client_fin: Duration,
    /// The server, once its client has finished.
    pub server_fin: Duration,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// Both sides said that they are done.
    Finished,
    /// Its connection broke.
    ClientGone,
    ServerGone,
    ClientTimedOut,
    ServerTimedOut,
}

/// What went through a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    pub end: SessionEnd,
    pub to_server: u64,
    pub to_client: u64,
}

/// Whose connection broke.
enum Broken {
    Sender,
    Receiver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayState {
    Open,
    /// The sender is done; the receiver has yet to be told.
    Closing,
    Closed,
}

/// What bytes wait in. A silent direction has neither.
#[derive(Debug)]
enum Carrier {
    None,
    Buffer(Buffer),
    Pipe(Pipe),
}

/// One direction.
#[derive(Debug)]
struct Way {
    carrier: Carrier,
    state: WayState,
    bytes: u64,
    /// Both sockets are plain, so the system could move the bytes.
    can_splice: bool,
    splices: bool,
    /// Pieces in a row that spoke for the other way of carrying.
    doubts: u32,
    /// Since when the receiver has taken nothing of what waits for it.
    blocked: Option<Instant>,
}

impl Way {
    fn new(can_splice: bool) -> Self {
        Self {
            carrier: Carrier::None,
            state: WayState::Open,
            bytes: 0,
            can_splice,
            splices: false,
            doubts: 0,
            blocked: None,
        }
    }

    /// `last`: nothing goes the other way any more.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        worker: &Worker,
        last: bool,
    ) -> Poll<Result<(), Broken>> {
        loop {
            ready!(self.poll_deliver(cx, to)).map_err(|_| Broken::Receiver)?;
            match self.state {
                WayState::Open => {
                    let taken = self.poll_take(cx, from, worker);
                    if taken.is_pending() {
                        self.rest(worker);
                    }
                    match ready!(taken) {
                        Ok(0) => self.state = WayState::Closing,
                        Ok(_) => {}
                        Err(_) => return Poll::Ready(Err(Broken::Sender)),
                    }
                }
                WayState::Closing => {
                    self.rest(worker);
                    if last && to.is_plain() {
                        // Its connection is closed next, which says the same.
                        self.state = WayState::Closed;
                        return Poll::Ready(Ok(()));
                    }
                    let told = ready!(to.poll_shutdown(cx));
                    self.state = WayState::Closed;
                    told.map_err(|_| Broken::Receiver)?;
                }
                WayState::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Gives the receiver all that waits.
    fn poll_deliver(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            let given = match &mut self.carrier {
                Carrier::Buffer(buffer) if !buffer.is_empty() => {
                    let given = to.poll_write(cx, buffer.filled());
                    if let Poll::Ready(Ok(count)) = given {
                        buffer.consume(count);
                    }
                    given
                }
                Carrier::Pipe(pipe) if !pipe.is_empty() => pipe.poll_drain(cx, to),
                Carrier::None | Carrier::Buffer(_) | Carrier::Pipe(_) => {
                    self.blocked = None;
                    return Poll::Ready(Ok(()));
                }
            };
            match given {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.bytes += count as u64;
                    self.blocked = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.blocked.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes what the sender has. 0 is the end.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        worker: &Worker,
    ) -> Poll<io::Result<usize>> {
        if self.splices {
            // Nothing is lent before there is something to move.
            ready!(from.poll_readable(cx))?;
            match self.pipe(worker) {
                Ok(pipe) => {
                    let count = ready!(pipe.poll_fill(cx, from, PIECE))?;
                    self.weigh(count < SMALL);
                    return Poll::Ready(Ok(count));
                }
                // Without descriptors left the bytes go the other way.
                Err(_) => (self.splices, self.can_splice) = (false, false),
            }
        }
        let mut buffer = match std::mem::replace(&mut self.carrier, Carrier::None) {
            Carrier::Buffer(buffer) => Some(buffer),
            Carrier::None => None,
            Carrier::Pipe(pipe) => {
                worker.buffers.pipes.give(pipe);
                None
            }
        };
        let room = buffer.as_mut().map(|buffer| buffer.free().len());
        let taken = read_more(cx, from, &mut buffer, &worker.buffers);
        if let Some(buffer) = buffer {
            let room = room.unwrap_or_else(|| worker.buffers.small_size());
            self.carrier = Carrier::Buffer(buffer);
            if let Poll::Ready(Ok(count)) = taken {
                self.weigh(count >= room.min(worker.buffers.small_size()));
            }
        }
        taken
    }

    /// Counts a piece that spoke for the other way of carrying, or did not, and changes over after some.
    fn weigh(&mut self, doubtful: bool) {
        self.doubts = match doubtful {
            true => self.doubts + 1,
            false => 0,
        };
        if self.doubts >= PATIENCE && (self.splices || self.can_splice) {
            self.splices = !self.splices;
            self.doubts = 0;
        }
    }

    fn pipe(&mut self, worker: &Worker) -> io::Result<&mut Pipe> {
        if !matches!(self.carrier, Carrier::Pipe(_)) {
            let pipe = worker.buffers.pipes.take()?;
            self.rest(worker);
            self.carrier = Carrier::Pipe(pipe);
        }
        match &mut self.carrier {
            Carrier::Pipe(pipe) => Ok(pipe),
            Carrier::None | Carrier::Buffer(_) => unreachable!("it was put there"),
        }
    }

    /// Gives back what nothing waits in.
    fn rest(&mut self, worker: &Worker) {
        match std::mem::replace(&mut self.carrier, Carrier::None) {
            Carrier::None => {}
            Carrier::Buffer(buffer) => worker.buffers.give(buffer),
            Carrier::Pipe(pipe) => worker.buffers.pipes.give(pipe),
        }
    }

    fn is_over(&self) -> bool {
        self.state == WayState::Closed
    }
}

/// Relays until the session ends. `early` is what reading from the client has brought so far, `deadline` the session's
/// one timer.
pub async fn relay(
    worker: &Worker,
    client: &mut Stream,
    server: &mut Stream,
    early: io::Result<Option<Buffer>>,
    deadline: &mut Deadline,
    patience: Patience,
) -> Relayed {
    let Ok(early) = early else {
        return Relayed {
            end: SessionEnd::ClientGone,
            to_server: 0,
            to_client: 0,
        };
    };
    let can_splice = client.is_plain() && server.is_plain();
    let (mut up, mut down) = (Way::new(can_splice), Way::new(can_splice));
    if let Some(early) = early {
        up.carrier = Carrier::Buffer(early);
    }
    let mut moved = last_look();
    let mut before = None;
    let end = poll_fn(|cx| {
        match up.poll(cx, client, server, worker, down.is_over()) {
            Poll::Ready(Err(Broken::Sender)) => return Poll::Ready(SessionEnd::ClientGone),
            Poll::Ready(Err(Broken::Receiver)) => return Poll::Ready(SessionEnd::ServerGone),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        match down.poll(cx, server, client, worker, up.is_over()) {
            Poll::Ready(Err(Broken::Sender)) => return Poll::Ready(SessionEnd::ServerGone),
            Poll::Ready(Err(Broken::Receiver)) => return Poll::Ready(SessionEnd::ClientGone),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if up.is_over() && down.is_over() {
            return Poll::Ready(SessionEnd::Finished);
        }
        let now = Some((up.bytes, down.bytes, up.state, down.state));
        if now != before {
            (before, moved) = (now, last_look());
        }
        let (at, end) = patience.runs_out(moved, &up, &down);
        deadline.set_at(at);
        ready!(deadline.poll_expired(cx));
        Poll::Ready(end)
    })
    .await;
    up.rest(worker);
    down.rest(worker);
    Relayed {
        end,
        to_server: up.bytes,
        to_client: down.bytes,
    }
}

impl Patience {
    /// When the first limit is over, and whose it is.
    fn runs_out(&self, moved: Instant, up: &Way, down: &Way) -> (Instant, SessionEnd) {
        let silence = match (up.is_over(), down.is_over()) {
            (true, _) => (moved + self.server_fin, SessionEnd::ServerTimedOut),
            (false, true) => (moved + self.client_fin, SessionEnd::ClientTimedOut),
            (false, false) => (moved + self.silence, SessionEnd::ClientTimedOut),
        };
        let server = up
            .blocked
            .map(|since| (since + self.server, SessionEnd::ServerTimedOut));
        let client = down
            .blocked
            .map(|since| (since + self.client, SessionEnd::ClientTimedOut));
        [server, client]
            .into_iter()
            .flatten()
            .fold(silence, |first, other| match other.0 < first.0 {
                true => other,
                false => first,
            })
    }
}
