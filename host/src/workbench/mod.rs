//! The bench that plugin authors work at: cases, timing, simulation. Plugins are compiled, linked, limited
//! and called as in the proxy, by the same code, and there is no proxy.
//!
//! Knows nothing of sockets.

pub mod compat;
mod diff;
pub mod project;
pub mod replay;
pub mod simulation;
mod subject;
pub mod testing;
pub mod timing;

pub use subject::{Setup, Subject, SubjectError};
