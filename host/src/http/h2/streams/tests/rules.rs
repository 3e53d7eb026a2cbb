//! What breaks the rules of a connection or of one stream, and what that ends.

use h2::Reason;

use super::{Client, GET, LIMITS, Seen, block, cx};
use crate::http::h2::{
    frame::{flag, kind},
    meter::PREFACE,
    stream::Last,
    streams::Why,
};

#[test]
fn what_breaks_the_rules_of_the_connection_ends_it() {
    use Reason as R;
    let settings =
        |number: u16, value: u32| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat();
    type Case = (&'static str, u8, u8, u32, Vec<u8>, Reason);
    let cases: Vec<Case> = vec![
        (
            "data of no stream",
            kind::DATA,
            0,
            0,
            vec![1],
            R::PROTOCOL_ERROR,
        ),
        (
            "data of a stream that never was",
            kind::DATA,
            0,
            9,
            vec![1],
            R::PROTOCOL_ERROR,
        ),
        (
            "padding without data",
            kind::DATA,
            flag::PADDED,
            1,
            vec![],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "more padding than data",
            kind::DATA,
            flag::PADDED,
            1,
            vec![9, 1],
            R::PROTOCOL_ERROR,
        ),
        (
            "a head of no stream",
            kind::HEADERS,
            4,
            0,
            vec![0x82],
            R::PROTOCOL_ERROR,
        ),
        (
            "a head of a server's stream",
            kind::HEADERS,
            4,
            2,
            vec![0x82],
            R::PROTOCOL_ERROR,
        ),
        (
            "a head that depends on itself",
            kind::HEADERS,
            0x24,
            3,
            vec![0, 0, 0, 3, 1],
            R::PROTOCOL_ERROR,
        ),
        (
            "a head without its priority",
            kind::HEADERS,
            0x24,
            3,
            vec![0, 0],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "a head that cannot be read",
            kind::HEADERS,
            4,
            3,
            vec![0x80],
            R::COMPRESSION_ERROR,
        ),
        (
            "a head that goes on without one",
            kind::CONTINUATION,
            4,
            1,
            vec![0x82],
            R::PROTOCOL_ERROR,
        ),
        (
            "priority of no stream",
            kind::PRIORITY,
            0,
            0,
            vec![0; 5],
            R::PROTOCOL_ERROR,
        ),
        (
            "a reset of no stream",
            kind::RST_STREAM,
            0,
            0,
            vec![0; 4],
            R::PROTOCOL_ERROR,
        ),
        (
            "a reset of a stream that never was",
            kind::RST_STREAM,
            0,
            9,
            vec![0; 4],
            R::PROTOCOL_ERROR,
        ),
        (
            "a reset that is too short",
            kind::RST_STREAM,
            0,
            1,
            vec![0; 3],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "settings of a stream",
            kind::SETTINGS,
            0,
            1,
            vec![],
            R::PROTOCOL_ERROR,
        ),
        (
            "half a setting",
            kind::SETTINGS,
            0,
            0,
            vec![0; 5],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "an acknowledgement with settings",
            kind::SETTINGS,
            1,
            0,
            vec![0; 6],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "push that is neither on nor off",
            kind::SETTINGS,
            0,
            0,
            settings(2, 2),
            R::PROTOCOL_ERROR,
        ),
        (
            "a window too large",
            kind::SETTINGS,
            0,
            0,
            settings(4, 1 << 31),
            R::FLOW_CONTROL_ERROR,
        ),
        (
            "frames too small",
            kind::SETTINGS,
            0,
            0,
            settings(5, 16_383),
            R::PROTOCOL_ERROR,
        ),
        (
            "frames too large",
            kind::SETTINGS,
            0,
            0,
            settings(5, 1 << 24),
            R::PROTOCOL_ERROR,
        ),
        (
            "a promise",
            kind::PUSH_PROMISE,
            4,
            1,
            vec![0, 0, 0, 2, 0x82],
            R::PROTOCOL_ERROR,
        ),
        (
            "a ping of a stream",
            kind::PING,
            0,
            1,
            vec![0; 8],
            R::PROTOCOL_ERROR,
        ),
        (
            "a short ping",
            kind::PING,
            0,
            0,
            vec![0; 7],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "a farewell of a stream",
            kind::GOAWAY,
            0,
            1,
            vec![0; 8],
            R::PROTOCOL_ERROR,
        ),
        (
            "a short farewell",
            kind::GOAWAY,
            0,
            0,
            vec![0; 7],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "a window update of nothing",
            kind::WINDOW_UPDATE,
            0,
            0,
            vec![0; 4],
            R::PROTOCOL_ERROR,
        ),
        (
            "a short window update",
            kind::WINDOW_UPDATE,
            0,
            0,
            vec![0; 3],
            R::FRAME_SIZE_ERROR,
        ),
        (
            "a window past the largest",
            kind::WINDOW_UPDATE,
            0,
            0,
            vec![0x7f, 255, 255, 255],
            R::FLOW_CONTROL_ERROR,
        ),
        (
            "a window of a stream that never was",
            kind::WINDOW_UPDATE,
            0,
            9,
            vec![0, 0, 0, 1],
            R::PROTOCOL_ERROR,
        ),
        (
            "more data than was allowed",
            kind::DATA,
            0,
            1,
            vec![],
            R::FLOW_CONTROL_ERROR,
        ),
    ];
    for (what, kind, flags, stream, payload, reason) in cases {
        let mut client = Client::new();
        client.post(1, &[]);
        if what == "more data than was allowed" {
            // Its own stream's window is smaller, but a reset takes nothing back.
            for _ in 0..7 {
                client.data(1, 16_000, Last::No);
            }
        }
        client.frame(kind, flags, stream, &payload);
        let keys = client.give();
        let seen = client.look();
        let Some(Seen::GoAway(_, found)) = seen.last() else {
            panic!("{what}: {seen:?}");
        };
        assert_eq!(*found, reason, "{what}");
        assert_eq!(
            client.streams.ended().map(|ended| ended.why),
            Some(Why::Rules),
            "{what}"
        );
        assert!(client.streams.is_over());
        let gone = client.streams.poll_gone(keys[0], &cx());
        assert!(gone.is_ready(), "{what}: streams end with their connection");
    }
}

#[test]
fn frames_come_in_their_order() {
    for (what, kind, flags) in [
        ("a head before settings", kind::HEADERS, 5),
        ("an acknowledgement first", kind::SETTINGS, flag::ACK),
    ] {
        let mut client = Client::unknown(LIMITS);
        client.out.extend_from_slice(PREFACE);
        client.frame(kind, flags, u32::from(kind == kind::HEADERS), &[]);
        client.give();
        let last = client.look().pop();
        assert_eq!(
            last,
            Some(Seen::GoAway(0, Reason::PROTOCOL_ERROR)),
            "{what}"
        );
    }
    let mut client = Client::new();
    client.frame(kind::HEADERS, 0, 1, &[0x82]);
    client.give();
    assert!(client.streams.is_in_head());
    client.frame(kind::PING, 0, 0, &[0; 8]);
    client.give();
    assert_eq!(client.look(), [Seen::GoAway(0, Reason::PROTOCOL_ERROR)]);
    let mut client = Client::unknown(LIMITS);
    client
        .out
        .extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    client.give();
    assert_eq!(
        client.look().pop(),
        Some(Seen::GoAway(0, Reason::PROTOCOL_ERROR))
    );
    // A frame larger than any may be is not waited for.
    let mut client = Client::new();
    client.out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 1]);
    client.give();
    assert_eq!(client.look(), [Seen::GoAway(0, Reason::FRAME_SIZE_ERROR)]);
}

