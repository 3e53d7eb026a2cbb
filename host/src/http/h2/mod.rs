//! HTTP/2 as this proxy sees it. With clients the frames are read and written here (`streams`), since every
//! request pays for them; with servers they are the h2 library's. The heads are the same as those of HTTP/1: one
//! that came over HTTP/2 is spelt out as the HTTP/1 message it means and read by the one strict codec, so
//! whatever that refuses is refused here as well, and nothing is left for a server to read differently.
//!
//! ```text
//! client  → Streams (hpack, spell) → RequestHead  ... edits ... write_request → h2 library → server
//! client  ← Streams (hpack)        ← ResponseHead ... edits ... read_response ← h2 library ← server
//! ```
//!
//! What resets a client's stream: names with capitals, pseudo-fields that are missing, repeated, unknown or late,
//! TE other than `trailers`, a Content-Length that the frames contradict. What is answered with 400: fields of the
//! connection, values with CR, LF or NUL, and what the codec refuses.

mod fields;
mod frame;
mod hpack;
mod meter;
mod request;
mod response;
mod spell;
mod stream;
mod streams;

pub use fields::{read_trailers, write_trailers};
pub use meter::{FrameLimits, PREFACE};
pub use request::{BadMapping, write_request};
pub use response::{read_opening, read_response};
pub use stream::{Inlet, Last, Outlet, Piece, StreamError};
pub use streams::{Gone, Key, Step, StreamLimits, Streams, Why};

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
