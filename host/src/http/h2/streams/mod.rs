//! One client's connection of HTTP/2: which streams there are, what they may send and be sent, and the frames
//! both ways. Bytes come in by [`Streams::receive`] and leave by [`Streams::unsent`]; there is no socket here.
//!
//! ```text
//! bytes → receive ─→ a request's head ─→ whoever serves it ─→ send_head, send, end ─┐
//!            └─ data, trailers, resets ─→ poll_piece, poll_gone                     ├→ unsent
//!            └─ settings, pings, window updates ─→ answered at once ────────────────┘
//! ```
//!
//! An entry lives as long as whoever serves its stream; the number that an entry has is not used for
//! another until then. A frame for a stream without an entry is for one that is over.

mod entry;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::Reason;

use self::entry::{Entry, Incoming};
pub use self::entry::{Gone, Key};
use super::{
    super::{
        bad::BadRequest, body::BadBody, framing::Framing, request::RequestHead, scan::HeadLimits,
    },
    Follows, Piece,
    frame::{self, HIGHEST, setting},
    hpack::{Decoder, Encoder},
    meter::{FrameLimits, FrameMeter},
    spell::{FIELD_OVERHEAD, Refused, Spelling},
};

/// What either side may send before it has heard anything (RFC 9113 §6.9.2).
const FIRST_WINDOW: i64 = 65_535;
/// Streams are given room as long as less than this is waiting to be sent.
const UNSENT_LIMIT: usize = 64 * 1024;
/// Nothing more is read from a client that lets so much wait.
const UNSENT_MOST: usize = 4 * UNSENT_LIMIT;
/// A head so many times larger than is allowed ends the connection, since it was made to do harm.
const SWOLLEN: usize = 16;
/// Streams that were reset here and may still be sent to by a client that has not heard of it.
const RECENT: usize = 256;

/// What a client may take.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    pub max_streams: usize,
    pub stream_window: u32,
    pub connection_window: u32,
    /// Streams given up before they were looked at.
    pub pending_resets: usize,
    /// Streams reset since the client broke the rules.
    pub stream_errors: usize,
    pub frames: FrameLimits,
    pub head: HeadLimits,
}

impl StreamLimits {
    /// The largest head, as the protocol counts it.
    fn head_list(&self) -> usize {
        self.head.bytes + self.head.fields * FIELD_OVERHEAD
    }
}

/// What the client has said that it takes.
#[derive(Debug, Clone, Copy)]
struct Peer {
    window: i64,
    frame: usize,
}

/// How far the end of the connection has been agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The client was told, and what it had sent by then is still taken: it answers a ping last.
    Told,
    /// No further stream is taken.
    Settled,
}

/// Why a connection was ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub reason: Reason,
    pub why: Why,
}

/// Whom the end of a connection is put down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The client broke the rules.
    Rules,
    /// It made work for nothing.
    Flood,
    /// Nothing it did: the proxy does not go on.
    Proxy,
}

/// What has come of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More are needed.
    More,
    /// A request has begun, whose head is to be [taken](Streams::take_head) now.
    Request(Key, Follows),
    /// Nothing that the client sends counts any more.
    Over,
}

/// The connection.
#[derive(Debug)]
pub struct Streams {
    limits: StreamLimits,
    peer: Peer,
    meter: FrameMeter,
    decoder: Decoder,
    encoder: Encoder,
    spelling: Spelling,
    incoming: Incoming,
    /// Frames that wait to be sent, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    entries: Vec<Entry>,
    /// Stream and position in `entries` of those that are served, in the order of their numbers.
    index: Vec<(u32, usize)>,
    free: Vec<usize>,
    /// Of those that are served, how many the client has open.
    open: usize,
    /// What the client may still send over all streams, and what was used and not given back.
    window: i64,
    unclaimed: u32,
    /// What may still be sent over all streams.
    send_window: i64,
    /// The client knows how large its streams' windows are.
    windows_agreed: bool,
    /// Streams that wait for the connection to have room, in the order they came.
    waiting: VecDeque<u32>,
    /// Of those that had to wait, how many may send a piece now and have not yet.
    turns: usize,
    /// The highest stream that the client has begun.
    last: u32,
    recent: VecDeque<u32>,
    errors: usize,
    /// Streams that were given up before anybody has looked at them.
    given_up: usize,
    leaving: Leaving,
    client_leaves: bool,
    ended: Option<Ended>,
    /// Of the connection's task, and whether it was woken since it looked last.
    waker: Option<Waker>,
    roused: bool,
}

