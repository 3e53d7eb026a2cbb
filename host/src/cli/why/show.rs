//! A story as text.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

use crate::telemetry::story::{
    AnswerShown, Asked, CountersAnswer, CountersAsked, Given, Kept, PickAsked, ServerShown, Spoke,
    Step, Story,
};

/// Servers of a pick that are named; who wants more has `--json`.
const MOST_SERVERS: usize = 8;

/// A story, to be printed.
pub struct Told<'a>(pub &'a Story);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = self.0;
        head(story, f)?;
        for step in &story.steps {
            self::step(story, step, f)?;
        }
        outcome(story, f)?;
        if story.cut {
            writeln!(
                f,
                "\nsome of it was left out, for it was longer than `max_bytes` in [why]"
            )?;
        }
        Ok(())
    }
}

fn head(story: &Story, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (&story.request, story.spoken) {
        (Some(request), _) => writeln!(
            f,
            "{} {} {}",
            request.method, request.target, request.version
        )?,
        (None, Spoke::Http) => writeln!(f, "no sound request")?,
        (None, Spoke::Tcp) => writeln!(f, "a connection")?,
    }
    let host = story.request.as_ref().and_then(|it| it.host.as_deref());
    let mut line = |name: &str, value: &str| writeln!(f, "  {name:<11}{value}");
    line("id", &story.id)?;
    line("at", &date(story.at))?;
    if let Some(client) = &story.client {
        line("client", client)?;
    }
    if let Some(host) = host {
        line("host", host)?;
    }
    line("frontend", &story.frontend)?;
    if let Some(connection) = &story.connection
        && *connection != story.id
    {
        line("connection", connection)?;
    }
    let kept = format!(
        "{}, worker {}, generation {}",
        kept(story.kept),
        story.worker,
        story.generation
    );
    line("kept", &kept)
}

pub fn kept(kept: Kept) -> &'static str {
    match kept {
        Kept::Sampled => "sampled",
        Kept::Failed => "failed",
        Kept::Recorded => "recorded",
    }
}

fn step(story: &Story, step: &Step, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match step {
        Step::Asked(asked) => self::asked(story, asked, f),
        Step::Observed {
            place,
            at,
            server,
            outcome,
            microseconds,
        } => writeln!(
            f,
            "\n{}observe  {place}: {server} {outcome} after {}",
            since(story, *at),
            micros(*microseconds)
        ),
        Step::NoConnection { server, error } => {
            writeln!(
                f,
                "\n{}no connection to {server}: {error}",
                since(story, None)
            )
        }
    }
}

fn asked(story: &Story, asked: &Asked, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "\n{}{}  {} ({}",
        since(story, asked.at),
        asked.call,
        asked.plugin,
        asked.place
    )?;
    match (asked.from_memory, asked.took) {
        (true, _) => writeln!(f, "), answered from memory")?,
        (false, Some(took)) => writeln!(f, "), {}", nanos(took))?,
        (false, None) => writeln!(f, ")")?,
    }
    let indent = " ".repeat(12);
    match &asked.inputs {
        None => writeln!(f, "{indent}inputs were not kept")?,
        Some(inputs) => inputs
            .iter()
            .try_for_each(|given| writeln!(f, "{indent}{}", self::given(given)))?,
    }
    for counters in asked.counters.iter().flatten() {
        writeln!(f, "{indent}{}", self::counters(counters))?;
    }
    if let Some(server) = &asked.assigned {
        writeln!(f, "{indent}server = {server:?}")?;
    }
    if let Some(pick) = &asked.pick {
        writeln!(f, "{indent}{}", self::pick(pick))?;
    }
    for line in answer(&asked.call, &asked.answer) {
        writeln!(f, "{indent}→ {line}")?;
    }
    Ok(())
}

fn given(given: &Given) -> String {
    let masked = if given.masked { "  (masked)" } else { "" };
    match &given.value {
        Some(value) => format!("{} = {value:?}{masked}", given.input),
        None => format!("no {}", given.input),
    }
}

/// `add clients.requests 127.0.0.1 1: 17`
fn counters(asked: &CountersAsked) -> String {
    let mut text = format!("{} {}", asked.asked, asked.table);
    if !asked.counter.is_empty() {
        text.push_str(&format!(".{}", asked.counter));
    }
    text.push_str(&format!(" {:?}", asked.key));
    if asked.number > 0 {
        text.push_str(&format!(" {}", asked.number));
    }
    if !asked.text.is_empty() {
        text.push_str(&format!(" {:?}", asked.text));
    }
    match &asked.answer {
        None => text.push_str(": nothing"),
        Some(CountersAnswer::Number(number)) => text.push_str(&format!(": {number}")),
        Some(CountersAnswer::Text(value)) => text.push_str(&format!(": {value:?}")),
        Some(CountersAnswer::Done(true)) => text.push_str(": done"),
        Some(CountersAnswer::Done(false)) => text.push_str(": not done"),
    }
    text
}

