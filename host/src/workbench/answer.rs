//! A plugin's answers in words: those in which cases say what they expect.

use crate::model::{BackendName, Edit, Header, Verdict};

/// `use-backend fast`; `backends` are those that the plugin named.
pub fn verdict(verdict: &Verdict, backends: &[BackendName]) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::UseBackend(index) => match backends.get(*index) {
            Some(name) => format!("use-backend {name}"),
            None => format!("use-backend {index}"),
        },
        Verdict::Reply(reply) => format!("reply {}", reply.status),
        Verdict::Deny(status) => format!("deny {status}"),
    }
}

/// `set-header x-tier: gold`
pub fn edits(edits: &[Edit]) -> Vec<String> {
    edits.iter().map(edit).collect()
}

/// `location: /login`
pub fn headers(headers: &[Header]) -> Vec<String> {
    headers.iter().map(pair).collect()
}

fn edit(edit: &Edit) -> String {
    match edit {
        Edit::SetHeader(header) => format!("set-header {}", pair(header)),
        Edit::AddHeader(header) => format!("add-header {}", pair(header)),
        Edit::RemoveHeader(name) => format!("remove-header {name}"),
        Edit::SetPath(path) => format!("set-path {path}"),
        Edit::SetQuery(query) => format!("set-query {query}"),
        Edit::SetMethod(method) => format!("set-method {method}"),
        Edit::SetStatus(status) => format!("set-status {status}"),
        Edit::RemoveCookie(name) => format!("remove-cookie {name}"),
        Edit::SetCookieValue(cookie) => format!("set-cookie-value {}", pair(cookie)),
        Edit::SetVar(var) => format!("set-var {}", pair(var)),
    }
}

fn pair(header: &Header) -> String {
    format!("{}: {}", header.name, header.value)
}
