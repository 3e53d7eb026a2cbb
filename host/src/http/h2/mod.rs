//! HTTP/2 as this proxy sees it: the frames are the h2 library's, the heads are the same as those of HTTP/1.
//! A head that came over HTTP/2 is spelt out as the HTTP/1 message it means and read by the one strict codec,
//! so whatever that refuses is refused here as well, and nothing is left for a server to read differently.
//!
//! ```text
//! read_request   ─┐                       ┌─ write_request  → server
//! read_response  ─┼→ RequestHead, ... edits ─ write_response → client
//! Inlet (frames) ─┘                       └─ Outlet (frames)
//! ```
//!
//! What the library itself refuses, with a reset of the stream: names with capitals, pseudo-fields that are
//! missing, repeated, unknown or late, fields of the connection, TE other than `trailers`, values with CR, LF
//! or NUL, a Content-Length that the frames contradict.

mod fields;
mod meter;
mod request;
mod response;
mod stream;

pub use fields::{read_trailers, write_trailers};
pub use meter::{Flood, FrameLimits, FrameMeter, PREFACE};
pub use request::{BadMapping, read_request, write_request};
pub use response::{read_opening, read_response, write_interim, write_response};
pub use stream::{Inlet, Last, Outlet, Piece, StreamError};

/// Whether frames follow those of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    Nothing,
    Body,
}

impl Follows {
    /// After a head whose stream is now at its end or not.
    pub fn after(body: &h2::RecvStream) -> Self {
        match body.is_end_stream() {
            true => Self::Nothing,
            false => Self::Body,
        }
    }
}
