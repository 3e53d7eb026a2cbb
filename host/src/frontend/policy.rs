//! The one place that asks plugins, and the rules for when they fail.
//!
//! A filter that fails denies or is skipped, as its use says. A balancer or persistence plugin that
//! fails is asked once more as a fresh instance; then the balancer of the generation before is asked;
//! then there is no server. The proxy has no balancing of its own.

mod alike;
mod known;
mod next;
pub mod offloaded;
mod shadow;

use std::{
    cell::{Cell, RefCell},
    fmt,
    iter::once,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tracing::{info, warn};

use self::{
    known::Known,
    next::{LocalNext, NextBalancer, at_once},
};
use super::{
    edits::{self, BadEdit},
    facts::{Facts, borrowed, texts},
    generation::{Backend, LocalBackend, PluginUse},
    notes::{Answer, Asker, call_of, inputs_of},
    rollout::Rollout,
};
use crate::{
    backend::{Load, Server},
    model::{
        Candidate, ConnectionDecision, ConnectionVerdict, Decision, Edit, Found, Hook, Input,
        Outcome, Verdict,
    },
    plugin::{Admission, Call, CallError, Cause, Instance, Offload, Plugin, Turn},
    telemetry::story::ServerShown,
};

pub use self::{alike::Difference, shadow::Shadow};

/// A plugin gave no usable answer, and what it failed at is already logged and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed;

/// A worker's instance of a plugin.
pub struct LocalPlugin {
    used: PluginUse,
    instance: RefCell<Option<Instance>>,
    known: Known,
    /// The version that is tried out beside it.
    next: Option<Box<LocalNext>>,
    /// What it answers for if it is such a version itself.
    candidate: Option<Arc<Rollout>>,
    /// What its positions of backends begin with, as they follow those of the current version.
    first_backend: usize,
    /// Whether the last answer was one that it had given before.
    from_memory: Cell<bool>,
}

impl fmt::Debug for LocalPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPlugin")
            .field("plugin", &self.used.plugin)
            .finish_non_exhaustive()
    }
}

impl LocalPlugin {
    pub fn start(used: &PluginUse) -> Self {
        let next = used.next.as_ref();
        Self {
            next: next.map(|next| Box::new(LocalNext::start(used, next))),
            ..Self::alone(used)
        }
    }

    /// A version that is tried out.
    fn candidate(used: &PluginUse, rollout: Arc<Rollout>, first_backend: usize) -> Self {
        Self {
            candidate: Some(rollout),
            first_backend,
            ..Self::alone(used)
        }
    }

    /// Whatever is tried out beside it.
    fn alone(used: &PluginUse) -> Self {
        let instance = match &used.offload {
            // Its threads have the instances.
            Some(_) => None,
            None => match used.plugin.instantiate() {
                Ok(instance) => Some(instance),
                Err(error) => {
                    warn!(%error, "instance not started; it is tried again when it is needed");
                    None
                }
            },
        };
        Self {
            used: used.clone(),
            instance: RefCell::new(instance),
            known: Known::default(),
            next: None,
            candidate: None,
            first_backend: 0,
            from_memory: Cell::new(false),
        }
    }

    /// The threads that it is to be asked on, with the functions of [`offloaded`]; none if the worker's
    /// own instance is.
    pub fn offload(&self) -> Option<&Offload> {
        self.used.offload.as_deref()
    }

    /// Calls the instance, making one if there is none. An instance that failed is dropped, since its
    /// memory may be in any state.
    fn call<T>(
        &self,
        facts: &Facts<'_>,
        ask: impl FnOnce(&mut Instance) -> Result<T, CallError>,
    ) -> Result<T, Failed> {
        self.admit(facts)?;
        let mut slot = self.instance.borrow_mut();
        let answer = match slot.as_mut() {
            Some(instance) => facts.notes.calling(instance, ask),
            None => match self.used.plugin.instantiate() {
                Ok(instance) => facts.notes.calling(slot.insert(instance), ask),
                Err(error) => Err(error),
            },
        };
        if answer.is_err() {
            *slot = None;
        }
        self.settle(facts, answer)
    }

