//! The nouns that policy and mechanism share. No I/O, no libraries, no opinions.

mod decision;
mod fault;
mod input;
mod name;

pub use decision::{Candidate, Decision, Edit, Found, Header, Outcome, Reply, Verdict};
pub use fault::Fault;
pub use input::{Hook, Input, UnknownInput};
pub use name::{BackendName, FrontendName, PluginName, ServerName};
