//! The story of an exchange that is over, told from its notes.
//!
//! What a plugin was given is in the notes where the exchange was sampled or the call failed. Elsewhere it is
//! worked out again: the request as it came, and then edit by edit what each plugin in turn found.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{
    edits,
    facts::{Ends, Facts, Vars},
    forwarded::ForwardedClient,
    generation::{Backend, Generation, PluginUse},
    notes::{Answer, Asked, Asker, Detail, Note, Notes, inputs_of},
    worker::RequestId,
};
use crate::{
    config::{CounterTable, WhenFull},
    http::request::RequestHead,
    model::{BackendName, Edit, Header, Input, Outcome, Verdict, words},
    plugin::{
        Call, Plugin,
        counters::{Consulted, Told},
    },
    telemetry::story::{
        self, AnswerShown, CounterShown, CountersAnswer, CountersAsked, Given, Kept, Mask,
        OutcomeShown, PickAsked, RequestShown, Secrets, ServerShown, Spoke, Step, Story,
        TableShown, UseShown,
    },
};

/// An exchange, a session or a connection that is over.
#[derive(Debug)]
pub struct Ending<'a> {
    pub worker: usize,
    pub generation: &'a Generation,
    pub frontend: usize,
    pub backend: Option<&'a Backend>,
    pub spoken: Spoke,
    /// As it is now, with all edits made.
    pub head: Option<&'a RequestHead>,
    pub ends: &'a Ends,
    pub forwarded: Option<&'a ForwardedClient>,
    pub id: RequestId,
    pub began: Instant,
    /// The time of day then.
    pub at: SystemTime,
    pub outcome: OutcomeShown,
    pub notes: &'a Notes,
}

impl Ending<'_> {
    /// The whole story, with what is secret masked.
    pub fn story(&self, kept: Kept, mask: &Mask) -> Story {
        let came = self.head.map(RequestHead::as_it_came);
        let mut secrets = Secrets::new(mask);
        if let Some(head) = &came {
            learn_request(&mut secrets, head);
        }
        let list = self.notes.list();
        let mut past = Past::of(self, came, &list);
        // What was secret in any step is so in all of them, so values come before texts.
        let given: Vec<_> = list.iter().map(|note| past.step(self, note)).collect();
        for (input, value) in given.iter().flatten().flatten() {
            if let Some(value) = value {
                secrets.learn_input(input, value);
            }
        }
        for note in list.iter() {
            learn_answer(&mut secrets, note);
        }
        let teller = Teller {
            ending: self,
            secrets,
        };
        let steps = list
            .iter()
            .zip(given)
            .filter_map(|(note, given)| teller.step(note, given));
        Story {
            id: self.id.to_string(),
            at: micros(self.at),
            kept,
            worker: self.worker,
            generation: self.generation.number,
            frontend: self.generation.frontends[self.frontend].name.to_string(),
            spoken: self.spoken,
            connection: self
                .ends
                .brought
                .as_ref()
                .and_then(|brought| Some(brought.id?.to_string())),
            client: self.client(),
            request: self.head.map(|head| teller.request(head)),
            steps: steps.collect(),
            outcome: teller.outcome(),
            cut: false,
        }
    }

    fn client(&self) -> Option<String> {
        match self.forwarded {
            Some(client) => Some(client.text().to_owned()),
            None => self.ends.client_address().map(str::to_owned),
        }
    }

    /// The use that a note is about.
    fn find(&self, asker: Asker) -> Option<Found<'_>> {
        let frontend = &self.generation.frontends[self.frontend];
        let of_frontend = (1..).zip(&frontend.filters).map(|(number, filter)| {
            let place = format!("frontend.{}.filter.{number}", frontend.name);
            (place, &filter.used, None)
        });
        // A backend's filters are asked before the exchange has entered it.
        let first = self.backend.into_iter();
        let of_backends = first.chain(&self.generation.backends).flat_map(of_backend);
        of_frontend
            .chain(of_backends)
            .find_map(|(place, used, backend)| Found::of(asker, place, used, backend))
    }
}

/// A use of a plugin that was asked.
struct Found<'a> {
    place: String,
    plugin: &'a Plugin,
    backend: Option<&'a Backend>,
    /// Those that its answers choose from by position.
    backends: Vec<BackendName>,
}