impl Streams {
    /// Begins with the settings, which are ready to be sent.
    pub fn new(limits: StreamLimits, now: std::time::Instant) -> Self {
        let mut streams = Self {
            meter: FrameMeter::new(limits.frames, now),
            limits,
            peer: Peer {
                window: FIRST_WINDOW,
                frame: frame::PAYLOAD_LIMIT,
            },
            decoder: Decoder::new(),
            encoder: Encoder::default(),
            spelling: Spelling::default(),
            incoming: Incoming::new(),
            out: Vec::new(),
            sent: 0,
            entries: Vec::new(),
            index: Vec::new(),
            free: Vec::new(),
            open: 0,
            window: FIRST_WINDOW,
            unclaimed: 0,
            send_window: FIRST_WINDOW,
            windows_agreed: false,
            waiting: VecDeque::new(),
            turns: 0,
            last: 0,
            recent: VecDeque::new(),
            errors: 0,
            given_up: 0,
            leaving: Leaving::No,
            client_leaves: false,
            ended: None,
            waker: None,
            roused: false,
        };
        streams.write_settings();
        streams
    }

    fn write_settings(&mut self) {
        let mut payload = Vec::new();
        let list = u32::try_from(self.limits.head_list()).unwrap_or(u32::MAX);
        let streams = u32::try_from(self.limits.max_streams).unwrap_or(u32::MAX);
        for (number, value) in [
            (setting::MAX_CONCURRENT_STREAMS, streams),
            (setting::INITIAL_WINDOW_SIZE, self.limits.stream_window),
            (setting::MAX_HEADER_LIST_SIZE, list),
            (setting::ENABLE_CONNECT_PROTOCOL, 1),
        ] {
            payload.extend_from_slice(&number.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        frame::write(&mut self.out, frame::kind::SETTINGS, 0, 0, &payload);
        let more = i64::from(self.limits.connection_window) - self.window;
        if let Ok(more @ 1..) = u32::try_from(more) {
            frame::write_window_update(&mut self.out, 0, more);
            self.window += i64::from(more);
        }
    }

    /// What is to be sent next.
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// So much of it was sent. Streams that had to wait for that are given room.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        self.meter.sent(bytes);
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        self.give_room();
    }

    /// Whether so much waits to be sent that nothing more should be read.
    pub fn is_full(&self) -> bool {
        self.unsent().len() >= UNSENT_MOST
    }

    /// Remembers whom to wake when a stream has something to send. To be called before the rest is looked at.
    pub fn watch(&mut self, cx: &Context<'_>) {
        self.roused = false;
        let known = self.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    fn rouse(&mut self) {
        if !self.roused
            && let Some(waker) = &self.waker
        {
            self.roused = true;
            waker.wake_by_ref();
        }
    }

    /// Whether a stream is served.
    pub fn is_busy(&self) -> bool {
        !self.index.is_empty()
    }

    /// Whether a head has begun that takes more than one frame.
    pub fn is_in_head(&self) -> bool {
        self.incoming.is_in_head()
    }

    /// Whether the client is in the middle of a frame, as far as that was received.
    pub fn is_in_frame(&self) -> bool {
        self.incoming.is_in_frame()
    }

    /// Why the connection is over, if it was ended here.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// Whether nothing is left to do but to send what waits.
    pub fn is_over(&self) -> bool {
        let agreed = self.leaving == Leaving::Settled || self.client_leaves;
        self.ended.is_some() || (agreed && self.index.is_empty())
    }

    /// Tells the client that no new streams are taken, and takes those that are on their way.
    pub fn leave(&mut self) {
        if self.leaving == Leaving::No && self.ended.is_none() {
            self.leaving = Leaving::Told;
            frame::write_go_away(&mut self.out, HIGHEST, Reason::NO_ERROR);
            frame::write(&mut self.out, frame::kind::PING, 0, 0, receive::LEAVE_PING);
        }
    }

    /// Ends the connection and all its streams.
    pub fn end(&mut self, reason: Reason, why: Why) {
        if self.ended.is_some() {
            return;
        }
        frame::write_go_away(&mut self.out, self.last, reason);
        self.ended = Some(Ended { reason, why });
        self.lose();
        self.rouse();
    }

    /// The client is gone.
    pub fn lose(&mut self) {
        for position in 0..self.index.len() {
            let (_, at) = self.index[position];
            self.close(at, Gone::Lost);
        }
    }

    /// Reads the head of the request that has just begun. One that is malformed has been reset when this
    /// returns nothing.
    pub fn take_head(
        &mut self,
        key: Key,
        follows: Follows,
        websocket_key: impl FnOnce() -> String,
        head: &mut RequestHead,
    ) -> Option<Result<(), BadRequest>> {
        let limits = &self.limits.head;
        let read = self
            .spelling
            .read_request(follows, websocket_key, limits, head);
        match read {
            Ok(()) => {
                if let (Framing::Length(length), Follows::Body) = (head.framing(), follows) {
                    self.entries[key.at].length_left = Some(length);
                }
                Some(Ok(()))
            }
            Err(Refused::Bad(bad)) => Some(Err(bad)),
            Err(Refused::Malformed(_)) => {
                self.stream_error(key.stream, Reason::PROTOCOL_ERROR);
                self.release(key);
                None
            }
        }
    }

    /// Whoever serves the stream looks at it now. False if it was given up before.
    pub fn look_at(&mut self, key: Key) -> bool {
        let entry = &mut self.entries[key.at];
        entry.looked_at = true;
        if entry.gone.is_some() {
            self.given_up = self.given_up.saturating_sub(1);
            return false;
        }
        true
    }

    /// The next piece of a request's body. Taking one makes room for as much again, so who doesn't ask slows
    /// the client down. Not to be called again after the end.
    pub fn poll_piece(&mut self, key: Key, cx: &mut Context<'_>) -> Poll<Result<Piece, Gone>> {
        let entry = &mut self.entries[key.at];
        if let Some(data) = entry.data.pop_front() {
            let length = data.len();
            self.claim(key.at, length as u32);
            return Poll::Ready(Ok(Piece::Data(Bytes::from(data))));
        }
        if let Some(bad) = &entry.bad {
            return Poll::Ready(Err(Gone::Bad(bad.clone())));
        }
        if entry.ended {
            entry.end_taken = true;
            return Poll::Ready(Ok(Piece::End(entry.trailers.take())));
        }
        if let Some(gone) = &entry.gone {
            return Poll::Ready(Err(gone.clone()));
        }
        entry.watch(cx);
        Poll::Pending
    }

    /// Whether nothing of the request is left to take.
    pub fn is_taken(&self, key: Key) -> bool {
        let entry = &self.entries[key.at];
        entry.end_taken || entry.gone.is_some() || (entry.ended && entry.data.is_empty())
    }

    /// Ready once the client has given the stream up.
    pub fn poll_gone(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        let entry = &mut self.entries[key.at];
        if entry.gone.is_some() {
            return Poll::Ready(());
        }
        entry.watch(cx);
        Poll::Pending
    }

    /// The same as long as no answer has begun, for whoever watches beside the one that serves the stream.
    pub fn poll_given_up(&mut self, key: Key, cx: &Context<'_>) -> Poll<()> {
        match self.entries[key.at].answered {
            true => Poll::Pending,
            false => self.poll_gone(key, cx),
        }
    }

    /// Resets a stream, unless it is over.
    pub fn reset(&mut self, key: Key, reason: Reason) {
        let entry = &self.entries[key.at];
        if entry.gone.is_none() && !entry.is_closed() {
            frame::write_reset(&mut self.out, key.stream, reason);
            self.remember_reset(key.stream);
            self.close(key.at, Gone::Own);
            self.rouse();
        }
    }

    /// Forgets a stream that nobody serves any more. One that is not over is reset: without error if only the
    /// rest of a request was not wanted.
    pub fn release(&mut self, key: Key) {
        let reason = match self.entries[key.at].sent_end {
            true => Reason::NO_ERROR,
            false => Reason::CANCEL,
        };
        self.reset(key, reason);
        let entry = &mut self.entries[key.at];
        if !entry.looked_at && entry.gone.is_some() {
            self.given_up = self.given_up.saturating_sub(1);
        }
        self.turns -= usize::from(entry.has_turn);
        let unused = entry.data.iter().map(Vec::len).sum::<usize>();
        entry.clear();
        if let Ok(position) = self.index.binary_search_by_key(&key.stream, |(id, _)| *id) {
            self.index.remove(position);
        }
        self.free.push(key.at);
        self.claim_connection(unused as u32);
        self.give_room();
        if self.index.is_empty() {
            // The connection may be over now, or idle from here on.
            self.rouse();
        }
    }

    /// Lets go of what only streams need. For a connection that waits without any.
    pub fn rest(&mut self) {
        debug_assert!(self.index.is_empty() && self.unsent().is_empty());
        self.out = Vec::new();
        self.sent = 0;
        self.entries = Vec::new();
        self.index = Vec::new();
        self.free = Vec::new();
        self.waiting = VecDeque::new();
        self.spelling = Spelling::default();
        self.decoder.rest();
    }

    fn find(&self, stream: u32) -> Option<usize> {
        let position = self.index.binary_search_by_key(&stream, |(id, _)| *id);
        position.ok().map(|position| self.index[position].1)
    }

    fn insert(&mut self, stream: u32, follows: Follows) -> Key {
        let at = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            self.entries.len() - 1
        });
        let window = match self.windows_agreed {
            true => i64::from(self.limits.stream_window),
            false => FIRST_WINDOW,
        };
        let entry = &mut self.entries[at];
        entry.begin(stream, window, self.peer.window, follows);
        self.index.push((stream, at));
        self.open += 1;
        Key { stream, at }
    }