    /// Fails if the plugin is in quarantine. The clock is only looked at when something is wrong.
    fn admit(&self, facts: &Facts<'_>) -> Result<(), Failed> {
        let breaker = &self.used.breaker;
        if breaker.is_quarantined()
            && let Admission::Quarantined { .. } = breaker.admit(Instant::now())
        {
            self.used.metrics.quarantined();
            if let Some(rollout) = &self.candidate {
                rollout.next_quarantined();
            }
            let asker = Asker::of(self.plugin());
            facts.notes.quarantined(asker, facts);
            return Err(Failed);
        }
        Ok(())
    }

    /// Counts how a call went, and logs one that failed.
    fn settle<T>(&self, facts: &Facts<'_>, answer: Result<T, CallError>) -> Result<T, Failed> {
        let breaker = &self.used.breaker;
        match answer {
            Ok(answer) => {
                self.used.metrics.called();
                if breaker.is_quarantined()
                    && let Some(Turn::Recovered) = breaker.succeeded(Instant::now())
                {
                    info!(plugin = %self.used.plugin.name(), "plugin works again");
                }
                Ok(answer)
            }
            Err(error) => {
                self.failed(facts, &error);
                Err(Failed)
            }
        }
    }

    fn failed(&self, facts: &Facts<'_>, error: &CallError) {
        self.used.metrics.failed(error.fault.cause().as_str());
        if error.fault.is_the_plugins() {
            self.count_failure();
            if let Some(rollout) = &self.candidate {
                rollout.next_failed(error.fault.cause());
            }
        }
        let inputs = inputs_of(self.plugin(), error.call);
        let asker = Asker::of(self.plugin());
        facts
            .notes
            .failed(asker, error.call, inputs, facts, &error.fault);
        warn!(
            plugin = %error.plugin,
            hook = %error.call,
            frontend = facts.frontend,
            backend = facts.backend,
            request_id = %facts.request_id,
            "plugin failed: {}", error.fault
        );
    }

    /// The answer was well formed but asks for what must not be sent.
    pub fn refused(&self, facts: &Facts<'_>, hook: Hook, bad: &BadEdit) {
        if let Some(next) = &self.next
            && let Some(canary) = next.canary_for(facts)
        {
            return canary.refused(facts, hook, bad);
        }
        self.used.metrics.refused();
        self.count_failure();
        if let Some(rollout) = &self.candidate {
            rollout.next_failed(Cause::Answer);
        }
        let inputs = self.inputs_of(hook);
        let asker = Asker::of(self.plugin());
        let why = format_args!("its answer was refused: {bad}");
        facts
            .notes
            .failed(asker, call_of(hook), inputs, facts, &why);
        warn!(
            plugin = %self.used.plugin.name(),
            %hook,
            frontend = facts.frontend,
            backend = facts.backend,
            request_id = %facts.request_id,
            "plugin's answer refused: {bad}"
        );
    }

    fn count_failure(&self) {
        if let Some(Turn::Quarantined { pause }) = self.used.breaker.failed(Instant::now()) {
            warn!(
                plugin = %self.used.plugin.name(),
                "plugin failed too often, it is not asked for {pause:?}"
            );
        }
    }

    pub(super) fn plugin(&self) -> &Arc<Plugin> {
        &self.used.plugin
    }

    /// The version that has just answered this client: the one that is tried out, unless it failed at it.
    pub(super) fn answering(&self, facts: &Facts<'_>) -> &Self {
        let canary = self.next.as_ref().and_then(|next| next.canary_for(facts));
        let failed = |canary: &&Self| facts.notes.just_failed(Asker::of(canary.plugin()));
        match canary.filter(|canary| !failed(canary)) {
            Some(canary) => canary,
            None => self,
        }
    }

    /// Whether the answer that was just given was one that the plugin had given before. Said once.
    pub(super) fn answered_from_memory(&self) -> bool {
        self.from_memory.take()
    }

    fn inputs_of(&self, hook: Hook) -> &[Input] {
        self.used.plugin.inputs(hook)
    }

    /// Whether the plugin has anything to say there.
    pub fn has_hook(&self, hook: Hook) -> bool {
        self.has_own_hook(hook) || self.next.as_ref().is_some_and(|next| next.has_hook(hook))
    }

