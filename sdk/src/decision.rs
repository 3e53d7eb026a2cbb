//! What a request filter answers.

use crate::{
    contract::{
        imports::weir::plugin::types,
        request_filter::exports::weir::plugin::request_filter as contract,
    },
    edits::{RequestEdits, ResponseEdits},
    needs::BackendRef,
};

/// A verdict, and what is to change on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub edits: RequestEdits,
    /// Made to whatever answer the client gets: the server's, a reply or an error page.
    pub response_edits: ResponseEdits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing decided: the next filter is asked, then the frontend's default backend is used.
    Pass,
    /// Later filters still run; the last one to choose wins.
    UseBackend(BackendRef),
    /// Ends the exchange here, with this answer.
    Reply(Reply),
    /// Ends the exchange here, with the proxy's own error page for this status (200 to 599).
    Deny(u16),
}

/// An answer that the plugin gives in place of a server. The proxy adds Content-Length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    headers: Vec<types::Header>,
    body: Vec<u8>,
}

impl Decision {
    pub const fn pass() -> Self {
        Self::new(Verdict::Pass)
    }

    pub const fn use_backend(backend: BackendRef) -> Self {
        Self::new(Verdict::UseBackend(backend))
    }

    pub const fn reply(reply: Reply) -> Self {
        Self::new(Verdict::Reply(reply))
    }

    pub const fn deny(status: u16) -> Self {
        Self::new(Verdict::Deny(status))
    }

    pub const fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            edits: RequestEdits::none(),
            response_edits: ResponseEdits::none(),
        }
    }

    /// Changes the request too: `Decision::pass().edit(|request| request.set_header("x-tier", "gold"))`.
    pub fn edit(mut self, change: impl FnOnce(&mut RequestEdits) -> &mut RequestEdits) -> Self {
        change(&mut self.edits);
        self
    }

    /// Changes the answer too, whoever gives it.
    pub fn edit_response(
        mut self,
        change: impl FnOnce(&mut ResponseEdits) -> &mut ResponseEdits,
    ) -> Self {
        change(&mut self.response_edits);
        self
    }

    pub(crate) fn into_contract(self) -> contract::Decision {
        contract::Decision {
            verdict: match self.verdict {
                Verdict::Pass => contract::Verdict::Pass,
                Verdict::UseBackend(backend) => contract::Verdict::UseBackend(backend.0),
                Verdict::Reply(reply) => contract::Verdict::Reply(types::Reply {
                    status: reply.status,
                    headers: reply.headers,
                    body: reply.body,
                }),
                Verdict::Deny(status) => contract::Verdict::Deny(status),
            },
            edits: self.edits.0,
            response_edits: self.response_edits.0,
        }
    }
}

impl Reply {
    /// An empty answer with this status (200 to 599).
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(types::Header {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}
