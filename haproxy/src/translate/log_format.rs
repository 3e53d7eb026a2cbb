//! `log-format` and captures: the form of a frontend's log lines.
//!
//! A capture of a request's field is that field when the line is written; other captures are kept in variables
//! called `capture.req.N` and `capture.res.N` until then.

use crate::{
    file::{Call, Format, Part, Sample},
    problem::Problem,
    remark::Fate,
    text::Line,
};

use super::{
    draft::{Draft, keyword},
    facts::{self, Reason, Used},
    maps::Maps,
    template::literal,
    words::{Words, wrong},
};

/// The captures of a frontend, in the order of their numbers.
#[derive(Debug, Default, Clone)]
pub struct Captures {
    request: Vec<Slot>,
    response: Vec<Slot>,
    /// Whether one cookie is kept, from either side.
    cookie: bool,
}

/// What is kept in a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    /// A field of the request, in lower case.
    Header(String),
    /// Whatever a rule puts into the variable.
    Variable,
}

/// HAProxy's `option httplog` up to the captures, and after them.
const HTTPLOG: &str = "{client} [{time}] {frontend}{tls_mark} {backend}/{server} {request_ms}/{queue_ms}/{connect_ms}/{response_ms}/{total_ms} {status} {bytes} COOKIES {termination} {process_connections}/{frontend_connections}/{backend_exchanges}/{server_exchanges}/{retries} {server_queue}/{backend_queue}";

/// Of both sides' cookies in that text.
const COOKIES: &str = "COOKIES";

const NOT_CUT: &str = "the whole value is logged";

/// The variable of a capture.
pub fn variable(is_response: bool, number: usize) -> String {
    let of = if is_response { "res" } else { "req" };
    format!("capture.{of}.{number}")
}

/// The variable of the captured cookie.
pub fn cookie_variable(is_response: bool) -> &'static str {
    match is_response {
        false => "capture.req.cookie",
        true => "capture.res.cookie",
    }
}

impl Captures {
    /// Those that a frontend declares, by whichever directive.
    pub fn of(draft: &Draft<'_>) -> Self {
        let mut captures = Self::default();
        for line in &draft.lines {
            let word = |position: usize| line.words.get(position).map(|word| word.text.as_str());
            match keyword(line) {
                ["capture", "request", "header"] => {
                    let name = word(3).unwrap_or_default().to_ascii_lowercase();
                    captures.request.push(Slot::Header(name));
                }
                ["capture", "response", "header"] => captures.response.push(Slot::Variable),
                ["capture", "cookie", _] => captures.cookie = true,
                ["declare", "capture", "request"] => captures.request.push(Slot::Variable),
                ["declare", "capture", "response"] => captures.response.push(Slot::Variable),
                ["http-request", "capture", _] if declares(line) => {
                    captures.request.push(Slot::Variable);
                }
                ["http-response", "capture", _] if declares(line) => {
                    captures.response.push(Slot::Variable);
                }
                _ => {}
            }
        }
        captures
    }

    /// The number of the capture that a line declares.
    pub fn number_of(draft: &Draft<'_>, line: &Line, is_response: bool) -> usize {
        let before = draft
            .lines
            .iter()
            .take_while(|other| other.number != line.number);
        let kind = if is_response { "response" } else { "request" };
        let rule = if is_response {
            "http-response"
        } else {
            "http-request"
        };
        before
            .filter(|line| match keyword(line) {
                ["capture", of, "header"] | ["declare", "capture", of] => of == kind,
                [of, "capture", _] => of == rule && declares(line),
                _ => false,
            })
            .count()
    }

    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty() && !self.cookie
    }

    /// `capture.req.hdr(N)` and `capture.res.hdr(N)` by the name that templates have for it; `None` if it is
    /// another fact.
    pub fn fact(&self, fetch: &Call) -> Option<Result<String, Reason>> {
        let is_response = match fetch.name.as_str() {
            "capture.req.hdr" => false,
            "capture.res.hdr" => true,
            _ => return None,
        };
        let number = fetch.argument(0).and_then(|number| number.parse().ok());
        let Some(number) = number else {
            return Some(Err(format!("`{}` needs a number", fetch.name)));
        };
        let slots = if is_response {
            &self.response
        } else {
            &self.request
        };
        Some(Ok(match slots.get(number) {
            Some(Slot::Header(name)) => format!("header({name})"),
            Some(Slot::Variable) | None => format!("var({})", variable(is_response, number)),
        }))
    }

    /// `%CC` and `%CS`.
    fn cookie(&self, is_response: bool) -> String {
        match self.cookie {
            true => format!("{{var({})}}", cookie_variable(is_response)),
            false => "-".to_owned(),
        }
    }

    /// `%hr` and `%hs`: captures in braces, with a blank before them; nothing if there are none.
    fn shown(&self, is_response: bool) -> String {
        let slots = if is_response {
            &self.response
        } else {
            &self.request
        };
        let one = |(number, slot): (usize, &Slot)| match slot {
            Slot::Header(name) => format!("{{header({name})?}}"),
            Slot::Variable => format!("{{var({})?}}", variable(is_response, number)),
        };
        let all: Vec<String> = slots.iter().enumerate().map(one).collect();
        match all.is_empty() {
            true => String::new(),
            false => format!("{{{{{}}}}}", all.join("|")),
        }
    }
}

