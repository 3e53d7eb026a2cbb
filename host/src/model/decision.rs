//! What plugins are told and what they answer, in the proxy's own terms.
//!
//! The contract's generated types stop in `plugin/`; everything above sees these.

use std::{any::Any, fmt};

/// A header field as a plugin named it. Not yet checked: `http` refuses what must not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// A change that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    SetHeader(Header),
    AddHeader(Header),
    RemoveHeader(String),
    SetPath(String),
    SetQuery(String),
    SetMethod(String),
    SetStatus(u16),
    /// Cookies of that name leave the Cookie fields of a request, or Set-Cookie fields a response.
    RemoveCookie(String),
    /// Cookies of that name get another value where they are; none is added.
    SetCookieValue(Header),
    SetVar(Header),
}

/// An answer that a plugin gives in place of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
}

/// What a request filter says should happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Position in the list of backends that the plugin named when it was configured. Already checked
    /// to be within that list.
    UseBackend(usize),
    Reply(Reply),
    /// The proxy's own error page for this status. Already checked to be 200 to 599.
    Deny(u16),
}

/// A request filter's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub edits: Vec<Edit>,
    pub response_edits: Vec<Edit>,
}

/// What a connection filter says should happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionVerdict {
    Pass,
    /// Position in the list of backends that the plugin named when it was configured. Already checked
    /// to be within that list.
    UseBackend(usize),
    Refuse(Refusal),
}

/// How a refused client's connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Close,
    Reset,
}

/// A connection filter's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionDecision {
    pub verdict: ConnectionVerdict,
    pub vars: Vec<Header>,
    pub held: Held,
}

/// What counts for as long as the connection that a decision is about: dropping it gives it back. A copy of a
/// decision holds nothing.
#[derive(Default)]
pub struct Held(Option<Box<dyn Any + Send + Sync>>);

impl Held {
    pub fn new(what: impl Any + Send + Sync) -> Self {
        Self(Some(Box::new(what)))
    }

    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Held {
    /// What is held is no part of what was decided.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_nothing() {
            "nothing"
        } else {
            "something"
        })
    }
}

/// A persistence plugin's memory of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The persistence key of the server that the client had.
    pub server: Option<String>,
    pub edits: Vec<Edit>,
}

/// A server as a balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub id: u32,
    pub weight: u32,
    /// Exchanges it takes at a time; 0 is no limit.
    pub limit: u32,
}

/// How an exchange with a server ended, for balancers that learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    ConnectFailed,
    TimedOut,
    ServerError,
    Aborted,
}