fn pick(pick: &PickAsked) -> String {
    let mut text = format!("turn {}", pick.turn);
    if let Some(servers) = &pick.servers {
        text.push_str(&format!(", among {}", self::servers(servers, &pick.loads)));
    }
    if !pick.tried.is_empty() {
        text.push_str(&format!(", not {}", pick.tried.join(", ")));
    }
    text
}

fn servers(servers: &[ServerShown], loads: &[u32]) -> String {
    if servers.is_empty() {
        return "no server at all".to_owned();
    }
    let named = servers.iter().enumerate().take(MOST_SERVERS);
    let mut named: Vec<String> = named
        .map(|(position, server)| {
            let load = loads.get(position);
            let load = load.map(|load| format!("load {load}"));
            let weight = (server.weight != 1).then(|| format!("weight {}", server.weight));
            let about: Vec<String> = weight.into_iter().chain(load).collect();
            match about.is_empty() {
                true => server.name.clone(),
                false => format!("{} ({})", server.name, about.join(", ")),
            }
        })
        .collect();
    if servers.len() > MOST_SERVERS {
        named.push(format!("{} more", servers.len() - MOST_SERVERS));
    }
    named.join(", ")
}

/// A line for each part of an answer.
fn answer(call: &str, answer: &AnswerShown) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &answer.failed {
        lines.push(format!("FAILED: {why}"));
    }
    lines.extend(answer.verdict.clone());
    match answer.server.as_deref() {
        Some("") if call == "lookup" => lines.push("remembers no server".to_owned()),
        Some("") => lines.push("no server".to_owned()),
        Some(server) => lines.push(format!("server {server}")),
        None => {}
    }
    lines.extend(answer.edits.iter().cloned());
    let on_response = answer.response_edits.iter();
    lines.extend(on_response.map(|edit| format!("on the response: {edit}")));
    if let Some(reply) = &answer.reply {
        lines.extend(reply.headers.iter().cloned());
        lines.push(format!("body of {} bytes", reply.bytes));
    }
    if lines.is_empty() {
        lines.push("no edits".to_owned());
    }
    lines
}

fn outcome(story: &Story, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let outcome = &story.outcome;
    writeln!(f, "\noutcome")?;
    let mut line = |name: &str, value: &str| writeln!(f, "  {name:<11}{value}");
    if let Some(status) = outcome.status {
        line("status", &status.to_string())?;
    }
    if let Some(verdict) = &outcome.verdict {
        line("verdict", verdict)?;
    }
    if let Some(error) = &outcome.error {
        line("error", error)?;
    }
    if let Some(fault) = &outcome.fault {
        line("fault", fault)?;
    }
    if let Some(backend) = &outcome.backend {
        line("backend", backend)?;
    }
    if let Some(server) = &outcome.server {
        line("server", server)?;
    }
    if outcome.retries > 0 || outcome.redispatched {
        let elsewhere = match outcome.redispatched {
            true => ", sent to another server",
            false => "",
        };
        line("retries", &format!("{}{elsewhere}", outcome.retries))?;
    }
    line("ended", &outcome.termination)?;
    line(
        "bytes",
        &format!(
            "{} sent to the client, {} received",
            outcome.sent, outcome.received
        ),
    )?;
    let times = &outcome.times;
    let phases = [
        ("request", times.request),
        ("queue", times.queue),
        ("connect", times.connect),
        ("response", times.response),
        ("in all", Some(times.total)),
    ];
    let phases = phases
        .into_iter()
        .filter_map(|(name, time)| Some(format!("{name} {}", micros(time?))));
    line("times", &phases.collect::<Vec<_>>().join(", "))
}

/// How long after the beginning a step was, if that is known.
fn since(story: &Story, at: Option<u64>) -> String {
    match at {
        Some(at) => format!("+{:<10} ", micros(at.saturating_sub(story.at))),
        None => "· ".to_owned(),
    }
}

/// A moment in the machine's time zone.
pub fn date(micros: u64) -> String {
    let at = i64::try_from(micros)
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok());
    match at {
        Some(at) => at
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S.%3f")
            .to_string(),
        None => micros.to_string(),
    }
}

fn nanos(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        _ => micros(nanos / 1_000),
    }
}

fn micros(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{micros} µs"),
        10_000..10_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}
