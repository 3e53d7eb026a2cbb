//! HTTP/1 as bytes: a strict, sans-I/O codec. It reads heads out of buffers, tells where bodies end,
//! and writes heads with edits applied. It owns no socket, no clock and no policy. What comes over HTTP/2 is
//! brought into the same form ([`mod@h2`]).
//!
//! ```text
//! read_request  ─┐                        ┌─ RequestHead::write   → server
//! read_response ─┼→ head, BodyReader → edits ─ ResponseHead::write → client
//!    bytes      ─┘                        └─ write_chunk, write_last_chunk
//! ```
//!
//! # What holds
//!
//! | always | because |
//! |---|---|
//! | What is read does not depend on how the network cut it: the first wrong thing in the stream decides. | [`scan`] remembers where it stopped and looks at each byte once; bodies are a state machine. |
//! | A message that two parties could read differently is refused, never repaired. | [`bad`] has a variant for each class. |
//! | What is sent states its framing once, in the usual words, and it is the framing that was read. | [`mod@write`] drops what says otherwise and states it anew. |
//! | A plugin can't bring in a line, a second Host, or a field that frames or belongs to the hop. | [`fields`] checks edits; the types have no other way in. |
//! | A line that nobody edited is sent with the bytes it came with, name and blanks included, in its place. | [`fields::Fields`] keeps lines, not pairs, and copies runs of them. |
//! | Nothing is allocated for a request once the buffers have grown, but for more than 64 fields or a Connection that names a field. | Heads, arenas and output are reused. |
//!
//! # What is stricter than HAProxy or than RFC 9112 demands
//!
//! | refused | elsewhere |
//! |---|---|
//! | bare LF, folded lines, a second empty line before a request | HAProxy takes them; RFC 9112 §2.2 and §5.2 leave it open |
//! | Content-Length with Transfer-Encoding | HAProxy drops the length; RFC 9112 §6.1 allows both |
//! | the same Content-Length twice, or as `3, 3`; above 2^63-1 | HAProxy merges the former; RFC 9112 §6.3 allows it |
//! | any coding but one `chunked`, with 400 | RFC 9112 §6.1 suggests 501 for unknown ones |
//! | Transfer-Encoding in HTTP/1.0 | HAProxy forwards it |
//! | no Host in HTTP/1.1, an empty one, two equal ones, one that no DNS name could be | HAProxy takes the first three |
//! | `\` in a path, 8-bit bytes or a fragment in a target | some servers take `\` for `/` |
//! | `Content_Length`, `Transfer_Encoding` | CGI and WSGI can't tell them from the real ones |
//! | names above 256 bytes, methods above 32 | |
//! | a Connection that names Host, X-Forwarded-For, Cookie, ... in a request | RFC 9110 §7.6.1 forbids senders to |
//! | Expect other than `100-continue` (417) | RFC 9110 §10.1.1 leaves it open |
//! | CONNECT (501), versions other than 1.0 and 1.1 (505) | |
//! | chunk sizes above 16 digits or 2^63-1, extensions that break the grammar or 256 bytes | |
//! | trailers that frame, route or authorise | RFC 9110 §6.5.1 forbids senders to |
//!
//! Servers are held to the same rules, with two allowances: a status line may lack its reason, and a Connection
//! that names an end-to-end field is not followed rather than refused.
//!
//! # What the caller does
//!
//! Deciding what bytes on an idle connection mean, answering `100 Continue`, refusing a 101 that nobody asked for,
//! closing after anything in [`bad`], and validating fields of its own (`extra`), which are written as given.

pub mod bad;
pub mod base64;
pub mod body;
pub mod caching;
pub mod chunk;
mod clean;
pub mod coding;
pub mod cookies;
pub mod facts;
pub mod fields;
pub mod framing;
pub mod h2;
#[cfg(test)]
pub mod heads;
mod host;
pub mod known;
pub mod reason;
pub mod request;
pub mod response;
pub mod scan;
mod sha1;
mod syntax;
pub mod write;

#[cfg(test)]
mod tests;
