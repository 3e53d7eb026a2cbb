//! Health checks: `option httpchk`, `http-check`, `tcp-check` and what servers say about them.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{Duration, Line},
    weir::{Table, Value},
};

use super::{
    draft::Draft,
    talk::talk,
    words::{Words, number, wrong},
};

/// How a backend's servers are checked, if a server asks for it.
#[derive(Debug, Default)]
pub struct Checks<'f> {
    /// The keys of `check` that say how; empty for TCP.
    pub how: Table,
    /// Where checks go if the servers say nothing else.
    pub port: Option<i64>,
    pub fates: Vec<(&'f Line, Fate)>,
}

/// Reads all that a backend says about checks.
pub fn checks<'f>(draft: &Draft<'f>) -> Result<Checks<'f>, Problem> {
    let mut checks = Checks::default();
    if let Some(line) = draft.option("tcp-check") {
        checks.fates.push((line, Fate::Same));
    }
    let without = "a server counts as up if it can be connected to";
    for (option, why) in [
        ("mysql-check", ""),
        ("pgsql-check", "without a user PostgreSQL is not spoken"),
        ("redis-check", ""),
        ("smtpchk", ""),
        ("ldap-check", ""),
        ("ssl-hello-chk", "no TLS hello is sent"),
        ("spop-check", "SPOP is not spoken"),
        ("external-check", "no program is run"),
    ] {
        let Some(line) = draft.option(option) else {
            continue;
        };
        let fate = match talk(option, line) {
            Some(talk) => {
                checks.how.set("steps", talk.steps);
                talk.note.map_or(Fate::Same, Fate::nearly)
            }
            None => Fate::nearly(format!("{why}: {without}")),
        };
        checks.fates.push((line, fate));
    }
    let mut steps = Vec::new();
    for line in draft.all("tcp-check") {
        let fate = tcp_check(line, &mut steps, &mut checks.port)?;
        checks.fates.push((line, fate));
    }
    if !steps.is_empty() && draft.option("tcp-check").is_some() {
        checks.how.set("steps", steps);
    }
    let Some(line) = draft.option("httpchk") else {
        for line in draft.all("http-check") {
            checks.fates.push((
                line,
                Fate::nearly("without `option httpchk` it has no effect"),
            ));
        }
        return Ok(checks);
    };
    http(draft, line, &mut checks)?;
    Ok(checks)
}

/// A step of `tcp-check`.
fn tcp_check(line: &Line, steps: &mut Vec<Value>, port: &mut Option<i64>) -> Result<Fate, Problem> {
    const ASIDES: [&str; 7] = [
        "min-recv",
        "comment",
        "ok-status",
        "error-status",
        "tout-status",
        "on-success",
        "on-error",
    ];
    let mut words = Words::of(line);
    let kind = words.need("`connect`, `send` or `expect`")?;
    let mut step = |key: &str, text: &str| steps.push(Table::of(key, text).into());
    Ok(match kind.text.as_str() {
        "connect" => connect(&mut words, steps.is_empty(), port)?,
        "comment" | "set-var" | "set-var-fmt" | "unset-var" => Fate::Same,
        "send" => {
            step("send", &words.need("a text")?.text);
            Fate::Same
        }
        "send-binary" => {
            step("send_hex", &words.need("bytes")?.text);
            Fate::Same
        }
        "send-lf" | "send-binary-lf" => Fate::nearly("a text with facts in it is not sent"),
        "expect" => {
            while words.peek().is_some_and(|word| ASIDES.contains(&word)) {
                words.next();
                words.need("a value")?;
            }
            let how = words.need("what to expect")?;
            let wanted = words.need("a pattern")?;
            match how.text.as_str() {
                "string" => step("expect", &wanted.text),
                "binary" => step("expect_hex", &wanted.text),
                "rstring" if regex::escape(&wanted.text) == wanted.text => {
                    step("expect", &wanted.text);
                }
                _ => {
                    let note = "only texts and bytes can be expected, no expressions";
                    return Ok(Fate::nearly(note));
                }
            }
            Fate::Same
        }
        other => {
            let message = format!("unknown kind of `tcp-check`: `{other}`");
            return Err(wrong(kind, message));
        }
    })
}

