//! The parts of the proxy that read what strangers wrote, and a second reader to hold them against.
//!
//! The folders are taken in by path rather than through the crate `weir`, which would bring wasmtime along
//! and make an instrumented build take twenty minutes in place of one. They are the same files.

#![allow(dead_code)]

#[path = "../../host/src/config/mod.rs"]
pub mod config;
#[path = "../../host/src/http/mod.rs"]
pub mod http;
#[path = "../../host/src/model/mod.rs"]
pub mod model;
pub mod net {
    //! Of the folder only what is pure.
    #[path = "../../../host/src/net/client_hello.rs"]
    pub mod client_hello;
    #[path = "../../../host/src/net/proxy_protocol/mod.rs"]
    pub mod proxy_protocol;
}
pub mod plugin;
pub mod second_reader;
pub mod stream;