    /// Ends a stream for good, and tells whoever serves it.
    fn close(&mut self, at: usize, gone: Gone) {
        let entry = &mut self.entries[at];
        if entry.gone.is_some() {
            return;
        }
        if !entry.is_closed() {
            self.open -= 1;
        }
        if !entry.looked_at {
            self.given_up += 1;
        }
        entry.gone = Some(gone);
        entry.wake();
    }

    /// Counts a stream out that both sides have ended.
    fn settle(&mut self, at: usize) {
        let entry = &self.entries[at];
        if entry.is_closed() && entry.gone.is_none() {
            self.open -= 1;
        }
    }

    /// Resets a stream on which the client broke the rules.
    fn stream_error(&mut self, stream: u32, reason: Reason) {
        frame::write_reset(&mut self.out, stream, reason);
        self.remember_reset(stream);
        if let Some(at) = self.find(stream) {
            let bad = BadBody::Stream {
                reason: reason.description().to_owned(),
            };
            self.entries[at].bad.get_or_insert(bad.clone());
            self.close(at, Gone::Bad(bad));
        }
        self.errors += 1;
        if self.errors > self.limits.stream_errors {
            self.end(Reason::ENHANCE_YOUR_CALM, Why::Flood);
        }
    }

    fn remember_reset(&mut self, stream: u32) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(stream);
    }

    /// Gives a client back what it may send, once half of a window was used.
    fn claim(&mut self, at: usize, bytes: u32) {
        let limit = self.limits.stream_window;
        let entry = &mut self.entries[at];
        entry.unclaimed += bytes;
        if entry.unclaimed >= limit / 2 && !entry.ended && entry.gone.is_none() {
            let more = std::mem::take(&mut entry.unclaimed);
            entry.window += i64::from(more);
            let stream = entry.stream;
            frame::write_window_update(&mut self.out, stream, more);
            self.rouse();
        }
        self.claim_connection(bytes);
    }

    fn claim_connection(&mut self, bytes: u32) {
        self.unclaimed += bytes;
        if self.unclaimed >= self.limits.connection_window / 2 && self.ended.is_none() {
            let more = std::mem::take(&mut self.unclaimed);
            self.window += i64::from(more);
            frame::write_window_update(&mut self.out, 0, more);
            self.rouse();
        }
    }
}