/// `connect [port N] [addr A] [ssl] …`: the first one says where a check goes.
fn connect(words: &mut Words<'_>, is_first: bool, port: &mut Option<i64>) -> Result<Fate, Problem> {
    if !is_first {
        return Ok(Fate::nearly("a check is made over one connection"));
    }
    let mut fate = Fate::Same;
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "port" => *port = Some(words.number(1, 65_535)?),
            "default" => {}
            "ssl" => {
                fate = fate.and(Fate::nearly(
                    "checks are made in TLS if the server is spoken to in TLS",
                ));
            }
            "linger" => {}
            "comment" => {
                words.need("a text")?;
            }
            "send-proxy" | "via-socks4" => {
                fate = fate.and(Fate::nearly(format!("without `{}`", word.text)));
            }
            other => {
                words.need("a value")?;
                fate = fate.and(Fate::nearly(format!("without `{other}`")));
            }
        }
    }
    Ok(fate)
}

/// What the request is made of.
struct Probe {
    method: String,
    path: String,
    host: Option<String>,
    /// Fields besides Host.
    fields: Table,
    /// What the body must contain.
    body: Option<String>,
    port: Option<i64>,
}

impl Probe {
    /// Notes a field of the request.
    fn field(&mut self, name: &str, value: &str) -> Fate {
        const OWN: [&str; 4] = [
            "connection",
            "content-length",
            "transfer-encoding",
            "expect",
        ];
        let lower = name.to_ascii_lowercase();
        if lower == "host" {
            self.host = Some(value.to_owned());
        } else if OWN.contains(&lower.as_str()) {
            return match lower.as_str() {
                // It is what the proxy sends anyway.
                "connection" if value.eq_ignore_ascii_case("close") => Fate::Same,
                _ => Fate::nearly(format!(
                    "the check's field `{name}` is the proxy's own business"
                )),
            };
        } else if value.contains('%') {
            return Fate::nearly(format!(
                "the check's field `{name}` has facts in it and is not sent"
            ));
        } else {
            self.fields.set(name, value);
        }
        Fate::Same
    }
}

fn http<'f>(draft: &Draft<'f>, line: &'f Line, checks: &mut Checks<'f>) -> Result<(), Problem> {
    let mut words = Words::from(&line.words[1], &line.words[2..]);
    let mut fate = Fate::Same;
    let (first, second) = (words.next(), words.next());
    let (method, path) = match (first, second) {
        (None, _) => ("OPTIONS", "/"),
        (Some(path), None) => ("OPTIONS", path.text.as_str()),
        (Some(method), Some(path)) => (method.text.as_str(), path.text.as_str()),
    };
    let mut probe = Probe {
        method: method.to_owned(),
        path: path.to_owned(),
        host: None,
        fields: Table::new(),
        body: None,
        port: None,
    };
    let version = words.joined();
    for part in version.split(['\r', '\n']) {
        match part.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("host") => {
                probe.host = Some(value.trim().to_owned())
            }
            Some((name, value)) => fate = fate.and(probe.field(name.trim(), value.trim())),
            None => {}
        }
    }
    checks.fates.push((line, fate));
    let mut expect = None;
    for line in draft.all("http-check") {
        let fate = http_check(line, &mut probe, &mut expect)?;
        checks.fates.push((line, fate));
    }
    if !probe.path.starts_with('/') && probe.path != "*" {
        return Err(wrong(
            &line.words[0],
            format!("the path of a check begins with `/`, not `{}`", probe.path),
        ));
    }
    checks
        .how
        .set("http", format!("{} {}", probe.method, probe.path));
    if let Some(host) = probe.host {
        checks.how.set("host", host);
    }
    if !probe.fields.is_empty() {
        checks.how.set("headers", probe.fields);
    }
    checks.port = probe.port.or(checks.port);
    if let Some(body) = probe.body {
        checks.how.set("expect_body", body);
    }
    if let Some(expect) = expect {
        checks.how.set("expect", expect);
    }
    Ok(())
}

