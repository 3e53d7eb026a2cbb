//! Putting the calls to the component, with an instance for each worker that there was.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Comparison, Difference,
    calls::{Call, Told as Event, calls_of, place_of},
};
use crate::{
    model::{BackendName, Candidate, Hook, Outcome},
    plugin::{
        CallError, Import, Instance, LoadError, Place, Plugin,
        counters::{Consulted, CounterStore, Question, Told},
        maps::MapStore,
    },
    telemetry::story::{
        AnswerShown, Asked, CountersAnswer, CountersAsked, Given, Mask, Secrets, ServerShown, Story,
    },
    workbench::{Setup, Subject},
};

/// Differences that are kept to be shown.
const MOST_SHOWN: usize = 1_000;
/// What the dice show, as nobody knows what they showed when it was recorded.
const SEED: u64 = 1;

/// What is replayed, and how the component is set up.
pub struct Playing<'a> {
    pub exchanges: &'a [Story],
    /// Where the plugin of the recording was used.
    pub place: &'a str,
    /// JSON text.
    pub config: &'a str,
    /// Those that exist; `None`: whichever the plugin names.
    pub backends: Option<&'a [BackendName]>,
    pub maps: &'a MapStore,
    /// Empty tables, for questions that were not recorded.
    pub counters: &'a CounterStore,
    pub deadline: Duration,
    pub memory: usize,
}

/// Why nothing can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("`{0}` is no use of a plugin")]
    NoPlace(String),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Asks the component whatever the plugin of the recording was asked, and compares.
pub fn play(subject: &Subject, playing: &Playing<'_>) -> Result<Comparison, ReplayError> {
    let place =
        place_of(playing.place).ok_or_else(|| ReplayError::NoPlace(playing.place.into()))?;
    subject.stage().set(0, SEED);
    let plugin = subject.load(&Setup {
        place,
        config: playing.config,
        backends: playing.backends,
        maps: playing.maps,
        counters: playing.counters,
        deadline: playing.deadline,
        memory: playing.memory,
    })?;
    let calls = calls_of(playing.exchanges, playing.place);
    let mut replay = Replay {
        subject,
        secrets: Secrets::new(&Mask::Nothing),
        comparison: Comparison {
            place: playing.place.to_owned(),
            notes: notes(subject, &plugin, &calls),
            ..Comparison::default()
        },
        plugin,
        workers: BTreeMap::new(),
    };
    for call in calls {
        replay.call(&call);
    }
    let unknown = subject.stage().unknown_questions();
    if unknown > 0 {
        replay.comparison.notes.push(format!(
            "it asked counters {unknown} times what was not recorded: they answered what it has counted since the recording began"
        ));
    }
    Ok(replay.comparison)
}

/// What cannot be the same as it was.
fn notes(subject: &Subject, plugin: &Plugin, calls: &[Call<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    let rolled =
        |call: &Call<'_>| matches!(call.told, Event::Asked(asked) if !asked.rolls.is_empty());
    let imports = subject.component().imports();
    if imports.contains(&Import::Random) && !calls.iter().any(rolled) {
        notes
            .push("it uses random numbers, and none were recorded: they are others now".to_owned());
    }
    let counted =
        |call: &Call<'_>| matches!(call.told, Event::Asked(asked) if asked.counters.is_some());
    if imports.contains(&Import::Counters) && !calls.iter().any(counted) {
        notes.push(
            "it asks counters, and what they answered was not recorded: they count from nothing"
                .to_owned(),
        );
    }
    if plugin.has_feedback() {
        notes.push(
            "it learns from outcomes; what it had learnt before the recording is not known"
                .to_owned(),
        );
    }
    notes
}

/// A worker's instance, and the servers it was told of.
struct Local {
    instance: Option<Instance>,
    servers: Vec<Candidate>,
}

struct Replay<'a> {
    subject: &'a Subject,
    secrets: Secrets<'a>,
    plugin: Arc<Plugin>,
    workers: BTreeMap<usize, Local>,
    comparison: Comparison,
}

/// Why a call was not made.
enum NotMade {
    LeftOut(String),
    Failed(CallError),
}

impl From<CallError> for NotMade {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

impl Replay<'_> {
    fn call(&mut self, call: &Call<'_>) {
        self.subject.stage().set_clock(call.at / 1_000);
        match call.told {
            Event::Asked(asked) => self.asked(call, asked),
            Event::Observed {
                server,
                outcome,
                microseconds,
            } => self.observed(call.worker, server, outcome, microseconds),
        }
    }

