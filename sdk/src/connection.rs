//! What a connection filter answers.

use crate::{
    contract::connection_filter::exports::weir::plugin::connection_filter as contract,
    needs::BackendRef,
};

/// A verdict on a connection, and variables for whoever is asked about it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionDecision {
    pub verdict: ConnectionVerdict,
    /// Names and values; they live as long as the connection.
    pub vars: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionVerdict {
    /// Nothing decided: the next filter is asked, then the frontend's default backend is used.
    Pass,
    /// Later filters still run; the last one to choose wins. In front of HTTP it takes the place of the
    /// frontend's default backend, for all requests of the connection.
    UseBackend(BackendRef),
    /// Ends the connection here.
    Refuse(Refusal),
}

/// How a refused client's connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// In the ordinary way.
    Close,
    /// With a reset.
    Reset,
}

impl ConnectionDecision {
    pub const fn pass() -> Self {
        Self::new(ConnectionVerdict::Pass)
    }

    pub const fn use_backend(backend: BackendRef) -> Self {
        Self::new(ConnectionVerdict::UseBackend(backend))
    }

    /// Closes the connection.
    pub const fn close() -> Self {
        Self::new(ConnectionVerdict::Refuse(Refusal::Close))
    }

    /// Resets the connection.
    pub const fn reset() -> Self {
        Self::new(ConnectionVerdict::Refuse(Refusal::Reset))
    }

    pub const fn new(verdict: ConnectionVerdict) -> Self {
        Self {
            verdict,
            vars: Vec::new(),
        }
    }

    /// Sets a variable too.
    pub fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn into_contract(self) -> contract::Decision {
        let vars = self.vars.into_iter();
        contract::Decision {
            verdict: match self.verdict {
                ConnectionVerdict::Pass => contract::Verdict::Pass,
                ConnectionVerdict::UseBackend(backend) => contract::Verdict::UseBackend(backend.0),
                ConnectionVerdict::Refuse(refusal) => contract::Verdict::Refuse(match refusal {
                    Refusal::Close => contract::Refusal::Close,
                    Refusal::Reset => contract::Refusal::Reset,
                }),
            },
            vars: vars
                .map(|(name, value)| contract::Var { name, value })
                .collect(),
        }
    }
}
