//! Write a decision of the Weir proxy in Rust.
//!
//! A plugin is a type that is made from a config, asks for the facts it needs, and implements one trait
//! per role: [`ConnectionFilter`], [`RequestFilter`], [`ResponseFilter`], [`Balancer`] (with
//! [`FeedbackBalancer`]) or [`Persistence`]. This one sends each client to the backend that its tier has:
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use weir_sdk::{BackendRef, ConfigError, Decision, Handle, Needs, OnRequest, Plugin, RequestFilter, Values};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config { header: String, gold: String }
//!
//! struct Tiers { tier: Handle<OnRequest>, gold: BackendRef }
//!
//! impl Plugin for Tiers {
//!     type Config = Config;
//!     fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
//!         Ok(Self { tier: needs.header(&config.header), gold: needs.backend(&config.gold) })
//!     }
//! }
//!
//! impl RequestFilter for Tiers {
//!     fn on_request(&mut self, values: &Values<OnRequest>) -> Decision {
//!         match values.get(self.tier) {
//!             Some("gold") => Decision::use_backend(self.gold),
//!             _ => Decision::pass(),
//!         }
//!     }
//! }
//!
//! weir_sdk::export!(Tiers: RequestFilter);
//!
//! // It is tested as plain Rust; see `weir_sdk::test`.
//! # fn main() -> Result<(), weir_sdk::test::LoadError> {
//! use weir_sdk::test::{Loaded, request};
//!
//! let mut tiers = Loaded::<Tiers>::new(r#"{ "header": "x-tier", "gold": "fast" }"#)?;
//! let decision = tiers.on_request(&request().header("X-Tier", "gold"));
//! assert_eq!(tiers.backend_of(&decision), Some("fast"));
//! # Ok(())
//! # }
//! ```
//!
//! Build it with `crate-type = ["cdylib", "rlib"]` for `wasm32-unknown-unknown` and make a component of
//! it (`wasm-tools component new`). There is no WASI: no files, no network, no environment, and
//! `std::time` does not work; what the proxy offers is in [`log`], [`clock`], [`random`], [`maps`] and
//! [`counters`].
//!
//! An instance is configured once and called by one thread. A panic is written to the proxy's log and
//! ends the instance, not the proxy.

mod balancing;
pub mod clock;
mod config;
mod connection;
pub mod counters;
mod decision;
mod edits;
mod hook;
mod input;
pub mod log;
pub mod maps;
mod needs;
mod network;
mod plugin;
pub mod random;
mod schedule;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;
mod values;

// What `export!` needs to reach from the author's crate.
#[doc(hidden)]
pub mod contract;
#[doc(hidden)]
pub mod export;

pub use balancing::{Outcome, Pick, Server};
pub use config::{ConfigError, NoConfig};
pub use connection::{ConnectionDecision, ConnectionVerdict, Refusal};
pub use decision::{Decision, Reply, Verdict};
pub use edits::{RequestEdits, ResponseEdits};
pub use hook::{
    Hook, OnAssigned, OnConnection, OnLookup, OnPick, OnRequest, OnResponse, SeesResponse,
};
pub use input::{Input, ResponseInput};
pub use needs::{BackendRef, Handle, Needs};
pub use network::{Network, NetworkError};
pub use plugin::{
    AheadBalancer, Balancer, ConnectionFilter, FeedbackBalancer, Found, Persistence, Plugin,
    RequestFilter, ResponseFilter,
};
pub use schedule::Schedule;
pub use values::Values;
