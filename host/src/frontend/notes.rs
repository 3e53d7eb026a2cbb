//! What is noted of an exchange while it goes on, so that its story can be told when it is over.
//!
//! Of an exchange that nobody has asked for, a note says who was asked and holds on to the answer; what the
//! plugin was given is worked out again from the request if it comes to that (see `tell`). Where the exchange
//! was sampled, values and times are taken down as they are.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::facts::Facts;
use crate::{
    model::{ConnectionDecision, Decision, Edit, Found, Hook, Input, Outcome, Verdict},
    plugin::{Call, Handed, Instance, Plugin},
    telemetry::story::ServerShown,
};

/// No exchange has more to tell; whatever goes on for ever stays small.
const MOST: usize = 200;

const QUARANTINED: &str = "it is in quarantine and was not asked";

/// How closely an exchange is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attention {
    /// A failure of it will be told.
    pub failures: bool,
    /// Its story is kept whatever becomes of it.
    pub sampled: bool,
    /// Somebody records it.
    pub recorded: bool,
}

impl Attention {
    /// Whether values and times are taken down as they are.
    fn is_full(self) -> bool {
        self.sampled || self.recorded
    }
}

/// The notes of one exchange.
#[derive(Debug, Default)]
pub struct Notes {
    attention: Attention,
    taken: bool,
    /// When the plugin was asked that is being asked now.
    asked: Cell<Option<Instant>>,
    failed: Cell<bool>,
    /// What the plugin was given that is being asked.
    handed: RefCell<Handed>,
    list: RefCell<Vec<Note>>,
}

/// Something that happened on the way.
#[derive(Debug)]
pub enum Note {
    Asked(Asked),
    Observed {
        balancer: Asker,
        at: Option<Instant>,
        server: usize,
        outcome: Outcome,
        took: Duration,
    },
    NoConnection {
        server: usize,
        error: Box<str>,
    },
}

/// Tells uses of plugins apart, as long as the generation lives that the exchange belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker(usize);

impl Asker {
    pub fn of(plugin: &Arc<Plugin>) -> Self {
        Self(Arc::as_ptr(plugin).addr())
    }
}

/// A plugin was asked.
#[derive(Debug)]
pub struct Asked {
    pub asker: Asker,
    pub call: Call,
    pub from_memory: bool,
    pub answer: Answer,
    pub detail: Option<Box<Detail>>,
}

/// What it answered.
#[derive(Debug)]
pub enum Answer {
    /// Pass, and nothing to change.
    Pass,
    /// That one of its backends, and nothing to change.
    UseBackend(usize),
    Decided(Arc<Decision>),
    Connection(Box<ConnectionDecision>),
    /// No server, and nothing to change.
    NotFound,
    Found(Arc<Found>),
    NoEdits,
    Edits(Arc<Vec<Edit>>),
    Picked {
        turn: u64,
        /// Position in the backend's servers.
        server: Option<usize>,
    },
    Failed(Box<str>),
}

/// What is only known of an exchange that was sampled, or of a call that failed.
#[derive(Debug, Default)]
pub struct Detail {
    pub spent: Option<Spent>,
    pub handed: Handed,
    pub values: Option<Vec<Option<String>>>,
    /// The persistence key that `assigned` was called with.
    pub assigned: Option<String>,
    pub tried: Vec<usize>,
    pub loads: Vec<u32>,
    pub servers: Option<Vec<ServerShown>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub from: Instant,
    pub took: Duration,
}

impl Notes {
    pub fn new(attention: Attention, list: Vec<Note>) -> Self {
        Self {
            attention,
            taken: attention != Attention::default(),
            list: RefCell::new(list),
            ..Self::default()
        }
    }

    pub fn attention(&self) -> Attention {
        self.attention
    }

    /// Whether a plugin gave no usable answer.
    pub fn has_failure(&self) -> bool {
        self.failed.get()
    }

