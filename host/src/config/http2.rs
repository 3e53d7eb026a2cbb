//! Which versions of HTTP a listener speaks, and what a client may make of HTTP/2.

use std::time::Duration;

use super::{read::Fields, value::Node};

/// What clients may speak at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    Http1,
    Http2,
    Both,
}

impl Protocols {
    pub fn has_http1(self) -> bool {
        matches!(self, Self::Http1 | Self::Both)
    }

    pub fn has_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Both)
    }
}

/// What one client's connection of HTTP/2 may take. `docs/http2.md` has the reason for each default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Limits {
    /// Requests that run at a time.
    pub max_streams: u32,
    /// Bytes of a body that may be on their way to the proxy unasked, per stream and over all.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Streams given up before they were looked at.
    pub pending_resets: usize,
    /// Streams that had to be reset since the client broke the rules.
    pub stream_errors: usize,
    /// Streams given up within ten seconds.
    pub resets: u32,
    /// Frames without content within ten seconds, beyond those that answer what was sent.
    pub control_frames: u32,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_streams: 100,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
            pending_resets: 20,
            stream_errors: 500,
            resets: 500,
            control_frames: 1_000,
        }
    }
}

/// Reads `protocols` of a listener. `None` is the default, which TLS decides.
pub(super) fn read_protocols(node: &Node<'_>) -> Option<Protocols> {
    let mut found = (false, false);
    for entry in node.list("protocols")? {
        match entry.choice(&[("h2", true), ("http/1.1", false)])? {
            true => found.1 = true,
            false => found.0 = true,
        }
    }
    match found {
        (true, false) => Some(Protocols::Http1),
        (false, true) => Some(Protocols::Http2),
        (true, true) => Some(Protocols::Both),
        (false, false) => {
            node.wrong("is empty", "write `protocols = [\"h2\", \"http/1.1\"]`");
            None
        }
    }
}

/// Reads `[frontend.http2]`.
pub(super) fn read_http2(parent: &mut Fields<'_>) -> Http2Limits {
    let base = Http2Limits::default();
    let Some(mut fields) = parent.table("http2", "[frontend.http2]") else {
        return base;
    };
    let limits = Http2Limits {
        max_streams: fields
            .get("max_streams")
            .and_then(|node| node.small(1..=100_000))
            .unwrap_or(base.max_streams),
        stream_window: fields
            .get("stream_window")
            .and_then(|node| window(&node, 16 << 10))
            .unwrap_or(base.stream_window),
        connection_window: fields
            .get("connection_window")
            // The protocol starts every connection with this much and cannot take any back.
            .and_then(|node| window(&node, 64 << 10))
            .unwrap_or(base.connection_window),
        pending_resets: fields
            .get("pending_resets")
            .and_then(|node| node.index(1..=1_000_000))
            .unwrap_or(base.pending_resets),
        stream_errors: fields
            .get("stream_errors")
            .and_then(|node| node.index(1..=1_000_000))
            .unwrap_or(base.stream_errors),
        resets: fields
            .get("resets")
            .and_then(|node| node.small(1..=1_000_000_000))
            .unwrap_or(base.resets),
        control_frames: fields
            .get("control_frames")
            .and_then(|node| node.small(10..=1_000_000_000))
            .unwrap_or(base.control_frames),
    };
    fields.finish(&[(
        "protocols",
        "write it at the address: `bind = [{ address = \"*:80\", protocols = [\"h2\"] }]`",
    )]);
    limits
}

/// What servers are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerProtocol {
    Http1,
    Http2,
}

/// How the proxy uses connections of HTTP/2 to servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHttp2 {
    /// Requests that run at a time on a connection; the server may allow fewer.
    pub max_streams: usize,
    /// Bytes of an answer that may be on their way to the proxy unasked, per stream and over all.
    pub stream_window: u32,
    pub connection_window: u32,
    /// Of a connection that has requests to answer.
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
    /// Of an answer, as the protocol counts it.
    pub header_list: u32,
}

impl Default for ServerHttp2 {
    fn default() -> Self {
        Self {
            max_streams: 100,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(10),
            header_list: 64 << 10,
        }
    }
}

/// Reads `protocol` of a backend or a server; what it does not say is as in `base`.
pub(super) fn read_server_protocol(
    parent: &mut Fields<'_>,
    base: ServerProtocol,
) -> ServerProtocol {
    let choices = [
        ("h2", ServerProtocol::Http2),
        ("http/1.1", ServerProtocol::Http1),
    ];
    let node = parent.get("protocol");
    node.and_then(|node| node.choice(&choices)).unwrap_or(base)
}

/// Reads `[backend.http2]`.
pub(super) fn read_server_http2(parent: &mut Fields<'_>) -> ServerHttp2 {
    let base = ServerHttp2::default();
    let Some(mut fields) = parent.table("http2", "[backend.http2]") else {
        return base;
    };
    let settings = ServerHttp2 {
        max_streams: fields
            .get("max_streams")
            .and_then(|node| node.index(1..=100_000))
            .unwrap_or(base.max_streams),
        stream_window: fields
            .get("stream_window")
            .and_then(|node| window(&node, 16 << 10))
            .unwrap_or(base.stream_window),
        connection_window: fields
            .get("connection_window")
            .and_then(|node| window(&node, 64 << 10))
            .unwrap_or(base.connection_window),
        ping_interval: fields
            .get("ping_interval")
            .and_then(|node| node.duration())
            .unwrap_or(base.ping_interval),
        ping_timeout: fields
            .get("ping_timeout")
            .and_then(|node| node.duration())
            .unwrap_or(base.ping_timeout),
        header_list: fields
            .get("header_list")
            .and_then(|node| window(&node, 1 << 10))
            .unwrap_or(base.header_list),
    };
    fields.finish(&[]);
    settings
}

fn window(node: &Node<'_>, least: u64) -> Option<u32> {
    node.size(least..=1 << 30)
        .and_then(|size| u32::try_from(size).ok())
}
