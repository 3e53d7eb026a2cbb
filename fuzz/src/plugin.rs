//! Of the plugins' folder only what needs no wasmtime.

#[path = "../../host/src/plugin/maps/mod.rs"]
pub mod maps;
#[path = "../../host/src/plugin/regular.rs"]
mod regular;
