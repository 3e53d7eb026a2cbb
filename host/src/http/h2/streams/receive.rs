//! What a client sends, frame by frame (RFC 9113 §6). What breaks the rules of a stream resets it, what breaks
//! those of the connection ends it.

use std::time::Instant;

use h2::Reason;

use super::{
    super::{
        Follows,
        frame::{
            FrameHead, HEAD, HIGHEST, PAYLOAD_LIMIT, flag, kind, setting, write, write_go_away,
            write_reset,
        },
        meter::PREFACE,
        spell::BadTrailers,
    },
    Gone, Key, Leaving, SWOLLEN, Step, Streams, Why,
    entry::{OpenBlock, OpenData},
};

/// What the ping says that is answered when all was received that was sent before a farewell.
pub(super) const LEAVE_PING: &[u8; 8] = b"farewell";

/// What ends a connection.
struct Broken(Reason);

type Taken = Result<Option<(Key, Follows)>, Broken>;

const PROTOCOL: Broken = Broken(Reason::PROTOCOL_ERROR);
const SIZE: Broken = Broken(Reason::FRAME_SIZE_ERROR);

impl Streams {
    /// Takes what can be taken from the beginning of `input`, and says how much that was. What is left is to
    /// be shown again with more behind it; a frame that is to be seen as a whole has
    /// [`PAYLOAD_LIMIT`] bytes after its head at most.
    pub fn receive(&mut self, input: &[u8]) -> (usize, Step) {
        let mut used = 0;
        while self.ended.is_none() {
            match self.receive_one(&input[used..]) {
                Ok((0, _)) => return (used, Step::More),
                Ok((taken, None)) => used += taken,
                Ok((taken, Some((key, follows)))) => {
                    return (used + taken, Step::Request(key, follows));
                }
                Err(Broken(reason)) => self.end(reason, Why::Rules),
            }
        }
        (input.len(), Step::Over)
    }

    /// Takes a frame, or part of one; nothing if there is not enough.
    fn receive_one(&mut self, input: &[u8]) -> Result<(usize, Option<(Key, Follows)>), Broken> {
        if self.incoming.preface > 0 {
            return self.receive_preface(input).map(|taken| (taken, None));
        }
        if let Some(data) = self.incoming.data {
            let here = input.len().min(data.left);
            let (part, rest) = (&input[..here], data.left - here);
            self.incoming.data = (rest > 0).then_some(OpenData { left: rest, ..data });
            if here > 0 {
                self.take_data(data.stream, part, data.ends && rest == 0);
            }
            return Ok((here, None));
        }
        let Some((head, payload)) = input.split_first_chunk::<HEAD>() else {
            return Ok((0, None));
        };
        let head = FrameHead::read(head);
        if head.length > PAYLOAD_LIMIT {
            return Err(SIZE);
        }
        // One of data without padding need not be here as a whole.
        let is_split = head.kind == kind::DATA && !head.has(flag::PADDED);
        if payload.len() < head.length && !is_split {
            return Ok((0, None));
        }
        let counted = self
            .meter
            .count(head.kind, head.flags, head.length, Instant::now);
        if counted.is_err() {
            self.end(Reason::ENHANCE_YOUR_CALM, Why::Flood);
            return Ok((input.len(), None));
        }
        self.check_order(&head)?;
        if is_split {
            self.begin_data(&head, head.length)?;
            match head.length {
                0 => self.take_data(head.stream, &[], head.has(flag::END_STREAM)),
                left => {
                    self.incoming.data = Some(OpenData {
                        stream: head.stream,
                        left,
                        ends: head.has(flag::END_STREAM),
                    });
                }
            }
            return Ok((HEAD, None));
        }
        let payload = &payload[..head.length];
        let begun = self.take_frame(&head, payload)?;
        Ok((HEAD + head.length, begun))
    }

    fn receive_preface(&mut self, input: &[u8]) -> Result<usize, Broken> {
        let expected = &PREFACE[PREFACE.len() - self.incoming.preface..];
        let here = input.len().min(expected.len());
        if input[..here] != expected[..here] {
            return Err(PROTOCOL);
        }
        self.incoming.preface -= here;
        Ok(here)
    }

