//! Whatever is sent, nothing worse than the end of the connection comes of it.

use std::task::Poll;

use super::{Client, LIMITS, cx};
use crate::http::h2::{stream::Last, streams::Key};

#[test]
fn nothing_that_is_sent_does_more_than_end_the_connection() {
    // A generator with a fixed start: what fails once fails again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..2000 {
        let mut client = Client::new();
        for _ in 0..next(30) {
            let kind = [0, 0, 1, 1, 1, 2, 3, 4, 6, 7, 8, 9, 33][next(13)];
            let stream = [0, 1, 1, 3, 5, 7, 2][next(7)];
            let flags = [0, 1, 4, 5, 8, 0x20, 0x2d][next(7)];
            match next(3) {
                0 => client.get([1, 3, 5, 7, 9][next(5)]),
                1 => client.post([1, 3, 5, 7, 9][next(5)], &[("content-length", "9")]),
                _ => {
                    let payload: Vec<u8> = (0..next(12)).map(|_| next(256) as u8).collect();
                    client.frame(kind, flags, stream, &payload);
                }
            }
            for key in client.give() {
                match next(4) {
                    0 => client.streams.release(key),
                    1 => {
                        let _ = client.streams.send_end(key, None);
                        client.streams.release(key);
                    }
                    2 => {
                        let _ = client.streams.poll_piece(key, &mut cx());
                        client.pour_if_open(key);
                        client.streams.release(key);
                    }
                    _ => {}
                }
            }
            assert!(client.streams.open <= LIMITS.max_streams);
            assert!(client.streams.open <= client.streams.index.len());
        }
    }
}

impl Client {
    fn pour_if_open(&mut self, key: Key) {
        while let Poll::Ready(Ok(room)) = self.streams.poll_room(key, &cx(), 1 << 20) {
            let _ = self.streams.send(key, &vec![0; room], Last::No);
        }
    }
}