/// Whether a rule that captures makes the place for it.
fn declares(line: &Line) -> bool {
    line.words.iter().any(|word| word.text == "len")
}

/// The format of a frontend's lines; `None` if it is the usual one.
pub fn format(
    draft: &Draft<'_>,
    maps: &mut Maps,
) -> Result<Option<(String, Option<Fate>)>, Problem> {
    let Some(line) = draft.last("log-format") else {
        let usual = maps.captures.is_empty();
        return Ok((!usual).then(|| (httplog(&maps.captures), None)));
    };
    let mut words = Words::of(line);
    let word = words.need("a format")?;
    words.end()?;
    let parsed = Format::parse(&word.text).map_err(|what| wrong(word, what))?;
    let mut fate = Fate::Same;
    let mut text = String::new();
    let mut always_quoted = false;
    for (part, flags) in parsed.parts.iter().zip(&parsed.flags) {
        let plus = flags.contains("+Q");
        let minus = flags.contains("-Q");
        if *part == Part::Variable("o".to_owned()) {
            always_quoted = (always_quoted || plus) && !minus;
            continue;
        }
        let quoted = (always_quoted || plus) && !minus;
        let value = match part {
            Part::Text(text) => Ok(literal(text)),
            Part::Sample(sample) => expression(sample, maps),
            Part::Variable(name) => log_variable(name, maps),
        };
        let quoted = quoted && is_text(part);
        match (part, value) {
            // Blanks around what is nothing are one.
            (Part::Text(_), Ok(value)) if text.is_empty() || text.ends_with(' ') => {
                text.push_str(value.trim_start_matches(' '));
            }
            (Part::Text(_), Ok(value)) => text.push_str(&value),
            // Captures that there are none of are nothing, quoted or not.
            (_, Ok(value)) if value.is_empty() => {}
            (_, Ok(value)) => push(&mut text, &value, quoted),
            (_, Err(why)) => {
                fate = fate.and(Fate::nearly(why));
                push(&mut text, if quoted { "" } else { "-" }, quoted);
            }
        }
    }
    if text.is_empty() {
        return Ok(Some((
            httplog(&maps.captures),
            Some(Fate::nearly("an empty line is none")),
        )));
    }
    Ok(Some((text, Some(fate))))
}

/// Whether it is quoted where that is asked for; numbers, times and letters are not.
fn is_text(part: &Part) -> bool {
    const TEXTS: [&str; 22] = [
        "b", "bi", "CC", "ci", "CS", "f", "fi", "ft", "H", "HM", "HP", "HPO", "HQ", "hr", "hs",
        "HU", "HV", "ID", "r", "s", "sslc", "sslv",
    ];
    match part {
        Part::Text(_) => false,
        Part::Sample(_) => true,
        Part::Variable(name) => TEXTS.contains(&name.as_str()),
    }
}

fn push(text: &mut String, value: &str, quoted: bool) {
    match quoted {
        true => text.push_str(&format!("\"{value}\"")),
        false => text.push_str(value),
    }
}