#[test]
fn what_breaks_the_rules_of_a_stream_resets_it_and_no_other() {
    use Reason as R;
    type Act = fn(&mut Client);
    let cases: [(&str, Act, Reason); 8] = [
        (
            "data after the end",
            |c| {
                c.data(1, 0, Last::Yes);
                c.data(1, 1, Last::No)
            },
            R::STREAM_CLOSED,
        ),
        (
            "a head after the end",
            |c| {
                c.data(1, 5, Last::Yes);
                c.head(1, 1, &[("x", "y")])
            },
            R::STREAM_CLOSED,
        ),
        (
            "trailers that are not the end",
            |c| c.head(1, 0, &[("x", "y")]),
            R::PROTOCOL_ERROR,
        ),
        (
            "a pseudo-field in trailers",
            |c| {
                c.data(1, 5, Last::No);
                c.head(1, 1, &[(":path", "/")])
            },
            R::PROTOCOL_ERROR,
        ),
        (
            "too little data",
            |c| c.data(1, 4, Last::Yes),
            R::PROTOCOL_ERROR,
        ),
        (
            "too much data",
            |c| c.data(1, 6, Last::No),
            R::PROTOCOL_ERROR,
        ),
        (
            "a window update of nothing",
            |c| c.frame(kind::WINDOW_UPDATE, 0, 1, &[0; 4]),
            R::PROTOCOL_ERROR,
        ),
        (
            "a stream that depends on itself",
            |c| c.frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 1]),
            R::PROTOCOL_ERROR,
        ),
    ];
    for (what, act, reason) in cases {
        let mut client = Client::new();
        let length: &[_] = match what {
            "data after the end" => &[],
            _ => &[("content-length", "5")],
        };
        client.post(1, length);
        client.get(3);
        let keys = client.give();
        act(&mut client);
        client.give();
        assert_eq!(client.look(), [Seen::Reset(1, reason)], "{what}");
        assert!(
            client.streams.poll_gone(keys[0], &cx()).is_ready(),
            "{what}"
        );
        assert!(
            client.streams.poll_gone(keys[1], &cx()).is_pending(),
            "{what}"
        );
        // What the client had on its way when it was reset is let pass.
        client.data(1, 10, Last::Yes);
        client.give();
        assert_eq!(client.look(), [], "{what}");
    }
}

#[test]
fn a_head_that_swells_ends_the_connection_and_one_that_is_only_large_is_refused() {
    let mut client = Client::new();
    let long = "y".repeat(100);
    let mut large = GET.to_vec();
    large.extend(std::iter::repeat_n(("x", long.as_str()), 60));
    client.head(1, flag::END_STREAM, &large);
    let sent = std::mem::take(&mut client.out);
    assert_eq!(client.give_cut(&sent, 4096).1, ["431"]);
    // A large field in the table, named thousands of times by one byte each.
    let mut bomb = block(&GET);
    bomb.extend_from_slice(b"\x40\x01x\x7f\xd1\x17");
    bomb.extend_from_slice(&[b'y'; 3024 + 128]);
    bomb.extend_from_slice(&[0xbe; 5000]);
    client.frame(kind::HEADERS, 5, 3, &bomb);
    client.give();
    let ended = client.streams.ended().expect("it was too much");
    assert_eq!(
        (ended.reason, ended.why),
        (Reason::ENHANCE_YOUR_CALM, Why::Flood)
    );
}