impl<'a> Found<'a> {
    fn of(
        asker: Asker,
        place: String,
        used: &'a PluginUse,
        backend: Option<&'a Backend>,
    ) -> Option<Self> {
        let mut backends = used.plugin.backends().to_vec();
        if Asker::of(&used.plugin) == asker {
            return Some(Self {
                place,
                plugin: &used.plugin,
                backend,
                backends,
            });
        }
        // The version that is tried out beside it counts its backends on from there.
        let next = &used.next.as_ref()?.used.plugin;
        backends.extend_from_slice(next.backends());
        (Asker::of(next) == asker).then(|| Self {
            place: format!("{place}.next"),
            plugin: next,
            backend,
            backends,
        })
    }
}

/// The uses of plugins in a generation, as recordings show them.
pub fn uses(generation: &Generation, mask: &Mask) -> Vec<UseShown> {
    let of_frontends = generation.frontends.iter().flat_map(|frontend| {
        (1..).zip(&frontend.filters).map(|(number, filter)| {
            let place = format!("frontend.{}.filter.{number}", frontend.name);
            (place, &filter.used)
        })
    });
    let of_backends = generation.backends.iter().flat_map(of_backend);
    of_frontends
        .chain(of_backends.map(|(place, used, _)| (place, used)))
        .map(|(place, used)| UseShown {
            place,
            plugin: used.plugin.name().to_string(),
            digest: used.plugin.digest().to_string(),
            config: match mask {
                Mask::Nothing => Some(used.plugin.config().to_owned()),
                Mask::Secrets(_) => None,
            },
            backends: used
                .plugin
                .backends()
                .iter()
                .map(ToString::to_string)
                .collect(),
            counters: used.plugin.counters().map(table).collect(),
        })
        .collect()
}

fn table(declared: &CounterTable) -> TableShown {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let counters = declared.counters.iter().map(|counter| CounterShown {
        name: counter.name.clone(),
        window: counter.window.map(millis),
    });
    TableShown {
        name: declared.name.clone(),
        size: declared.size,
        expire: declared.expire.map(millis),
        refuses: declared.when_full == WhenFull::Refuse,
        counters: counters.collect(),
    }
}

fn of_backend(backend: &Backend) -> impl Iterator<Item = (String, &PluginUse, Option<&Backend>)> {
    let name = &backend.name;
    let filters = (1..)
        .zip(&backend.filters)
        .map(move |(number, filter)| (format!("backend.{name}.filter.{number}"), &filter.used));
    let balancer = (format!("backend.{name}.balance"), &backend.balancer);
    let former = backend
        .former_balancer
        .iter()
        .map(move |used| (format!("backend.{name}.balance, as it was before"), used));
    let persistence = backend
        .persistence
        .iter()
        .map(move |used| (format!("backend.{name}.persistence"), used));
    filters
        .chain([balancer])
        .chain(former)
        .chain(persistence)
        .map(move |(place, used)| (place, used, Some(backend)))
}

/// What a plugin was given; none if that is not known any more.
type Values<'a> = Option<Vec<(&'a Input, Option<String>)>>;

/// The exchange as it was when a plugin was asked.
struct Past {
    head: Option<RequestHead>,
    vars: Vars,
}

impl Past {
    fn of(ending: &Ending<'_>, head: Option<RequestHead>, list: &[Note]) -> Self {
        let begins_at_door = matches!(
            list.first(),
            Some(Note::Asked(Asked {
                call: Call::OnConnection,
                ..
            }))
        );
        let vars = match begins_at_door {
            true => Vars::default(),
            false => ending.ends.vars().clone(),
        };
        Self { head, vars }
    }

    /// What was given at that step. From then on the past is as the step left it.
    fn step<'a>(&mut self, ending: &'a Ending<'_>, note: &Note) -> Values<'a> {
        let Note::Asked(asked) = note else {
            return None;
        };
        let found = ending.find(asked.asker)?;
        let inputs = inputs_of(found.plugin, asked.call);
        let noted = asked.detail.as_ref().and_then(|it| it.values.clone());
        let values = match (noted, asked.call) {
            (Some(values), _) => Some(values),
            (None, Call::OnConnection | Call::OnRequest | Call::Lookup | Call::Pick) => {
                let facts = self.facts(ending, found.backend);
                let values = facts.values(inputs).into_iter();
                Some(values.map(|value| Some(value?.into_owned())).collect())
            }
            // The response is gone.
            (None, _) => None,
        };
        self.pass(asked);
        let was_noted = asked.detail.as_ref().is_some_and(|it| it.values.is_some());
        let known = |input: &Input| was_noted || !matches!(input, Input::Live(_));
        let given = inputs.iter().zip(values?);
        Some(given.filter(|(input, _)| known(input)).collect())
    }

