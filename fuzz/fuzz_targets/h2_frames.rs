//! What a client of HTTP/2 sends is taken the same however it is cut, holds no more memory than it may, and
//! is answered with frames; what is taken for a request is one to the codec of HTTP/1.

#![no_main]

use std::{
    task::{Context, Poll, Waker},
    time::Instant,
};

use libfuzzer_sys::fuzz_target;
use weir_fuzz::http::{
    h2::{FrameLimits, Piece, Step, StreamLimits, Streams},
    request::{RequestHead, read_request},
    scan::{HeadLimits, Progress, Read},
    write::RequestWrite,
};

const HEAD: HeadLimits = HeadLimits {
    bytes: 4096,
    fields: 40,
    target: 512,
};

const LIMITS: StreamLimits = StreamLimits {
    max_streams: 8,
    stream_window: 70_000,
    connection_window: 200_000,
    pending_resets: 20,
    stream_errors: 20,
    frames: FrameLimits {
        resets: 50,
        control: 200,
    },
    head: HEAD,
};

/// The client's preface and empty settings, which would take a fuzzer long to find.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fuzz_target!(|input: &[u8]| {
    let Some((cut, frames)) = input.split_first() else {
        return;
    };
    let all = [BEGINNING, frames].concat();
    let whole = take(&all, all.len());
    let cut = usize::from(*cut).max(1);
    assert_eq!(whole, take(&all, cut), "in pieces of {cut}");
});

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    /// As a server of HTTP/1 would be sent them, or why not.
    heads: Vec<Result<Vec<u8>, String>>,
    /// Of those that were kept: bytes of data, and how it ended.
    bodies: Vec<(usize, String)>,
    sent: Vec<u8>,
    ended: Option<String>,
}

fn take(all: &[u8], cut: usize) -> Taken {
    let mut streams = Streams::new(LIMITS, Instant::now());
    let mut cx = Context::from_waker(Waker::noop());
    let mut taken = Taken {
        heads: Vec::new(),
        bodies: Vec::new(),
        sent: Vec::new(),
        ended: None,
    };
    let mut pending = Vec::new();
    let mut served = Vec::new();
    'pieces: for piece in all.chunks(cut) {
        pending.extend_from_slice(piece);
        loop {
            let (used, step) = streams.receive(&pending);
            pending.drain(..used);
            send(&mut streams, &mut taken.sent);
            match step {
                Step::More => break,
                Step::Over => break 'pieces,
                Step::Request(key, follows) => {
                    let mut head = RequestHead::default();
                    let read = streams.take_head(key, follows, String::new, &mut head);
                    let Some(read) = read else {
                        continue;
                    };
                    taken
                        .heads
                        .push(read.map_err(|bad| bad.to_string()).map(|()| spell(&head)));
                    // Some are served to the end, others are answered before their body has come.
                    match taken.heads.len() % 3 {
                        0 => streams.release(key),
                        _ => served.push(key),
                    }
                }
            }
        }
    }
    taken.ended = streams.ended().map(|ended| format!("{ended:?}"));
    for key in served {
        let mut bytes = 0;
        let looked_at = streams.look_at(key);
        let end = loop {
            match streams.poll_piece(key, &mut cx) {
                Poll::Ready(Ok(Piece::Data(data))) => bytes += data.len(),
                Poll::Ready(Ok(Piece::End(trailers))) => {
                    break format!("ended, {}", trailers.map_or(0, |trailers| trailers.len()));
                }
                Poll::Ready(Err(gone)) => {
                    // How much of a body is there when it turns out to be bad depends on how it came.
                    bytes = 0;
                    break format!("{gone:?}");
                }
                Poll::Pending => break "goes on".to_owned(),
            }
        };
        assert!(bytes <= LIMITS.connection_window as usize);
        taken.bodies.push((bytes, format!("{looked_at} {end}")));
        streams.release(key);
        send(&mut streams, &mut taken.sent);
    }
    assert!(!streams.is_busy());
    are_frames(&taken.sent);
    taken
}

/// To HTTP/1 it must be one request and nothing more.
fn spell(head: &RequestHead) -> Vec<u8> {
    let mut out = Vec::new();
    head.write(&mut out, &RequestWrite::default());
    let mut again = RequestHead::default();
    let limits = HeadLimits {
        bytes: usize::MAX,
        fields: usize::MAX,
        target: usize::MAX,
    };
    match read_request(&out, &mut Progress::default(), &mut again, &limits) {
        Ok(Read::Complete) => assert_eq!(again.len(), out.len(), "{}", out.escape_ascii()),
        other => panic!("{other:?}: {}", out.escape_ascii()),
    }
    assert_eq!(again.method_bytes(), head.method_bytes());
    assert_eq!(again.raw_path(), head.raw_path());
    out
}

fn send(streams: &mut Streams, sent: &mut Vec<u8>) {
    // Nothing but answers to frames waits here, and these are bounded by what excuses them.
    assert!(streams.unsent().len() < 512 * 1024);
    sent.extend_from_slice(streams.unsent());
    streams.sent(streams.unsent().len());
}

fn are_frames(mut sent: &[u8]) {
    while !sent.is_empty() {
        let (head, rest) = sent.split_first_chunk::<9>().expect("a frame's head");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        assert!(length <= 16_384 && head[3] <= 9, "{head:?}");
        sent = &rest[length..];
    }
}
