//! What a rule does once its condition holds.

mod connection;
mod read;

use std::{collections::HashMap, ops::ControlFlow};

use regex::bytes::Regex;
use weir_sdk::{BackendRef, Decision, Reply, RequestEdits, ResponseEdits, Verdict};

pub use connection::ConnectionAction;
pub use read::ActionReader;

use crate::{
    inputs::{Facts, Slot},
    template::Template,
};

/// What a rule does with a request.
#[derive(Debug)]
pub struct Action {
    fields: Vec<FieldEdit>,
    path: Option<Template>,
    replace_path: Option<Replace>,
    query: Option<Template>,
    method: Option<String>,
    response_fields: Vec<FieldEdit>,
    ending: Option<Ending>,
}

/// What a rule does with a response.
#[derive(Debug)]
pub struct ResponseAction {
    fields: Vec<FieldEdit>,
    status: Option<u16>,
}

/// A verdict that ends the search for rules.
#[derive(Debug)]
enum Ending {
    Use(BackendRef),
    /// If the name is none of these, the search goes on.
    UseOneOf {
        name: Template,
        backends: HashMap<String, BackendRef>,
    },
    Stop,
    Deny(u16),
    Reply {
        status: u16,
        headers: Vec<(String, Template)>,
        body: Body,
    },
    Redirect {
        status: u16,
        to: Template,
        /// Where the host is, if the target needs it: a request need not have one.
        host: Option<Slot>,
    },
}

#[derive(Debug)]
enum Body {
    Fixed(Vec<u8>),
    Template(Template),
}

/// What becomes of a text that a regular expression matches.
#[derive(Debug)]
struct Replace {
    /// Where the text is.
    slot: Slot,
    regex: Regex,
    with: Template,
}

impl Replace {
    /// The new text; `None` if there is none, or it does not match.
    fn of(&self, facts: &impl Facts) -> Option<String> {
        let text = facts.value(self.slot)?;
        let captures = self.regex.captures(text.as_bytes())?;
        let group = |number| captures.get(number).map(|group| group.as_bytes().to_vec());
        Some(self.with.fill_with(facts, group))
    }
}

#[derive(Debug)]
enum FieldEdit {
    Remove(String),
    Replace(String, Replace),
    Set(String, Template),
    Add(String, Template),
    Var(String, Template),
}

/// The edits that requests and responses have in common.
trait Fields {
    fn edit(&mut self, edit: &FieldEdit, facts: &impl Facts);
}

macro_rules! fields {
    ($edits:ident) => {
        impl Fields for $edits {
            fn edit(&mut self, edit: &FieldEdit, facts: &impl Facts) {
                match edit {
                    FieldEdit::Remove(name) => self.remove_header(name),
                    FieldEdit::Replace(name, replace) => match replace.of(facts) {
                        Some(value) => self.set_header(name, &value),
                        None => self,
                    },
                    FieldEdit::Set(name, value) => self.set_header(name, &value.fill(facts)),
                    FieldEdit::Add(name, value) => self.add_header(name, &value.fill(facts)),
                    FieldEdit::Var(name, value) => self.set_var(name, &value.fill(facts)),
                };
            }
        }
    };
}

fields!(RequestEdits);
fields!(ResponseEdits);

impl Action {
    /// Makes the edits, and breaks if the rule has the last word.
    pub fn apply(&self, facts: &impl Facts, decision: &mut Decision) -> ControlFlow<()> {
        for field in &self.fields {
            decision.edits.edit(field, facts);
        }
        if let Some(path) = &self.path {
            let path = local(path, path.fill(facts));
            // `OPTIONS *` has no path that could be replaced by one made of it.
            if path.starts_with('/') {
                decision.edits.set_path(&path);
            }
        }
        if let Some(replace) = &self.replace_path
            && let Some(path) = replace.of(facts)
        {
            let path = local(&replace.with, path);
            if path.starts_with('/') {
                decision.edits.set_path(&path);
            }
        }
        if let Some(query) = &self.query {
            decision.edits.set_query(&query.fill(facts));
        }
        if let Some(method) = &self.method {
            decision.edits.set_method(method);
        }
        for field in &self.response_fields {
            decision.response_edits.edit(field, facts);
        }
        match &self.ending {
            None => ControlFlow::Continue(()),
            Some(Ending::Stop) => ControlFlow::Break(()),
            Some(Ending::UseOneOf { name, backends }) => {
                match name
                    .fill_whole(facts)
                    .and_then(|name| backends.get(&name).copied())
                {
                    Some(backend) => {
                        decision.verdict = Verdict::UseBackend(backend);
                        ControlFlow::Break(())
                    }
                    None => ControlFlow::Continue(()),
                }
            }
            Some(ending) => {
                decision.verdict = ending.verdict(facts);
                ControlFlow::Break(())
            }
        }
    }
}

impl ResponseAction {
    pub fn apply(&self, facts: &impl Facts, edits: &mut ResponseEdits) {
        for field in &self.fields {
            edits.edit(field, facts);
        }
        if let Some(status) = self.status {
            edits.set_status(status);
        }
    }
}

impl Ending {
    fn verdict(&self, facts: &impl Facts) -> Verdict {
        match self {
            Self::Use(backend) => Verdict::UseBackend(*backend),
            // Whether these decide anything has been settled before.
            Self::UseOneOf { .. } | Self::Stop => Verdict::Pass,
            Self::Deny(status) => Verdict::Deny(*status),
            Self::Reply {
                status,
                headers,
                body,
            } => {
                let reply = headers
                    .iter()
                    .fold(Reply::new(*status), |reply, (name, value)| {
                        reply.header(name, &value.fill(facts))
                    });
                Verdict::Reply(match body {
                    Body::Fixed(bytes) => reply.body(bytes.as_slice()),
                    Body::Template(template) => reply.body(template.fill(facts).into_bytes()),
                })
            }
            Self::Redirect { status, to, host } => {
                if host.is_some_and(|slot| facts.value(slot).is_none_or(str::is_empty)) {
                    return Verdict::Deny(400);
                }
                let location = local(to, to.fill(facts));
                let reply = Reply::new(*status).header("location", &location);
                // One that holds for now must not be kept, or it holds for longer.
                Verdict::Reply(match status {
                    302 | 303 | 307 => reply.header("cache-control", "no-cache"),
                    _ => reply,
                })
            }
        }
    }
}

/// Keeps a client from turning a path into a host: `//evil.example` is a URL of another site. Only a
/// template that says so itself may begin with two slashes.
fn local(template: &Template, filled: String) -> String {
    if filled.starts_with("//") && !template.begins_with("//") {
        format!("/{}", filled.trim_start_matches('/'))
    } else {
        filled
    }
}