    fn has_own_hook(&self, hook: Hook) -> bool {
        self.used.plugin.has_hook(hook)
    }

    /// Whether it wants to see this client's responses even if it knows the server.
    pub fn always_assigned(&self, facts: &Facts<'_>) -> bool {
        let canary = self.next.as_ref().and_then(|next| next.canary_for(facts));
        let asked = canary.unwrap_or(self);
        asked.used.plugin.always_assigned()
    }

    /// Refuses in advance what making the edits would refuse, so that the current version can be asked instead.
    fn check_candidate(&self, facts: &Facts<'_>, edits: &[Edit]) -> Result<(), BadEdit> {
        if self.candidate.is_none() || edits.is_empty() {
            return Ok(());
        }
        let mut vars = facts.vars.clone();
        match facts.head {
            Some(head) => edits::apply_request(&mut head.clone(), &mut vars, edits),
            None => edits::apply_session(&mut vars, edits),
        }
    }
}

/// Asks a filter about a connection. The variables that it sets are yet to be checked.
pub fn on_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    match &plugin.next {
        None => own_on_connection(plugin, facts),
        Some(next) => at_once(next::on_connection(plugin, next, facts)),
    }
}

fn own_on_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
) -> Result<ConnectionDecision, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnConnection));
    let decision = plugin.call(facts, |instance| instance.on_connection(&borrowed(&values)))?;
    checked_connection(plugin, facts, decision)
}

fn checked_connection(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    mut decision: ConnectionDecision,
) -> Result<ConnectionDecision, Failed> {
    if plugin.candidate.is_some() {
        let mut vars = facts.vars.clone();
        let mut set = decision.vars.iter();
        if let Err(bad) = set.try_for_each(|var| edits::set_var(&mut vars, var)) {
            plugin.refused(facts, Hook::OnConnection, &bad);
            return Err(Failed);
        }
    }
    if let ConnectionVerdict::UseBackend(position) = &mut decision.verdict {
        *position += plugin.first_backend;
    }
    Ok(decision)
}

/// Asks a filter about a request. Its edits of the request are yet to be made; the rest is checked.
pub fn on_request(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Decision>, Failed> {
    match &plugin.next {
        None => own_on_request(plugin, facts),
        Some(next) => at_once(next::on_request(plugin, next, facts)),
    }
}

fn own_on_request(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Decision>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnRequest));
    let known = &plugin.known.on_request;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(decision) => return Ok(decision),
        Err(unknown) => unknown,
    };
    let decision = plugin.call(facts, |instance| instance.on_request(&borrowed(&values)))?;
    let decision = checked_decision(plugin, facts, decision)?;
    Ok(plugin.keep(known, unknown, decision))
}

fn checked_decision(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    mut decision: Decision,
) -> Result<Decision, Failed> {
    if let Verdict::UseBackend(position) = &mut decision.verdict {
        *position += plugin.first_backend;
    }
    let checked = edits::check_response(&decision.response_edits)
        .and_then(|()| edits::check_verdict(&decision.verdict))
        .and_then(|()| plugin.check_candidate(facts, &decision.edits));
    match checked {
        Ok(()) => Ok(decision),
        Err(bad) => {
            plugin.refused(facts, Hook::OnRequest, &bad);
            Err(Failed)
        }
    }
}

/// Shows a filter the response. Its edits have been checked, not applied.
pub fn on_response(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Vec<Edit>>, Failed> {
    match &plugin.next {
        None => own_on_response(plugin, facts),
        Some(next) => at_once(next::on_response(plugin, next, facts)),
    }
}

fn own_on_response(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::OnResponse));
    let known = &plugin.known.on_response;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let edits = plugin.call(facts, |instance| instance.on_response(&borrowed(&values)))?;
    let edits = checked_response(plugin, facts, Hook::OnResponse, edits)?;
    Ok(plugin.keep(known, unknown, edits))
}

