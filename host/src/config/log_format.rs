//! `log_format`: how the lines about a frontend's exchanges look, read once and filled in for each of them.
//!
//! What stands between braces is a fact: one that is known at the end, such as `{status}`, or an input of
//! plugins with `_` in place of `-`, such as `{header(User-Agent)}`. With a `?` behind it, nothing stands for a fact
//! that is not there. `{{` and `}}` are braces.

use std::fmt;

use super::suggest::nearest;
use crate::model::Input;

/// Longer ones are a mistake.
const LONGEST: usize = 8 << 10;

/// How a line is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTemplate {
    pub parts: Vec<LogPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    Text(String),
    /// A fact and what stands for it where there is none: nothing between quotes or if it was said so, else `-`.
    End(EndFact, &'static str),
    Input(Box<Input>, &'static str),
}

/// What is known of an exchange when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndFact {
    /// As HAProxy writes it: `21/Nov/2026:01:59:41.176`.
    Time,
    /// As RFC 3339 has it.
    TimeIso,
    /// Seconds since 1970.
    Timestamp,
    /// Address and port.
    Client,
    Frontend,
    /// `~` if the client's connection is encrypted.
    TlsMark,
    Backend,
    Server,
    /// The request's first line.
    Request,
    Target,
    Status,
    Bytes,
    BytesReceived,
    Verdict,
    Fault,
    Termination,
    RequestMs,
    QueueMs,
    ConnectMs,
    ResponseMs,
    TotalMs,
    Retries,
    ProcessConnections,
    FrontendConnections,
    BackendExchanges,
    ServerExchanges,
    ServerQueue,
    BackendQueue,
}

const END_FACTS: [(&str, EndFact); 28] = [
    ("time", EndFact::Time),
    ("time_iso", EndFact::TimeIso),
    ("timestamp", EndFact::Timestamp),
    ("client", EndFact::Client),
    ("frontend", EndFact::Frontend),
    ("tls_mark", EndFact::TlsMark),
    ("backend", EndFact::Backend),
    ("server", EndFact::Server),
    ("request", EndFact::Request),
    ("target", EndFact::Target),
    ("status", EndFact::Status),
    ("bytes", EndFact::Bytes),
    ("bytes_received", EndFact::BytesReceived),
    ("verdict", EndFact::Verdict),
    ("fault", EndFact::Fault),
    ("termination", EndFact::Termination),
    ("request_ms", EndFact::RequestMs),
    ("queue_ms", EndFact::QueueMs),
    ("connect_ms", EndFact::ConnectMs),
    ("response_ms", EndFact::ResponseMs),
    ("total_ms", EndFact::TotalMs),
    ("retries", EndFact::Retries),
    ("process_connections", EndFact::ProcessConnections),
    ("frontend_connections", EndFact::FrontendConnections),
    ("backend_exchanges", EndFact::BackendExchanges),
    ("server_exchanges", EndFact::ServerExchanges),
    ("server_queue", EndFact::ServerQueue),
    ("backend_queue", EndFact::BackendQueue),
];

/// Why a text is no format of lines, and what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFormat {
    pub what: String,
    pub hint: String,
}

impl fmt::Display for BadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

fn bad<T>(what: impl Into<String>, hint: impl Into<String>) -> Result<T, BadFormat> {
    Err(BadFormat {
        what: what.into(),
        hint: hint.into(),
    })
}

impl LogTemplate {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadFormat> {
        if text.len() > LONGEST {
            return bad("is too long", format!("at most {LONGEST} bytes"));
        }
        if text.chars().any(char::is_control) {
            return bad("has a control character in it", "a line is one line");
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{").or(brace.strip_prefix("}}")) {
                literal.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let column = text.len() - brace.len() + 1;
            let Some(inside) = brace.strip_prefix('{') else {
                let what = format!("has `}}` without `{{` at column {column}");
                return bad(what, "write `}}` twice for a brace");
            };
            let Some((name, after)) = inside.split_once('}') else {
                let what = format!("has `{{` without `}}` at column {column}");
                return bad(what, "write `{{` twice for a brace");
            };
            // Between quotes nothing is an empty text; elsewhere columns would move.
            let absent = if literal.ends_with('"') { "" } else { "-" };
            if !literal.is_empty() {
                parts.push(LogPart::Text(std::mem::take(&mut literal)));
            }
            parts.push(match name.strip_suffix('?') {
                Some(name) => fact(name, "")?,
                None => fact(name, absent)?,
            });
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(LogPart::Text(literal));
        }
        match parts.is_empty() {
            true => bad("is empty", "leave `log_format` out, or write `log = []`"),
            false => Ok(Self { parts }),
        }
    }
}

fn fact(name: &str, absent: &'static str) -> Result<LogPart, BadFormat> {
    if let Some((_, fact)) = END_FACTS.iter().find(|(known, _)| *known == name) {
        return Ok(LogPart::End(*fact, absent));
    }
    // The name in parentheses is somebody's own.
    let (kind, argument) = name.split_once('(').unwrap_or((name, ""));
    let contract = match argument {
        "" => kind.replace('_', "-"),
        argument => format!("{}({argument}", kind.replace('_', "-")),
    };
    match contract.parse::<Input>() {
        Ok(input) if input.is_of_response() => bad(
            format!("asks for `{name}`, and answers are gone when lines are written"),
            "keep it in a variable: `response_rule = [{ set_var = { kind = \"{response_header(Content-Type)}\" } }]`, and write `{var(kind)}`",
        ),
        Ok(input) => Ok(LogPart::Input(Box::new(input), absent)),
        Err(_) => {
            let known = END_FACTS.iter().map(|(known, _)| *known);
            let inputs = [
                "header(NAME)",
                "cookie(NAME)",
                "var(NAME)",
                "client_address",
            ];
            let hint = match nearest(kind, known.chain(inputs.map(before_parenthesis))) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "there are `{status}`, `{total_ms}`, `{request}`, `{header(NAME)}`, `{var(NAME)}` and more".to_owned(),
            };
            bad(format!("has no fact `{name}`"), hint)
        }
    }
}

fn before_parenthesis(text: &str) -> &str {
    text.split('(').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_stand_between_braces() {
        let format = LogTemplate::parse("{client} \"{header(User-Agent)}\" {{x}}{fault?}").unwrap();
        assert_eq!(
            format.parts,
            [
                LogPart::End(EndFact::Client, "-"),
                LogPart::Text(" \"".to_owned()),
                LogPart::Input(Box::new(Input::Header("user-agent".to_owned())), ""),
                LogPart::Text("\" {x}".to_owned()),
                LogPart::End(EndFact::Fault, ""),
            ]
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_said_with_what_would_do() {
        for (text, expected) in [
            ("{statsu}", "has no fact `statsu`; did you mean `status`?"),
            (
                "{",
                "has `{` without `}` at column 1; write `{{` twice for a brace",
            ),
            (
                "a}",
                "has `}` without `{` at column 2; write `}}` twice for a brace",
            ),
            ("", "is empty; leave `log_format` out, or write `log = []`"),
            ("a\nb", "has a control character in it; a line is one line"),
        ] {
            assert_eq!(LogTemplate::parse(text).unwrap_err().to_string(), expected);
        }
        let of_answer = LogTemplate::parse("{response_header(etag)}").unwrap_err();
        assert!(of_answer.hint.contains("response_rule"), "{of_answer}");
    }
}