fn httplog(captures: &Captures) -> String {
    let cookies = [false, true].map(|is_response| captures.cookie(is_response));
    let mut text = HTTPLOG.replace(COOKIES, &cookies.join(" "));
    for shown in [captures.shown(false), captures.shown(true)] {
        if !shown.is_empty() {
            text.push(' ');
            text.push_str(&shown);
        }
    }
    text.push_str(" \"{request}\"");
    text
}

/// `%[…]`: facts that are still known when the line is written.
fn expression(sample: &Sample, maps: &mut Maps) -> Result<String, Reason> {
    let unknown = || format!("`%[{sample}]` is `-`: it is not known when the line is written");
    if !sample.converters.is_empty() {
        return Err(unknown());
    }
    match sample.fetch.name.as_str() {
        "capture.req.uri" | "url" | "pathq" => return Ok("{target}".to_owned()),
        "status" | "res.status" | "txn.status" => return Ok("{status}".to_owned()),
        "be_name" => return Ok("{backend}".to_owned()),
        "srv_name" => return Ok("{server}".to_owned()),
        _ => {}
    }
    let mut used = Used::default();
    let fact = facts::fact(&sample.fetch, maps, &mut used).map_err(|_| unknown())?;
    // What is cut from lists is a matter of rules.
    let fact = fact.split('|').next().unwrap_or_default();
    let is_known = !used.response && !fact.starts_with('"') && !matches!(fact, "base" | "url");
    match is_known {
        true => Ok(format!("{{{fact}}}")),
        false => Err(unknown()),
    }
}

fn log_variable(name: &str, maps: &Maps) -> Result<String, Reason> {
    Ok(match name {
        "ci" => "{client_address}",
        "cp" => "{client_port}",
        "fi" => "{listener_address}",
        "fp" => "{listener_port}",
        "t" | "tr" => "{time}",
        "Ts" => "{timestamp}",
        "f" => "{frontend}",
        "ft" => "{frontend}{tls_mark}",
        "b" => "{backend}",
        "s" => "{server}",
        "TR" | "Tq" => "{request_ms}",
        "Tw" => "{queue_ms}",
        "Tc" => "{connect_ms}",
        "Tr" => "{response_ms}",
        "Ta" | "Tt" | "Tu" => "{total_ms}",
        // A handshake has its own line, and idle time is nobody's.
        "Th" | "Ti" => "0",
        "ST" => "{status}",
        "B" => "{bytes}",
        "U" => "{bytes_received}",
        "CC" => return Ok(maps.captures.cookie(false)),
        "CS" => return Ok(maps.captures.cookie(true)),
        "ts" | "tsc" => "{termination}",
        "ac" => "{process_connections}",
        "fc" => "{frontend_connections}",
        "bc" => "{backend_exchanges}",
        "sc" => "{server_exchanges}",
        "rc" => "{retries}",
        "sq" => "{server_queue}",
        "bq" => "{backend_queue}",
        "r" => "{request}",
        "HM" => "{method}",
        "HP" | "HPO" => "{raw_path}",
        "HQ" => "?{query}",
        "HU" => "{target}",
        "HV" => "{version}",
        "ID" => "{request_id}",
        "sslv" => "{tls_version}",
        "sslc" => "{tls_cipher}",
        "hr" => return Ok(maps.captures.shown(false)),
        "hs" => return Ok(maps.captures.shown(true)),
        _ => return Err(format!("`%{name}` is `-`")),
    }
    .to_owned())
}

/// What becomes of a `capture` or `declare capture` line; those of answers are rules.
pub fn fate(line: &Line) -> Result<Option<Fate>, Problem> {
    let mut words = Words::of(line);
    Ok(match keyword(line) {
        ["capture", "request", "header"] => {
            words.next();
            words.next();
            words.need("the name of a field")?;
            Some(Fate::nearly(NOT_CUT))
        }
        ["capture", "response", "header"] | ["capture", "cookie", _] => None,
        ["declare", "capture", "request" | "response"] => Some(Fate::Same),
        _ => {
            let what = "write `capture request header NAME len N`, `capture response header NAME len N` or `capture cookie NAME len N`";
            return Err(wrong(&line.words[0], what.to_owned()));
        }
    })
}
