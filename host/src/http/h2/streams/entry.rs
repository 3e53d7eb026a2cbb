//! What is known of one stream, and of the frame that is arriving.

use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

use super::super::{
    super::{body::BadBody, fields::Fields},
    Follows,
    meter::PREFACE,
    stream::PIECE,
};

/// Names a stream that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub stream: u32,
    pub(super) at: usize,
}

/// Why a stream is over before both sides have ended it.
#[derive(Debug, Clone)]
pub enum Gone {
    /// The client reset it.
    Client,
    /// With its connection.
    Lost,
    /// It was reset since the client sent what it may not.
    Bad(BadBody),
    /// It was reset by whoever served it.
    Own,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub stream: u32,
    /// The client has ended its side; what it sent may still wait here.
    pub ended: bool,
    /// What it sent and nobody has taken yet, in pieces.
    pub data: VecDeque<Vec<u8>>,
    pub trailers: Option<Box<Fields>>,
    /// Whoever serves it knows of the end.
    pub end_taken: bool,
    /// What the body came to that is not sound.
    pub bad: Option<BadBody>,
    /// Bytes that are still to come by the request's Content-Length.
    pub length_left: Option<u64>,
    /// What the client may still send, and what was used and not given back.
    pub window: i64,
    pub unclaimed: u32,
    /// What the client still takes.
    pub send_window: i64,
    /// The head of the answer was sent.
    pub answered: bool,
    pub sent_end: bool,
    pub gone: Option<Gone>,
    pub looked_at: bool,
    /// It may send before others that wait.
    pub has_turn: bool,
    pub is_waiting: bool,
    waker: Option<Waker>,
}

impl Entry {
    pub fn begin(&mut self, stream: u32, window: i64, send_window: i64, follows: Follows) {
        self.stream = stream;
        self.window = window;
        self.send_window = send_window;
        self.ended = follows == Follows::Nothing;
    }

    /// Makes it ready for another stream; it keeps its memory.
    pub fn clear(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        *self = Self {
            data,
            ..Self::default()
        };
    }

    /// Keeps data. Small pieces are put together: each by itself would take more memory than it has bytes.
    pub fn push(&mut self, data: &[u8]) {
        match self.data.back_mut() {
            Some(last) if last.len() + data.len() <= PIECE => last.extend_from_slice(data),
            _ if data.is_empty() => {}
            _ => self.data.push_back(data.to_vec()),
        }
    }

    /// Whether both sides have ended it.
    pub fn is_closed(&self) -> bool {
        self.ended && self.sent_end
    }

    pub fn watch(&mut self, cx: &Context<'_>) {
        let known = self.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// How far the client's bytes have been read.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Bytes of the preface that are still to come.
    pub preface: usize,
    /// The client has sent its settings, which come first.
    pub has_settings: bool,
    /// DATA of which not all is here.
    pub data: Option<OpenData>,
    /// A head of which not all is here.
    pub block: Option<OpenBlock>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenData {
    pub stream: u32,
    pub left: usize,
    pub ends: bool,
}

#[derive(Debug)]
pub(super) struct OpenBlock {
    pub stream: u32,
    pub ends: bool,
    pub bytes: Vec<u8>,
}

impl Incoming {
    pub fn new() -> Self {
        Self {
            preface: PREFACE.len(),
            has_settings: false,
            data: None,
            block: None,
        }
    }

    pub fn is_in_head(&self) -> bool {
        self.block.is_some()
    }

    pub fn is_in_frame(&self) -> bool {
        self.data.is_some() || !self.has_settings
    }
}
