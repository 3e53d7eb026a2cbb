//! `timeout …`: which of HAProxy's limits become which of Weir's. Where HAProxy falls back to another
//! limit, the value that it would use is written out.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{Duration, Line},
    weir::Table,
};

use super::{
    draft::{Draft, Mode, keyword},
    words::Words,
};

/// Weir takes no longer ones.
const LONGEST: Duration = Duration {
    microseconds: 365 * 86_400 * 1_000_000,
};

/// Reads one line; `None` if it is for the other side of the proxy.
pub fn read(line: &Line) -> Result<(&str, Duration), Problem> {
    const KNOWN: [&str; 14] = [
        "client",
        "server",
        "connect",
        "http-request",
        "http-keep-alive",
        "queue",
        "check",
        "tunnel",
        "tarpit",
        "client-fin",
        "server-fin",
        "client-hs",
        "clitimeout",
        "contimeout",
    ];
    let mut words = Words::of(line);
    let name = words.need("the name of a timeout")?;
    if !KNOWN.contains(&name.text.as_str()) {
        let problem = Problem::new(name.place, format!("unknown timeout `{}`", name.text));
        return Err(match crate::nearest::nearest(&name.text, KNOWN) {
            Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
            None => problem,
        });
    }
    let time = words.time()?;
    words.end()?;
    Ok((name.text.as_str(), time))
}

/// The timeout that counts, if it is said and not 0 (which is none).
fn value(draft: &Draft<'_>, name: &str) -> Option<Duration> {
    let mut found = None;
    for line in draft.all("timeout") {
        if let Ok((known, time)) = read(line)
            && known == name
        {
            found = Some(time);
        }
    }
    found.filter(|time| time.microseconds > 0)
}

/// Only what HAProxy limits; for the rest there are Weir's defaults.
fn table<const N: usize>(times: [(&str, Option<Duration>); N]) -> Table {
    let mut table = Table::new();
    for (key, time) in times {
        if let Some(time) = time {
            table.set(key, time.min(LONGEST).to_string());
        }
    }
    table
}

/// The client's side.
pub fn frontend(draft: &Draft<'_>) -> Table {
    let client = value(draft, "client");
    let inspect = inspect_delay(draft);
    if draft.mode == Mode::Tcp {
        let fin = value(draft, "client-fin");
        return table([
            ("client", client),
            ("inspect", inspect),
            ("client_fin", fin),
        ]);
    }
    let request = value(draft, "http-request").or(client);
    let keep_alive = value(draft, "http-keep-alive")
        .or(value(draft, "http-request"))
        .or(client);
    table([
        ("client", client),
        ("http_request", request),
        ("http_keep_alive", keep_alive),
        ("tarpit", tarpit(draft)),
    ])
}

/// How long those wait who are turned away by `tarpit`, if that is said: as long as for a connection, if not.
fn tarpit(draft: &Draft<'_>) -> Option<Duration> {
    let said = value(draft, "tarpit");
    let mut rules = draft.all("http-request");
    let connect = rules.find(|line| keyword(line)[1] == "tarpit");
    said.or_else(|| connect.and_then(|_| value(draft, "connect")))
}

/// The limit of a TLS handshake, if there is one of its own.
pub fn handshake(draft: &Draft<'_>) -> Option<String> {
    value(draft, "client-hs").map(|time| time.min(LONGEST).to_string())
}

/// How long the first bytes of a connection are waited for, if that is said.
fn inspect_delay(draft: &Draft<'_>) -> Option<Duration> {
    let lines = draft.all("tcp-request");
    let said = lines.filter(|line| keyword(line)[1] == "inspect-delay");
    let time = |line: &Line| crate::text::duration(keyword(line)[2], "ms").ok();
    said.filter_map(time).last()
}

/// The servers' side.
pub fn backend(draft: &Draft<'_>) -> Table {
    let server = value(draft, "server");
    let connect = value(draft, "connect");
    let queue = value(draft, "queue").filter(|queue| Some(*queue) != connect);
    let tunnel = value(draft, "tunnel").or(match (server, value(draft, "client")) {
        (Some(server), Some(client)) => Some(server.min(client)),
        (server, client) => server.or(client),
    });
    let fin = value(draft, "server-fin").filter(|_| draft.mode == Mode::Tcp);
    table([
        ("connect", connect),
        ("server", server),
        ("queue", queue),
        ("tunnel", tunnel),
        ("server_fin", fin),
    ])
}

/// Which limits HAProxy would not have here and Weir has.
pub fn missing(draft: &Draft<'_>) -> Vec<String> {
    let front = [("client", "50s")];
    let back = [("connect", "5s"), ("server", "50s")];
    let front = front.iter().filter(|_| draft.is_frontend());
    let all = front.chain(back.iter().filter(|_| draft.is_backend()));
    all.filter(|(name, _)| value(draft, name).is_none())
        .map(|(name, default)| {
            format!("no `timeout {name}`, for which HAProxy waits for ever: {default}")
        })
        .collect()
}

/// The limit of a check, if there is one of its own.
pub fn check(draft: &Draft<'_>) -> Option<Duration> {
    value(draft, "check")
}

/// What becomes of a timeout, wherever it stands.
pub fn fate(draft: &Draft<'_>, line: &Line) -> Result<Fate, Problem> {
    let (name, _) = read(line)?;
    Ok(match name {
        "client-fin" | "server-fin" if draft.mode == Mode::Tcp => Fate::Same,
        // Rules of a backend turn clients away for as long as its frontends say.
        "tarpit"
            if !draft.is_frontend()
                && draft
                    .all("http-request")
                    .any(|line| keyword(line)[1] == "tarpit") =>
        {
            Fate::nearly("the frontend's `timeout tarpit` counts, also for rules of a backend")
        }
        "client-fin" | "server-fin" => {
            Fate::nearly("a connection that one side has closed has the ordinary limits")
        }
        _ => Fate::Same,
    })
}
