//! What the proxy tells about its work: a line per exchange, changes of state, counters.
//!
//! The process's own log (start, reload, plugin faults) is `tracing`'s and set up in `main`.

mod access;
mod cache;
mod compression;
mod counts;
mod date;
mod handshake;
mod hub;
mod json;
mod line;
mod metrics;
mod prometheus;
mod sink;
pub mod story;
mod text;

pub use access::{AccessRecord, Connections, Queues, RequestLine, Spoken, Timers, format_httplog};
pub use cache::CacheMetrics;
pub use compression::{CompressionMetrics, CompressionPlace};
pub use counts::{BackendCounts, ByClass, FrontendCounts, ServerCounts};
pub use date::Dates;
pub use handshake::FailedHandshake;
pub use hub::{LogHub, LogWriter};
pub use json::format_json;
pub use line::{LineFacts, OwnLine};
pub use metrics::{
    BackendMetrics, FrontendMetrics, Metrics, PluginMetrics, PluginPlace, ServerMetrics,
};
pub use prometheus::plugin_labels;
pub use sink::LogError;
