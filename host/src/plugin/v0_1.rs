//! The generated side of `weir:plugin@0.1`: its types end in this file. What leaves it is `model`.
//!
//! Knows nothing of deadlines, limits or failures.

use crate::model;

/// Only the types are used. As imports, because what the macro makes of exports can't be called with
/// borrowed values, `&[Option<&str>]`; `exports` finds the functions itself.
#[allow(
    dead_code,
    reason = "the macro also makes traits and linking code for imports"
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        inline: "
            package weir:host;
            world types-of-plugins {
                import weir:plugin/lifecycle@0.1.0;
                import weir:plugin/connection-filter@0.1.0;
                import weir:plugin/request-filter@0.1.0;
                import weir:plugin/balancer@0.1.0;
                import weir:plugin/balancer-feedback@0.1.0;
                import weir:plugin/persistence@0.1.0;
            }
        ",
    });
}

pub(super) use generated::weir::plugin::{
    balancer::Server,
    balancer_feedback::Outcome,
    connection_filter::{
        Decision as ConnectionDecision, Refusal, Var, Verdict as ConnectionVerdict,
    },
    lifecycle::{HookInputs, Needs, PluginInfo},
    persistence::Found,
    request_filter::{Decision, Verdict},
    types::{Edit, Header, Reply},
};

/// The version of the contract that this file speaks.
pub const VERSION: &str = "0.1.0";

impl From<Header> for model::Header {
    fn from(header: Header) -> Self {
        Self {
            name: header.name,
            value: header.value,
        }
    }
}

impl From<Edit> for model::Edit {
    fn from(edit: Edit) -> Self {
        match edit {
            Edit::SetHeader(header) => Self::SetHeader(header.into()),
            Edit::AddHeader(header) => Self::AddHeader(header.into()),
            Edit::RemoveHeader(name) => Self::RemoveHeader(name),
            Edit::SetPath(path) => Self::SetPath(path),
            Edit::SetQuery(query) => Self::SetQuery(query),
            Edit::SetMethod(method) => Self::SetMethod(method),
            Edit::SetStatus(status) => Self::SetStatus(status),
            Edit::RemoveCookie(name) => Self::RemoveCookie(name),
            Edit::SetCookieValue(cookie) => Self::SetCookieValue(cookie.into()),
            Edit::SetVar(var) => Self::SetVar(var.into()),
        }
    }
}

impl From<Reply> for model::Reply {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status,
            headers: reply.headers.into_iter().map(Into::into).collect(),
            body: reply.body,
        }
    }
}

impl From<Verdict> for model::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::UseBackend(index) => Self::UseBackend(position(index)),
            Verdict::Reply(reply) => Self::Reply(reply.into()),
            Verdict::Deny(status) => Self::Deny(status),
        }
    }
}

impl From<Decision> for model::Decision {
    fn from(decision: Decision) -> Self {
        Self {
            verdict: decision.verdict.into(),
            edits: edits(decision.edits),
            response_edits: edits(decision.response_edits),
        }
    }
}

impl From<ConnectionDecision> for model::ConnectionDecision {
    fn from(decision: ConnectionDecision) -> Self {
        Self {
            verdict: decision.verdict.into(),
            vars: decision.vars.into_iter().map(Into::into).collect(),
            held: model::Held::default(),
        }
    }
}

impl From<ConnectionVerdict> for model::ConnectionVerdict {
    fn from(verdict: ConnectionVerdict) -> Self {
        match verdict {
            ConnectionVerdict::Pass => Self::Pass,
            ConnectionVerdict::UseBackend(index) => Self::UseBackend(position(index)),
            ConnectionVerdict::Refuse(Refusal::Close) => Self::Refuse(model::Refusal::Close),
            ConnectionVerdict::Refuse(Refusal::Reset) => Self::Refuse(model::Refusal::Reset),
        }
    }
}

impl From<Var> for model::Header {
    fn from(var: Var) -> Self {
        Self {
            name: var.name,
            value: var.value,
        }
    }
}

impl From<Found> for model::Found {
    fn from(found: Found) -> Self {
        Self {
            server: found.server,
            edits: edits(found.edits),
        }
    }
}

impl From<model::Outcome> for Outcome {
    fn from(outcome: model::Outcome) -> Self {
        match outcome {
            model::Outcome::Success => Self::Success,
            model::Outcome::ConnectFailed => Self::ConnectFailed,
            model::Outcome::TimedOut => Self::TimedOut,
            model::Outcome::ServerError => Self::ServerError,
            model::Outcome::Aborted => Self::Aborted,
        }
    }
}

pub(super) fn edits(edits: Vec<Edit>) -> Vec<model::Edit> {
    edits.into_iter().map(Into::into).collect()
}

pub(super) fn server(candidate: &model::Candidate) -> Server {
    Server {
        name: candidate.name.clone(),
        id: candidate.id,
        weight: candidate.weight,
        limit: candidate.limit,
    }
}

/// The contract has none where a list of `pick` would be empty.
pub(super) fn filled<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

/// A position that a plugin named. Whether the list is that long is checked where the list is known.
pub(super) fn position(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
