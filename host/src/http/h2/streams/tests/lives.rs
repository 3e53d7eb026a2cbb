//! How many streams there may be, and how streams and connections end.

use h2::Reason;

use super::{Client, LIMITS, Seen};
use crate::http::{
    fields::Fields,
    framing::Framing,
    h2::{
        frame::{HIGHEST, flag, kind, write_reset},
        stream::Last,
        streams::{Step, Why, receive},
    },
    request::RequestHead,
    response::ResponseHead,
};

#[test]
fn streams_beyond_the_limit_are_refused_until_others_are_over() {
    let mut client = Client::new();
    for stream in [1, 3, 5, 7] {
        client.get(stream);
    }
    let keys = client.give();
    assert_eq!(keys.len(), 3);
    assert_eq!(client.look(), [Seen::Reset(7, Reason::REFUSED_STREAM)]);
    // It is over when it was answered, though nobody has let go of it yet.
    client.answer(keys[0], Last::Yes);
    client.get(9);
    assert_eq!(client.give().len(), 1);
    client.streams.release(keys[0]);
    client.get(11);
    assert_eq!(client.give().len(), 0);
    write_reset(&mut client.out, 3, Reason::CANCEL);
    client.get(13);
    assert_eq!(client.give().len(), 1);
}

#[test]
fn streams_given_up_before_anybody_looked_at_them_end_the_connection() {
    let mut client = Client::new();
    let mut given_up = 0;
    for stream in (1..).step_by(2).take(20) {
        client.get(stream);
        write_reset(&mut client.out, stream, Reason::CANCEL);
        let sent = std::mem::take(&mut client.out);
        let (used, step) = client.streams.receive(&sent);
        let Step::Request(key, follows) = step else {
            break;
        };
        let mut head = RequestHead::default();
        let taken = client
            .streams
            .take_head(key, follows, String::new, &mut head);
        assert!(matches!(taken, Some(Ok(()))));
        client.streams.receive(&sent[used..]);
        given_up += 1;
    }
    assert_eq!(given_up, LIMITS.pending_resets + 1);
    let ended = client.streams.ended().expect("it was too much");
    assert_eq!(
        (ended.reason, ended.why),
        (Reason::ENHANCE_YOUR_CALM, Why::Flood)
    );
}

#[test]
fn a_connection_is_left_when_all_was_received_that_was_on_its_way() {
    let mut client = Client::new();
    client.get(1);
    let first = client.give();
    client.streams.leave();
    assert_eq!(
        client.look(),
        [Seen::GoAway(HIGHEST, Reason::NO_ERROR), Seen::Ping]
    );
    client.get(3);
    let second = client.give();
    assert_eq!(second.len(), 1, "it was sent before the client could know");
    client.frame(kind::PING, flag::ACK, 0, receive::LEAVE_PING);
    client.get(5);
    assert_eq!(client.give(), []);
    assert_eq!(client.look(), [Seen::GoAway(3, Reason::NO_ERROR)]);
    for key in [first[0], second[0]] {
        assert!(!client.streams.is_over());
        client.answer(key, Last::Yes);
        client.streams.release(key);
    }
    assert!(client.streams.is_over());
}

#[test]
fn an_answer_is_sent_with_its_end_and_its_trailers() {
    let mut client = Client::new();
    client.get(1);
    client.get(3);
    let keys = client.give();
    let mut interim = ResponseHead::new(103);
    interim.fields.set("link", b"</a>").unwrap();
    client.streams.send_interim(keys[0], &interim).unwrap();
    let mut head = ResponseHead::new(200);
    head.fields.set("Content-Type", b"text/plain").unwrap();
    client
        .streams
        .send_head(keys[0], &head, Framing::Length(2), Last::No)
        .unwrap();
    client.streams.send(keys[0], b"hi", Last::Yes).unwrap();
    let mut trailers = Fields::default();
    trailers.set("grpc-status", b"0").unwrap();
    client
        .streams
        .send_head(keys[1], &head, Framing::Chunked, Last::No)
        .unwrap();
    client.streams.send_end(keys[1], Some(&trailers)).unwrap();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        client.look(),
        [
            Seen::Head(1, text(":status=103;link=</a>;"), Last::No),
            Seen::Head(
                1,
                text(":status=200;content-type=text/plain;content-length=2;"),
                Last::No
            ),
            Seen::Data(1, 2, Last::Yes),
            Seen::Head(3, text(":status=200;content-type=text/plain;"), Last::No),
            Seen::Head(3, text("grpc-status=0;"), Last::Yes),
        ]
    );
    let after = client.streams.send(keys[0], b"more", Last::No);
    assert!(after.is_err(), "the end was sent");
}
