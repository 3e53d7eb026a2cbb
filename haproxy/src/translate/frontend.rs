//! A `frontend`, or the client's side of a `listen`.

use crate::{
    file::{Kind, Term, Test, What, split_condition},
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Frontend, Table, Value},
};

use super::{
    Translator, bind,
    condition::Names,
    draft::{Backends, Draft, Mode, keyword},
    filters::Steps,
    forwarded::{ForwardedFor, original_to},
    log_format::{self, Captures},
    pages,
    proxy::stats,
    rule::{MOMENTS, Rule, RuleReader},
    server::only_number,
    statistics, tcp, timeouts,
    words::Words,
};

impl<'t> Translator<'t> {
    pub(super) fn frontend(&mut self, draft: &Draft<'t>, backends: &Backends) {
        self.maps.tables.begin(draft.name());
        self.maps.proxies.begin_frontend(draft.name());
        self.maps.captures = Captures::of(draft);
        let mut frontend = Frontend {
            comments: self.header_comments(draft),
            keys: Table::of("name", draft.name()),
            timeouts: timeouts::frontend(draft),
            filters: Vec::new(),
        };
        if draft.mode == Mode::Tcp {
            frontend.keys.set("mode", "tcp");
        }
        self.binds(draft, &mut frontend);
        self.default_backend(draft, backends, &mut frontend);
        self.log_format(draft, &mut frontend);
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
        let steps = self.frontend_steps(draft, backends);
        let (filters, fates) = steps.finish(self.file, &self.maps);
        frontend.filters = filters;
        for (line, fate) in fates {
            self.remark(line, fate);
        }
        self.acl_fates(draft);
        self.leftovers(draft);
        self.weir.frontends.push(frontend);
    }

    fn log_format(&mut self, draft: &Draft<'t>, frontend: &mut Frontend) {
        let format = log_format::format(draft, &mut self.maps);
        let lines = draft.all("log-format");
        match self.problems.note(format) {
            Some(Some((text, fate))) => {
                frontend.keys.set("log_format", text);
                for line in lines {
                    self.remark(line, fate.clone().unwrap_or(Fate::Same));
                }
            }
            Some(None) => {}
            None => {
                for line in lines {
                    self.remark(line, Fate::dropped("it makes no sense"));
                }
            }
        }
    }

    fn binds(&mut self, draft: &Draft<'t>, frontend: &mut Frontend) {
        let mut all = Vec::new();
        let mut around = bind::Around {
            site: &mut self.site,
            files: self.around,
            expects_proxy: None,
            handshake: timeouts::handshake(draft),
            is_http: draft.mode == Mode::Http,
        };
        let mut fates = Vec::new();
        for line in draft.all("tcp-request") {
            if let ["tcp-request", "connection", "expect-proxy"] = keyword(line) {
                let (from, fate) = expected(draft, line);
                around.expects_proxy = from;
                fates.push((line, fate));
            }
        }
        for line in draft.all("bind") {
            if let Some((binds, fate)) = self.problems.note(bind::bind(line, &mut around)) {
                all.extend(binds);
                fates.push((line, fate));
            }
        }
        for (line, fate) in fates {
            self.remark(line, fate);
        }
        if all.is_empty() && self.problems.list().is_empty() {
            let header = &draft.section.header;
            let message = format!("`{}` has no `bind`: nobody can reach it", draft.name());
            self.problems
                .add(Problem::new(header.words[0].place, message));
        }
        frontend.keys.set("bind", all);
    }

