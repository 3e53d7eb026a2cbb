//! Tests a plugin natively: `cargo test`, no wasm.
//!
//! [`Loaded`] drives a plugin through configure and its hooks as the proxy does; [`request`] and
//! [`response`] say what an exchange looks like, [`connection`] what is known before there is one; [`host`] is the clock, the randomness, the maps and
//! the log of the thread that the test runs on, [`counters`] its tables of counters.

mod connection;
pub mod counters;
mod exchange;
pub mod host;
mod live;
mod loaded;

pub use connection::{Connection, connection};
pub use exchange::{Request, Response, request, response};
pub use loaded::{LoadError, Loaded, servers};
