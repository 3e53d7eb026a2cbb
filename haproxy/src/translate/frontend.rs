//! A `frontend`, or the client's side of a `listen`.

use std::collections::BTreeSet;

use crate::{
    file::Kind,
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Frontend, Table, Value},
};

use super::{
    Translator, bind,
    condition::Names,
    draft::{Draft, Mode, keyword},
    filters::Steps,
    rule::{Refused, Rule, RuleReader, Wanted},
    server::only_number,
    template, timeouts,
    words::{Words, wrong},
};

impl<'t> Translator<'t> {
    pub(super) fn frontend(&mut self, draft: &Draft<'t>) {
        if draft.mode == Mode::Tcp {
            self.dropped_proxy(draft);
            return;
        }
        let mut frontend = Frontend {
            comments: self.header_comments(draft),
            keys: Table::of("name", draft.name()),
            timeouts: timeouts::frontend(draft),
            filters: Vec::new(),
        };
        self.binds(draft, &mut frontend);
        self.default_backend(draft, &mut frontend);
        for line in &draft.lines {
            let fate = self.frontend_directive(draft, line, &mut frontend);
            match self.problems.note(fate) {
                Some(Some(fate)) => self.remark(line, fate),
                Some(None) => {}
                None => self.remark(line, Fate::dropped("it makes no sense")),
            }
        }
        if let Some(cache) = super::caches::used(draft) {
            frontend.keys.set("cache", cache);
        }
        self.missing_timeouts(draft);
        let steps = self.frontend_steps(draft);
        let (filters, fates) = steps.finish(self.file, &self.maps);
        frontend.filters = filters;
        for (line, fate) in fates {
            self.remark(line, fate);
        }
        self.acl_fates(draft);
        self.leftovers(draft);
        self.weir.frontends.push(frontend);
    }