/// Asks persistence which server the client had. A failure is as good as no memory.
pub fn lookup(plugin: &LocalPlugin, facts: &Facts<'_>) -> Option<Arc<Found>> {
    match &plugin.next {
        None => lookup_or_failed(plugin, facts).ok(),
        Some(next) => at_once(next::lookup(plugin, next, facts)).ok(),
    }
}

fn lookup_or_failed(plugin: &LocalPlugin, facts: &Facts<'_>) -> Result<Arc<Found>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::Lookup));
    let known = &plugin.known.lookup;
    let unknown = match plugin.recall(known, texts(&values)) {
        Ok(found) => return Ok(found),
        Err(unknown) => unknown,
    };
    let ask = |instance: &mut Instance| instance.lookup(&borrowed(&values));
    let found = plugin.call(facts, ask);
    let found = found.or_else(|Failed| plugin.call(facts, ask));
    let found = checked_found(plugin, facts, found?)?;
    Ok(plugin.keep(known, unknown, found))
}

fn checked_found(plugin: &LocalPlugin, facts: &Facts<'_>, found: Found) -> Result<Found, Failed> {
    match plugin.check_candidate(facts, &found.edits) {
        Ok(()) => Ok(found),
        Err(bad) => {
            plugin.refused(facts, Hook::Lookup, &bad);
            Err(Failed)
        }
    }
}

/// Tells persistence which server the client has now.
pub fn assigned(plugin: &LocalPlugin, server: &Server, facts: &Facts<'_>) -> Arc<Vec<Edit>> {
    let edits = match &plugin.next {
        None => assigned_or_failed(plugin, server, facts),
        Some(next) => at_once(next::assigned(plugin, next, server, facts)),
    };
    edits.unwrap_or_default()
}

fn assigned_or_failed(
    plugin: &LocalPlugin,
    server: &Server,
    facts: &Facts<'_>,
) -> Result<Arc<Vec<Edit>>, Failed> {
    let values = facts.values(plugin.inputs_of(Hook::Assigned));
    let key = server.persistence_key.as_str();
    let known = &plugin.known.assigned;
    let unknown = match plugin.recall(known, once(Some(key)).chain(texts(&values))) {
        Ok(edits) => return Ok(edits),
        Err(unknown) => unknown,
    };
    let ask = |instance: &mut Instance| instance.assigned(key, &borrowed(&values));
    let edits = plugin.call(facts, ask);
    let edits = edits.or_else(|Failed| plugin.call(facts, ask));
    let edits = checked_response(plugin, facts, Hook::Assigned, edits?)?;
    Ok(plugin.keep(known, unknown, edits))
}

fn checked_response(
    plugin: &LocalPlugin,
    facts: &Facts<'_>,
    hook: Hook,
    edits: Vec<Edit>,
) -> Result<Vec<Edit>, Failed> {
    match edits::check_response(&edits) {
        Ok(()) => Ok(edits),
        Err(bad) => {
            plugin.refused(facts, hook, &bad);
            Err(Failed)
        }
    }
}

/// A worker's instance of a balancer, and which servers it has been told of.
#[derive(Debug)]
pub struct LocalBalancer {
    plugin: LocalPlugin,
    told: RefCell<Told>,
    next: Option<Box<NextBalancer>>,
}

/// The last `update`.
#[derive(Debug, Default)]
struct Told {
    /// The backend's version at that time; 0 is none.
    version: u64,
    /// Position in `update` → position in the backend's servers.
    servers: Vec<u32>,
    /// Where their loads stand.
    counts: Vec<Load>,
    /// What these were at the last pick; kept for its memory.
    loads: Vec<u32>,
    ahead: Ahead,
}

/// Picks that were asked for ahead of their turns.
#[derive(Debug, Default)]
struct Ahead {
    first: u64,
    /// Positions in `update`.
    picks: Vec<Option<usize>>,
}

/// For how many turns to ask at once: enough to make the call a small part of each pick. Workers share the
/// turns, so of many workers each uses few of those it asked for.
const AHEAD: u32 = 128;

impl Ahead {
    fn at(&self, turn: u64) -> Option<Option<usize>> {
        let ahead = usize::try_from(turn.wrapping_sub(self.first)).ok()?;
        self.picks.get(ahead).copied()
    }
}

