//! The only folder that knows wasmtime: loads components, checks them, calls them, survives them.
//!
//! ```text
//! bytes ── Runtime::compile ──> Component     once per digest
//! Component + config + grants ── Plugin::load ──> Plugin     once per use in weir.toml, all workers share it
//! Plugin ── instantiate ──> Instance     one per worker, called, dropped after its first failure
//! ```
//!
//! What a plugin can do to the proxy ends here: a call takes its deadline at most, memory and the bytes
//! handed over have limits, and whatever goes wrong is a [`CallError`]. What becomes of the request then
//! is decided above.

mod breaker;
pub mod bundled;
mod code_cache;
mod component;
mod contract;
pub mod counters;
mod error;
mod exports;
mod imports;
mod inspect;
mod instance;
mod load;
mod log_gate;
pub mod maps;
mod needs;
mod offload;
#[expect(clippy::module_inception, reason = "the folder's main noun")]
mod plugin;
mod regular;
mod runtime;
mod schema;
mod schema_size;
mod stage;
#[cfg(test)]
mod tests;
mod ticker;
mod v0_1;
mod wasi;

pub use breaker::{Admission, Breaker, BreakerRules, Cost, Turn};
pub use code_cache::user_code_cache;
pub use component::{Component, Digest};
pub use contract::{Import, Place, Role};
pub use error::{Call, CallError, CallFault, Cause, LoadError, LoadFault, RuntimeError, Violation};
pub use imports::Handed;
pub use inspect::{Asks, Inspection};
pub use instance::Instance;
pub use log_gate::LogRate;
pub use offload::{Offload, OffloadError};
pub use plugin::{Plugin, PluginInfo, PluginSpec};
pub use runtime::{Runtime, RuntimeOptions};
pub use stage::Stage;
pub use wasi::WasiImport;
