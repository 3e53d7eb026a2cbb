//! Plugins' answers in words: those in which cases say what they expect and stories tell what was answered.

use std::borrow::Cow;

use super::{BackendName, ConnectionVerdict, Edit, Header, Refusal, Verdict};

/// `use-backend fast`; `backends` are those that the plugin named.
pub fn verdict(verdict: &Verdict, backends: &[BackendName]) -> String {
    match verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::UseBackend(index) => use_backend(*index, backends),
        Verdict::Reply(reply) => format!("reply {}", reply.status),
        Verdict::Deny(status) => format!("deny {status}"),
    }
}

/// `refuse close`; `backends` are those that the plugin named.
pub fn connection_verdict(verdict: ConnectionVerdict, backends: &[BackendName]) -> String {
    match verdict {
        ConnectionVerdict::Pass => "pass".to_owned(),
        ConnectionVerdict::UseBackend(index) => use_backend(index, backends),
        ConnectionVerdict::Refuse(Refusal::Close) => "refuse close".to_owned(),
        ConnectionVerdict::Refuse(Refusal::Reset) => "refuse reset".to_owned(),
    }
}

fn use_backend(index: usize, backends: &[BackendName]) -> String {
    match backends.get(index) {
        Some(name) => format!("use-backend {name}"),
        None => format!("use-backend {index}"),
    }
}

/// What the value in an edit is a value of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valued<'a> {
    Header(&'a str),
    Cookie(&'a str),
    Var(&'a str),
    Query,
}

/// `set-header x-tier: gold`
pub fn edits(edits: &[Edit]) -> Vec<String> {
    let as_it_is = |_: Valued<'_>, value| Cow::Borrowed(value);
    edits.iter().map(|each| edit(each, as_it_is)).collect()
}

/// `location: /login`
pub fn headers(headers: &[Header]) -> Vec<String> {
    headers
        .iter()
        .map(|header| pair(&header.name, &header.value))
        .collect()
}

/// An edit whose value is shown as `show` makes it.
pub fn edit<'a>(
    edit: &'a Edit,
    mut show: impl FnMut(Valued<'a>, &'a str) -> Cow<'a, str>,
) -> String {
    let mut shown = |kind: &str, valued: Valued<'a>, header: &'a Header| {
        let value = show(valued, &header.value);
        format!("{kind} {}", pair(&header.name, &value))
    };
    match edit {
        Edit::SetHeader(header) => shown("set-header", Valued::Header(&header.name), header),
        Edit::AddHeader(header) => shown("add-header", Valued::Header(&header.name), header),
        Edit::RemoveHeader(name) => format!("remove-header {name}"),
        Edit::SetPath(path) => format!("set-path {path}"),
        Edit::SetQuery(query) => format!("set-query {}", show(Valued::Query, query)),
        Edit::SetMethod(method) => format!("set-method {method}"),
        Edit::SetStatus(status) => format!("set-status {status}"),
        Edit::RemoveCookie(name) => format!("remove-cookie {name}"),
        Edit::SetCookieValue(cookie) => {
            shown("set-cookie-value", Valued::Cookie(&cookie.name), cookie)
        }
        Edit::SetVar(var) => shown("set-var", Valued::Var(&var.name), var),
    }
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}: {value}")
}