    /// Settings come first, and nothing comes between the parts of a head.
    fn check_order(&mut self, head: &FrameHead) -> Result<(), Broken> {
        if !self.incoming.has_settings {
            if head.kind != kind::SETTINGS || head.has(flag::ACK) {
                return Err(PROTOCOL);
            }
            self.incoming.has_settings = true;
        }
        let goes_on = match &self.incoming.block {
            Some(block) => head.kind == kind::CONTINUATION && head.stream == block.stream,
            None => head.kind != kind::CONTINUATION,
        };
        goes_on.then_some(()).ok_or(PROTOCOL)
    }

    fn take_frame(&mut self, head: &FrameHead, payload: &[u8]) -> Taken {
        match head.kind {
            kind::DATA => {
                let data = unpadded(head, payload)?;
                self.begin_data(head, head.length)?;
                // What only fills counts as sent and is used at once.
                let filling = (payload.len() - data.len()) as u32;
                match self.find(head.stream) {
                    Some(at) => self.claim(at, filling),
                    None => self.claim_connection(filling),
                }
                self.take_data(head.stream, data, head.has(flag::END_STREAM));
            }
            kind::HEADERS => return self.take_headers(head, payload),
            kind::CONTINUATION => return self.take_continuation(head, payload),
            kind::PRIORITY => self.take_priority(head, payload)?,
            kind::RST_STREAM => self.take_reset(head, payload)?,
            kind::SETTINGS => self.take_settings(head, payload)?,
            kind::PING => self.take_ping(head, payload)?,
            kind::GOAWAY => {
                if head.stream != 0 {
                    return Err(PROTOCOL);
                }
                if payload.len() < 8 {
                    return Err(SIZE);
                }
                self.client_leaves = true;
            }
            kind::WINDOW_UPDATE => self.take_window_update(head, payload)?,
            kind::PUSH_PROMISE => return Err(PROTOCOL),
            // What is not known is of no concern.
            _ => {}
        }
        Ok(None)
    }

    /// Counts DATA as sent, over all streams and over its own.
    fn begin_data(&mut self, head: &FrameHead, length: usize) -> Result<(), Broken> {
        if head.stream == 0 || head.stream > self.last {
            return Err(PROTOCOL);
        }
        self.window -= length as i64;
        if self.window < 0 {
            return Err(Broken(Reason::FLOW_CONTROL_ERROR));
        }
        let Some(at) = self.find(head.stream) else {
            self.over(head.stream);
            return Ok(());
        };
        let entry = &mut self.entries[at];
        if entry.gone.is_some() {
            return Ok(());
        }
        if entry.ended {
            self.stream_error(head.stream, Reason::STREAM_CLOSED);
            return Ok(());
        }
        entry.window -= length as i64;
        if entry.window < 0 {
            self.stream_error(head.stream, Reason::FLOW_CONTROL_ERROR);
        }
        Ok(())
    }

    /// Something came for a stream that is over. A client that has not heard of that yet is right to send it.
    fn over(&mut self, stream: u32) {
        if !self.recent.contains(&stream) {
            self.stream_error(stream, Reason::STREAM_CLOSED);
        }
    }

    fn take_data(&mut self, stream: u32, data: &[u8], ends: bool) {
        let found = self.find(stream);
        let open = |at: &usize| self.entries[*at].gone.is_none();
        let Some(at) = found.filter(open) else {
            self.claim_connection(data.len() as u32);
            return;
        };
        let entry = &mut self.entries[at];
        if let Some(left) = &mut entry.length_left {
            let after = left.checked_sub(data.len() as u64);
            if after.is_none() || (ends && after != Some(0)) {
                self.claim_connection(data.len() as u32);
                self.stream_error(stream, Reason::PROTOCOL_ERROR);
                return;
            }
            *left = after.unwrap_or(0);
        }
        entry.push(data);
        entry.ended = ends;
        if ends || !data.is_empty() {
            entry.wake();
        }
        if ends {
            self.settle(at);
        }
    }

