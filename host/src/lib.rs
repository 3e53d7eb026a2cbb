//! The Weir proxy as a library. Folders are floors: a file uses floors below its own, never above.
//!
//! ```text
//! 6  main, cli
//! 5  proxy, admin | workbench
//! 4  frontend
//! 3  backend | cache | plugin | store
//! 2  net | http | telemetry
//! 1  config
//! 0  model | event_loop
//! ```

pub mod backend;
pub mod cache;
pub mod cli;
pub mod config;
pub mod event_loop;
pub mod frontend;
pub mod http;
pub mod model;
pub mod net;
pub mod plugin;
pub mod proxy;
pub mod store;
pub mod telemetry;
pub mod workbench;
