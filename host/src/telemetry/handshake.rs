//! The line about a TLS handshake that came to nothing, in HAProxy's words and as JSON.

use std::{net::SocketAddr, time::SystemTime};

use super::{
    date::Dates,
    text::{push_client, push_escaped, push_number},
};

/// A client that connected and could not be made sure of.
#[derive(Debug, Clone, Copy)]
pub struct FailedHandshake<'a> {
    /// `None` for a client on a Unix socket.
    pub client: Option<SocketAddr>,
    pub at: SystemTime,
    pub frontend: &'a str,
    /// Which of the frontend's listeners, from 1.
    pub listener: usize,
    /// What HAProxy says of such a failure.
    pub words: &'a str,
    /// What exactly went wrong.
    pub reason: &'a str,
}

/// Appends HAProxy's line, without a line end, and after a colon the reason, which HAProxy doesn't tell.
pub(super) fn format_httplog(failed: &FailedHandshake<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    push_client(out, failed.client);
    out.extend_from_slice(b" [");
    dates.push_common(out, failed.at);
    out.extend_from_slice(b"] ");
    out.extend_from_slice(failed.frontend.as_bytes());
    out.push(b'/');
    push_number(out, failed.listener as u64);
    out.extend_from_slice(b": ");
    out.extend_from_slice(failed.words.as_bytes());
    out.extend_from_slice(b" (");
    push_escaped(out, failed.reason.as_bytes());
    out.push(b')');
}

/// Appends a JSON object, without a line end.
pub(super) fn format_json(failed: &FailedHandshake<'_>, dates: &mut Dates, out: &mut Vec<u8>) {
    use super::json::{number, text};
    out.extend_from_slice(b"{\"time\":\"");
    dates.push_iso(out, failed.at);
    out.extend_from_slice(b"\",\"client\":\"");
    push_client(out, failed.client);
    out.push(b'"');
    text(out, "frontend", failed.frontend.as_bytes());
    number(out, "listener", failed.listener as u64);
    text(out, "message", failed.words.as_bytes());
    text(out, "reason", failed.reason.as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use jiff::tz::TimeZone;

    use super::*;

    const FAILED: FailedHandshake<'static> = FailedHandshake {
        client: None,
        at: UNIX_EPOCH,
        frontend: "f",
        listener: 1,
        words: "SSL handshake failure",
        reason: "a \"name\"\nof two lines",
    };

    fn written(write: impl FnOnce(&mut Dates, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut Dates::in_zone(TimeZone::UTC), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_line_is_haproxys_with_the_reason_behind() {
        let client = Some("127.0.0.1:40176".parse().unwrap());
        let at = UNIX_EPOCH + Duration::from_millis(1_795_226_381_176);
        let failed = FailedHandshake {
            client,
            at,
            ..FAILED
        };
        assert_eq!(
            written(|dates, out| format_httplog(&failed, dates, out)),
            "127.0.0.1:40176 [21/Nov/2026:01:59:41.176] f/1: SSL handshake failure (a #22name#22#0Aof two lines)"
        );
    }

    #[test]
    fn the_object_is_json() {
        let line = written(|dates, out| format_json(&FAILED, dates, out));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["frontend"], "f");
        assert_eq!(value["reason"], FAILED.reason);
    }
}
