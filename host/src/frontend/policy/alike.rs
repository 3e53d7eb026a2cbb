//! Whether two versions of a plugin gave the same answer, and if not, in a few words, what each of them said.
//!
//! Answers are compared as wholes: the verdict, what it carries, and the edits in their order. Texts that came
//! out of a request or go into one are not repeated, for they may be secrets.

use std::fmt;

use crate::{
    model::{
        BackendName, ConnectionDecision, ConnectionVerdict, Decision, Edit, Found, Hook, Refusal,
        Verdict,
    },
    plugin::Plugin,
};

/// Two versions of a plugin, for what their answers mean.
pub(super) struct Versions<'a> {
    pub current: &'a Plugin,
    pub next: &'a Plugin,
    /// What the positions of backends in the new version's answers begin with.
    pub first_backend: usize,
}

impl<'a> Versions<'a> {
    fn backend_of_current(&self, position: usize) -> Option<&'a BackendName> {
        self.current.backends().get(position)
    }

    fn backend_of_next(&self, position: usize) -> Option<&'a BackendName> {
        let position = position.checked_sub(self.first_backend)?;
        self.next.backends().get(position)
    }
}

/// What each version said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub hook: Hook,
    pub current: String,
    pub next: String,
}

pub(super) fn connections(
    versions: &Versions<'_>,
    current: &ConnectionDecision,
    next: &ConnectionDecision,
) -> Option<Difference> {
    let backends = match (current.verdict, next.verdict) {
        (ConnectionVerdict::UseBackend(a), ConnectionVerdict::UseBackend(b)) => {
            (versions.backend_of_current(a), versions.backend_of_next(b))
        }
        _ => (None, None),
    };
    let alike = match backends {
        (Some(a), Some(b)) => a == b,
        _ => current.verdict == next.verdict,
    };
    if alike && current.vars == next.vars {
        return None;
    }
    let said = |decision: &ConnectionDecision, backend: Option<&BackendName>| {
        let verdict = match decision.verdict {
            ConnectionVerdict::Pass => "pass".to_owned(),
            ConnectionVerdict::UseBackend(_) => used(backend),
            ConnectionVerdict::Refuse(Refusal::Close) => "close".to_owned(),
            ConnectionVerdict::Refuse(Refusal::Reset) => "reset".to_owned(),
        };
        format!("{verdict} with {} variables", decision.vars.len())
    };
    let backend = |decision: &ConnectionDecision| match decision.verdict {
        ConnectionVerdict::UseBackend(position) => Some(position),
        ConnectionVerdict::Pass | ConnectionVerdict::Refuse(_) => None,
    };
    let of_current = backend(current).and_then(|at| versions.backend_of_current(at));
    let of_next = backend(next).and_then(|at| versions.backend_of_next(at));
    Some(Difference {
        hook: Hook::OnConnection,
        current: said(current, of_current),
        next: said(next, of_next),
    })
}

pub(super) fn decisions(
    versions: &Versions<'_>,
    current: &Decision,
    next: &Decision,
) -> Option<Difference> {
    let backend = |verdict: &Verdict| match verdict {
        Verdict::UseBackend(position) => Some(*position),
        Verdict::Pass | Verdict::Reply(_) | Verdict::Deny(_) => None,
    };
    let of_current = backend(&current.verdict).and_then(|at| versions.backend_of_current(at));
    let of_next = backend(&next.verdict).and_then(|at| versions.backend_of_next(at));
    let alike = match (of_current, of_next) {
        (Some(a), Some(b)) => a == b,
        _ => current.verdict == next.verdict,
    };
    if alike && current.edits == next.edits && current.response_edits == next.response_edits {
        return None;
    }
    let said = |decision: &Decision, backend: Option<&BackendName>| {
        let verdict = match &decision.verdict {
            Verdict::Pass => "pass".to_owned(),
            Verdict::UseBackend(_) => used(backend),
            Verdict::Reply(reply) => format!("reply {}", reply.status),
            Verdict::Deny(status) => format!("deny {status}"),
        };
        let edits = decision.edits.len() + decision.response_edits.len();
        format!("{verdict} with {}", Edits(edits))
    };
    Some(Difference {
        hook: Hook::OnRequest,
        current: said(current, of_current),
        next: said(next, of_next),
    })
}

fn used(backend: Option<&BackendName>) -> String {
    match backend {
        Some(name) => format!("use-backend {name}"),
        None => "use-backend".to_owned(),
    }
}

/// Of hooks that answer with edits alone.
pub(super) fn edits(hook: Hook, current: &[Edit], next: &[Edit]) -> Option<Difference> {
    (current != next).then(|| Difference {
        hook,
        current: Edits(current.len()).to_string(),
        next: Edits(next.len()).to_string(),
    })
}

pub(super) fn found(current: &Found, next: &Found) -> Option<Difference> {
    if current == next {
        return None;
    }
    // What a client sends can be what persistence takes for a server's key, so it is not repeated.
    let server = |found: &Found, one: &'static str| match found.server {
        Some(_) => one,
        None => "no server",
    };
    let other = match current.server == next.server {
        true => "a server",
        false => "another server",
    };
    Some(Difference {
        hook: Hook::Lookup,
        current: format!(
            "{} with {}",
            server(current, "a server"),
            Edits(current.edits.len())
        ),
        next: format!("{} with {}", server(next, other), Edits(next.edits.len())),
    })
}

/// Of balancers, by the position of the server.
pub(super) fn picks(current: Option<usize>, next: Option<usize>) -> Option<Difference> {
    let said = |picked: Option<usize>| match picked {
        Some(position) => format!("server {}", position + 1),
        None => "no server".to_owned(),
    };
    (current != next).then(|| Difference {
        hook: Hook::Pick,
        current: said(current),
        next: said(next),
    })
}

/// How many edits there are, in words.
struct Edits(usize);

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no edits"),
            1 => f.write_str("1 edit"),
            more => write!(f, "{more} edits"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Header;

    #[test]
    fn the_same_edits_are_alike_and_others_are_told_by_their_number() {
        let edit = |value: &str| {
            Edit::SetHeader(Header {
                name: "x".to_owned(),
                value: value.to_owned(),
            })
        };
        let hook = Hook::OnResponse;
        assert_eq!(edits(hook, &[edit("a")], &[edit("a")]), None);
        let found = edits(hook, &[edit("secret")], &[edit("other"), edit("more")]).unwrap();
        assert_eq!(
            (found.current.as_str(), found.next.as_str()),
            ("1 edit", "2 edits")
        );
    }

    #[test]
    fn what_a_client_may_have_sent_is_not_repeated() {
        let remembers = |server: Option<&str>| Found {
            server: server.map(str::to_owned),
            edits: Vec::new(),
        };
        assert_eq!(found(&remembers(Some("a")), &remembers(Some("a"))), None);
        let difference = found(&remembers(Some("a")), &remembers(None)).unwrap();
        assert_eq!(difference.current, "a server with no edits");
        assert_eq!(difference.next, "no server with no edits");
        let difference = found(&remembers(Some("a")), &remembers(Some("b"))).unwrap();
        assert_eq!(difference.next, "another server with no edits");
    }
}
