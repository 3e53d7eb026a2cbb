//! Cases, one after the other, each with an instance of its own.

use std::{path::Path, sync::Arc};

use super::{Answer, CaseReport, Failure, Report, What};
use crate::{
    config::cases::{Act, Case, CaseFile, Expected, ExpectedVerdict, Given, Pick, Step},
    frontend::StagedExchange,
    model::{Candidate, Edit, Hook, Refusal, Verdict, words},
    plugin::{
        CallError, Instance, LoadError, LoadFault, Place, Plugin, Role,
        counters::{CounterStore, KnownTables},
        maps::MapStore,
    },
    workbench::{
        Setup, Subject,
        diff::{Line, diff},
    },
};

/// Runs all cases of `file`, which is what messages call it.
pub fn run(subject: &Subject, cases: &CaseFile, maps: &MapStore, file: &Path) -> Report {
    let cases = cases.cases.iter().map(|case| CaseReport {
        name: case.name.clone(),
        failures: run_case(subject, case, maps, &fresh_counters(cases)),
    });
    Report {
        file: file.display().to_string(),
        cases: cases.collect(),
    }
}

/// Each case counts from nothing.
fn fresh_counters(cases: &CaseFile) -> CounterStore {
    CounterStore::of(&cases.counters, &mut KnownTables::default())
}

fn run_case(
    subject: &Subject,
    case: &Case,
    maps: &MapStore,
    counters: &CounterStore,
) -> Vec<Failure> {
    let failed = |what| {
        vec![Failure {
            line: case.line,
            what,
        }]
    };
    let place = match place(subject, case) {
        Ok(place) => place,
        Err(message) => return failed(What::Error(message)),
    };
    let setting = &case.setting;
    subject.stage().set(setting.clock, setting.seed);
    let loaded = subject.load(&Setup {
        place,
        config: &setting.config,
        backends: setting.backends.as_deref(),
        maps,
        counters,
        deadline: setting.deadline,
        memory: setting.memory,
    });
    let plugin = match (loaded, &case.refused) {
        (Err(error), Some(text)) if error.to_string().contains(text) => return Vec::new(),
        (Ok(_), Some(text)) => return failed(What::NotRefused(text.clone())),
        (Err(error), _) => return failed(What::Error(load_error(case, &error))),
        (Ok(plugin), None) => plugin,
    };
    match Run::start(subject, case, plugin) {
        Ok(mut run) => {
            for step in &case.steps {
                run.step(step);
            }
            run.failures
        }
        Err(error) => failed(What::Error(error.to_string())),
    }
}

/// Where the plugin stands in a case: what is called says it.
fn place(subject: &Subject, case: &Case) -> Result<Place, String> {
    let mut places = case.steps.iter().filter_map(|step| match &step.act {
        Act::OnConnection { .. } | Act::OnRequest { .. } | Act::OnResponse { .. } => {
            Some(Place::Filter)
        }
        Act::Update(_) | Act::Pick(_) | Act::Observe { .. } => Some(Place::Balancer),
        Act::Lookup { .. } | Act::Assigned { .. } => Some(Place::Persistence),
        Act::Wait(_) => None,
    });
    let first = places.next();
    if let (Some(first), Some(other)) = (first, places.find(|place| Some(*place) != first)) {
        return Err(format!(
            "calls a {} and a {}; the proxy has an instance for each, so write a case for each",
            first.as_str(),
            other.as_str()
        ));
    }
    Ok(first.or_else(|| subject.place()).unwrap_or(Place::Filter))
}

/// An error of the config is shown where it stands in the file.
fn load_error(case: &Case, error: &LoadError) -> String {
    match &error.fault {
        LoadFault::Config { violations } => {
            let places = &case.setting.places;
            let shown = violations
                .iter()
                .map(|violation| places.error(&violation.pointer, violation.message.as_str()))
                .map(|error| error.to_string());
            shown.collect::<Vec<_>>().join("\n")
        }
        _ => error.to_string(),
    }
}

/// A case while it runs.
struct Run<'a> {
    subject: &'a Subject,
    case: &'a Case,
    plugin: Arc<Plugin>,
    instance: Instance,
    servers: Vec<Candidate>,
    turn: u64,
    failures: Vec<Failure>,
}

impl<'a> Run<'a> {
    fn start(subject: &'a Subject, case: &'a Case, plugin: Arc<Plugin>) -> Result<Self, CallError> {
        let mut instance = plugin.instantiate()?;
        let servers = case.setting.servers.clone();
        let calls_balancer = |step: &Step| matches!(step.act, Act::Pick(_) | Act::Observe { .. });
        if case.steps.iter().any(calls_balancer) {
            instance.update(&servers)?;
        }
        Ok(Self {
            subject,
            case,
            plugin,
            instance,
            servers,
            turn: 0,
            failures: Vec::new(),
        })
    }

