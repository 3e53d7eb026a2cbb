//! The nouns that policy and mechanism share. No I/O, no libraries, no opinions.

mod decision;
mod fault;
mod input;
mod live;
mod name;
mod share;
pub mod words;

pub use decision::{
    Candidate, ConnectionDecision, ConnectionVerdict, Decision, Edit, Found, Header, Held, Outcome,
    Refusal, Reply, Verdict,
};
pub use fault::Fault;
pub use input::{Hook, Input, ProxyFact, UnknownInput};
pub use live::{LiveFact, OfBackend, OfServer};
pub use name::{BackendName, FrontendName, PluginName, ServerName};
pub use share::{NoShare, Share};