/// The outcome of asking for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Position in the backend's servers.
    Server(usize),
    /// The balancer wants none of them, or there is none.
    NoServer,
}

impl LocalBalancer {
    pub fn start(used: &PluginUse, backend: &Backend) -> Self {
        let next = used.next.as_ref();
        Self {
            next: next.map(|next| Box::new(NextBalancer::start(next, backend))),
            ..Self::of(LocalPlugin::alone(used), backend)
        }
    }

    fn of(plugin: LocalPlugin, backend: &Backend) -> Self {
        let balancer = Self {
            plugin,
            told: RefCell::default(),
            next: None,
        };
        balancer.prepare(backend);
        balancer
    }

    /// Tells the instance of the servers ahead of the first request, so that the tables it builds are
    /// not built on the data path. If it fails, the first pick tries again and reports it.
    fn prepare(&self, backend: &Backend) {
        let told = &mut *self.told.borrow_mut();
        if let Some(instance) = self.plugin.instance.borrow_mut().as_mut() {
            let version = backend.state.version();
            let candidates = told.candidates(backend);
            if instance.update(&candidates).is_ok() {
                told.version = version;
            }
        }
    }

    fn has_feedback(&self) -> bool {
        self.plugin.used.plugin.has_feedback()
    }

    fn pick(
        &self,
        backend: &Backend,
        turn: u64,
        tried: &[usize],
        facts: &Facts<'_>,
    ) -> Result<Pick, Failed> {
        let told = &mut *self.told.borrow_mut();
        let plugin = &self.plugin.used.plugin;
        let goes_by_turn = tried.is_empty() && plugin.picks_ahead();
        if goes_by_turn
            && told.version == backend.state.version()
            && let Some(picked) = told.ahead.at(turn)
        {
            self.plugin.used.metrics.recalled();
            self.plugin.from_memory.set(true);
            return Ok(told.picked(picked));
        }
        let values = facts.values(self.plugin.inputs_of(Hook::Pick));
        let answer = self.plugin.call(facts, |instance| {
            // The version is read before the servers, so a change in between is seen next time.
            let version = backend.state.version();
            if told.version != version {
                let candidates = told.candidates(backend);
                instance.update(&candidates)?;
                told.version = version;
                told.ahead = Ahead::default();
            }
            if told.servers.is_empty() {
                return Ok(None);
            }
            if goes_by_turn {
                let picks = instance.picks(turn, AHEAD)?;
                told.ahead = Ahead { first: turn, picks };
                return Ok(told.ahead.at(turn).flatten());
            }
            told.loads.clear();
            if plugin.wants_loads() {
                told.loads.extend(told.counts.iter().map(Load::sum));
            }
            // Mostly nothing was tried, and then there is nothing to find among many servers.
            let might_be_tried = match tried {
                [] => &[],
                _ => &told.servers[..],
            };
            let tried: SmallVec<[u32; 4]> = might_be_tried
                .iter()
                .enumerate()
                .filter(|(_, index)| tried.contains(&(**index as usize)))
                .map(|(position, _)| position as u32)
                .collect();
            instance.pick(turn, &borrowed(&values), &told.loads, &tried)
        });
        if answer.is_err() {
            told.version = 0;
        }
        answer.map(|picked| told.picked(picked))
    }
}

impl LocalBalancer {
    /// Asks, and takes a note of the answer.
    fn noted_pick(
        &self,
        backend: &Backend,
        turn: u64,
        tried: &[usize],
        facts: &Facts<'_>,
    ) -> Result<Pick, Failed> {
        facts.notes.asking();
        let pick = self.pick(backend, turn, tried, facts)?;
        self.note(backend, turn, tried, facts, pick);
        Ok(pick)
    }

