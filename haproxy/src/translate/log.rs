//! `log` lines: where Weir's access log goes.

use crate::{file::Kind, problem::Problem, remark::Fate, text::Line, weir::Table};

use super::{
    Translator,
    draft::{Draft, keyword},
    words::{Words, wrong},
};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

impl<'t> Translator<'t> {
    /// Gathers the targets of all frontends: Weir has one log for all of them.
    pub(super) fn logs(&mut self, proxies: &[Draft<'t>]) {
        let file = self.file;
        let globals: Vec<&Line> = file
            .of(Kind::Global)
            .flat_map(|section| &section.directives)
            .filter(|line| keyword(line)[0] == "log")
            .collect();
        let mut targets: Vec<Table> = Vec::new();
        let mut silent = Vec::new();
        let mut loud = false;
        for line in &globals {
            self.target(line);
        }
        for draft in proxies.iter().filter(|draft| draft.is_frontend()) {
            let lines = log_lines(draft);
            silent.extend(lines.is_empty().then(|| draft.name()));
            for line in lines {
                loud = true;
                let of_global = keyword(line)[1] == "global";
                let lines = if of_global {
                    globals.clone()
                } else {
                    vec![line]
                };
                for line in lines {
                    if let Some(target) = self.target(line)
                        && !targets.contains(&target)
                    {
                        targets.push(target);
                    }
                }
                if of_global {
                    self.remark(line, Fate::Same);
                }
            }
        }
        if loud && !silent.is_empty() {
            let note = format!(
                "{} is logged, too: Weir has one log for all frontends",
                silent.join(", ")
            );
            for line in &globals {
                self.remark(line, Fate::nearly(note.clone()));
            }
        }
        let is_default = targets == [Table::of("to", "stdout")];
        self.weir.logs = (!is_default).then_some(targets);
    }

    /// A target in weir.toml's form, its fate noted.
    fn target(&mut self, line: &Line) -> Option<Table> {
        match target(line) {
            Ok((target, fate)) => {
                self.remark(line, fate);
                target
            }
            Err(problem) => {
                let again = self.problems.list().contains(&problem);
                if !again {
                    self.problems.add(problem);
                }
                None
            }
        }
    }
}

/// The `log` lines that count for a proxy: `no log` takes back all before it.
fn log_lines<'t>(draft: &Draft<'t>) -> Vec<&'t Line> {
    let mut lines = Vec::new();
    for line in &draft.lines {
        match keyword(line) {
            ["log", ..] => lines.push(*line),
            ["no", "log", ..] => lines.clear(),
            _ => {}
        }
    }
    lines
}

fn target(line: &Line) -> Result<(Option<Table>, Fate), Problem> {
    let mut words = Words::of(line);
    let address = words.need("an address")?;
    let mut fate = Fate::Same;
    while let Some(option @ ("len" | "format" | "sample" | "profile")) = words.peek() {
        words.next();
        let value = words.need("a value")?;
        fate = fate.and(match (option, value.text.as_str()) {
            ("format", "raw" | "rfc3164" | "local") => Fate::Same,
            ("format", other) => {
                Fate::nearly(format!("lines have the ordinary form, not `{other}`"))
            }
            ("sample", _) => Fate::nearly("all lines are written, not a sample"),
            _ => Fate::Same,
        });
    }
    let facility = words.need("a facility")?;
    if !FACILITIES.contains(&facility.text.as_str()) {
        return Err(
            wrong(facility, format!("unknown facility `{}`", facility.text))
                .hint("such as local0 to local7, daemon, user"),
        );
    }
    let level = words.next();
    for level in level.into_iter().chain(words.next()) {
        if !LEVELS.contains(&level.text.as_str()) {
            return Err(wrong(level, format!("unknown level `{}`", level.text))
                .hint(format!("these are {}", LEVELS.join(", "))));
        }
    }
    words.end()?;
    let (to, is_syslog) = match address.text.as_str() {
        "stdout" | "fd@1" => ("stdout".to_owned(), false),
        "stderr" | "fd@2" => ("stderr".to_owned(), false),
        path if path.starts_with('/') => (format!("syslog:{path}"), true),
        ring if ring.starts_with("ring@") || ring.starts_with("fd@") => {
            return Ok((
                None,
                fate.and(Fate::dropped("logs go to a stream, a file or syslog")),
            ));
        }
        host => {
            let host = host
                .trim_start_matches("udp@")
                .trim_start_matches("ipv4@")
                .trim_start_matches("ipv6@");
            let (name, port) = host.rsplit_once(':').unwrap_or((host, "514"));
            if name.parse::<std::net::IpAddr>().is_err() {
                let why = format!("syslog is reached by address, and `{name}` is a name");
                return Ok((None, fate.and(Fate::dropped(why))));
            }
            (format!("syslog:udp://{name}:{port}"), true)
        }
    };
    let mut table = Table::of("to", to);
    if is_syslog && facility.text != "local0" {
        let facility = match facility.text.as_str() {
            "auth2" => "authpriv",
            other => other,
        };
        table.set("facility", facility);
    }
    if let Some(level) = level.filter(|level| level.text != "info" && level.text != "debug") {
        table.set("level", level.text.as_str());
    }
    Ok((Some(table), fate))
}
