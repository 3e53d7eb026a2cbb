//! The access log: what is known of an exchange when it ends, and HAProxy's `httplog` line for it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use super::{
    date::Dates,
    line::{OwnLine, format_line},
    text::{push_client, push_escaped, push_number},
};

/// An exchange that has ended.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// `None` for a client on a Unix socket.
    pub client: Option<SocketAddr>,
    /// When the first byte of the request came, or the connection if none did.
    pub started: SystemTime,
    pub frontend: &'a str,
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// `None` if the exchange ended before one was chosen.
    pub backend: Option<&'a str>,
    /// `None` if the exchange ended before one was chosen.
    pub server: Option<&'a str>,
    pub timers: Timers,
    /// `None` if the client got no answer.
    pub status: Option<u16>,
    /// Sent to the client, head and body.
    pub bytes: u64,
    /// Of the request's body.
    pub bytes_received: u64,
    /// HAProxy's four letters: who ended the exchange, in which phase, and two about persistence;
    /// `-` where there is nothing to say.
    pub termination: [u8; 4],
    pub connections: Connections,
    /// Tries beyond the first.
    pub retries: u32,
    /// Whether a retry went to another server than was first chosen.
    pub redispatched: bool,
    pub queues: Queues,
    pub spoken: Spoken<'a>,
    pub request_id: &'a str,
    /// What the filters said, such as `deny`; `None` if they let it pass.
    pub verdict: Option<&'a str>,
    /// Who failed: `client`, `server`, `plugin` or `proxy`.
    pub fault: Option<&'a str>,
    /// `None`: the line has the usual form.
    pub own_line: Option<OwnLine<'a>>,
}

/// What the client's bytes were taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken<'a> {
    /// `None` if what came was no request.
    Http(Option<RequestLine<'a>>),
    /// Nothing; so many of them were passed on.
    Tcp { received: u64 },
}

/// How long each phase took; `None` if it was not reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timers {
    /// Reading the request's head (`TR`).
    pub request: Option<Duration>,
    /// Waiting for a free place on a server (`Tw`).
    pub queue: Option<Duration>,
    /// Connecting to the server (`Tc`).
    pub connect: Option<Duration>,
    /// From the sent request to the head of the answer (`Tr`).
    pub response: Option<Duration>,
    /// All of it (`Ta`).
    pub total: Duration,
}

/// Connections and exchanges that ran when this one ended, without itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    pub process: u32,
    pub frontend: u32,
    pub backend: u32,
    pub server: u32,
}

/// How many waited before this exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues {
    pub server: u32,
    pub backend: u32,
}

/// The request's first line as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLine<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    /// `HTTP/1.1`
    pub version: &'a str,
}

/// Appends the line in its frontend's own form, or HAProxy's `option httplog` line, or for TCP its `option tcplog` line, without a line end. Nothing foreign in it can end the
/// line or a quoted part.
pub fn format_httplog(record: &AccessRecord<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    if let Some(line) = &record.own_line {
        return format_line(line, record, dates, out);
    }
    push_client(out, record.client);
    out.extend_from_slice(b" [");
    dates.push_common(out, record.started);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(record.frontend.as_bytes());
    if record.tls {
        out.push(b'~');
    }
    out.push(b' ');
    out.extend_from_slice(record.backend.unwrap_or(record.frontend).as_bytes());
    out.push(b'/');
    out.extend_from_slice(record.server.unwrap_or("<NOSRV>").as_bytes());
    out.push(b' ');
    let request = match record.spoken {
        Spoken::Http(request) => request,
        Spoken::Tcp { .. } => return push_session(out, record),
    };
    push_timers(out, &record.timers);
    out.push(b' ');
    match record.status {
        Some(status) => push_number(out, u64::from(status)),
        None => out.extend_from_slice(b"-1"),
    }
    out.push(b' ');
    push_number(out, record.bytes);
    // No cookies are captured.
    out.extend_from_slice(b" - - ");
    out.extend_from_slice(&record.termination);
    out.push(b' ');
    push_counts(out, record);
    out.extend_from_slice(b" \"");
    match request {
        Some(line) => {
            push_escaped(out, line.method);
            out.push(b' ');
            push_escaped(out, line.target);
            out.push(b' ');
            push_escaped(out, line.version.as_bytes());
        }
        None => out.extend_from_slice(b"<BADREQ>"),
    }
    out.push(b'"');
}

/// The rest of a `tcplog` line.
fn push_session(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    for timer in [record.timers.queue, record.timers.connect] {
        push_timer(out, timer);
        out.push(b'/');
    }
    push_number(out, record.timers.total.as_millis() as u64);
    out.push(b' ');
    push_number(out, record.bytes);
    out.push(b' ');
    out.extend_from_slice(&record.termination[..2]);
    out.push(b' ');
    push_counts(out, record);
}