    fn asked(&mut self, call: &Call<'_>, asked: &Asked) {
        self.subject.stage().load_dice(&asked.rolls);
        let consulted = asked.counters.as_deref();
        let consulted = consulted.map(|all| all.iter().map(consulted_then).collect());
        self.subject.stage().load_counters(consulted);
        if asked.answer.failed.is_some() {
            let why = "the plugin of the recording had failed at it".to_owned();
            return self.comparison.leave_out(why);
        }
        let answer = match self.answer(call.worker, asked) {
            Ok(answer) => answer,
            Err(NotMade::LeftOut(why)) => return self.comparison.leave_out(why),
            Err(NotMade::Failed(error)) => {
                // Its memory is as the failure left it.
                if let Some(local) = self.workers.get_mut(&call.worker) {
                    local.instance = None;
                }
                self.comparison.failed += 1;
                let failed = AnswerShown {
                    failed: Some(error.fault.to_string()),
                    ..AnswerShown::default()
                };
                return self.differs(call, asked, &failed);
            }
        };
        let inputs = asked.inputs.iter().flatten();
        if asked.answer.masked || inputs.clone().any(|given| given.masked) {
            self.comparison.masked += 1;
        } else if lines(&answer) == lines(&asked.answer) {
            self.comparison.same += 1;
        } else {
            self.comparison.different += 1;
            self.differs(call, asked, &answer);
        }
    }

    fn differs(&mut self, call: &Call<'_>, asked: &Asked, answer: &AnswerShown) {
        if self.comparison.differences.len() < MOST_SHOWN {
            self.comparison.differences.push(Difference {
                id: call.id.to_owned(),
                call: asked.call.clone(),
                inputs: asked.inputs.clone().unwrap_or_default(),
                recorded: lines(&asked.answer),
                answered: lines(answer),
            });
        }
    }

    fn answer(&mut self, worker: usize, asked: &Asked) -> Result<AnswerShown, NotMade> {
        let hook = Hook::ALL
            .into_iter()
            .find(|hook| hook.as_str() == asked.call);
        let hook = hook.ok_or_else(|| {
            NotMade::LeftOut(format!("`{}` is no call that has an answer", asked.call))
        })?;
        if !self.plugin.has_hook(hook) {
            let why = format!("the component would not be asked {hook}");
            return Err(NotMade::LeftOut(why));
        }
        let values = self.values(hook, asked.inputs.as_deref())?;
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        if hook == Hook::Pick {
            return self.pick(worker, asked, &values);
        }
        let backends = self.plugin.backends().to_vec();
        let instance = local(&mut self.workers, &self.plugin, worker)?.1;
        Ok(match hook {
            Hook::OnConnection => {
                let decision = instance.on_connection(&values)?;
                self.secrets.connection(&decision, &backends)
            }
            Hook::OnRequest => {
                let decision = instance.on_request(&values)?;
                self.secrets.decision(&decision, &backends)
            }
            Hook::OnResponse => self.secrets.edits(&instance.on_response(&values)?),
            Hook::Lookup => self.secrets.found(&instance.lookup(&values)?, true),
            Hook::Assigned => {
                let server = asked.assigned.as_deref().unwrap_or_default();
                self.secrets.edits(&instance.assigned(server, &values)?)
            }
            Hook::Pick => unreachable!("picks were seen to above"),
        })
    }

    /// What the component asks for, out of what was recorded.
    fn values(&self, hook: Hook, given: Option<&[Given]>) -> Result<Vec<Option<String>>, NotMade> {
        let wanted = self.plugin.inputs(hook).iter();
        let Some(given) = given else {
            return match wanted.len() {
                0 => Ok(Vec::new()),
                _ => Err(NotMade::LeftOut("its inputs were not kept".to_owned())),
            };
        };
        let value = |input: String| match given.iter().find(|given| given.input == input) {
            Some(given) => Ok(given.value.clone()),
            None => Err(NotMade::LeftOut(format!(
                "the component asks for {input}, which was not recorded"
            ))),
        };
        wanted.map(|input| value(input.to_string())).collect()
    }

