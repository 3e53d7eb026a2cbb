//! HTTP/1 as bytes: a strict, sans-I/O codec. It reads heads out of buffers, tells where bodies end,
//! and writes heads with edits applied. It owns no socket, no clock and no policy.

pub mod bad;
pub mod body;
pub mod chunk;
pub mod cookies;
pub mod facts;
pub mod fields;
pub mod framing;
mod host;
pub mod known;
pub mod reason;
pub mod request;
pub mod response;
pub mod scan;
mod syntax;
pub mod write;

#[cfg(test)]
mod tests;
