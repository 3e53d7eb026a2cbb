//! Buffers for records. They are borrowed from the thread and given back as soon as they are empty, so an idle
//! connection has none.

use std::cell::RefCell;

use crate::net::Buffer;

/// What a record can take on the wire at most, and a bit for alerts and tickets.
const ONE_RECORD: usize = 17 * 1024;
/// Four full records with what surrounds them.
const FOUR_RECORDS: usize = 66 * 1024;
/// As many are kept of each size.
const KEPT: usize = 8;
/// Handshake messages that are in pieces must be here as a whole; a chain of certificates can be long.
const LARGEST: usize = 160 * 1024;

/// The most plain text in one record (RFC 8446 §5.1).
pub(super) const RECORD: usize = 16 * 1024;

thread_local! {
    static SPARE: RefCell<[Vec<Buffer>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A buffer that is good for so much plain text, or for the beginning of it.
pub(super) fn borrow(plain: usize) -> Buffer {
    let (kind, size) = match plain {
        0..=RECORD => (0, ONE_RECORD),
        _ => (1, FOUR_RECORDS),
    };
    let spare = SPARE.with_borrow_mut(|spare| spare[kind].pop());
    spare.unwrap_or_else(|| Buffer::of_size(size))
}

pub(super) fn give(mut buffer: Buffer) {
    let kind = match buffer.capacity() {
        ONE_RECORD => 0,
        FOUR_RECORDS => 1,
        _ => return,
    };
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare[kind].len() < KEPT {
            spare[kind].push(buffer);
        }
    });
}

/// Makes room for at least `more` bytes. False if that would be beyond all measure.
pub(super) fn make_room(buffer: &mut Buffer, more: usize) -> bool {
    if buffer.free().len() >= more {
        return true;
    }
    let needed = buffer.filled().len() + more;
    if needed > LARGEST {
        return false;
    }
    let mut larger = if needed <= ONE_RECORD {
        borrow(0)
    } else if needed <= FOUR_RECORDS {
        borrow(FOUR_RECORDS)
    } else {
        Buffer::of_size(LARGEST)
    };
    let filled = buffer.filled();
    larger.free()[..filled.len()].copy_from_slice(filled);
    larger.advance(filled.len());
    give(std::mem::replace(buffer, larger));
    true
}

/// Appends `bytes`. False if there is no room and none can be made.
pub(super) fn append(buffer: &mut Buffer, bytes: &[u8]) -> bool {
    if !make_room(buffer, bytes.len()) {
        return false;
    }
    buffer.free()[..bytes.len()].copy_from_slice(bytes);
    buffer.advance(bytes.len());
    true
}