    fn pick(
        &mut self,
        worker: usize,
        asked: &Asked,
        values: &[Option<&str>],
    ) -> Result<AnswerShown, NotMade> {
        let left_out = |why: &str| NotMade::LeftOut(why.to_owned());
        let pick = asked.pick.as_ref();
        let pick = pick.ok_or_else(|| left_out("what the balancer was told was not kept"))?;
        let shown = pick.servers.as_deref();
        let shown = shown.ok_or_else(|| left_out("the servers were not kept"))?;
        if shown.is_empty() {
            return Err(left_out("there was no server to pick"));
        }
        if self.plugin.wants_loads() && pick.loads.len() != shown.len() {
            return Err(left_out(
                "the component asks for loads, which were not recorded",
            ));
        }
        let wants_loads = self.plugin.wants_loads();
        let (servers, instance) = local(&mut self.workers, &self.plugin, worker)?;
        let candidates = candidates(shown);
        if *servers != candidates {
            instance.update(&candidates)?;
            *servers = candidates;
        }
        let loads = if wants_loads { &pick.loads[..] } else { &[] };
        let tried: Vec<u32> = (0..)
            .zip(shown)
            .filter(|(_, server)| pick.tried.contains(&server.name))
            .map(|(position, _)| position)
            .collect();
        let picked = instance.pick(pick.turn, values, loads, &tried)?;
        Ok(AnswerShown::server(
            picked.map_or("", |position| servers[position].name.as_str()),
        ))
    }

    fn observed(&mut self, worker: usize, server: &str, outcome: &str, microseconds: u64) {
        let outcome = OUTCOMES.iter().find(|(name, _)| *name == outcome);
        let Some((_, outcome)) = outcome.filter(|_| self.plugin.has_feedback()) else {
            return;
        };
        let Some(local) = self.workers.get_mut(&worker) else {
            return;
        };
        let position = local.servers.iter().position(|known| known.name == server);
        let Some((position, instance)) = position.zip(local.instance.as_mut()) else {
            return;
        };
        if instance.observe(position, *outcome, microseconds).is_err() {
            local.instance = None;
            self.comparison.failed += 1;
        }
    }
}

/// The functions of tables of counters.
const FUNCTIONS: [&str; 6] = ["add", "read", "falls-to", "value", "set-value", "remove"];

fn consulted_then(asked: &CountersAsked) -> Consulted {
    let mut functions = FUNCTIONS.into_iter();
    let function = functions.find(|name| *name == asked.asked);
    Consulted {
        question: Question {
            // One that this Weir does not know is never asked.
            function: function.unwrap_or_default(),
            table: asked.table.clone(),
            counter: asked.counter.clone(),
            key: asked.key.clone(),
            number: asked.number,
            text: asked.text.clone(),
        },
        told: match &asked.answer {
            None => Told::Nothing,
            Some(CountersAnswer::Number(number)) => Told::Number(*number),
            Some(CountersAnswer::Text(text)) => Told::Text(text.clone()),
            Some(CountersAnswer::Done(done)) => Told::Done(*done),
        },
    }
}

const OUTCOMES: [(&str, Outcome); 5] = [
    ("success", Outcome::Success),
    ("connect-failed", Outcome::ConnectFailed),
    ("timed-out", Outcome::TimedOut),
    ("server-error", Outcome::ServerError),
    ("aborted", Outcome::Aborted),
];

/// A worker's servers and its instance, which is made if there is none.
fn local<'a>(
    workers: &'a mut BTreeMap<usize, Local>,
    plugin: &Plugin,
    worker: usize,
) -> Result<(&'a mut Vec<Candidate>, &'a mut Instance), CallError> {
    let local = workers.entry(worker).or_insert_with(|| Local {
        instance: None,
        servers: Vec::new(),
    });
    let instance = match local.instance.take() {
        Some(instance) => instance,
        None => {
            local.servers.clear();
            plugin.instantiate()?
        }
    };
    Ok((&mut local.servers, local.instance.insert(instance)))
}

fn candidates(servers: &[ServerShown]) -> Vec<Candidate> {
    let candidates = servers.iter().map(|server| Candidate {
        name: server.name.clone(),
        id: server.id,
        weight: server.weight,
        limit: server.limit,
    });
    candidates.collect()
}

/// An answer, a line for each part that can differ.
fn lines(answer: &AnswerShown) -> Vec<String> {
    let mut lines: Vec<String> = answer.verdict.iter().cloned().collect();
    match answer.server.as_deref() {
        Some("") => lines.push("no server".to_owned()),
        Some(server) => lines.push(format!("server {server}")),
        None => {}
    }
    lines.extend(answer.edits.iter().cloned());
    let on_response = answer.response_edits.iter();
    lines.extend(on_response.map(|edit| format!("on the response: {edit}")));
    if let Some(reply) = &answer.reply {
        lines.extend(reply.headers.iter().cloned());
        lines.push(format!(
            "body of {} bytes, sha256:{}",
            reply.bytes, reply.digest
        ));
    }
    if let Some(why) = &answer.failed {
        lines.push(format!("FAILED: {why}"));
    }
    if lines.is_empty() {
        lines.push("no edits".to_owned());
    }
    lines
}

/// Somewhere a component of these roles can be asked what was recorded.
pub fn suits(subject: &Subject, place: Place) -> bool {
    place.suits(subject.component().roles())
}
