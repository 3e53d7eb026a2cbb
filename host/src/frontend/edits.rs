//! Making the changes that plugins ask for, and refusing those that must not be made.

use std::fmt;

use super::facts::Vars;
use crate::{
    http::{
        cookies,
        fields::BadField,
        request::{BadEdit as BadRequestEdit, RequestHead},
        response::{BadStatus, ResponseHead},
    },
    model::{Edit, Header, Reply, Verdict},
};

/// The most variables and bytes of variables that plugins may set on one exchange.
const VARS: usize = 64;
const VAR_BYTES: usize = 16 * 1024;

/// A change that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadEdit {
    Field(BadField),
    Request(BadRequestEdit),
    Status(BadStatus),
    /// The change has no meaning there.
    Misplaced {
        edit: &'static str,
    },
    TooManyVars,
    ReplyStatus(u16),
}

impl fmt::Display for BadEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(bad) => bad.fmt(f),
            Self::Request(bad) => bad.fmt(f),
            Self::Status(bad) => bad.fmt(f),
            Self::Misplaced { edit } => write!(f, "{edit} cannot be done here"),
            Self::TooManyVars => {
                write!(f, "more than {VARS} variables or {VAR_BYTES} bytes of them")
            }
            Self::ReplyStatus(status) => write!(f, "status {status} cannot be replied"),
        }
    }
}

impl From<BadField> for BadEdit {
    fn from(bad: BadField) -> Self {
        Self::Field(bad)
    }
}

impl From<BadRequestEdit> for BadEdit {
    fn from(bad: BadRequestEdit) -> Self {
        Self::Request(bad)
    }
}

impl From<BadStatus> for BadEdit {
    fn from(bad: BadStatus) -> Self {
        Self::Status(bad)
    }
}

/// Makes changes to a request, in order; those before a bad one have been made.
pub fn apply_request(
    head: &mut RequestHead,
    vars: &mut Vars,
    edits: &[Edit],
) -> Result<(), BadEdit> {
    for edit in edits {
        let fields = &mut head.fields;
        match edit {
            Edit::SetHeader(header) => fields.set(&header.name, header.value.as_bytes())?,
            Edit::AddHeader(header) => fields.add(&header.name, header.value.as_bytes())?,
            Edit::RemoveHeader(name) => fields.remove(name)?,
            Edit::RemoveCookie(name) => cookies::remove_cookies(fields, name),
            Edit::SetCookieValue(cookie) => {
                cookies::change_cookies(fields, &cookie.name, cookie.value.as_bytes())?;
            }
            Edit::SetPath(path) => head.set_path(path)?,
            Edit::SetQuery(query) => head.set_query(query)?,
            Edit::SetMethod(method) => head.set_method(method)?,
            Edit::SetVar(var) => {
                set_var(vars, var)?;
            }
            Edit::SetStatus(_) => return Err(BadEdit::Misplaced { edit: "set-status" }),
        }
    }
    Ok(())
}

/// Makes the changes that persistence asks for where there is no request: variables alone.
pub fn apply_session(vars: &mut Vars, edits: &[Edit]) -> Result<(), BadEdit> {
    edits.iter().try_for_each(|edit| match edit {
        Edit::SetVar(var) => set_var(vars, var),
        _ => Err(BadEdit::Misplaced {
            edit: "a change to a request or response",
        }),
    })
}

/// Makes changes to a response. They have passed [`check_response`]; what still cannot be done to this
/// very response, such as a status that would need another body, is left out.
pub fn apply_response(head: &mut ResponseHead, vars: &mut Vars, edits: &[Edit]) {
    for edit in edits {
        // Checked before, see above.
        let _ = apply_one(head, vars, edit);
    }
}

/// Refuses changes that no response can have.
pub fn check_response(edits: &[Edit]) -> Result<(), BadEdit> {
    if edits.is_empty() {
        return Ok(());
    }
    let mut head = ResponseHead::new(200);
    let mut vars = Vars::default();
    for edit in edits {
        match edit {
            // Whether it can have this status depends on the response; any final one is sound.
            Edit::SetStatus(200..=599) => {}
            edit => apply_one(&mut head, &mut vars, edit)?,
        }
    }
    Ok(())
}

fn apply_one(head: &mut ResponseHead, vars: &mut Vars, edit: &Edit) -> Result<(), BadEdit> {
    let fields = &mut head.fields;
    match edit {
        Edit::SetHeader(header) => fields.set(&header.name, header.value.as_bytes())?,
        Edit::AddHeader(header) => fields.add(&header.name, header.value.as_bytes())?,
        Edit::RemoveHeader(name) => fields.remove(name)?,
        Edit::RemoveCookie(name) => cookies::remove_set_cookies(fields, name),
        Edit::SetCookieValue(cookie) => {
            cookies::change_set_cookies(fields, &cookie.name, cookie.value.as_bytes())?;
        }
        Edit::SetStatus(status) => head.set_status(*status)?,
        Edit::SetVar(var) => set_var(vars, var)?,
        Edit::SetPath(_) => return Err(BadEdit::Misplaced { edit: "set-path" }),
        Edit::SetQuery(_) => return Err(BadEdit::Misplaced { edit: "set-query" }),
        Edit::SetMethod(_) => return Err(BadEdit::Misplaced { edit: "set-method" }),
    }
    Ok(())
}

/// Sets a variable, as long as there are not too many.
pub fn set_var(vars: &mut Vars, var: &Header) -> Result<(), BadEdit> {
    if vars.len() >= VARS || vars.bytes() + var.name.len() + var.value.len() > VAR_BYTES {
        return Err(BadEdit::TooManyVars);
    }
    vars.set(var.clone());
    Ok(())
}

/// Refuses replies that cannot be sent.
pub fn check_verdict(verdict: &Verdict) -> Result<(), BadEdit> {
    match verdict {
        Verdict::Pass | Verdict::UseBackend(_) => Ok(()),
        Verdict::Deny(status) => check_status(*status),
        Verdict::Reply(reply) => check_reply(reply),
    }
}

fn check_reply(reply: &Reply) -> Result<(), BadEdit> {
    check_status(reply.status)?;
    let mut head = ResponseHead::new(reply.status);
    for header in &reply.headers {
        head.fields.add(&header.name, header.value.as_bytes())?;
    }
    Ok(())
}

fn check_status(status: u16) -> Result<(), BadEdit> {
    match status {
        200..=599 => Ok(()),
        _ => Err(BadEdit::ReplyStatus(status)),
    }
}
