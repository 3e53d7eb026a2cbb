//! What bytes wait in: buffers, and pipes, that a worker lends to connections while they have something to read.
//!
//! An idle connection owns none: it waits for readiness first. That, and not their size, is what
//! keeps thousands of idle connections cheap.

use std::{cell::RefCell, ops::Range};

use super::PipePool;

/// What a head is read into and bodies start with.
const SMALL: usize = 16 * 1024;
/// What a body is relayed with while its sender fills smaller buffers.
const LARGE: usize = 256 * 1024;
/// Lent buffers that come back are kept up to this many of each size.
const KEPT_SMALL: usize = 64;
const KEPT_LARGE: usize = 4;
/// Scratch that is no larger than this is kept up to that many.
const SHORT: usize = 4 * 1024;
const KEPT_SHORT: usize = 256;

/// Initialised memory with a filled part in the middle: consumed | filled | free.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// A buffer that belongs to no pool.
    pub fn of_size(size: usize) -> Self {
        Self::new(size)
    }

    /// What was read and not yet consumed.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// A part of [`filled`](Self::filled), by positions in it.
    pub fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.filled()[range]
    }

    /// Room for more; empty when the buffer is full even after moving its content to the front.
    pub fn free(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.bytes.len() && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Counts `n` bytes that were written into [`free`](Self::free).
    pub fn advance(&mut self, n: usize) {
        debug_assert!(self.end + n <= self.bytes.len());
        self.end += n;
    }

    /// Drops the first `n` filled bytes.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(self.start + n <= self.end);
        self.start += n;
    }

    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_large(&self) -> bool {
        self.bytes.len() >= LARGE
    }
}

/// A worker's spare buffers and pipes. Not shared between threads.
#[derive(Debug)]
pub struct BufferPool {
    /// Size of a small buffer; raised when the limit on heads asks for more.
    small_size: usize,
    small: RefCell<Vec<Buffer>>,
    large: RefCell<Vec<Buffer>>,
    /// Scratch for writing heads and short answers.
    scratch: RefCell<Vec<Vec<u8>>>,
    pub pipes: PipePool,
}

impl BufferPool {
    /// `head_bytes` is the largest head that must fit into one buffer.
    pub fn new(head_bytes: usize) -> Self {
        Self {
            small_size: SMALL.max(head_bytes.next_power_of_two()),
            small: RefCell::default(),
            large: RefCell::default(),
            scratch: RefCell::default(),
            pipes: PipePool::default(),
        }
    }

    /// What a small buffer holds.
    pub fn small_size(&self) -> usize {
        self.small_size
    }

    pub fn small(&self) -> Buffer {
        self.small
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::new(self.small_size))
    }

    pub fn large(&self) -> Buffer {
        self.large
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::new(LARGE))
    }

    /// Takes a buffer back; its content is gone.
    pub fn give(&self, mut buffer: Buffer) {
        buffer.clear();
        let (kept, most) = if buffer.is_large() {
            (&self.large, KEPT_LARGE)
        } else {
            (&self.small, KEPT_SMALL)
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < most {
            kept.push(buffer);
        }
    }

    pub fn scratch(&self) -> Vec<u8> {
        self.scratch.borrow_mut().pop().unwrap_or_default()
    }

    pub fn give_scratch(&self, mut scratch: Vec<u8>) {
        scratch.clear();
        let mut kept = self.scratch.borrow_mut();
        let most = match scratch.capacity() {
            0..=SHORT => KEPT_SHORT,
            _ => KEPT_SMALL,
        };
        if kept.len() < most && scratch.capacity() <= 2 * self.small_size {
            kept.push(scratch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_makes_room_by_moving_what_is_left_to_the_front() {
        let mut buffer = Buffer::new(8);
        buffer.free().copy_from_slice(b"abcdefgh");
        buffer.advance(8);
        buffer.consume(6);
        assert_eq!(buffer.free().len(), 6);
        assert_eq!(buffer.filled(), b"gh");
    }

    #[test]
    fn a_returned_buffer_is_lent_again_empty() {
        let pool = BufferPool::new(1024);
        let mut buffer = pool.small();
        buffer.advance(3);
        pool.give(buffer);
        assert!(pool.small().is_empty());
    }
}
