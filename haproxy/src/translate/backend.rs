//! A `backend`, or the servers' side of a `listen`.

use std::collections::HashMap;

use crate::{
    file::Kind,
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Backend, Commented, Table, Value},
};

use super::{
    Translator, balance, check, compression,
    condition::Names,
    cookie,
    draft::{Draft, Mode, keyword},
    filters::Steps,
    forwarded::ForwardedFor,
    log_format::Captures,
    pages,
    proxy::stats,
    rule::{RuleReader, USE_SERVER},
    server::{self, Server, only_number},
    stick, tcp, timeouts,
    words::wrong,
};

impl<'t> Translator<'t> {
    pub(super) fn backend(&mut self, draft: &Draft<'t>) {
        let is_listen = draft.section.kind == Kind::Listen;
        self.maps.tables.begin(draft.name());
        self.maps.proxies.begin_backend(draft.name());
        self.maps.captures = Captures::default();
        let mut backend = Backend {
            comments: if is_listen {
                Vec::new()
            } else {
                draft.section.header.comments.clone()
            },
            keys: Table::of("name", draft.name()),
            timeouts: timeouts::backend(draft),
            ..Backend::default()
        };
        if draft.mode == Mode::Tcp {
            backend.keys.set("mode", "tcp");
        }
        if let Some((value, fates)) = self.problems.note(balance::balance(draft)) {
            if let Some(value) = value {
                backend.keys.set("balance", value);
            }
            fates
                .into_iter()
                .for_each(|(line, fate)| self.remark(line, fate));
        }
        if let Some((used, fates)) = self.problems.note(stick::stick(draft, &self.maps.tables)) {
            if let Some(used) = used {
                backend.keys.set("persistence", used);
            }
            fates
                .into_iter()
                .for_each(|(line, fate)| self.remark(line, fate));
        }
        for line in &draft.lines {
            let fate = self.backend_directive(draft, line, &mut backend);
            match self.problems.note(fate) {
                Some(Some(fate)) => self.remark(line, fate),
                Some(None) => {}
                None => self.remark(line, Fate::dropped("it makes no sense")),
            }
        }
        self.servers(draft, &mut backend);
        // What a `listen` says is judged in front, but for who of its servers it is to be.
        let mut steps = Steps::default();
        if !is_listen {
            self.backend_rules(draft, &mut steps);
        }
        self.use_servers(draft, &mut steps, &mut backend);
        let (filters, fates) = steps.finish(self.file, &self.maps);
        backend.filters = filters;
        for (line, fate) in fates {
            self.remark(line, fate);
        }
        if !is_listen {
            self.acl_fates(draft);
            if let Some(cache) = super::caches::used(draft) {
                backend.keys.set("cache", cache);
            }
            let missing = timeouts::missing(draft);
            if !missing.is_empty() {
                self.remark(&draft.section.header, Fate::nearly(missing.join("; ")));
            }
        }
        self.leftovers(draft);
        if !self.is_only_a_table(draft) {
            self.weir.backends.push(backend);
        }
    }

