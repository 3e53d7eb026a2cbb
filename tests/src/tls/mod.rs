//! What tests of TLS are made of: an authority that issues certificates, servers and clients that speak TLS, and
//! programs that everybody has.

mod authority;
mod client;
mod openssl;
mod server;

pub use authority::{Authority, Issued};
pub use client::{Handshake, TlsClient, TlsTunnel};
pub use openssl::{OpensslClient, is_installed, run};
pub use server::TlsServer;
