//! HTTP/1 through the running proxy, byte by byte: framing, connections and fields on both sides.

mod bodies;
mod connections;
mod early;
mod fields;
mod places;
mod refusals;

const MIB: usize = 1024 * 1024;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| b'a' + (n % 23) as u8).collect()
}

fn chunked(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    for chunk in body.chunks(70_001) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