    fn facts<'b>(&'b self, ending: &'b Ending<'_>, backend: Option<&'b Backend>) -> Facts<'b> {
        Facts {
            head: self.head.as_ref(),
            ends: ending.ends,
            frontend: ending.generation.frontends[ending.frontend].name.as_str(),
            backend: backend.map(|backend| backend.name.as_str()),
            vars: &self.vars,
            request_id: ending.id,
            response: None,
            client: ending.forwarded,
            // They are not what they were then.
            generation: None,
            notes: ending.notes,
        }
    }

    /// Makes the edits of an answer once more. Those that were refused are refused again.
    fn pass(&mut self, asked: &Asked) {
        let made: &[Edit] = match (&asked.answer, asked.call) {
            (Answer::Decided(decision), _) => &decision.edits,
            (Answer::Found(found), _) => &found.edits,
            (Answer::Connection(decision), _) => {
                for var in &decision.vars {
                    let _ = edits::set_var(&mut self.vars, var);
                }
                return;
            }
            _ => return,
        };
        let _ = match &mut self.head {
            Some(head) => edits::apply_request(head, &mut self.vars, made),
            None => edits::apply_session(&mut self.vars, made),
        };
    }
}

fn learn_request(secrets: &mut Secrets<'_>, head: &RequestHead) {
    for field in head.fields.iter() {
        if let Ok(value) = std::str::from_utf8(field.value) {
            secrets.learn_header(field.name, value);
        }
    }
    secrets.learn_target(head.target());
}

fn learn_answer(secrets: &mut Secrets<'_>, note: &Note) {
    let Note::Asked(asked) = note else { return };
    let mut learn = |edit: &Edit| {
        if let Edit::SetHeader(header) | Edit::AddHeader(header) = edit {
            secrets.learn_header(&header.name, &header.value);
        }
        if let Edit::SetCookieValue(cookie) = edit {
            secrets.learn_input(&Input::Cookie(cookie.name.clone()), &cookie.value);
        }
        if let Edit::SetVar(var) = edit {
            secrets.learn_input(&Input::Var(var.name.clone()), &var.value);
        }
    };
    match &asked.answer {
        Answer::Decided(decision) => {
            decision.edits.iter().for_each(&mut learn);
            decision.response_edits.iter().for_each(learn);
            if let Verdict::Reply(reply) = &decision.verdict {
                for Header { name, value } in &reply.headers {
                    secrets.learn_header(name, value);
                }
            }
        }
        Answer::Found(found) => found.edits.iter().for_each(learn),
        Answer::Edits(edits) => edits.iter().for_each(learn),
        Answer::Pass
        | Answer::UseBackend(_)
        | Answer::Connection(_)
        | Answer::NotFound
        | Answer::NoEdits
        | Answer::Picked { .. }
        | Answer::Failed(_) => {}
    }
}

/// Turns notes into words.
struct Teller<'a> {
    ending: &'a Ending<'a>,
    secrets: Secrets<'a>,
}

