//! The nine bytes that every frame begins with, and the frames that are nothing but a number or two.

use h2::Reason;

pub const HEAD: usize = 9;
/// The longest payload that is taken, which is what nobody may refuse to send.
pub const PAYLOAD_LIMIT: usize = 16 * 1024;
/// The highest number of a stream, and the largest window.
pub const HIGHEST: u32 = (1 << 31) - 1;

pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub mod flag {
    pub const END_STREAM: u8 = 1;
    /// On SETTINGS and PING.
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl FrameHead {
    pub fn read(bytes: &[u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & HIGHEST,
        }
    }

    pub fn bytes(self) -> [u8; HEAD] {
        let [_, l0, l1, l2] = (self.length as u32).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame whose payload is here.
pub fn write(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let head = FrameHead {
        length: payload.len(),
        kind,
        flags,
        stream,
    };
    out.extend_from_slice(&head.bytes());
    out.extend_from_slice(payload);
}

pub fn write_reset(out: &mut Vec<u8>, stream: u32, reason: Reason) {
    let code = u32::from(reason).to_be_bytes();
    write(out, kind::RST_STREAM, 0, stream, &code);
}

pub fn write_window_update(out: &mut Vec<u8>, stream: u32, by: u32) {
    write(out, kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
}

pub fn write_go_away(out: &mut Vec<u8>, last: u32, reason: Reason) {
    let [a, b, c, d] = last.to_be_bytes();
    let [e, f, g, h] = u32::from(reason).to_be_bytes();
    write(out, kind::GOAWAY, 0, 0, &[a, b, c, d, e, f, g, h]);
}

/// Appends a head, in as many frames as `most` bytes in each make it. `block` is where in `out` it begins,
/// with [`HEAD`] bytes left free before it.
pub fn close_head(out: &mut Vec<u8>, block: usize, stream: u32, flags: u8, most: usize) {
    let length = out.len() - block;
    let first = FrameHead {
        length: length.min(most),
        kind: kind::HEADERS,
        flags: match length <= most {
            true => flags | flag::END_HEADERS,
            false => flags,
        },
        stream,
    };
    out[block - HEAD..block].copy_from_slice(&first.bytes());
    if length <= most {
        return;
    }
    let rest = out.split_off(block + most);
    let mut parts = rest.chunks(most).peekable();
    while let Some(part) = parts.next() {
        let flags = match parts.peek() {
            None => flag::END_HEADERS,
            Some(_) => 0,
        };
        write(out, kind::CONTINUATION, flags, stream, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_is_goes_into_nine_bytes_and_comes_back() {
        let head = FrameHead {
            length: 0x01_02_03,
            kind: kind::DATA,
            flags: flag::END_STREAM | flag::PADDED,
            stream: 0x7fff_fffd,
        };
        assert_eq!(FrameHead::read(&head.bytes()), head);
        // The highest bit means nothing.
        let mut bytes = head.bytes();
        bytes[5] |= 0x80;
        assert_eq!(FrameHead::read(&bytes), head);
    }

    #[test]
    fn a_head_that_is_too_large_for_a_frame_goes_on_in_others() {
        for (size, lengths) in [
            (10, &[10][..]),
            (16, &[16]),
            (17, &[16, 1]),
            (40, &[16, 16, 8]),
        ] {
            let mut out = vec![0; HEAD];
            out.extend((0..size).map(|byte| byte as u8));
            close_head(&mut out, HEAD, 5, flag::END_STREAM, 16);
            let (mut rest, mut block) = (&out[..], Vec::new());
            for (number, length) in lengths.iter().enumerate() {
                let (head, after) = rest.split_first_chunk::<HEAD>().unwrap();
                let head = FrameHead::read(head);
                assert_eq!((head.length, head.stream), (*length, 5));
                assert_eq!(head.kind == kind::HEADERS, number == 0);
                assert_eq!(head.has(flag::END_STREAM), number == 0);
                assert_eq!(head.has(flag::END_HEADERS), number + 1 == lengths.len());
                let (payload, after) = after.split_at(head.length);
                block.extend_from_slice(payload);
                rest = after;
            }
            assert!(rest.is_empty());
            assert_eq!(block, (0..size).map(|byte| byte as u8).collect::<Vec<_>>());
        }
    }
}