    fn backend_directive(
        &mut self,
        draft: &Draft<'t>,
        line: &'t Line,
        backend: &mut Backend,
    ) -> Result<Option<Fate>, Problem> {
        let is_listen = draft.section.kind == Kind::Listen;
        if let Some(fate) = tcp::without_effect(draft, line) {
            return Ok(Some(fate));
        }
        Ok(Some(match keyword(line) {
            ["timeout", ..] => timeouts::fate(draft, line)?,
            ["cookie", ..] => {
                let (value, fate) = cookie::cookie(line)?;
                if let Some(value) = value {
                    backend.keys.set("persistence", value);
                }
                fate
            }
            ["retries", ..] => {
                let retries = only_number(line, 0, 100)?;
                if retries != 3 {
                    backend.keys.set("retries", retries);
                }
                Fate::Same
            }
            ["option", "redispatch", every] => {
                if draft.option("redispatch").is_some() {
                    backend.keys.set(
                        "redispatch",
                        if every == "1" { "always" } else { "last-retry" },
                    );
                }
                super::options::fate(draft, line)?
            }
            [
                "option",
                "http-server-close" | "httpclose" | "forceclose",
                ..,
            ] => {
                if ["http-server-close", "httpclose", "forceclose"]
                    .iter()
                    .any(|name| draft.option(name).is_some())
                {
                    backend.keys.set("pool", Table::of("max_idle", 0_i64));
                }
                super::options::fate(draft, line)?
            }
            // The frontend tells servers the address already, if it is said for both.
            ["option", "forwardfor", ..] => Fate::Same,
            ["option", ..] | ["no" | "default", "option", ..] => super::options::fate(draft, line)?,
            ["retry-on", ..] => {
                let all: Vec<&str> = line.words[1..]
                    .iter()
                    .map(|word| word.text.as_str())
                    .collect();
                match all.as_slice() {
                    ["conn-failure"] => Fate::Same,
                    _ => Fate::nearly("only connections that could not be made are retried"),
                }
            }
            ["http-reuse", how, _] => match how {
                "safe" => Fate::Same,
                "never" => {
                    backend.keys.set("pool", Table::of("max_idle", 0_i64));
                    Fate::Same
                }
                "aggressive" | "always" => Fate::nearly(
                    "connections are shared by all clients, and a request is only repeated where that does no harm",
                ),
                _ => {
                    return Err(wrong(
                        &line.words[1],
                        format!("`{how}` is no way to reuse connections"),
                    ));
                }
            },
            ["fullconn", ..] => Fate::dropped("servers' limits do not move with the load"),
            ["errorfile", ..] if !is_listen => {
                pages::errorfile(line, &mut self.site, &mut backend.keys)?
            }
            ["errorloc" | "errorloc302" | "errorloc303", ..] if !is_listen => {
                pages::errorloc(line, &mut backend.keys)?
            }
            ["errorfiles", ..] if !is_listen => {
                pages::errorfiles(line, self.file, &mut self.site, &mut backend.keys)?
            }
            ["http-error", ..] if !is_listen => {
                pages::http_error(line, self.file, &mut self.site, &mut backend.keys)?
            }
            ["stick-table", ..] => self.maps.tables.fate(line),
            ["stick", ..] => return Ok(None),
            ["use-server", ..] => return Ok(None),
            ["force-persist" | "ignore-persist", ..] => {
                Fate::dropped("whether persistence counts does not depend on the request")
            }
            ["source", address, more] => match server::source(address) {
                Some(source) => {
                    backend.keys.set("source", source);
                    match more {
                        "" => Fate::Same,
                        more => Fate::nearly(format!("without `{more}`")),
                    }
                }
                None if address == "0.0.0.0" || address == "*" => Fate::nearly(
                    "servers see the proxy's address, not the client's; `send-proxy` can tell them",
                ),
                None => Fate::dropped("connections come from an address of this machine"),
            },
            ["http-send-name-header", ..] => {
                Fate::dropped("servers are not told by what name they are known here")
            }
            ["dispatch", ..] => Fate::dropped("write it as a `server`"),
            [
                "dynamic-cookie-key" | "server-state-file-name" | "load-server-state-from-file",
                ..,
            ] => Fate::dropped("what is known of servers is not kept in files"),
            [
                "hash-preserve-affinity" | "max-keep-alive-queue" | "max-session-srv-conns",
                ..,
            ] => Fate::Same,
            ["stats", ..] if !is_listen => stats(line),
            ["compression", ..] if !is_listen => {
                compression::compression(draft, line, &mut backend.keys)?
            }
            ["filter", "cache" | "compression", ..] if !is_listen => Fate::Same,
            ["filter", ..] if !is_listen => Fate::dropped("Weir's filters are plugins"),
            ["id" | "description" | "enabled" | "guid" | "log-tag", ..] => Fate::Same,
            ["disabled", ..] if !is_listen => {
                Fate::dropped("the section is in use; take it out of the file")
            }
            ["email-alert", ..] if !is_listen => {
                Fate::dropped("Weir sends no mail; alert on its log or metrics")
            }
            ["log", ..] if !is_listen => Fate::Same,
            _ => return Ok(None),
        }))
    }

    fn servers(&mut self, draft: &Draft<'t>, backend: &mut Backend) {
        let checks = match check::checks(draft) {
            Ok(checks) => checks,
            Err(problem) => {
                self.problems.add(problem);
                return;
            }
        };
        checks
            .fates
            .iter()
            .for_each(|(line, fate)| self.remark(line, fate.clone()));
        let mut defaults = Server {
            strength: self.site.servers.clone(),
            ..Server::default()
        };
        let mut servers: Vec<(Server, &Line)> = Vec::new();
        for line in draft.lines.iter().copied() {
            match keyword(line)[0] {
                "default-server" => {
                    if let Some(read) =
                        self.problems
                            .note(server::default_server(line, &defaults, &mut self.site))
                    {
                        self.remark(line, read.fate.clone().unwrap_or(Fate::Same));
                        defaults = Server { fate: None, ..read };
                    }
                }
                "server" => {
                    if let Some(server) =
                        self.problems
                            .note(server::server(line, &defaults, &mut self.site))
                    {
                        servers.push((server, line));
                    }
                }
                "server-template" => {
                    let server = server::server_template(line, &defaults, &mut self.site);
                    servers.extend(self.problems.note(server).map(|server| (server, line)));
                }
                _ => {}
            }
        }
        for (server, _) in &mut servers {
            server.fit(draft.mode);
            if let Some(port) = checks.port
                && server.check_more.get("port").is_none()
            {
                server.check_more.set("port", port);
            }
            if server.check && server.is_portless() {
                server.check = false;
                server.note(Fate::dropped(
                    "without a port of its own it cannot be checked",
                ));
            }
        }
        let mut names = HashMap::new();
        for (server, line) in &servers {
            if let Some(first) = names.insert(server.name.as_str(), line.number) {
                let message = format!(
                    "`{}` has been the name of a server since line {first}",
                    server.name
                );
                self.problems.add(wrong(&line.words[1], message));
            }
            self.remark(line, server.fate.clone().unwrap_or(Fate::Same));
        }
        if draft.option("allbackups").is_some() {
            backend.keys.set("backups", "all");
        }
        let persists = backend.keys.get("persistence").is_some();
        lay_out(draft, &checks.how, &servers, persists, backend);
    }