    fn default_backend(&mut self, draft: &Draft<'t>, backends: &Backends, frontend: &mut Frontend) {
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
                backends.named(word, draft.mode)?;
                Ok(word.text.as_str())
            });
            if let Some(name) = self.problems.note(named) {
                frontend.keys.set("default_backend", name);
                self.remark(line, Fate::Same);
            }
        }
    }

    /// What a directive comes to; `None` if that is said elsewhere.
    fn frontend_directive(
        &mut self,
        draft: &Draft<'t>,
        line: &'t Line,
        frontend: &mut Frontend,
    ) -> Result<Option<Fate>, Problem> {
        if let Some(fate) = tcp::without_effect(draft, line) {
            return Ok(Some(fate));
        }
        Ok(Some(match keyword(line) {
            ["timeout", ..] => timeouts::fate(draft, line)?,
            ["option", "forwardfor", ..] => {
                let said = ForwardedFor::read(line)?;
                if draft.option("forwardfor").is_some() && !said.if_none {
                    frontend.keys.set("forwarded_for", said.value());
                }
                Fate::Same
            }
            ["option", "dontlognull", ..] => {
                if draft.option("dontlognull").is_some() {
                    frontend.keys.set("log_empty_connections", false);
                }
                Fate::Same
            }
            ["option", "http-ignore-probes", ..] => {
                if draft.option("http-ignore-probes").is_some() {
                    frontend.keys.set("ignore_probes", true);
                }
                Fate::Same
            }
            ["option", "dontlog-normal", ..] => {
                if draft.option("dontlog-normal").is_some() {
                    frontend.keys.set("log_normal", false);
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
            ["errorfile", ..] => pages::errorfile(line, &mut self.site, &mut frontend.keys)?,
            ["errorloc" | "errorloc302" | "errorloc303", ..] => {
                pages::errorloc(line, &mut frontend.keys)?
            }
            ["errorfiles", ..] => {
                pages::errorfiles(line, self.file, &mut self.site, &mut frontend.keys)?
            }
            ["http-error", ..] => {
                pages::http_error(line, self.file, &mut self.site, &mut frontend.keys)?
            }
            ["capture", ..] | ["declare", ..] => return log_format::fate(line),
            ["log-format", ..] => return Ok(None),
            ["log-format-sd", ..] => Fate::dropped("lines have no structured data"),
            ["error-log-format", ..] => Fate::nearly("errors have the form of all other lines"),
            ["log-tag" | "log-steps", ..] => Fate::dropped("the tag is `weir`"),
            ["monitor-uri", ..] | ["monitor", ..] => return Ok(None),
            [
                "backlog" | "id" | "description" | "enabled" | "bind-process" | "grace" | "guid",
                ..,
            ] => Fate::Same,
            ["disabled", ..] => Fate::dropped("the section is in use; take it out of the file"),
            ["stats", ..] if statistics::is_shown(draft) => statistics::fate(line)?,
            ["stats", ..] => stats(line),
            ["compression", ..] => {
                super::compression::compression(draft, line, &mut frontend.keys)?
            }
            ["filter", "cache" | "compression", ..] => Fate::Same,
            ["filter", ..] => Fate::dropped("Weir's filters are plugins"),
            ["rate-limit", ..] => Fate::dropped("connections are taken as fast as they come"),
            ["stick-table", ..] => self.maps.tables.fate(line),
            ["email-alert", ..] => Fate::dropped("Weir sends no mail; alert on its log or metrics"),
            _ => return Ok(None),
        }))
    }

    /// All that decides about requests, in the order in which HAProxy goes through it.
    fn frontend_steps(&mut self, draft: &Draft<'t>, backends: &Backends) -> Steps<'t> {
        let mut steps = Steps::default();
        if draft.mode == Mode::Http {
            self.monitor(draft, &mut steps);
        }
        let mut reader = RuleReader {
            translator: self,
            draft,
            named: Names::default(),
        };
        // It changes nothing that rules see; they look at the request as it came.
        if let Some(line) = draft.option("forwardfor")
            && draft.mode == Mode::Http
            && let Ok(said) = ForwardedFor::read(line)
            && said.if_none
        {
            steps.rule(said.rule(), None);
        }
        if let Some(line) = draft.option("originalto")
            && draft.mode == Mode::Http
        {
            steps.rule(original_to(line), None);
        }
        if draft.mode == Mode::Http {
            for line in draft.all("capture") {
                match keyword(line)[1] {
                    "response" => {
                        let wanted = reader.capture_response(line);
                        reader.translator.step(line, wanted, &mut steps);
                    }
                    "cookie" => match reader.capture_cookie(line) {
                        Ok([request, response]) => {
                            steps.rule(request, Some(line));
                            steps.rule(response, None);
                        }
                        Err(refused) => reader.translator.step(line, Err(refused), &mut steps),
                    },
                    _ => {}
                }
            }
        }
        for moment in MOMENTS {
            let rules = draft.all("tcp-request");
            let rules = rules.filter(|line| keyword(line)[2] != "expect-proxy");
            for line in rules.filter(|line| keyword(line)[1] == moment) {
                let wanted = reader.tcp(line);
                reader.translator.step(line, wanted, &mut steps);
            }
            steps.phase();
        }
        // What is left is no moment, or says how long to wait for one.
        let others = draft.all("tcp-request");
        for line in others.filter(|line| !MOMENTS.contains(&keyword(line)[1])) {
            let wanted = reader.tcp(line);
            reader.translator.step(line, wanted, &mut steps);
        }
        let phases: [&[&str]; 2] = [
            &[
                "http-request",
                "redirect",
                "http-response",
                "http-after-response",
            ],
            &["use_backend"],
        ];
        for keywords in phases {
            let named = |line: &&Line| keywords.contains(&keyword(line)[0]);
            for line in draft.lines.iter().copied().filter(named) {
                if tcp::without_effect(draft, line).is_some() {
                    continue;
                }
                let wanted = match keyword(line)[0] {
                    "redirect" => reader.redirect(line),
                    "use_backend" => reader.use_backend(line, backends),
                    _ => reader.http(line),
                };
                reader.translator.step(line, wanted, &mut steps);
            }
            if keywords.contains(&"http-request") {
                let rules = reader.translator.statistics(draft);
                rules.into_iter().for_each(|rule| steps.rule(rule, None));
            }
            steps.phase();
        }
        steps
    }

    /// `monitor-uri`: an answer for whoever watches the proxy.
    fn monitor(&mut self, draft: &Draft<'t>, steps: &mut Steps<'t>) {
        let Some(line) = draft.last("monitor-uri") else {
            for line in draft.all("monitor") {
                self.remark(line, Fate::nearly("without `monitor-uri` nobody asks"));
            }
            return;
        };
        let mut words = Words::of(line);
        let Some(path) = self.problems.note(words.need("a path")) else {
            return;
        };
        let path = path.text.split('?').next().unwrap_or_default();
        let asked: Value = Table::of("raw_path", Table::of("exact", path))
            .with("query", Table::of("present", false))
            .into();
        let mut reader = RuleReader {
            translator: self,
            draft,
            named: Names::default(),
        };
        for line in draft.all("monitor") {
            let wanted = reader.monitor_fails(line, &asked);
            reader.translator.step(line, wanted, steps);
        }
        let mut rule = Rule::default();
        rule.when.value = Some(asked);
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
}

/// Of whom `tcp-request connection expect-proxy layer4 [if …]` wants a PROXY header.
fn expected(draft: &Draft<'_>, line: &Line) -> (Option<Value>, Fate) {
    let everybody = || Value::List(vec!["0.0.0.0/0".into(), "::/0".into()]);
    let condition = match split_condition(&line.words) {
        Ok((_, None)) => return (Some(everybody()), Fate::Same),
        Ok((_, Some(condition))) => condition,
        // Said where the rule itself is read.
        Err(_) => return (None, Fate::Same),
    };
    let tests: Vec<Test> = match (condition.unless, condition.any.as_slice()) {
        (false, any) => any
            .iter()
            .map(|all| match all.as_slice() {
                [
                    Term {
                        negated: false,
                        what: What::Anonymous(test),
                    },
                ] => vec![test.clone()],
                [
                    Term {
                        negated: false,
                        what: What::Named(name),
                    },
                ] => draft
                    .acls
                    .get(&name.text)
                    .map_or_else(Vec::new, |acl| acl.tests.clone()),
                _ => Vec::new(),
            })
            .flat_map(|tests| match tests.is_empty() {
                true => vec![None],
                false => tests.into_iter().map(Some).collect(),
            })
            .collect::<Option<_>>()
            .unwrap_or_default(),
        (true, _) => Vec::new(),
    };
    let is_source = |test: &Test| {
        test.sample.fetch.name == "src"
            && test.sample.converters.is_empty()
            && test.files.is_empty()
    };
    if tests.is_empty() || !tests.iter().all(is_source) {
        let why = "a PROXY header is wanted of networks: write `if { src NETWORK … }`";
        return (None, Fate::dropped(why));
    }
    let networks = tests.iter().flat_map(|test| &test.patterns);
    let networks: Vec<Value> = networks.map(|network| network.as_str().into()).collect();
    (Some(Value::List(networks)), Fate::Same)
}