    pub fn list(&self) -> std::cell::Ref<'_, Vec<Note>> {
        self.list.borrow()
    }

    pub fn into_list(self) -> Vec<Note> {
        self.list.into_inner()
    }

    /// Whether the last thing that happened is that this one gave no usable answer.
    pub fn just_failed(&self, asker: Asker) -> bool {
        let is_failure = |note: &Note| match note {
            Note::Asked(asked) => asked.asker == asker && matches!(asked.answer, Answer::Failed(_)),
            Note::Observed { .. } | Note::NoConnection { .. } => false,
        };
        self.failed.get() && self.list.borrow().last().is_some_and(is_failure)
    }

    /// Whether more than that a plugin was asked is to be told.
    pub fn is_full(&self) -> bool {
        self.attention.is_full()
    }

    /// A plugin is about to be asked.
    pub fn asking(&self) {
        if self.attention.is_full() {
            self.asked.set(Some(Instant::now()));
        }
    }

    /// Has `ask` make the call.
    pub fn calling<T>(&self, instance: &mut Instance, ask: impl FnOnce(&mut Instance) -> T) -> T {
        if !self.attention.is_full() {
            return ask(instance);
        }
        let (answer, handed) = instance.watched(ask);
        self.handed.replace(handed);
        answer
    }

    /// A plugin has answered; nothing of its answer has been done yet.
    pub fn answered(
        &self,
        asker: Asker,
        call: Call,
        from_memory: bool,
        inputs: &[Input],
        facts: &Facts<'_>,
        answer: impl FnOnce() -> Answer,
    ) {
        if !self.taken {
            return;
        }
        let detail = self.attention.is_full().then(|| {
            Box::new(Detail {
                spent: self.spent(),
                handed: self.handed.take(),
                values: Some(values(facts, inputs)),
                ..Detail::default()
            })
        });
        self.push(Note::Asked(Asked {
            asker,
            call,
            from_memory,
            answer: answer(),
            detail,
        }));
    }

    /// Adds to the last note, if it has details at all.
    pub fn detail(&self, add: impl FnOnce(&mut Detail)) {
        if !self.attention.is_full() {
            return;
        }
        if let Some(Note::Asked(Asked {
            detail: Some(detail),
            ..
        })) = self.list.borrow_mut().last_mut()
        {
            add(detail);
        }
    }

    /// A plugin gave no answer, or none that could be used.
    #[cold]
    pub fn failed(
        &self,
        asker: Asker,
        call: Call,
        inputs: &[Input],
        facts: &Facts<'_>,
        why: &dyn std::fmt::Display,
    ) {
        if !self.taken {
            return;
        }
        self.failed.set(true);
        let detail = Detail {
            spent: self.spent(),
            handed: self.handed.take(),
            values: Some(values(facts, inputs)),
            ..Detail::default()
        };
        self.push(Note::Asked(Asked {
            asker,
            call,
            from_memory: false,
            answer: Answer::Failed(why.to_string().into()),
            detail: Some(Box::new(detail)),
        }));
    }

    /// A plugin in quarantine was not asked.
    #[cold]
    pub fn quarantined(&self, asker: Asker, facts: &Facts<'_>) {
        self.failed(asker, Call::Instantiate, &[], facts, &QUARANTINED);
    }

    /// No connection to that server could be made.
    #[cold]
    pub fn no_connection(&self, server: usize, why: &dyn std::fmt::Display) {
        if self.taken {
            let error = why.to_string().into();
            self.push(Note::NoConnection { server, error });
        }
    }

    /// A balancer that learns was told of an outcome.
    pub fn observed(&self, balancer: Asker, server: usize, outcome: Outcome, took: Duration) {
        if self.attention.is_full() {
            self.push(Note::Observed {
                balancer,
                at: self.asked.take(),
                server,
                outcome,
                took,
            });
        }
    }

    fn spent(&self) -> Option<Spent> {
        let from = self.asked.take()?;
        Some(Spent {
            from,
            took: from.elapsed(),
        })
    }

    fn push(&self, note: Note) {
        let mut list = self.list.borrow_mut();
        if list.len() < MOST {
            list.push(note);
        }
    }
}

fn values(facts: &Facts<'_>, inputs: &[Input]) -> Vec<Option<String>> {
    let values = facts.values(inputs).into_iter();
    values.map(|value| Some(value?.into_owned())).collect()
}

/// The inputs that a call is given; none for calls that are given none.
pub fn inputs_of(plugin: &Plugin, call: Call) -> &[Input] {
    match hook_of(call) {
        Some(hook) => plugin.inputs(hook),
        None => &[],
    }
}

fn hook_of(call: Call) -> Option<Hook> {
    match call {
        Call::OnConnection => Some(Hook::OnConnection),
        Call::OnRequest => Some(Hook::OnRequest),
        Call::OnResponse => Some(Hook::OnResponse),
        Call::Pick => Some(Hook::Pick),
        Call::Lookup => Some(Hook::Lookup),
        Call::Assigned => Some(Hook::Assigned),
        Call::Instantiate
        | Call::Describe
        | Call::Configure
        | Call::Update
        | Call::Picks
        | Call::Observe => None,
    }
}

/// The call by which a hook is asked.
pub fn call_of(hook: Hook) -> Call {
    match hook {
        Hook::OnConnection => Call::OnConnection,
        Hook::OnRequest => Call::OnRequest,
        Hook::OnResponse => Call::OnResponse,
        Hook::Pick => Call::Pick,
        Hook::Lookup => Call::Lookup,
        Hook::Assigned => Call::Assigned,
    }
}

impl From<&Arc<Decision>> for Answer {
    /// What is said most often is noted without holding on to anything.
    fn from(decision: &Arc<Decision>) -> Self {
        let silent = decision.edits.is_empty() && decision.response_edits.is_empty();
        match decision.verdict {
            Verdict::Pass if silent => Self::Pass,
            Verdict::UseBackend(backend) if silent => Self::UseBackend(backend),
            _ => Self::Decided(Arc::clone(decision)),
        }
    }
}

impl From<&Arc<Found>> for Answer {
    fn from(found: &Arc<Found>) -> Self {
        match found.server.is_none() && found.edits.is_empty() {
            true => Self::NotFound,
            false => Self::Found(Arc::clone(found)),
        }
    }
}

impl From<&Arc<Vec<Edit>>> for Answer {
    fn from(edits: &Arc<Vec<Edit>>) -> Self {
        match edits.is_empty() {
            true => Self::NoEdits,
            false => Self::Edits(Arc::clone(edits)),
        }
    }
}