    /// Rules that run once the backend is chosen.
    fn backend_rules(&mut self, draft: &Draft<'t>, steps: &mut Steps<'t>) {
        if draft.mode == Mode::Http
            && let Some(line) = draft
                .option("forwardfor")
                .filter(|line| draft.own().iter().any(|own| own.number == line.number))
        {
            let said = self.problems.note(ForwardedFor::read(line));
            if let Some(said) = said {
                steps.rule(said.rule(), None);
            }
        }
        let mut reader = RuleReader {
            translator: self,
            draft,
            named: Names::default(),
        };
        let rules = draft.lines.iter().copied().filter(|line| {
            matches!(
                keyword(line)[0],
                "http-request"
                    | "http-response"
                    | "http-after-response"
                    | "redirect"
                    | "tcp-request"
            )
        });
        for line in rules {
            if tcp::without_effect(draft, line).is_some() {
                continue;
            }
            if draft.mode == Mode::Tcp && keyword(line)[1] == "inspect-delay" {
                let note =
                    "first bytes are waited for as long as the frontend says, or five seconds";
                reader.translator.remark(line, Fate::nearly(note));
                continue;
            }
            let wanted = match keyword(line)[0] {
                "redirect" => reader.redirect(line),
                "tcp-request" => reader.tcp(line),
                _ => reader.http(line),
            };
            reader.translator.step(line, wanted, steps);
        }
    }

    /// Rules that name one of the servers.
    fn use_servers(&mut self, draft: &Draft<'t>, steps: &mut Steps<'t>, backend: &mut Backend) {
        let mut reader = RuleReader {
            translator: self,
            draft,
            named: Names::default(),
        };
        // Of several that fit the first counts in HAProxy; of variables what was set last does.
        let lines: Vec<&Line> = draft.all("use-server").collect();
        for line in lines.into_iter().rev() {
            let wanted = reader.use_server(line);
            if wanted.is_ok() {
                backend.keys.set("server_from", USE_SERVER);
            }
            reader.translator.step(line, wanted, steps);
        }
    }
}

/// Servers with their checks: what they have in common is said of the backend.
fn lay_out(
    draft: &Draft<'_>,
    how: &Table,
    servers: &[(Server, &Line)],
    persists: bool,
    backend: &mut Backend,
) {
    let timeout = timeouts::check(draft);
    let check_of = |server: &Server| -> Value {
        if !server.check {
            return Value::Bool(false);
        }
        let mut check = how.clone();
        let pace = check::pace(timeout, server.inter.clone(), server.fall, server.rise);
        let more = server.check_table();
        if check.is_empty() && pace.is_empty() && more.is_empty() {
            return Value::Bool(true);
        }
        if check.is_empty() {
            check.set("tcp", true);
        }
        pace.iter()
            .chain(more.iter())
            .for_each(|(key, value)| check.set(key, value.clone()));
        check.into()
    };
    // What most servers have is the backend's.
    let all: Vec<Value> = servers.iter().map(|(server, _)| check_of(server)).collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for check in &all {
        *counts.entry(check.to_string()).or_default() += 1;
    }
    let count = |check: &&Value| (counts[&check.to_string()], **check != Value::Bool(false));
    let common = all.iter().max_by_key(count).cloned();
    let common = common.unwrap_or(Value::Bool(false));
    if common != Value::Bool(false) {
        backend.keys.set("check", common.clone());
    }
    if let Some(most) = servers
        .iter()
        .filter_map(|(server, _)| server.max_queue)
        .filter(|most| *most > 0)
        .max()
    {
        backend.keys.set("max_queue", most);
    }
    let weightless = servers
        .iter()
        .all(|(server, _)| server.weight == servers[0].0.weight && server.weight != Some(0));
    for ((server, line), check) in servers.iter().zip(all) {
        let mut table = server.table();
        // Equal weights are no weights.
        if weightless
            && server.weight.is_some_and(|weight| weight > 1)
            && backend.keys.get("balance").is_none()
        {
            table.remove("weight");
        }
        if !persists {
            table.remove("persistence_key");
        }
        if check != common {
            table.set("check", check);
        }
        let comments = line.comments.clone();
        backend.servers.push(Commented { comments, table });
    }
}