    fn step(&mut self, step: &Step) {
        let line = self.case.setting.places.line(step.span.start);
        let done = match &step.act {
            Act::Wait(time) => {
                self.subject.stage().wait(*time);
                Ok(())
            }
            Act::Update(servers) => {
                servers.clone_into(&mut self.servers);
                self.instance.update(servers).map_err(text)
            }
            Act::Observe {
                server,
                outcome,
                took,
            } => {
                let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.instance
                    .observe(*server, *outcome, microseconds)
                    .map_err(text)
            }
            Act::Pick(pick) => self.pick(line, pick),
            Act::OnConnection { given, expected } => self.on_connection(line, given, expected),
            Act::OnRequest { given, expected } => self.on_request(line, given, expected),
            Act::OnResponse { given, expected } => {
                self.edits_of(Hook::OnResponse, line, given, expected, |run, values| {
                    run.instance.on_response(values)
                })
            }
            Act::Lookup { given, expected } => self.lookup(line, given, expected),
            Act::Assigned {
                server,
                given,
                expected,
            } => self.edits_of(Hook::Assigned, line, given, expected, |run, values| {
                run.instance.assigned(server, values)
            }),
        };
        if let Err(message) = done {
            self.failures.push(Failure {
                line,
                what: What::Error(message),
            });
        }
    }

    fn on_connection(
        &mut self,
        line: usize,
        given: &Given,
        expected: &Expected,
    ) -> Result<(), String> {
        let values = self.values(Hook::OnConnection, given)?;
        let decision = self.instance.on_connection(&borrowed(&values));
        let decision = decision.map_err(text)?;
        let call = self.shown(Hook::OnConnection, &values);
        if let Some(verdict) = &expected.verdict {
            let found = words::connection_verdict(decision.verdict, self.plugin.backends());
            self.compare(
                line,
                &call,
                "verdict",
                &[expected_verdict(verdict)],
                &[found],
            );
        }
        let vars: Vec<Edit> = decision.vars.into_iter().map(Edit::SetVar).collect();
        self.compare_edits(line, &call, "edits", &expected.edits, &vars);
        Ok(())
    }

    fn on_request(
        &mut self,
        line: usize,
        given: &Given,
        expected: &Expected,
    ) -> Result<(), String> {
        let values = self.values(Hook::OnRequest, given)?;
        let decision = self.instance.on_request(&borrowed(&values)).map_err(text)?;
        let call = self.shown(Hook::OnRequest, &values);
        if let Some(verdict) = &expected.verdict {
            let verdict = expected_verdict(verdict);
            let found = words::verdict(&decision.verdict, self.plugin.backends());
            self.compare(line, &call, "verdict", &[verdict], &[found]);
        }
        let reply = match &decision.verdict {
            Verdict::Reply(reply) => Some(reply),
            Verdict::Pass | Verdict::UseBackend(_) | Verdict::Deny(_) => None,
        };
        if let Some(body) = &expected.body {
            let found = reply.map(|reply| String::from_utf8_lossy(&reply.body).into_owned());
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            let found = lines(&found.unwrap_or_default());
            self.compare(line, &call, "body", &lines(body), &found);
        }
        if let Some(headers) = &expected.reply_headers {
            let found = reply.map(|reply| words::headers(&reply.headers));
            let found = found.unwrap_or_default();
            self.compare(line, &call, "reply_headers", headers, &found);
        }
        self.compare_edits(line, &call, "edits", &expected.edits, &decision.edits);
        let found = &decision.response_edits;
        self.compare_edits(
            line,
            &call,
            "response_edits",
            &expected.response_edits,
            found,
        );
        Ok(())
    }

    fn lookup(&mut self, line: usize, given: &Given, expected: &Expected) -> Result<(), String> {
        let values = self.values(Hook::Lookup, given)?;
        let found = self.instance.lookup(&borrowed(&values)).map_err(text)?;
        let call = self.shown(Hook::Lookup, &values);
        if let Some(server) = &expected.finds {
            let found = found.server.unwrap_or_default();
            self.compare(line, &call, "finds", &[named(server)], &[named(&found)]);
        }
        self.compare_edits(line, &call, "edits", &expected.edits, &found.edits);
        Ok(())
    }

