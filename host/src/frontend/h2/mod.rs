//! HTTP/2 on either side of an exchange. A client's connection and its streams, each the client's side of an
//! exchange (`client`); a stream to a server (`talk`). What becomes of a request is `exchange.rs`, as for HTTP/1.

mod client;
mod connection;
mod talk;
mod tasks;
mod tunnel;

pub use connection::serve;
pub use talk::StreamTalk;
pub use tasks::StreamTasks;
pub use tunnel::{SocketPipe, StreamPipe, tunnel};
