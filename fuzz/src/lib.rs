//! The parts of the proxy that read what strangers wrote, and a second reader to hold them against.
//!
//! The folders are taken in by path rather than through the crate `weir`, which would bring wasmtime along
//! and make an instrumented build take twenty minutes in place of one. They are the same files.

#![allow(
    dead_code,
    reason = "what the proxy alone uses of these folders"
)]

#[path = "../../host/src/config/mod.rs"]
pub mod config;
#[path = "../../host/src/http/mod.rs"]
pub mod http;
#[path = "../../host/src/model/mod.rs"]
pub mod model;
pub mod net;
pub mod plugin;
pub mod second_reader;
pub mod stream;
