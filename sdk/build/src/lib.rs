//! From a plugin's sources to a component: finds a compiler of Rust or C that can make Wasm, and makes a
//! validated component of the module that it leaves.
//!
//! Shared by `cargo xtask`, which builds the plugins that come with Weir, and `weir plugin build`, which
//! builds an author's. Knows nothing of where sources lie.

pub mod c;
mod component;
mod program;
mod toolchain;

pub use component::{ComponentError, from_module};
pub use program::{ProgramError, output_of, outside_cargo, run};
pub use toolchain::{TARGET, Toolchain, ToolchainError, find};
