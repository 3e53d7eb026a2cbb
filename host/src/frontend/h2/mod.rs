//! Clients that speak HTTP/2: a connection of theirs, the streams on it, and how a stream is the client's side
//! of an exchange. What becomes of a request is `exchange.rs`, as for HTTP/1.

mod client;
mod connection;
mod io;
mod tunnel;

pub use connection::serve;
