//! Frames in and frames out, without a socket: what a client may send, must not send, and is sent.

mod lives;
mod random;
mod rules;
mod windows;

use super::{
    super::{
        super::response::ResponseHead,
        frame::{FrameHead, HEAD, flag, kind, write},
        meter::PREFACE,
        stream::Last,
    },
    *,
};

const LIMITS: StreamLimits = StreamLimits {
    max_streams: 3,
    stream_window: 70_000,
    connection_window: 100_000,
    pending_resets: 5,
    stream_errors: 10,
    frames: FrameLimits {
        resets: 1000,
        control: 1000,
    },
    head: HeadLimits {
        bytes: 4096,
        fields: 20,
        target: 256,
    },
};

/// The other end.
struct Client {
    streams: Streams,
    /// What it sends next.
    out: Vec<u8>,
    decoder: Decoder,
}

/// What a client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Settings,
    Ack,
    Pong,
    Ping,
    Head(u32, String, Last),
    Data(u32, usize, Last),
    Reset(u32, Reason),
    Window(u32, u32),
    GoAway(u32, Reason),
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Client {
    /// After both sides have sent their settings.
    fn new() -> Self {
        let mut client = Self::unknown(LIMITS);
        client.out.extend_from_slice(PREFACE);
        client.frame(kind::SETTINGS, 0, 0, &[]);
        client.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        assert_eq!(client.give(), []);
        assert_eq!(
            client.look(),
            [Seen::Settings, Seen::Window(0, 100_000 - 65_535), Seen::Ack]
        );
        client
    }

    fn unknown(limits: StreamLimits) -> Self {
        Self {
            streams: Streams::new(limits, std::time::Instant::now()),
            out: Vec::new(),
            decoder: Decoder::new(),
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        write(&mut self.out, kind, flags, stream, payload);
    }

    fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let block = block(fields);
        self.frame(kind::HEADERS, flags | flag::END_HEADERS, stream, &block);
    }

    fn get(&mut self, stream: u32) {
        self.head(stream, flag::END_STREAM, &GET);
    }

    fn post(&mut self, stream: u32, more: &[(&str, &str)]) {
        let fields = [&[(":method", "POST")][..], &GET[1..], more].concat();
        self.head(stream, 0, &fields);
    }

    fn data(&mut self, stream: u32, bytes: usize, last: Last) {
        let flags = match last {
            Last::Yes => flag::END_STREAM,
            Last::No => 0,
        };
        self.frame(kind::DATA, flags, stream, &vec![b'x'; bytes]);
    }

    /// Has what was said until now received, and says which requests have begun.
    fn give(&mut self) -> Vec<Key> {
        let sent = std::mem::take(&mut self.out);
        self.give_cut(&sent, sent.len().max(1)).0
    }

    /// The same in parts of so many bytes; also what their heads were.
    fn give_cut(&mut self, sent: &[u8], size: usize) -> (Vec<Key>, Vec<String>) {
        let (mut keys, mut heads, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for part in sent.chunks(size) {
            held.extend_from_slice(part);
            loop {
                let (used, step) = self.streams.receive(&held);
                held.drain(..used);
                let Step::Request(key, follows) = step else {
                    break;
                };
                let mut head = RequestHead::default();
                let taken = self.streams.take_head(key, follows, String::new, &mut head);
                let shown = match &taken {
                    None => "malformed".to_owned(),
                    Some(Err(bad)) => bad.status().to_string(),
                    Some(Ok(())) => format!("{} {}", head.method(), head.raw_path()),
                };
                heads.push(shown);
                if taken.is_some() {
                    self.streams.look_at(key);
                    keys.push(key);
                }
            }
        }
        assert!(held.len() < frame::PAYLOAD_LIMIT + HEAD, "{}", held.len());
        (keys, heads)
    }

    /// What has come back since.
    fn look(&mut self) -> Vec<Seen> {
        let mut bytes = self.streams.unsent().to_vec();
        self.streams.sent(bytes.len());
        let mut seen = Vec::new();
        while !bytes.is_empty() {
            let head = FrameHead::read(bytes.first_chunk().expect("a whole frame"));
            let payload = bytes[HEAD..HEAD + head.length].to_vec();
            bytes.drain(..HEAD + head.length);
            let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            let last = match head.has(flag::END_STREAM) {
                true => Last::Yes,
                false => Last::No,
            };
            seen.push(match head.kind {
                kind::SETTINGS if head.has(flag::ACK) => Seen::Ack,
                kind::SETTINGS => Seen::Settings,
                kind::PING if head.has(flag::ACK) => Seen::Pong,
                kind::PING => Seen::Ping,
                kind::HEADERS => {
                    let mut text = String::new();
                    let decoded = self.decoder.decode(&payload, |name, value| {
                        let (name, value) = (name.escape_ascii(), value.escape_ascii());
                        text += &format!("{name}={value};");
                    });
                    decoded.expect("a sound head");
                    Seen::Head(head.stream, text, last)
                }
                kind::DATA => Seen::Data(head.stream, head.length, last),
                kind::RST_STREAM => Seen::Reset(head.stream, number(0).into()),
                kind::WINDOW_UPDATE => Seen::Window(head.stream, number(0)),
                kind::GOAWAY => Seen::GoAway(number(0), number(4).into()),
                other => panic!("frame {other}"),
            });
        }
        seen
    }

    fn answer(&mut self, key: Key, last: Last) {
        let head = ResponseHead::new(200);
        let sent = self.streams.send_head(key, &head, Framing::None, last);
        sent.expect("the stream is there");
    }

    /// Sends as much as there is room for, and says how much that was.
    fn pour(&mut self, key: Key) -> usize {
        let mut sent = 0;
        while let Poll::Ready(room) = self.streams.poll_room(key, &cx(), 1 << 20) {
            let room = room.expect("the stream is there");
            self.streams.send(key, &vec![0; room], Last::No).unwrap();
            sent += room;
        }
        sent
    }
}

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "a.example"),
    (":path", "/x"),
];

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend_from_slice(&[0, name.len() as u8]);
        block.extend_from_slice(name.as_bytes());
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    }
    block
}
