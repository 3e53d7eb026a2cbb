//! What frontends and backends have in common: which directives there are, and what becomes of those that
//! neither makes anything of.

use std::collections::BTreeSet;

use crate::{file::Kind, nearest::nearest, problem::Problem, remark::Fate, text::Line};

use super::{
    Translator,
    draft::{Draft, keyword},
    filters::Steps,
    rule::{Refused, Wanted},
    timeouts,
};

impl<'t> Translator<'t> {
    /// The first section's comments stand at the top of the file.
    pub(super) fn header_comments(&self, draft: &Draft<'t>) -> Vec<String> {
        let is_first = self
            .file
            .sections
            .first()
            .is_some_and(|first| first.header.number == draft.section.header.number);
        if is_first {
            Vec::new()
        } else {
            draft.section.header.comments.clone()
        }
    }

    pub(super) fn missing_timeouts(&mut self, draft: &Draft<'t>) {
        let missing = timeouts::missing(draft);
        if !missing.is_empty() {
            self.remark(&draft.section.header, Fate::nearly(missing.join("; ")));
        }
    }

    /// Adds what a directive became, or says why it became nothing.
    pub(super) fn step(
        &mut self,
        line: &'t Line,
        wanted: Result<Wanted, Refused>,
        steps: &mut Steps<'t>,
    ) {
        match wanted {
            Ok(Wanted::Rule(rule)) => steps.rule(rule, Some(line)),
            Ok(Wanted::Login { list, realm }) => steps.login(list, realm, line),
            Ok(Wanted::Track { rule, trackers }) => steps.track(rule, trackers, line),
            Ok(Wanted::Nothing) => self.remark(line, Fate::Same),
            Err(Refused::Absent(why)) => self.remark(line, Fate::dropped(why)),
            Err(Refused::Wrong(problem)) => {
                self.problems.add(problem);
                self.remark(line, Fate::dropped("it makes no sense"));
            }
        }
    }

    /// ACLs are carried over by the rules that name them.
    pub(super) fn acl_fates(&mut self, draft: &Draft<'t>) {
        // The definitions themselves hold their names, too.
        let rules = draft.lines.iter().filter(|line| keyword(line)[0] != "acl");
        let named: BTreeSet<&str> = rules
            .flat_map(|line| &line.words)
            .map(|word| word.text.trim_start_matches('!'))
            .collect();
        for (name, acl) in &draft.acls {
            for (test, line) in acl.tests.iter().zip(&acl.lines) {
                let checked = super::condition::check_fact(test).map(|()| {
                    match named.contains(name.as_str()) {
                        true => Fate::Same,
                        false => Fate::nearly("no rule uses it, so it is left out"),
                    }
                });
                self.settle(line, checked);
            }
        }
    }

    /// Own directives that nobody has looked at: those of the other side, which HAProxy ignores, too, and
    /// those that nobody knows.
    pub(super) fn leftovers(&mut self, draft: &Draft<'t>) {
        for line in draft.own() {
            if self.remarks.has(line.number)
                || (draft.section.kind == Kind::Listen && !is_of_backend(line))
                    && is_of_frontend(line)
            {
                continue;
            }
            let both = draft.section.kind == Kind::Listen;
            if is_of_frontend(line) || is_of_backend(line) {
                if !both {
                    self.remark(
                        line,
                        Fate::nearly("it has no effect in this section; HAProxy ignores it, too"),
                    );
                }
                continue;
            }
            let word = &line.words[0];
            let message = format!(
                "unknown keyword `{}` in a `{}`",
                word.text,
                draft.section.kind.word()
            );
            let known = OF_FRONTENDS.iter().chain(&OF_BACKENDS).copied();
            let problem = Problem::new(word.place, message);
            let problem = match nearest(&word.text, known) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                None => problem,
            };
            if !self.problems.list().contains(&problem) {
                self.problems.add(problem);
            }
            self.remark(line, Fate::dropped("it makes no sense"));
        }
    }
}

pub(super) fn stats(line: &Line) -> Fate {
    match keyword(line) {
        ["stats", "enable" | "uri", ..] => Fate::dropped(
            "a backend has no page; say it in a frontend, or see docs/haproxy.md (The statistics page)",
        ),
        ["stats", "auth", ..] => Fate::dropped(
            "without a page there is nothing to log in to; the plugin `basic-auth` asks for passwords",
        ),
        ["stats", "refresh", ..] => Fate::dropped("GET /stats?refresh=SECONDS loads the page anew"),
        ["stats", "admin", ..] => Fate::dropped(
            "the page only shows; the runtime socket and the admin interface change servers",
        ),
        _ => Fate::dropped("the statistics page is not carried over"),
    }
}

/// Directives of a frontend.
pub const OF_FRONTENDS: [&str; 44] = [
    "mode",
    "bind",
    "default_backend",
    "use_backend",
    "acl",
    "http-request",
    "http-response",
    "http-after-response",
    "tcp-request",
    "tcp-response",
    "redirect",
    "option",
    "no",
    "default",
    "timeout",
    "maxconn",
    "log",
    "log-format",
    "log-format-sd",
    "log-tag",
    "error-log-format",
    "capture",
    "declare",
    "monitor",
    "monitor-uri",
    "unique-id-format",
    "unique-id-header",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "http-error",
    "stats",
    "compression",
    "filter",
    "rate-limit",
    "stick-table",
    "email-alert",
    "backlog",
    "id",
    "description",
    "enabled",
    "disabled",
];

pub fn is_of_frontend(line: &Line) -> bool {
    OF_FRONTENDS.contains(&keyword(line)[0])
}

/// Directives of a backend.
pub const OF_BACKENDS: [&str; 48] = [
    "source",
    "http-send-name-header",
    "mode",
    "acl",
    "balance",
    "hash-type",
    "hash-balance-factor",
    "server",
    "default-server",
    "server-template",
    "cookie",
    "retries",
    "retry-on",
    "http-reuse",
    "fullconn",
    "http-check",
    "tcp-check",
    "stick",
    "stick-table",
    "use-server",
    "force-persist",
    "ignore-persist",
    "dispatch",
    "dynamic-cookie-key",
    "option",
    "no",
    "default",
    "timeout",
    "http-request",
    "http-response",
    "http-after-response",
    "tcp-request",
    "tcp-response",
    "redirect",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "http-error",
    "stats",
    "compression",
    "filter",
    "id",
    "description",
    "log",
    "email-alert",
    "load-server-state-from-file",
];

pub fn is_of_backend(line: &Line) -> bool {
    OF_BACKENDS.contains(&keyword(line)[0])
}