fn http_check(line: &Line, probe: &mut Probe, expect: &mut Option<Value>) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let kind = words.need("`send`, `expect` or the like")?;
    Ok(match kind.text.as_str() {
        "send" => {
            let mut fate = Fate::Same;
            while let Some(word) = words.next() {
                match word.text.as_str() {
                    "meth" => probe.method.clone_from(&words.need("a method")?.text),
                    "uri" => probe.path.clone_from(&words.need("a path")?.text),
                    "ver" => {
                        words.need("a version")?;
                    }
                    "hdr" => {
                        let name = words.need("a name")?;
                        let value = words.need("a value")?;
                        fate = fate.and(probe.field(&name.text, &value.text));
                    }
                    "body" | "body-lf" | "uri-lf" => {
                        words.need("a value")?;
                        fate = fate.and(Fate::nearly(format!(
                            "`{}` of the check is left out",
                            word.text
                        )));
                    }
                    other => return Err(wrong(word, format!("unknown part `{other}` of a check"))),
                }
            }
            fate
        }
        "expect" => {
            let mut negated = false;
            loop {
                let word = words.need("what to expect")?;
                match word.text.as_str() {
                    "!" => negated = true,
                    "min-recv" | "comment" | "ok-status" | "error-status" | "tout-status"
                    | "on-success" | "on-error" | "status-code" => {
                        words.need("a value")?;
                    }
                    "status" if !negated => {
                        *expect = Some(statuses(words.need("a status")?)?);
                        return Ok(Fate::Same);
                    }
                    "rstatus" if !negated => {
                        let pattern = words.need("an expression")?;
                        let Some(known) = simple_pattern(&pattern.text) else {
                            return Ok(Fate::nearly(
                                "200 to 399 count as good: an expression on the status has no equivalent",
                            ));
                        };
                        *expect = Some(known);
                        return Ok(Fate::Same);
                    }
                    "status" | "rstatus" => return Ok(Fate::nearly("200 to 399 count as good")),
                    "string" if !negated => {
                        probe.body = Some(words.need("a text")?.text.clone());
                        return Ok(Fate::Same);
                    }
                    "string" | "rstring" | "hdr" | "fhdr" | "string-lf" => {
                        return Ok(Fate::nearly(
                            "only the status is looked at: 200 to 399 count as good",
                        ));
                    }
                    other => return Err(wrong(word, format!("`{other}` cannot be expected"))),
                }
            }
        }
        "connect" => connect(&mut words, true, &mut probe.port)?,
        "disable-on-404" => Fate::nearly("404 takes a server down instead of letting it drain"),
        "send-state" => Fate::dropped("servers are not told their state"),
        "comment" | "set-var" | "set-var-fmt" | "unset-var" => Fate::Same,
        other => {
            return Err(wrong(
                kind,
                format!("unknown kind of `http-check`: `{other}`"),
            ));
        }
    })
}

/// `200`, `200,204`, `200-299`.
fn statuses(word: &crate::text::Word) -> Result<Value, Problem> {
    let mut all = Vec::new();
    for part in word.text.split(',') {
        let code = |text: &str| -> Option<i64> {
            text.parse().ok().filter(|code| (100..=599).contains(code))
        };
        all.push(match part.split_once('-') {
            None => Value::Number(
                code(part).ok_or_else(|| wrong(word, format!("`{part}` is no status")))?,
            ),
            Some((first, last)) => {
                let both = code(first)
                    .zip(code(last))
                    .filter(|(first, last)| first <= last);
                both.ok_or_else(|| wrong(word, format!("`{part}` is no range of statuses")))?;
                Value::from(part)
            }
        });
    }
    Ok(Value::List(all))
}

/// `^2` or `(2|3)[0-9][0-9]`, as people write them.
fn simple_pattern(pattern: &str) -> Option<Value> {
    let plain = pattern.trim_start_matches('^').trim_end_matches('$');
    let class = |digit: char| Value::from(format!("{digit}00-{digit}99"));
    let rest = |text: &str| {
        matches!(
            text,
            "" | "[0-9][0-9]" | "\\d\\d" | "[0-9]{2}" | "\\d{2}" | ".." | "[0-9]+" | "\\d+"
        )
    };
    let mut characters = plain.chars();
    let first = characters.next()?;
    if first.is_ascii_digit() && rest(characters.as_str()) {
        return Some(Value::List(vec![class(first)]));
    }
    let (inside, after) = plain
        .strip_prefix('(')?
        .split_once(')')
        .or_else(|| plain.strip_prefix('[')?.split_once(']'))?;
    let digits: Vec<char> = inside.chars().filter(|c| *c != '|').collect();
    (rest(after) && !digits.is_empty() && digits.iter().all(char::is_ascii_digit))
        .then(|| Value::List(digits.into_iter().map(class).collect()))
}

/// The keys `interval`, `timeout`, `fall` and `rise` of a check.
pub fn pace(
    timeout: Option<Duration>,
    inter: Option<String>,
    fall: Option<i64>,
    rise: Option<i64>,
) -> Table {
    let mut pace = Table::new();
    if let Some(inter) = inter.filter(|inter| inter != "2s") {
        pace.set("interval", inter);
    }
    if let Some(timeout) = timeout {
        pace.set("timeout", timeout.to_string());
    }
    if let Some(fall) = fall.filter(|fall| *fall != 3) {
        pace.set("fall", fall);
    }
    if let Some(rise) = rise.filter(|rise| *rise != 2) {
        pace.set("rise", rise);
    }
    pace
}

/// A number after a keyword of a server.
pub fn count(words: &mut Words<'_>) -> Result<i64, Problem> {
    let word = words.need("a number")?;
    number(word, 1, 1000)
}
