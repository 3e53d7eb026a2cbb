//! One call of a case.

use std::{ops::Range, time::Duration};

use super::{
    expected::{Expected, read_expected},
    given::{Given, read_given, read_servers},
};
use crate::{
    config::{
        read::Fields,
        suggest::one_of,
        value::{Node, shorten},
    },
    model::{Candidate, Outcome},
};

/// Something that is done to the plugin.
#[derive(Debug, Clone)]
pub struct Step {
    pub span: Range<usize>,
    pub act: Act,
}

#[derive(Debug, Clone)]
pub enum Act {
    OnConnection {
        given: Given,
        expected: Expected,
    },
    OnRequest {
        given: Given,
        expected: Expected,
    },
    OnResponse {
        given: Given,
        expected: Expected,
    },
    Update(Vec<Candidate>),
    Pick(Pick),
    Observe {
        server: usize,
        outcome: Outcome,
        took: Duration,
    },
    Lookup {
        given: Given,
        expected: Expected,
    },
    Assigned {
        server: String,
        given: Given,
        expected: Expected,
    },
    /// The plugin's clock goes on.
    Wait(Duration),
}

/// One or several picks in a row with the same inputs.
#[derive(Debug, Clone)]
pub struct Pick {
    pub given: Given,
    /// Of the first; each further one has the next. `None`: the turn after the last.
    pub turn: Option<u64>,
    /// An entry per server; empty: none of them has any.
    pub loads: Vec<u32>,
    /// Positions.
    pub tried: Vec<usize>,
    /// What each should name; `None` is no server.
    pub picks: Vec<Option<String>>,
}

const CALLS: [&str; 9] = [
    "on-connection",
    "on-request",
    "on-response",
    "update",
    "pick",
    "observe",
    "lookup",
    "assigned",
    "wait",
];

const OUTCOMES: [(&str, Outcome); 5] = [
    ("success", Outcome::Success),
    ("connect-failed", Outcome::ConnectFailed),
    ("timed-out", Outcome::TimedOut),
    ("server-error", Outcome::ServerError),
    ("aborted", Outcome::Aborted),
];

/// The key `call`, at the top of the file or in a step.
pub(super) fn read_call(fields: &mut Fields<'_>) -> Option<&'static str> {
    let choices = CALLS.map(|call| (call, call));
    fields.get("call")?.choice(&choices)
}

/// The steps of a case: those in `steps`, or the case itself if it has no such key.
pub(super) fn read_steps(
    fields: &mut Fields<'_>,
    usual: Option<&'static str>,
    servers: &[Candidate],
) -> Vec<Step> {
    let call = read_call(fields).or(usual);
    let mut servers = servers.to_vec();
    let Some(node) = fields.get("steps") else {
        return read_step(fields, call, &mut servers).into_iter().collect();
    };
    let nodes = node.list("steps").unwrap_or_default();
    let steps = nodes.iter().filter_map(|node| {
        let mut fields = node.fields("a step")?;
        let call = read_call(&mut fields).or(call);
        let step = read_step(&mut fields, call, &mut servers);
        fields.finish(&[]);
        step
    });
    steps.collect()
}

/// `servers` are those that the plugin has been shown so far.
fn read_step(
    fields: &mut Fields<'_>,
    call: Option<&str>,
    servers: &mut Vec<Candidate>,
) -> Option<Step> {
    let Some(call) = call else {
        fields.reader.error_with_hint(
            fields.span(),
            format!("{}what is to be called?", fields.context()),
            format!(
                "add `call = …` here or at the top of the file: {}",
                one_of(&CALLS)
            ),
        );
        return None;
    };
    let act = match call {
        "update" => {
            if let Some(shown) = read_servers(fields, "servers") {
                *servers = shown;
            }
            Act::Update(servers.clone())
        }
        "wait" => Act::Wait(fields.require("time", "\"5s\"")?.duration()?),
        "observe" => Act::Observe {
            server: fields
                .require("server", "\"web-a\"")
                .and_then(|node| position(&node, servers))?,
            outcome: match fields.get("outcome") {
                Some(node) => node.choice(&OUTCOMES)?,
                None => Outcome::Success,
            },
            took: match fields.get("took") {
                Some(node) => node.duration()?,
                None => Duration::from_millis(1),
            },
        },
        "pick" => Act::Pick(read_pick(fields, servers)?),
        "on-connection" => Act::OnConnection {
            given: read_given(fields),
            expected: read_expected(fields, call),
        },
        "on-request" => Act::OnRequest {
            given: read_given(fields),
            expected: read_expected(fields, call),
        },
        "on-response" => Act::OnResponse {
            given: read_given(fields),
            expected: read_expected(fields, call),
        },
        "lookup" => Act::Lookup {
            given: read_given(fields),
            expected: read_expected(fields, call),
        },
        "assigned" => Act::Assigned {
            server: fields
                .require("server", "\"web-a\"")?
                .plain_text("web-a")?
                .to_owned(),
            given: read_given(fields),
            expected: read_expected(fields, call),
        },
        _ => return None,
    };
    Some(Step {
        span: fields.span(),
        act,
    })
}

fn read_pick(fields: &mut Fields<'_>, servers: &[Candidate]) -> Option<Pick> {
    let given = read_given(fields);
    let turn = fields
        .get("turn")
        .and_then(|node| node.integer(0..=i64::MAX as u64));
    let loads = fields.get("loads").and_then(|node| {
        let nodes = node.list("numbers")?;
        if nodes.len() != servers.len() {
            node.wrong(
                format!("has {} entries", nodes.len()),
                format!("one for each of the {} servers", servers.len()),
            );
        }
        let loads = nodes.iter().map(|node| node.small(0..=u64::from(u32::MAX)));
        loads.collect::<Option<Vec<u32>>>()
    });
    let tried = fields.get("tried").and_then(|node| {
        let nodes = node.list("names of servers")?;
        let tried = nodes.iter().map(|node| position(node, servers));
        tried.collect::<Option<Vec<usize>>>()
    });
    let picks = fields
        .require("picks", "[\"web-a\"]")
        .and_then(|node| node.list("names of servers"))?;
    let picks = picks.iter().map(|node| match node.text("web-a")? {
        "" => Some(None),
        name => position(node, servers).map(|_| Some(name.to_owned())),
    });
    Some(Pick {
        given,
        turn,
        loads: loads.unwrap_or_default(),
        tried: tried.unwrap_or_default(),
        picks: picks.collect::<Option<_>>()?,
    })
}

/// The position of the server that `node` names.
fn position(node: &Node<'_>, servers: &[Candidate]) -> Option<usize> {
    let name = node.plain_text("web-a")?;
    let found = servers.iter().position(|server| server.name == name);
    if found.is_none() {
        let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        let hint = match names.is_empty() {
            true => "add `servers = [\"web-a\", …]` to the case or to the file".to_owned(),
            false => format!("there is {}", one_of(&names).replace(" or ", " and ")),
        };
        node.complain(format!("no server is called `{}`", shorten(name)), hint);
    }
    found
}
