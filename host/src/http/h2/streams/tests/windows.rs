//! Bodies in both directions, as far as windows go.

use std::task::Poll;

use h2::Reason;

use super::{Client, GET, LIMITS, Seen, block, cx};
use crate::http::{
    fields::Fields,
    h2::{
        Piece,
        frame::{flag, kind, write_window_update},
        meter::PREFACE,
        stream::Last,
    },
};

#[test]
fn a_request_and_its_body_are_read_however_they_are_cut() {
    let mut sent = PREFACE.to_vec();
    let mut script = Client::unknown(LIMITS);
    script.frame(kind::SETTINGS, 0, 0, &[]);
    let head = block(&[&[(":method", "POST")][..], &GET[1..]].concat());
    script.frame(kind::HEADERS, 0, 1, &head[..7]);
    script.frame(kind::CONTINUATION, flag::END_HEADERS, 1, &head[7..]);
    script.data(1, 300, Last::No);
    // Three bytes of padding, and one that says so.
    script.frame(kind::DATA, flag::PADDED, 1, b"\x03hello\0\0\0");
    script.head(1, flag::END_STREAM, &[("x-end", "1")]);
    sent.append(&mut script.out);
    for size in 1..60 {
        let mut client = Client::unknown(LIMITS);
        let (keys, heads) = client.give_cut(&sent, size);
        assert_eq!(heads, ["POST /x"], "{size}");
        let (mut bytes, key) = (0, keys[0]);
        let trailers = loop {
            match client.streams.poll_piece(key, &mut cx()) {
                Poll::Ready(Ok(Piece::Data(data))) => bytes += data.len(),
                Poll::Ready(Ok(Piece::End(trailers))) => break trailers,
                other => panic!("{size}: {other:?}"),
            }
        };
        assert_eq!(bytes, 305, "{size}");
        let trailers: Box<Fields> = trailers.expect("there was one");
        assert_eq!(trailers.get("x-end"), Some(&b"1"[..]));
        assert!(client.streams.is_taken(key));
    }
}

#[test]
fn a_body_may_fill_its_window_and_no_more_and_is_asked_to_go_on() {
    let mut client = Client::new();
    client.post(1, &[]);
    for _ in 0..5 {
        client.data(1, 14_000, Last::No);
    }
    let keys = client.give();
    assert_eq!(client.look(), []);
    // Half of it is taken, and given back.
    for number in 1..=4 {
        let piece = client.streams.poll_piece(keys[0], &mut cx());
        assert!(matches!(piece, Poll::Ready(Ok(Piece::Data(_)))));
        let expected: &[Seen] = match number {
            3 => &[Seen::Window(1, 42_000)],
            4 => &[Seen::Window(0, 56_000)],
            _ => &[],
        };
        assert_eq!(client.look(), expected);
    }
    client.data(1, 16_000, Last::No);
    client.data(1, 16_000, Last::No);
    client.give();
    assert!(client.streams.ended().is_none());
    client.data(1, 14_000, Last::No);
    client.give();
    assert_eq!(client.look(), [Seen::Reset(1, Reason::FLOW_CONTROL_ERROR)]);
}

#[test]
fn small_pieces_of_a_body_are_put_together() {
    let mut client = Client::new();
    client.post(1, &[]);
    for _ in 0..20_000 {
        client.data(1, 1, Last::No);
    }
    let key = client.give()[0];
    let mut pieces = Vec::new();
    while let Poll::Ready(Ok(Piece::Data(data))) = client.streams.poll_piece(key, &mut cx()) {
        pieces.push(data.len());
    }
    assert_eq!(pieces, [16 * 1024, 20_000 - 16 * 1024]);
}

#[test]
fn what_nobody_took_of_a_body_does_not_take_from_the_others() {
    let mut client = Client::new();
    for stream in [1, 3, 5, 7, 9, 11] {
        client.post(stream, &[]);
        for _ in 0..4 {
            client.data(stream, 16_000, Last::No);
        }
        let keys = client.give();
        assert_eq!(client.streams.ended(), None, "{stream}");
        client.answer(keys[0], Last::Yes);
        client.streams.release(keys[0]);
        let seen = client.look();
        assert!(
            seen.contains(&Seen::Reset(stream, Reason::NO_ERROR)),
            "{seen:?}"
        );
        assert!(seen.contains(&Seen::Window(0, 64_000)), "{seen:?}");
    }
}

#[test]
fn bodies_leave_as_far_as_the_clients_windows_go() {
    let mut client = Client::new();
    client.get(1);
    let key = client.give()[0];
    client.answer(key, Last::No);
    let mut sent = 0;
    loop {
        let now = client.pour(key);
        client.look();
        sent += now;
        if now == 0 {
            break;
        }
    }
    assert_eq!(sent, 65_535);
    // The stream may send, and the connection may not.
    write_window_update(&mut client.out, 1, 1000);
    client.give();
    assert_eq!(client.pour(key), 0);
    write_window_update(&mut client.out, 0, 300);
    client.give();
    assert_eq!(client.pour(key), 300);
    write_window_update(&mut client.out, 0, 5000);
    client.give();
    assert_eq!(client.pour(key), 700);
    // A setting moves what is left, below nothing as well.
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    write_window_update(&mut client.out, 1, 65_536);
    client.give();
    assert_eq!(client.pour(key), 1);
}

#[test]
fn streams_take_turns_when_there_is_not_room_for_all() {
    let mut client = Client::new();
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0xff, 0xff, 0xff]);
    write_window_update(&mut client.out, 0, 1 << 24);
    for stream in [1, 3, 5] {
        client.get(stream);
    }
    let keys = client.give();
    for key in &keys {
        client.answer(*key, Last::No);
    }
    let mut sent = [0; 3];
    for _ in 0..60 {
        for (key, sent) in keys.iter().zip(&mut sent) {
            *sent += client.pour(*key);
        }
        client.look();
    }
    let (most, least) = (sent.iter().max().unwrap(), sent.iter().min().unwrap());
    assert!(*least > 300_000, "{sent:?}");
    assert!(most - least <= 80_000, "{sent:?}");
}

#[test]
fn a_stream_that_is_gone_while_it_waits_does_not_keep_others_waiting() {
    let mut client = Client::new();
    client.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0xff, 0xff, 0xff]);
    client.get(1);
    client.get(3);
    let keys = client.give();
    for key in &keys {
        client.answer(*key, Last::No);
    }
    while client.pour(keys[0]) > 0 {
        client.look();
    }
    assert_eq!(client.pour(keys[1]), 0);
    client.streams.release(keys[0]);
    write_window_update(&mut client.out, 0, 1000);
    client.give();
    assert_eq!(client.pour(keys[1]), 1000);
}