impl Teller<'_> {
    fn request(&self, head: &RequestHead) -> RequestShown {
        RequestShown {
            method: head.method().to_owned(),
            target: self.secrets.target(head.target()).0,
            version: head.version().as_str().to_owned(),
            host: head.authority().map(str::to_owned),
        }
    }

    fn outcome(&self) -> OutcomeShown {
        let outcome = self.ending.outcome.clone();
        OutcomeShown {
            error: outcome.error.map(|error| self.secrets.text(&error).0),
            ..outcome
        }
    }

    fn step(&self, note: &Note, given: Values<'_>) -> Option<Step> {
        match note {
            Note::Asked(asked) => self.asked(asked, given),
            Note::Observed {
                balancer,
                at,
                server,
                outcome,
                took,
            } => {
                let Found { place, backend, .. } = self.ending.find(*balancer)?;
                Some(Step::Observed {
                    place,
                    at: at.map(|at| self.time(at)),
                    server: server_name(backend, *server),
                    outcome: outcome_name(*outcome).to_owned(),
                    microseconds: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                })
            }
            Note::NoConnection { server, error } => Some(Step::NoConnection {
                server: server_name(self.ending.backend, *server),
                error: self.secrets.text(error).0,
            }),
        }
    }

    fn asked(&self, asked: &Asked, given: Values<'_>) -> Option<Step> {
        let found = self.ending.find(asked.asker)?;
        let answer = self.answer(&asked.answer, &found);
        let Found {
            place,
            plugin,
            backend,
            ..
        } = found;
        let nothing = Detail::default();
        let detail = asked.detail.as_deref().unwrap_or(&nothing);
        let inputs = given.map(|given| {
            let shown = given.into_iter().map(|(input, value)| {
                let shown = value.map(|value| self.secrets.input(input, &value));
                Given {
                    input: input.to_string(),
                    masked: shown.as_ref().is_some_and(|(_, masked)| *masked),
                    value: shown.map(|(value, _)| value),
                }
            });
            shown.collect()
        });
        let counters = self.counters(plugin, asked.detail.as_deref(), inputs.as_deref());
        let pick = match asked.answer {
            Answer::Picked { turn, .. } => Some(pick(turn, detail, backend)),
            _ => None,
        };
        Some(Step::Asked(Box::new(story::Asked {
            call: asked.call.to_string(),
            place,
            plugin: plugin.name().to_string(),
            digest: plugin.digest().to_string(),
            at: detail.spent.map(|spent| self.time(spent.from)),
            took: detail.spent.map(|spent| nanos(spent.took)),
            from_memory: asked.from_memory,
            inputs,
            // Elsewhere than in a pick, secrets may have been made of them.
            rolls: match asked.call == Call::Pick || self.secrets.are_shown() {
                true => detail.handed.rolls.clone(),
                false => Vec::new(),
            },
            counters,
            assigned: detail.assigned.clone(),
            pick,
            answer,
        })))
    }

    /// What tables of counters were asked. Nothing where an input is masked: keys are made of inputs, in ways in which
    /// a secret is not recognised.
    fn counters(
        &self,
        plugin: &Plugin,
        detail: Option<&Detail>,
        inputs: Option<&[Given]>,
    ) -> Option<Vec<CountersAsked>> {
        let detail = detail?;
        plugin.counters().next()?;
        if inputs?.iter().any(|given| given.masked) {
            return None;
        }
        let consulted = detail.handed.consulted.iter();
        let text = |text: &str| self.secrets.text(text).0;
        Some(
            consulted
                .map(|Consulted { question, told }| CountersAsked {
                    asked: question.function.to_owned(),
                    table: question.table.clone(),
                    counter: question.counter.clone(),
                    key: text(&question.key),
                    number: question.number,
                    text: text(&question.text),
                    answer: match told {
                        Told::Nothing => None,
                        Told::Number(number) => Some(CountersAnswer::Number(*number)),
                        Told::Text(value) => Some(CountersAnswer::Text(text(value))),
                        Told::Done(done) => Some(CountersAnswer::Done(*done)),
                    },
                })
                .collect(),
        )
    }

    fn answer(&self, answer: &Answer, found: &Found<'_>) -> AnswerShown {
        let (backends, backend) = (&found.backends[..], found.backend);
        match answer {
            Answer::Pass => AnswerShown::verdict("pass".to_owned()),
            Answer::UseBackend(index) => {
                AnswerShown::verdict(words::verdict(&Verdict::UseBackend(*index), backends))
            }
            Answer::Decided(decision) => self.secrets.decision(decision, backends),
            Answer::Connection(decision) => self.secrets.connection(decision, backends),
            Answer::NotFound => AnswerShown::server(""),
            Answer::Found(found) => {
                let key = found.server.as_deref().unwrap_or_default();
                let known = backend.is_some_and(|it| it.server_by_persistence_key(key).is_some());
                self.secrets.found(found, known)
            }
            Answer::NoEdits => AnswerShown::default(),
            Answer::Edits(edits) => self.secrets.edits(edits),
            Answer::Picked { server, .. } => AnswerShown::server(&match server {
                Some(server) => server_name(backend, *server),
                None => String::new(),
            }),
            Answer::Failed(why) => AnswerShown {
                failed: Some(self.secrets.text(why).0),
                ..AnswerShown::default()
            },
        }
    }

    /// The time of day at `instant`.
    fn time(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.ending.began);
        micros(self.ending.at + since)
    }
}

fn pick(turn: u64, detail: &Detail, backend: Option<&Backend>) -> PickAsked {
    let servers: Option<Vec<ServerShown>> = detail.servers.clone();
    PickAsked {
        turn,
        tried: detail
            .tried
            .iter()
            .map(|server| server_name(backend, *server))
            .collect(),
        loads: detail.loads.clone(),
        servers,
    }
}

fn server_name(backend: Option<&Backend>, position: usize) -> String {
    let server = backend.and_then(|backend| backend.servers.get(position));
    server.map_or_else(|| position.to_string(), |server| server.name.to_string())
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::ConnectFailed => "connect-failed",
        Outcome::TimedOut => "timed-out",
        Outcome::ServerError => "server-error",
        Outcome::Aborted => "aborted",
    }
}

fn micros(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
