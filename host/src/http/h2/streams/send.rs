//! What a client is sent: heads as they are, bodies as far as the client's windows and what already waits to
//! be sent leave room, in pieces that take turns.

use std::task::{Context, Poll};

use super::{
    super::{
        super::{
            fields::{FieldRef, Fields},
            framing::Framing,
            known::Known,
            response::ResponseHead,
            syntax::push_number,
        },
        frame::{HEAD, close_head, flag, kind, write},
        stream::{Last, PIECE},
    },
    Gone, Key, Streams, UNSENT_LIMIT,
};

impl Streams {
    /// Sends the head of an interim answer.
    pub fn send_interim(&mut self, key: Key, head: &ResponseHead) -> Result<(), Gone> {
        self.check_open(key)?;
        let block = self.open_block();
        self.encoder.begin(&mut self.out, head.status());
        for field in head.fields.iter().filter(|field| is_end_to_end(field)) {
            self.encoder.field(&mut self.out, field.name, field.value);
        }
        close_head(&mut self.out, block, key.stream, 0, self.peer.frame);
        self.rouse();
        Ok(())
    }

    /// Sends the head of the answer. `framing` is how its body will come. A 101 is said as the 200 that
    /// extended CONNECT has in its place. Says how large the head would have been over HTTP/1: over HTTP/2 that
    /// hangs on what was sent before.
    pub fn send_head(
        &mut self,
        key: Key,
        head: &ResponseHead,
        framing: Framing,
        last: Last,
    ) -> Result<u64, Gone> {
        self.check_open(key)?;
        let switches = head.status() == 101;
        let block = self.open_block();
        let status = match switches {
            true => 200,
            false => head.status(),
        };
        self.encoder.begin(&mut self.out, status);
        let mut size = "HTTP/2 200\r\n\r\n".len();
        for field in head.fields.iter().filter(|field| is_end_to_end(field)) {
            let of_http1 = switches && field.name.eq_ignore_ascii_case("sec-websocket-accept");
            if !of_http1 {
                size += field.name.len() + field.value.len() + ": \r\n".len();
                self.encoder.field(&mut self.out, field.name, field.value);
            }
        }
        if let Some(length) = head.stated_length(framing) {
            let mut digits = Vec::with_capacity(20);
            push_number(&mut digits, length);
            size += "content-length: \r\n".len() + digits.len();
            self.encoder.field(&mut self.out, "content-length", &digits);
        }
        let flags = match last {
            Last::Yes => flag::END_STREAM,
            Last::No => 0,
        };
        close_head(&mut self.out, block, key.stream, flags, self.peer.frame);
        self.entries[key.at].answered = true;
        self.after_sending(key, last);
        Ok(size as u64)
    }

    /// How many of `wanted` bytes, at least one, may be sent now. Waits while the client, or the connection,
    /// takes none.
    pub fn poll_room(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, Gone>> {
        let room = self.room();
        let others_first = self.turns > 0 || !self.waiting.is_empty();
        let entry = &mut self.entries[key.at];
        if let Some(gone) = &entry.gone {
            return Poll::Ready(Err(gone.clone()));
        }
        let had_turn = std::mem::take(&mut entry.has_turn);
        self.turns -= usize::from(had_turn);
        let of_stream = usize::try_from(entry.send_window).unwrap_or(0);
        if of_stream > 0 && room > 0 && (had_turn || !others_first) {
            return Poll::Ready(Ok(wanted.min(PIECE).min(of_stream).min(room)));
        }
        entry.watch(cx);
        if of_stream == 0 {
            // The client wakes it. Its turn is another's.
            self.give_room();
        } else if !entry.is_waiting {
            entry.is_waiting = true;
            match had_turn {
                true => self.waiting.push_front(key.stream),
                false => self.waiting.push_back(key.stream),
            }
        }
        Poll::Pending
    }

    /// Sends as much as [`poll_room`](Self::poll_room) gave room for.
    pub fn send(&mut self, key: Key, data: &[u8], last: Last) -> Result<(), Gone> {
        self.check_open(key)?;
        let length = data.len() as i64;
        self.send_window -= length;
        self.entries[key.at].send_window -= length;
        let flags = match last {
            Last::Yes => flag::END_STREAM,
            Last::No => 0,
        };
        write(&mut self.out, kind::DATA, flags, key.stream, data);
        self.after_sending(key, last);
        if !self.waiting.is_empty() {
            self.give_room();
        }
        Ok(())
    }

    /// Says that this was all.
    pub fn send_end(&mut self, key: Key, trailers: Option<&Fields>) -> Result<(), Gone> {
        let Some(trailers) = trailers.filter(|trailers| !trailers.is_empty()) else {
            return self.send(key, &[], Last::Yes);
        };
        self.check_open(key)?;
        let block = self.open_block();
        self.encoder.begin_trailers(&mut self.out);
        for field in trailers.iter() {
            self.encoder.field(&mut self.out, field.name, field.value);
        }
        let frame = self.peer.frame;
        close_head(&mut self.out, block, key.stream, flag::END_STREAM, frame);
        self.after_sending(key, Last::Yes);
        Ok(())
    }

    /// Bytes that any stream may send now.
    fn room(&self) -> usize {
        let of_connection = usize::try_from(self.send_window).unwrap_or(0);
        of_connection.min(UNSENT_LIMIT.saturating_sub(self.unsent().len()))
    }

    /// Gives those that have waited longest a turn each, as far as there is room.
    pub(super) fn give_room(&mut self) {
        let mut room = self.room().saturating_sub(self.turns * PIECE);
        while room > 0
            && let Some(stream) = self.waiting.pop_front()
        {
            // One that is over has left its place in the queue behind.
            if let Some(at) = self.find(stream) {
                let entry = &mut self.entries[at];
                entry.is_waiting = false;
                entry.has_turn = true;
                entry.wake();
                self.turns += 1;
                room = room.saturating_sub(PIECE);
            }
        }
    }

    fn check_open(&self, key: Key) -> Result<(), Gone> {
        let entry = &self.entries[key.at];
        match &entry.gone {
            Some(gone) => Err(gone.clone()),
            None if entry.sent_end => Err(Gone::Own),
            None => Ok(()),
        }
    }

    /// Leaves room for what a frame begins with, and says where its content does.
    fn open_block(&mut self) -> usize {
        self.out.extend_from_slice(&[0; HEAD]);
        self.out.len()
    }

    fn after_sending(&mut self, key: Key, last: Last) {
        if last == Last::Yes {
            self.entries[key.at].sent_end = true;
            self.settle(key.at);
        }
        self.rouse();
    }
}

/// Whether a field of an answer is sent on; the length is stated anew.
fn is_end_to_end(field: &FieldRef<'_>) -> bool {
    !matches!(
        field.known,
        Known::Nominated
            | Known::Connection
            | Known::ContentLength
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
    )
}
