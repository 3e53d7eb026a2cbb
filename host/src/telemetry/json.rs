//! The access log and state changes as one JSON object per line.

use std::time::SystemTime;

use super::{
    access::{AccessRecord, Spoken},
    date::Dates,
    text::{push_client, push_number, push_runs},
};
use crate::config::LogLevel;

/// Appends the exchange as a JSON object, without a line end. Times are in milliseconds. What is not
/// known is left out.
pub fn format_json(record: &AccessRecord<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    dates.push_iso(out, record.started);
    out.extend_from_slice(b"\",\"client\":\"");
    push_client(out, record.client);
    out.push(b'"');
    text(out, "request_id", record.request_id.as_bytes());
    text(out, "frontend", record.frontend.as_bytes());
    flag(out, "tls", record.tls);
    if let Some(backend) = record.backend {
        text(out, "backend", backend.as_bytes());
    }
    if let Some(server) = record.server {
        text(out, "server", server.as_bytes());
    }
    if let Spoken::Http(Some(line)) = &record.spoken {
        text(out, "method", line.method);
        text(out, "target", line.target);
        text(out, "version", line.version.as_bytes());
    }
    if let Some(status) = record.status {
        number(out, "status", u64::from(status));
    }
    number(out, "bytes", record.bytes);
    if let Spoken::Tcp { received } = record.spoken {
        number(out, "bytes_received", received);
    }
    if let Some(verdict) = record.verdict {
        text(out, "verdict", verdict.as_bytes());
    }
    if let Some(fault) = record.fault {
        text(out, "fault", fault.as_bytes());
    }
    text(out, "termination", &record.termination);
    let timers = &record.timers;
    for (key, timer) in [
        ("request_ms", timers.request),
        ("queue_ms", timers.queue),
        ("connect_ms", timers.connect),
        ("response_ms", timers.response),
        ("total_ms", Some(timers.total)),
    ] {
        if let Some(timer) = timer {
            number(out, key, timer.as_millis() as u64);
        }
    }
    number(out, "retries", u64::from(record.retries));
    flag(out, "redispatched", record.redispatched);
    for (key, count) in [
        ("process_connections", record.connections.process),
        ("frontend_connections", record.connections.frontend),
        ("backend_exchanges", record.connections.backend),
        ("server_exchanges", record.connections.server),
        ("server_queue", record.queues.server),
        ("backend_queue", record.queues.backend),
    ] {
        number(out, key, u64::from(count));
    }
    out.push(b'}');
}

/// Appends a change of state as a JSON object, without a line end.
pub(super) fn format_event(
    level: LogLevel,
    message: &str,
    at: SystemTime,
    dates: &mut Dates,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"time\":\"");
    dates.push_iso(out, at);
    out.push(b'"');
    text(out, "level", level.as_str().as_bytes());
    out.extend_from_slice(b",\"message\":\"");
    for c in message.chars() {
        if c.is_ascii() {
            push_byte(out, c as u8);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out.extend_from_slice(b"\"}");
}

fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(super) fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    push_number(out, value);
}

fn flag(out: &mut Vec<u8>, name: &str, value: bool) {
    key(out, name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Foreign bytes as a JSON string; bytes beyond ASCII are taken for Latin-1, so that the line is
/// always valid.
pub(super) fn text(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    key(out, name);
    out.push(b'"');
    let plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    push_runs(out, bytes, plain, push_byte);
    out.push(b'"');
}

fn push_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b' '..=b'~' => out.push(byte),
        _ => out.extend_from_slice(&[
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::telemetry::{RequestLine, Timers, access::tests::record};

    fn parsed(record: &AccessRecord<'_>) -> serde_json::Value {
        let mut out = Vec::new();
        format_json(record, &mut Dates::in_zone(TimeZone::UTC), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn an_exchange_is_one_object() {
        let object = parsed(&record());
        assert_eq!(object["time"], "2026-11-21T01:59:41.176+00:00");
        assert_eq!(object["client"], "127.0.0.1:40176");
        assert_eq!(object["target"], "/x?y");
        assert_eq!(object["status"], 200);
        assert_eq!(object["total_ms"], 0);
        assert_eq!(object["server"], "web-a");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let object = parsed(&AccessRecord {
            backend: None,
            server: None,
            status: None,
            spoken: Spoken::Http(None),
            timers: Timers::default(),
            ..record()
        });
        for key in [
            "backend",
            "server",
            "status",
            "method",
            "connect_ms",
            "fault",
        ] {
            assert!(object.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn any_bytes_make_a_valid_line() {
        let every: Vec<u8> = (0..=255).collect();
        let object = parsed(&AccessRecord {
            spoken: Spoken::Http(Some(RequestLine {
                method: b"GET",
                target: &every,
                version: "HTTP/1.1",
            })),
            ..record()
        });
        let latin1: String = every.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!(object["target"], latin1);
    }

    #[test]
    fn an_event_says_how_severe_it_is() {
        let mut out = Vec::new();
        let mut dates = Dates::in_zone(TimeZone::UTC);
        format_event(
            LogLevel::Alert,
            "down: \"ü\"\n",
            UNIX_EPOCH,
            &mut dates,
            &mut out,
        );
        let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(object["level"], "alert");
        assert_eq!(object["message"], "down: \"ü\"\n");
    }
}
