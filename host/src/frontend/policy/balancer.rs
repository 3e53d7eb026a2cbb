//! Asking the balancer for a server: what it is told of the servers first, picks asked for ahead of their turns,
//! and how they turned out.

use std::{cell::RefCell, time::Duration};

use smallvec::SmallVec;

use super::{
    Failed, LocalPlugin,
    next::{self, NextBalancer},
};
use crate::{
    backend::LoadList,
    frontend::{
        facts::{Facts, borrowed},
        generation::{Backend, LocalBackend, PluginUse},
        notes::{Answer, Asker},
    },
    model::{Candidate, Hook, Outcome},
    plugin::Call,
    telemetry::story::ServerShown,
};

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

pub(super) fn own_pick(
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

pub(super) fn own_observe(
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

/// The outcome of asking for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Position in the backend's servers.
    Server(usize),
    /// The balancer wants none of them, or there is none.
    NoServer,
}

/// A worker's instance of a balancer, and which servers it has been told of.
#[derive(Debug)]
pub struct LocalBalancer {
    plugin: LocalPlugin,
    told: RefCell<Told>,
    next: Option<Box<NextBalancer>>,
}

impl LocalBalancer {
    pub fn start(used: &PluginUse, backend: &Backend) -> Self {
        let next = used.next.as_ref();
        Self {
            next: next.map(|next| Box::new(NextBalancer::start(next, backend))),
            ..Self::of(LocalPlugin::alone(used), backend)
        }
    }

    pub(super) fn of(plugin: LocalPlugin, backend: &Backend) -> Self {
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

    pub(super) fn has_feedback(&self) -> bool {
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
                told.counts.extend_sums(&mut told.loads);
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

    /// Asks, and takes a note of the answer.
    pub(super) fn noted_pick(
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

/// The last `update`.
#[derive(Debug, Default)]
struct Told {
    /// The backend's version at that time; 0 is none.
    version: u64,
    /// Position in `update` → position in the backend's servers.
    servers: Vec<u32>,
    /// Where their loads stand.
    counts: LoadList,
    /// What these were at the last pick; kept for its memory.
    loads: Vec<u32>,
    ahead: Ahead,
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

pub(super) fn candidates(backend: &Backend, positions: &mut Vec<u32>) -> Vec<Candidate> {
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
