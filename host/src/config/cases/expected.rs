//! What a call should answer, in the words that answers are also printed in.

use crate::{
    config::{
        read::Fields,
        suggest::{nearest, one_of},
        value::{Node, shorten},
    },
    model::Refusal,
};

/// What is checked of an answer; what is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub verdict: Option<ExpectedVerdict>,
    /// The body of a reply, as text.
    pub body: Option<String>,
    /// Fields of a reply, each `name: value`.
    pub reply_headers: Option<Vec<String>>,
    /// Each as `set-header x-tier: gold`.
    pub edits: Option<Vec<String>>,
    pub response_edits: Option<Vec<String>>,
    /// The server that persistence names; empty for none.
    pub finds: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedVerdict {
    Pass,
    UseBackend(String),
    Reply(u16),
    Deny(u16),
    /// Of a connection.
    Refuse(Refusal),
}

const EDITS: [&str; 10] = [
    "set-header",
    "add-header",
    "remove-header",
    "set-path",
    "set-query",
    "set-method",
    "set-status",
    "remove-cookie",
    "set-cookie-value",
    "set-var",
];

/// Reads what a step expects of the answer to `call`.
pub(super) fn read_expected(fields: &mut Fields<'_>, call: &str) -> Expected {
    let mut expected = Expected::default();
    if call == "on-request" {
        let verdict = fields.get("verdict");
        expected.verdict = verdict.and_then(|node| read_verdict(&node, OF_REQUESTS));
        expected.body = fields
            .get("body")
            .and_then(|node| node.text("ok"))
            .map(str::to_owned);
        expected.reply_headers = read_texts(fields, "reply_headers", "location: /login");
        expected.response_edits = read_edits(fields, "response_edits");
    }
    if call == "on-connection" {
        let verdict = fields.get("verdict");
        expected.verdict = verdict.and_then(|node| read_verdict(&node, OF_CONNECTIONS));
    }
    if call == "lookup" {
        expected.finds = fields
            .get("finds")
            .and_then(|node| node.text("web-a"))
            .map(str::to_owned);
    }
    expected.edits = read_edits(fields, "edits");
    expected
}

/// The verdicts that there are about something.
type Forms = &'static str;

const OF_REQUESTS: Forms = "\"pass\", \"use-backend NAME\", \"deny STATUS\" or \"reply STATUS\"";
const OF_CONNECTIONS: Forms =
    "\"pass\", \"use-backend NAME\", \"refuse close\" or \"refuse reset\"";

fn read_verdict(node: &Node<'_>, forms: Forms) -> Option<ExpectedVerdict> {
    let of_requests = forms == OF_REQUESTS;
    let text = node.plain_text("pass")?;
    let status = |text: &str| {
        text.parse()
            .ok()
            .filter(|status| (200..=599).contains(status))
    };
    let verdict = match text.split_once(' ') {
        None if text == "pass" => Some(ExpectedVerdict::Pass),
        Some(("use-backend", name)) => Some(ExpectedVerdict::UseBackend(name.to_owned())),
        Some(("deny", text)) if of_requests => status(text).map(ExpectedVerdict::Deny),
        Some(("reply", text)) if of_requests => status(text).map(ExpectedVerdict::Reply),
        Some(("refuse", "close")) if !of_requests => Some(ExpectedVerdict::Refuse(Refusal::Close)),
        Some(("refuse", "reset")) if !of_requests => Some(ExpectedVerdict::Refuse(Refusal::Reset)),
        Some(_) | None => None,
    };
    if verdict.is_none() {
        node.wrong(
            format!("cannot be `{}`", shorten(text)),
            format!("write {forms}"),
        );
    }
    verdict
}

fn read_edits(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<String>> {
    let nodes = fields.get(key)?.list("edits")?;
    let mut edits = Vec::new();
    for node in nodes {
        let Some(text) = node.text("set-header x-tier: gold") else {
            continue;
        };
        let kind = text.split(' ').next().unwrap_or_default();
        if !EDITS.contains(&kind) {
            let hint = match nearest(kind, EDITS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("an edit begins with {}", one_of(&EDITS)),
            };
            node.wrong(format!("is no edit: `{}`", shorten(text)), hint);
        }
        edits.push(text.to_owned());
    }
    Some(edits)
}

fn read_texts(fields: &mut Fields<'_>, key: &'static str, example: &str) -> Option<Vec<String>> {
    let nodes = fields.get(key)?.list("texts")?;
    let texts = nodes.iter().filter_map(|node| node.text(example));
    Some(texts.map(str::to_owned).collect())
}