    fn take_headers(&mut self, head: &FrameHead, payload: &[u8]) -> Taken {
        if head.stream == 0 {
            return Err(PROTOCOL);
        }
        let mut block = unpadded(head, payload)?;
        if head.has(flag::PRIORITY) {
            let (parent, rest) = block.split_first_chunk::<4>().ok_or(SIZE)?;
            block = rest.get(1..).ok_or(SIZE)?;
            if u32::from_be_bytes(*parent) & HIGHEST == head.stream {
                return Err(PROTOCOL);
            }
        }
        let ends = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.take_block(head.stream, ends, block);
        }
        self.incoming.block = Some(OpenBlock {
            stream: head.stream,
            ends,
            bytes: block.to_vec(),
        });
        Ok(None)
    }

    fn take_continuation(&mut self, head: &FrameHead, payload: &[u8]) -> Taken {
        let mut block = self.incoming.block.take().ok_or(PROTOCOL)?;
        // Packed, it is hardly ever larger than what it stands for.
        if block.bytes.len() + payload.len() > self.limits.head_list() + PAYLOAD_LIMIT {
            self.end(Reason::ENHANCE_YOUR_CALM, Why::Flood);
            return Ok(None);
        }
        block.bytes.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.take_block(block.stream, block.ends, &block.bytes);
        }
        self.incoming.block = Some(block);
        Ok(None)
    }

    /// Understands a head, whatever becomes of it: those that follow may name what is in it.
    fn take_block(&mut self, stream: u32, ends: bool, block: &[u8]) -> Taken {
        let found = self.find(stream);
        let is_new = stream > self.last;
        if is_new && stream.is_multiple_of(2) {
            return Err(PROTOCOL);
        }
        match is_new {
            true => self.spelling.begin(self.limits.head_list()),
            false => self.spelling.begin_trailers(),
        }
        let spelling = &mut self.spelling;
        let decoded = self
            .decoder
            .decode(block, |name, value| spelling.field(name, value));
        decoded.map_err(|_| Broken(Reason::COMPRESSION_ERROR))?;
        if self.spelling.size() > SWOLLEN * self.limits.head_list() {
            self.end(Reason::ENHANCE_YOUR_CALM, Why::Flood);
            return Ok(None);
        }
        match found {
            Some(at) => self.take_trailers(stream, at, ends),
            None if is_new => return Ok(self.take_request(stream, ends)),
            None => self.over(stream),
        }
        Ok(None)
    }

    fn take_request(&mut self, stream: u32, ends: bool) -> Option<(Key, Follows)> {
        if self.leaving == Leaving::Settled {
            return None;
        }
        self.last = stream;
        if self.open >= self.limits.max_streams {
            write_reset(&mut self.out, stream, Reason::REFUSED_STREAM);
            self.remember_reset(stream);
            return None;
        }
        let follows = match ends {
            true => Follows::Nothing,
            false => Follows::Body,
        };
        Some((self.insert(stream, follows), follows))
    }

    fn take_trailers(&mut self, stream: u32, at: usize, ends: bool) {
        let entry = &self.entries[at];
        if entry.gone.is_some() {
            return;
        }
        if entry.ended {
            self.stream_error(stream, Reason::STREAM_CLOSED);
            return;
        }
        if !ends || entry.length_left.is_some_and(|left| left > 0) {
            self.stream_error(stream, Reason::PROTOCOL_ERROR);
            return;
        }
        match self.spelling.read_trailers() {
            Ok(fields) => {
                let entry = &mut self.entries[at];
                entry.trailers = (!fields.is_empty()).then(|| Box::new(fields));
                entry.ended = true;
                entry.wake();
                self.settle(at);
            }
            Err(BadTrailers::Malformed) => self.stream_error(stream, Reason::PROTOCOL_ERROR),
            // Whoever serves it answers that.
            Err(BadTrailers::Bad(bad)) => {
                let entry = &mut self.entries[at];
                entry.bad = Some(bad);
                entry.ended = true;
                entry.wake();
                self.settle(at);
            }
        }
    }

    fn take_priority(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Broken> {
        if head.stream == 0 {
            return Err(PROTOCOL);
        }
        match payload {
            [a, b, c, d, _] if u32::from_be_bytes([*a, *b, *c, *d]) & HIGHEST != head.stream => {}
            // Priorities are not looked at any further (RFC 9113 §5.3).
            _ if head.stream > self.last => return Err(SIZE),
            [_, _, _, _, _] => self.stream_error(head.stream, Reason::PROTOCOL_ERROR),
            _ => self.stream_error(head.stream, Reason::FRAME_SIZE_ERROR),
        }
        Ok(())
    }

    fn take_reset(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Broken> {
        if head.stream == 0 || head.stream > self.last {
            return Err(PROTOCOL);
        }
        if payload.len() != 4 {
            return Err(SIZE);
        }
        if let Some(at) = self.find(head.stream) {
            self.close(at, Gone::Client);
            if self.given_up > self.limits.pending_resets {
                self.end(Reason::ENHANCE_YOUR_CALM, Why::Flood);
            }
        }
        Ok(())
    }

    fn take_settings(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(PROTOCOL);
        }
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(SIZE);
            }
            self.agree_on_windows();
            return Ok(());
        }
        let (settings, []) = payload.as_chunks::<6>() else {
            return Err(SIZE);
        };
        for [n0, n1, v0, v1, v2, v3] in settings {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*n0, *n1]) {
                setting::HEADER_TABLE_SIZE => self.encoder.table_was_resized(),
                setting::ENABLE_PUSH if value > 1 => return Err(PROTOCOL),
                setting::INITIAL_WINDOW_SIZE => self.set_peer_window(value)?,
                setting::MAX_FRAME_SIZE => {
                    if !(PAYLOAD_LIMIT as u32..1 << 24).contains(&value) {
                        return Err(PROTOCOL);
                    }
                    self.peer.frame = value as usize;
                }
                _ => {}
            }
        }
        write(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
        self.give_room();
        Ok(())
    }

    /// The client knows from here on what its streams may send.
    fn agree_on_windows(&mut self) {
        if std::mem::replace(&mut self.windows_agreed, true) {
            return;
        }
        let change = i64::from(self.limits.stream_window) - super::FIRST_WINDOW;
        for position in 0..self.index.len() {
            let (_, at) = self.index[position];
            self.entries[at].window += change;
        }
    }

    fn set_peer_window(&mut self, value: u32) -> Result<(), Broken> {
        if value > HIGHEST {
            return Err(Broken(Reason::FLOW_CONTROL_ERROR));
        }
        let change = i64::from(value) - self.peer.window;
        self.peer.window = i64::from(value);
        for position in 0..self.index.len() {
            let (_, at) = self.index[position];
            let entry = &mut self.entries[at];
            entry.send_window += change;
            if entry.send_window > i64::from(HIGHEST) {
                return Err(Broken(Reason::FLOW_CONTROL_ERROR));
            }
            if change > 0 {
                entry.wake();
            }
        }
        Ok(())
    }

    fn take_ping(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(PROTOCOL);
        }
        if payload.len() != 8 {
            return Err(SIZE);
        }
        if !head.has(flag::ACK) {
            write(&mut self.out, kind::PING, flag::ACK, 0, payload);
        } else if payload == LEAVE_PING && self.leaving == Leaving::Told {
            self.leaving = Leaving::Settled;
            write_go_away(&mut self.out, self.last, Reason::NO_ERROR);
        }
        Ok(())
    }

    fn take_window_update(&mut self, head: &FrameHead, payload: &[u8]) -> Result<(), Broken> {
        let by = payload.try_into().map_err(|_| SIZE)?;
        let by = i64::from(u32::from_be_bytes(by) & HIGHEST);
        if head.stream == 0 {
            if by == 0 {
                return Err(PROTOCOL);
            }
            self.send_window += by;
            if self.send_window > i64::from(HIGHEST) {
                return Err(Broken(Reason::FLOW_CONTROL_ERROR));
            }
            self.give_room();
            return Ok(());
        }
        if head.stream > self.last {
            return Err(PROTOCOL);
        }
        // A stream that is over may be given more by a client that does not know it yet.
        let Some(at) = self.find(head.stream) else {
            return Ok(());
        };
        let entry = &mut self.entries[at];
        if entry.gone.is_some() {
            return Ok(());
        }
        if by == 0 {
            self.stream_error(head.stream, Reason::PROTOCOL_ERROR);
            return Ok(());
        }
        entry.send_window += by;
        if entry.send_window > i64::from(HIGHEST) {
            self.stream_error(head.stream, Reason::FLOW_CONTROL_ERROR);
            return Ok(());
        }
        entry.wake();
        Ok(())
    }
}

/// What a payload holds between the length of its padding and that.
fn unpadded<'a>(head: &FrameHead, payload: &'a [u8]) -> Result<&'a [u8], Broken> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(SIZE)?;
    let length = rest.len().checked_sub(usize::from(*padding));
    Ok(&rest[..length.ok_or(PROTOCOL)?])
}