    fn edits_of(
        &mut self,
        hook: Hook,
        line: usize,
        given: &Given,
        expected: &Expected,
        ask: impl FnOnce(&mut Self, &[Option<&str>]) -> Result<Vec<Edit>, CallError>,
    ) -> Result<(), String> {
        let values = self.values(hook, given)?;
        let found = ask(self, &borrowed(&values)).map_err(text)?;
        let call = self.shown(hook, &values);
        self.compare_edits(line, &call, "edits", &expected.edits, &found);
        Ok(())
    }

    fn pick(&mut self, line: usize, pick: &Pick) -> Result<(), String> {
        let values = self.values(Hook::Pick, &pick.given)?;
        let nothing = vec![0; self.servers.len()];
        let loads = match (self.plugin.wants_loads(), pick.loads.is_empty()) {
            (false, _) => &[],
            (true, true) => nothing.as_slice(),
            (true, false) => &pick.loads,
        };
        let tried: Vec<u32> = pick
            .tried
            .iter()
            .map(|&server| u32::try_from(server).unwrap_or(u32::MAX))
            .collect();
        self.turn = pick.turn.unwrap_or(self.turn);
        let mut found = Vec::new();
        for _ in &pick.picks {
            let picked = self
                .instance
                .pick(self.turn, &borrowed(&values), loads, &tried)
                .map_err(text)?;
            self.turn += 1;
            let name = picked.map(|index| self.servers[index].name.as_str());
            found.push(named(name.unwrap_or_default()));
        }
        let expected: Vec<String> = pick
            .picks
            .iter()
            .map(|name| named(name.as_deref().unwrap_or_default()))
            .collect();
        let call = self.shown(Hook::Pick, &values);
        self.compare(line, &call, "picks", &expected, &found);
        Ok(())
    }

    /// What the plugin is called with; an error if the proxy would not call it at all.
    fn values(&self, hook: Hook, given: &Given) -> Result<Vec<Option<String>>, String> {
        if !self.plugin.has_hook(hook) {
            return Err(match hook {
                Hook::OnResponse if self.plugin.has_hook(Hook::OnRequest) => {
                    "the proxy would not ask it about responses: `configure` did not name the hook \
                     on-response"
                        .to_owned()
                }
                Hook::OnConnection if self.plugin.has(Role::ConnectionFilter) => {
                    "the proxy would not ask it about connections: `configure` did not name the \
                     hook on-connection"
                        .to_owned()
                }
                _ => format!("the proxy would not call {hook}: it is not exported"),
            });
        }
        let exchange = StagedExchange::new(given).map_err(|bad| bad.to_string())?;
        Ok(exchange.values(hook, self.plugin.inputs(hook)))
    }

    /// The call with its values, for people.
    fn shown(&self, hook: Hook, values: &[Option<String>]) -> String {
        let inputs = self.plugin.inputs(hook).iter().zip(values);
        let shown: Vec<String> = inputs
            .map(|(input, value)| match value {
                Some(value) => format!("{input} = {value:?}"),
                None => format!("no {input}"),
            })
            .collect();
        match shown.is_empty() {
            true => hook.to_string(),
            false => format!("{hook} with {}", shown.join(", ")),
        }
    }

    fn compare_edits(
        &mut self,
        line: usize,
        call: &str,
        part: &'static str,
        expected: &Option<Vec<String>>,
        found: &[Edit],
    ) {
        if let Some(expected) = expected {
            self.compare(line, call, part, expected, &words::edits(found));
        }
    }

    fn compare(
        &mut self,
        line: usize,
        call: &str,
        part: &'static str,
        expected: &[String],
        found: &[String],
    ) {
        let lines = diff(expected, found);
        if lines.iter().all(|line| matches!(line, Line::Same(_))) {
            return;
        }
        self.failures.push(Failure {
            line,
            what: What::Answer(Answer {
                call: call.to_owned(),
                part,
                lines,
            }),
        });
    }
}

fn expected_verdict(verdict: &ExpectedVerdict) -> String {
    match verdict {
        ExpectedVerdict::Pass => "pass".to_owned(),
        ExpectedVerdict::UseBackend(name) => format!("use-backend {name}"),
        ExpectedVerdict::Reply(status) => format!("reply {status}"),
        ExpectedVerdict::Deny(status) => format!("deny {status}"),
        ExpectedVerdict::Refuse(Refusal::Close) => "refuse close".to_owned(),
        ExpectedVerdict::Refuse(Refusal::Reset) => "refuse reset".to_owned(),
    }
}

fn named(server: &str) -> String {
    match server {
        "" => "no server".to_owned(),
        name => name.to_owned(),
    }
}

fn borrowed(values: &[Option<String>]) -> Vec<Option<&str>> {
    values.iter().map(Option::as_deref).collect()
}

fn text(error: CallError) -> String {
    error.to_string()
}