    fn note(&self, backend: &Backend, turn: u64, tried: &[usize], facts: &Facts<'_>, pick: Pick) {
        let server = match pick {
            Pick::Server(server) => Some(server),
            Pick::NoServer => None,
        };
        facts.notes.answered(
            Asker::of(self.plugin.plugin()),
            Call::Pick,
            self.plugin.answered_from_memory(),
            self.plugin.inputs_of(Hook::Pick),
            facts,
            || Answer::Picked { turn, server },
        );
        facts.notes.detail(|detail| {
            let told = self.told.borrow();
            detail.tried = tried.to_vec();
            if self.plugin.used.plugin.wants_loads() {
                detail.loads.clone_from(&told.loads);
            }
            let shown = told.servers.iter().map(|position| {
                let server = &backend.servers[*position as usize];
                ServerShown {
                    name: server.name.as_str().to_owned(),
                    id: server.id,
                    weight: server.weight_now(),
                    limit: server.limit_now().unwrap_or(0),
                }
            });
            detail.servers = Some(shown.collect());
        });
    }
}

impl Told {
    /// What the balancer is to be told now.
    fn candidates(&mut self, backend: &Backend) -> Vec<Candidate> {
        let candidates = candidates(backend, &mut self.servers);
        let servers = self.servers.iter();
        let states = servers.map(|position| &backend.servers[*position as usize].state);
        self.counts = states.map(|state| state.load().clone()).collect();
        candidates
    }

    /// `position` was checked to be one in the last `update`.
    fn picked(&self, position: Option<usize>) -> Pick {
        match position {
            Some(position) => Pick::Server(self.servers[position] as usize),
            None => Pick::NoServer,
        }
    }
}

fn candidates(backend: &Backend, positions: &mut Vec<u32>) -> Vec<Candidate> {
    positions.clear();
    let eligible = backend.eligible();
    eligible
        .into_iter()
        .map(|position| {
            positions.push(position as u32);
            let server = &backend.servers[position];
            Candidate {
                name: server.name.as_str().to_owned(),
                id: server.id,
                weight: server.weight_now(),
                limit: server.limit_now().unwrap_or(0),
            }
        })
        .collect()
}

/// Asks the balancer for one of the backend's eligible servers, avoiding those already tried.
pub fn pick(
    local: &LocalBackend,
    backend: &Backend,
    tried: &[usize],
    facts: &Facts<'_>,
) -> Result<Pick, Failed> {
    let turn = backend.state.next_turn();
    match &local.balancer.next {
        None => own_pick(local, backend, turn, tried, facts),
        Some(next) => next::pick(local, next, backend, turn, tried, facts),
    }
}

fn own_pick(
    local: &LocalBackend,
    backend: &Backend,
    turn: u64,
    tried: &[usize],
    facts: &Facts<'_>,
) -> Result<Pick, Failed> {
    let ask = |balancer: &LocalBalancer| balancer.noted_pick(backend, turn, tried, facts);
    let pick = ask(&local.balancer).or_else(|Failed| ask(&local.balancer));
    match (&local.former_balancer, pick) {
        (Some(former), Err(Failed)) => ask(former),
        (_, pick) => pick,
    }
}

/// Whether the balancer asked to be told how its picks turn out.
pub fn wants_outcomes(local: &LocalBackend) -> bool {
    let next = local.balancer.next.as_ref();
    local.balancer.has_feedback() || next.is_some_and(|next| next.wants_outcomes())
}

/// Tells a balancer that asked for it how its pick turned out.
pub fn observe(
    local: &LocalBackend,
    server: usize,
    outcome: Outcome,
    took: Duration,
    facts: &Facts<'_>,
) {
    match &local.balancer.next {
        None => own_observe(&local.balancer, server, outcome, took, facts),
        Some(next) => next::observe(local, next, server, outcome, took, facts),
    }
}

fn own_observe(
    balancer: &LocalBalancer,
    server: usize,
    outcome: Outcome,
    took: Duration,
    facts: &Facts<'_>,
) {
    if !balancer.has_feedback() {
        return;
    }
    let told = balancer.told.borrow();
    let position = told
        .servers
        .iter()
        .position(|index| *index as usize == server);
    let Some(position) = position else {
        return;
    };
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    facts.notes.asking();
    facts
        .notes
        .observed(Asker::of(balancer.plugin.plugin()), server, outcome, took);
    // A failure is logged and counted; the exchange it reports on is over.
    let _ = balancer.plugin.call(facts, |instance| {
        instance.observe(position, outcome, micros)
    });
}