fn push_timers(out: &mut Vec<u8>, timers: &Timers) {
    for timer in [
        timers.request,
        timers.queue,
        timers.connect,
        timers.response,
    ] {
        push_timer(out, timer);
        out.push(b'/');
    }
    push_number(out, timers.total.as_millis() as u64);
}

fn push_timer(out: &mut Vec<u8>, timer: Option<Duration>) {
    match timer {
        Some(timer) => push_number(out, timer.as_millis() as u64),
        None => out.extend_from_slice(b"-1"),
    }
}

fn push_counts(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    let connections = &record.connections;
    for count in [
        connections.process,
        connections.frontend,
        connections.backend,
        connections.server,
    ] {
        push_number(out, u64::from(count));
        out.push(b'/');
    }
    if record.redispatched {
        out.push(b'+');
    }
    push_number(out, u64::from(record.retries));
    out.push(b' ');
    push_number(out, u64::from(record.queues.server));
    out.push(b'/');
    push_number(out, u64::from(record.queues.backend));
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::UNIX_EPOCH;

    use jiff::tz::TimeZone;

    use super::*;

    pub(in crate::telemetry) fn record() -> AccessRecord<'static> {
        AccessRecord {
            client: Some("127.0.0.1:40176".parse().unwrap()),
            started: UNIX_EPOCH + Duration::from_millis(1_795_226_381_176),
            frontend: "f",
            tls: false,
            backend: Some("b"),
            server: Some("web-a"),
            timers: Timers {
                request: Some(Duration::ZERO),
                queue: Some(Duration::ZERO),
                connect: Some(Duration::ZERO),
                response: Some(Duration::ZERO),
                total: Duration::ZERO,
            },
            status: Some(200),
            bytes: 50,
            bytes_received: 0,
            termination: *b"----",
            connections: Connections {
                process: 1,
                frontend: 1,
                backend: 0,
                server: 0,
            },
            retries: 0,
            redispatched: false,
            queues: Queues::default(),
            spoken: Spoken::Http(Some(RequestLine {
                method: b"GET",
                target: b"/x?y",
                version: "HTTP/1.1",
            })),
            request_id: "00c0ffee",
            verdict: None,
            fault: None,
            own_line: None,
        }
    }

    fn line(record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        format_httplog(record, &mut Dates::in_zone(TimeZone::UTC), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plain_exchange_is_haproxys_line() {
        assert_eq!(
            line(&record()),
            "127.0.0.1:40176 [21/Nov/2026:01:59:41.176] f b/web-a 0/0/0/0/0 200 50 - - ---- \
             1/1/0/0/0 0/0 \"GET /x?y HTTP/1.1\""
        );
    }

    #[test]
    fn a_bad_request_has_no_backend_and_no_times() {
        let bad = AccessRecord {
            backend: None,
            server: None,
            timers: Timers::default(),
            status: Some(400),
            bytes: 0,
            termination: *b"PR--",
            spoken: Spoken::Http(None),
            ..record()
        };
        assert_eq!(
            line(&bad),
            "127.0.0.1:40176 [21/Nov/2026:01:59:41.176] f f/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- \
             1/1/0/0/0 0/0 \"<BADREQ>\""
        );
    }

    #[test]
    fn what_happened_on_the_way_shows() {
        let odd = AccessRecord {
            client: Some("[::1]:50310".parse().unwrap()),
            tls: true,
            timers: Timers {
                request: Some(Duration::from_millis(1)),
                queue: Some(Duration::from_millis(501)),
                connect: None,
                response: None,
                total: Duration::from_micros(502_900),
            },
            status: None,
            termination: *b"sQDI",
            connections: Connections {
                process: 4,
                frontend: 3,
                backend: 2,
                server: 1,
            },
            retries: 2,
            redispatched: true,
            queues: Queues {
                server: 5,
                backend: 6,
            },
            spoken: Spoken::Http(Some(RequestLine {
                method: b"GET",
                target: b"/\"\n<script>",
                version: "HTTP/1.0",
            })),
            ..record()
        };
        assert_eq!(
            line(&odd),
            "::1:50310 [21/Nov/2026:01:59:41.176] f~ b/web-a 1/501/-1/-1/502 -1 50 - - sQDI \
             4/3/2/1/+2 5/6 \"GET /#22#0A<script> HTTP/1.0\""
        );
    }

    #[test]
    fn a_session_is_haproxys_tcplog_line() {
        let session = AccessRecord {
            spoken: Spoken::Tcp { received: 7 },
            timers: Timers {
                request: Some(Duration::ZERO),
                queue: Some(Duration::from_millis(1)),
                connect: None,
                response: None,
                total: Duration::from_millis(3_006),
            },
            status: None,
            bytes: 0,
            termination: *b"SC--",
            retries: 3,
            ..record()
        };
        assert_eq!(
            line(&session),
            "127.0.0.1:40176 [21/Nov/2026:01:59:41.176] f b/web-a 1/-1/3006 0 SC 1/1/0/0/3 0/0"
        );
    }
}