    /// The first section's comments stand at the top of the file.
    fn header_comments(&self, draft: &Draft<'t>) -> Vec<String> {
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

    fn missing_timeouts(&mut self, draft: &Draft<'t>) {
        let missing = timeouts::missing(draft);
        if !missing.is_empty() {
            self.remark(&draft.section.header, Fate::nearly(missing.join("; ")));
        }
    }

    /// A proxy of a kind that is not carried over.
    fn dropped_proxy(&mut self, draft: &Draft<'t>) {
        let why = "the proxy passes TCP through, and only HTTP is carried over";
        for line in draft.own() {
            self.remark(line, Fate::dropped(why));
        }
        self.remark(&draft.section.header, Fate::dropped(why));
    }

    fn binds(&mut self, draft: &Draft<'t>, frontend: &mut Frontend) {
        let mut all = Vec::new();
        for line in draft.all("bind") {
            if let Some((binds, fate)) = self.problems.note(bind::bind(line)) {
                all.extend(binds);
                self.remark(line, fate);
            }
        }
        if all.is_empty() && self.problems.list().is_empty() {
            let header = &draft.section.header;
            let message = format!("`{}` has no `bind`: nobody can reach it", draft.name());
            self.problems
                .add(Problem::new(header.words[0].place, message));
        }
        frontend.keys.set("bind", all);
    }

    fn default_backend(&mut self, draft: &Draft<'t>, frontend: &mut Frontend) {
        if draft.section.kind == Kind::Listen
            && draft
                .all("server")
                .chain(draft.all("server-template"))
                .next()
                .is_some()
        {
            frontend.keys.set("default_backend", draft.name());
        }
        for line in draft.all("default_backend") {
            let mut words = Words::of(line);
            let named = words.need("the name of a backend").and_then(|word| {
                let names = self.backend_names();
                match names.contains(&word.text) {
                    true => Ok(word.text.clone()),
                    false => {
                        let problem = wrong(word, format!("no backend is called `{}`", word.text));
                        Err(
                            match crate::nearest::nearest(
                                &word.text,
                                names.iter().map(String::as_str),
                            ) {
                                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                                None => problem.hint(format!("these are {}", names.join(", "))),
                            },
                        )
                    }
                }
            });
            if let Some(name) = self.problems.note(named) {
                frontend.keys.set("default_backend", name);
                self.remark(line, Fate::Same);
            }
        }
    }

    /// The names that `use_backend` may say.
    pub(super) fn backend_names(&self) -> Vec<String> {
        let backends = self
            .file
            .sections
            .iter()
            .filter(|section| matches!(section.kind, Kind::Backend | Kind::Listen));
        backends.map(|section| section.name.clone()).collect()
    }

    /// What a directive comes to; `None` if that is said elsewhere.
    fn frontend_directive(
        &mut self,
        draft: &Draft<'t>,
        line: &'t Line,
        frontend: &mut Frontend,
    ) -> Result<Option<Fate>, Problem> {
        Ok(Some(match keyword(line) {
            ["timeout", ..] => timeouts::fate(line)?,
            ["option", "forwardfor", ..] => forwarded_for(line, frontend)?,
            ["option", "dontlognull", ..] => {
                if draft.option("dontlognull").is_some() {
                    frontend.keys.set("log_empty_connections", false);
                }
                Fate::Same
            }
            ["option", ..] | ["no" | "default", "option", ..] => super::options::fate(draft, line)?,
            ["maxconn", ..] => {
                let most = only_number(line, 0, i64::from(u32::MAX))?;
                if most > 0 {
                    frontend.keys.set("max_connections", most);
                }
                Fate::Same
            }
            ["unique-id-header", name, _] => {
                frontend.keys.set("request_id_header", name);
                Fate::nearly("ids have Weir's own form")
            }
            ["unique-id-format", ..] => Fate::nearly("ids have Weir's own form"),
            ["errorfile", ..] => super::backend::errorfile(line, &mut frontend.keys)?,
            [
                "errorloc" | "errorloc302" | "errorloc303" | "errorfiles" | "http-error",
                ..,
            ] => Fate::dropped("a page comes from a file that `error_pages` names"),
            ["capture", ..] | ["declare", ..] => {
                Fate::dropped("the log line has no captured fields")
            }
            ["log-format" | "log-format-sd" | "error-log-format", ..] => {
                Fate::nearly("lines have the form of `option httplog`")
            }
            ["log-tag" | "log-steps", ..] => Fate::dropped("the tag is `weir`"),
            ["monitor-uri", ..] | ["monitor", ..] => return Ok(None),
            [
                "backlog" | "id" | "description" | "enabled" | "bind-process" | "grace" | "guid",
                ..,
            ] => Fate::Same,
            ["disabled", ..] => Fate::dropped("the section is in use; take it out of the file"),
            ["stats", ..] => stats(line),
            ["compression", ..] => {
                super::compression::compression(draft, line, &mut frontend.keys)?
            }
            ["filter", "cache" | "compression", ..] => Fate::Same,
            ["filter", ..] => Fate::dropped("Weir's filters are plugins"),
            ["rate-limit", ..] => Fate::dropped("connections are taken as fast as they come"),
            ["stick-table", ..] => Fate::dropped("there are no stick tables"),
            ["email-alert", ..] => Fate::dropped("Weir sends no mail; alert on its log or metrics"),
            _ => return Ok(None),
        }))
    }

    /// All that decides about requests, in the order in which HAProxy goes through it.
    fn frontend_steps(&mut self, draft: &Draft<'t>) -> Steps<'t> {
        let mut steps = Steps::default();
        let backends = self.backend_names();
        self.monitor(draft, &mut steps);
        let mut reader = RuleReader {
            translator: self,
            draft,
            named: Names::default(),
        };
        if let Some(line) = draft.option("originalto") {
            steps.rule(original_to(line), None);
        }
        let phases: [&[&str]; 3] = [
            &["tcp-request"],
            &[
                "http-request",
                "redirect",
                "http-response",
                "http-after-response",
            ],
            &["use_backend"],
        ];
        for keywords in phases {
            for line in draft
                .lines
                .iter()
                .copied()
                .filter(|line| keywords.contains(&keyword(line)[0]))
            {
                let wanted = match keyword(line)[0] {
                    "tcp-request" => reader.tcp(line),
                    "redirect" => reader.redirect(line),
                    "use_backend" => reader.use_backend(line, &backends),
                    _ => reader.http(line),
                };
                reader.translator.step(line, wanted, &mut steps);
            }
            steps.phase();
        }
        steps
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
            Ok(Wanted::Nothing) => self.remark(line, Fate::Same),
            Err(Refused::Absent(why)) => self.remark(line, Fate::dropped(why)),
            Err(Refused::Wrong(problem)) => {
                self.problems.add(problem);
                self.remark(line, Fate::dropped("it makes no sense"));
            }
        }
    }

    /// `monitor-uri`: an answer for whoever watches the proxy.
    fn monitor(&mut self, draft: &Draft<'t>, steps: &mut Steps<'t>) {
        for line in draft.all("monitor") {
            self.remark(
                line,
                Fate::dropped("the monitor's answer does not depend on servers"),
            );
        }
        let Some(line) = draft.last("monitor-uri") else {
            return;
        };
        let mut words = Words::of(line);
        let Some(path) = self.problems.note(words.need("a path")) else {
            return;
        };
        let path = path.text.split('?').next().unwrap_or_default();
        let mut rule = Rule::default();
        rule.when.value = Some(
            Table::of("raw_path", Table::of("exact", path))
                .with("query", Table::of("present", false))
                .into(),
        );
        let body = "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n";
        let headers = Table::of("Cache-Control", "no-cache").with("Content-Type", "text/html");
        rule.body.set(
            "reply",
            Table::of("status", 200_i64)
                .with("headers", headers)
                .with("body", body),
        );
        rule.used.reads.insert("path".to_owned());
        rule.used
            .notes
            .insert("it is logged like other requests".to_owned());
        rule.comments.clone_from(&line.comments);
        steps.rule(rule, Some(line));
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
                || (draft.section.kind == Kind::Listen && !super::backend::is_known(line))
                    && is_known(line)
            {
                continue;
            }
            let both = draft.section.kind == Kind::Listen;
            if is_known(line) || super::backend::is_known(line) {
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
            let known = KEYWORDS.iter().chain(&super::backend::KEYWORDS).copied();
            let problem = Problem::new(word.place, message);
            let problem = match crate::nearest::nearest(&word.text, known) {
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

/// Directives of a frontend.
pub const KEYWORDS: [&str; 44] = [
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

fn is_known(line: &Line) -> bool {
    KEYWORDS.contains(&keyword(line)[0])
}

/// `option forwardfor [except NET] [header NAME] [if-none]`.
fn forwarded_for(line: &Line, frontend: &mut Frontend) -> Result<Fate, Problem> {
    let mut words = Words::from(&line.words[1], &line.words[2..]);
    let mut table = Table::new();
    let mut fate = Fate::Same;
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "except" => table.set(
                "except",
                vec![Value::from(words.need("a network")?.text.as_str())],
            ),
            "header" => table.set("header", words.need("a name")?.text.as_str()),
            "if-none" => {
                fate = Fate::nearly("the address is added even if the client sent such a field")
            }
            other => return Err(wrong(word, format!("`{other}` has no meaning here"))),
        }
    }
    let value = if table.is_empty() {
        Value::Bool(true)
    } else {
        table.into()
    };
    frontend.keys.set("forwarded_for", value);
    Ok(fate)
}

/// `option originalto [header NAME]`.
fn original_to(line: &Line) -> Rule {
    let header = line
        .words
        .iter()
        .position(|word| word.text == "header")
        .and_then(|at| line.words.get(at + 1));
    let header = header.map_or("X-Original-To", |word| word.text.as_str());
    let mut rule = Rule::default();
    rule.body
        .set("add_header", Table::of(header, template::LISTENER_ADDRESS));
    rule.writes
        .insert(format!("header:{}", header.to_ascii_lowercase()));
    rule
}

pub(super) fn stats(line: &Line) -> Fate {
    match keyword(line) {
        ["stats", "enable" | "uri", ..] => Fate::dropped(
            "Weir's figures are at its admin interface: set `admin`, then GET /status and /metrics",
        ),
        _ => Fate::dropped("the statistics page is not carried over"),
    }
}
