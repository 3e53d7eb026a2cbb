//! A new version of a plugin, tried out beside the one in use: whose clients it answers, how it fares, and when
//! it has had its chance. Shared by all workers; whom to ask and what becomes of answers is `policy`'s.
//!
//! A try outlives generations as long as nothing about it changes, so a reload does not give a version that was
//! given up another chance.

mod figures;
mod ladder;
mod window;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{info, warn};

use self::{ladder::Ladder, window::Window};
use super::{
    facts::Facts,
    generation::PluginUse,
    policy::{Difference, Shadow},
};
use crate::{
    config::{self, CanaryStep, GiveUp, Grants, NextMode},
    model::{Input, Share},
    plugin::{Cause, Digest, Plugin},
    telemetry::PluginPlace,
};

pub use self::{
    figures::{Figures, Picks, Version},
    ladder::{Growth, Progress},
    window::Excess,
};

/// The try of one new version at one place.
#[derive(Debug)]
pub struct Rollout {
    pub place: PluginPlace,
    terms: Terms,
    /// A client is the new version's if its number of 32 bits is below; 0 while there is none.
    below: AtomicU64,
    wanted: Mutex<Wanted>,
    window: Window,
    figures: [Figures; 2],
    compared: AtomicU64,
    disagreements: AtomicU64,
    /// Calls that a shadow was not shown since it has not kept up.
    unseen: AtomicU64,
}

/// What a try is of; the same terms are the same try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub current: Identity,
    pub next: Identity,
    pub mode: NextMode,
    share: Share,
    steps: Vec<CanaryStep>,
    on: Input,
    give_up: GiveUp,
    grants: Grants,
    deadline: Duration,
    memory: usize,
}

/// A component with its config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub digest: Digest,
    /// What it says of itself.
    pub version: String,
    config: String,
}

impl Identity {
    fn of(plugin: &Plugin) -> Self {
        Self {
            digest: plugin.digest(),
            version: plugin.info().version.clone(),
            config: plugin.config().to_owned(),
        }
    }

    pub fn is_of(&self, plugin: &Plugin) -> bool {
        self.digest == plugin.digest() && self.config == plugin.config()
    }
}

impl Terms {
    /// Whether they are the same but for the current version.
    pub fn is_of_same_next(&self, other: &Self) -> bool {
        let beside = Self {
            current: other.current.clone(),
            ..self.clone()
        };
        beside == *other
    }

    /// What clients are told apart by.
    pub fn on(&self) -> &Input {
        &self.on
    }

    pub fn new(current: &Plugin, next: &Plugin, config: &config::Next) -> Self {
        Self {
            current: Identity::of(current),
            next: Identity::of(next),
            mode: config.mode,
            share: config.share,
            steps: config.steps.clone(),
            on: config.on.clone(),
            give_up: config.give_up,
            grants: config.used.grants.clone(),
            deadline: config.used.deadline,
            memory: config.used.memory,
        }
    }
}

/// How a try stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Running,
    /// It passed a limit.
    GivenUp(Excess),
    /// An operator ended it.
    Stopped,
}

impl Standing {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::GivenUp(_) => "given-up",
            Self::Stopped => "stopped",
        }
    }
}

/// How a try stands, with the share that an operator may have changed.
#[derive(Debug, Clone)]
struct Wanted {
    standing: Standing,
    share: Share,
    /// The way that the share grows by itself, as long as it does.
    ladder: Option<Ladder>,
}

/// What counts against a new version, or for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Answered,
    Failed,
    Late,
    Disagreed,
}

impl Rollout {
    pub fn new(place: PluginPlace, terms: Terms) -> Self {
        let wanted = Wanted {
            standing: Standing::Running,
            share: terms.share,
            ladder: (!terms.steps.is_empty()).then(|| Ladder::begin(Instant::now())),
        };
        Self::beginning(place, terms, wanted)
    }

    /// The try of the same new version beside another current one. It begins as this one stands: what was given up
    /// is no better for that.
    pub fn beside_another(&self, terms: Terms) -> Self {
        let mut wanted = self.lock().clone();
        // Its answers are counted anew.
        if let Some(ladder) = &mut wanted.ladder {
            ladder.begin_step(Instant::now(), 0);
        }
        Self::beginning(self.place.clone(), terms, wanted)
    }

    fn beginning(place: PluginPlace, terms: Terms, wanted: Wanted) -> Self {
        let share = match wanted.standing {
            Standing::Running => wanted.share,
            Standing::GivenUp(_) | Standing::Stopped => Share::NONE,
        };
        Self {
            below: AtomicU64::new(share.of_numbers()),
            wanted: Mutex::new(wanted),
            window: Window::new(terms.give_up.window, Instant::now()),
            figures: [Figures::default(), Figures::default()],
            compared: AtomicU64::new(0),
            disagreements: AtomicU64::new(0),
            unseen: AtomicU64::new(0),
            place,
            terms,
        }
    }

    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether this client is the new version's. The same one gets the same answer from every worker, after
    /// every reload, and when the share grows.
    pub(super) fn takes(&self, facts: &Facts<'_>) -> bool {
        match self.below.load(Ordering::Relaxed) {
            0 => false,
            ALL_NUMBERS => true,
            below => facts
                .value(&self.terms.on)
                .is_some_and(|value| number(self.terms.next.digest, &value) < below),
        }
    }

    /// Whether nobody is the new version's.
    pub fn is_off(&self) -> bool {
        self.below.load(Ordering::Relaxed) == 0
    }

    /// Whether a canary's answers are compared too, which costs a call of the current version.
    pub(super) fn compares(&self) -> bool {
        self.terms.give_up.disagreements.is_some()
    }

    /// Takes note of an answer to a question that was asked then.
    pub(super) fn answered(&self, version: Version, asked: Instant) {
        let now = Instant::now();
        self.figures[version as usize].answered(now.duration_since(asked));
        if version == Version::Next {
            self.window.add(Event::Answered, now);
        }
    }

    /// Takes note of a call of the current version that failed.
    pub(super) fn current_failed(&self) {
        self.figures[Version::Current as usize].failed();
    }

    /// Takes note of a call of the new version that failed.
    pub(super) fn next_failed(&self, cause: Cause) {
        let figures = &self.figures[Version::Next as usize];
        match cause {
            Cause::Deadline => {
                figures.late();
                self.note(Event::Late);
            }
            Cause::Trap
            | Cause::Memory
            | Cause::Quota
            | Cause::Answer
            | Cause::Start
            | Cause::Queue
            | Cause::Poisoned => {
                figures.failed();
                self.note(Event::Failed);
            }
        }
    }

    /// Takes note of what became of comparing two answers to one question.
    pub(super) fn compared(&self, difference: Option<Difference>) {
        self.compared.fetch_add(1, Ordering::Relaxed);
        if let Some(difference) = difference {
            let before = self.disagreements.fetch_add(1, Ordering::Relaxed);
            self.tell(&difference, before + 1);
            self.note(Event::Disagreed);
        }
    }

    /// Tells the log of the first disagreements, and then of ever fewer: the 10th, the 100th, the 1,000th.
    fn tell(&self, difference: &Difference, count: u64) {
        if count < 10 || 10_u64.checked_pow(count.ilog10()) == Some(count) {
            let Difference {
                hook,
                current,
                next,
            } = difference;
            info!(
                "use" = %self.place,
                %hook,
                "versions disagree (number {count}): the current one says {current}, the next {next}"
            );
        }
    }

    /// Takes note of a call of the new version that was not made, as it is in quarantine.
    pub(super) fn next_quarantined(&self) {
        self.figures[Version::Next as usize].failed();
        self.note(Event::Failed);
    }

    /// Takes note of a call that the shadow could not be shown.
    pub(super) fn unseen(&self) {
        self.unseen.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of what counts against the new version, and ends its try if that is too much.
    fn note(&self, event: Event) {
        let now = Instant::now();
        self.window.add(event, now);
        if let Some(excess) = self.window.excess(&self.terms.give_up, now) {
            self.give_up(excess);
        }
    }

    #[cold]
    fn give_up(&self, excess: Excess) {
        let mut wanted = self.lock();
        if wanted.standing != Standing::Running {
            return;
        }
        self.below.store(0, Ordering::Relaxed);
        warn!(
            "use" = %self.place,
            next = %self.terms.next.digest,
            current = %self.terms.current.digest,
            mode = self.terms.mode.as_str(),
            "new version given up, the current one answers all: {excess}"
        );
        wanted.standing = Standing::GivenUp(excess);
    }

    /// Gives the new version no more clients until [`resume`](Self::resume). False if it has none already.
    pub fn stop(&self) -> bool {
        let mut wanted = self.lock();
        if wanted.standing != Standing::Running {
            return false;
        }
        self.below.store(0, Ordering::Relaxed);
        wanted.standing = Standing::Stopped;
        self.say("new version stopped by an administrator");
        true
    }

    /// Gives the new version its clients again, and forgets what counted against it. False if it has them.
    pub fn resume(&self) -> bool {
        let mut wanted = self.lock();
        if wanted.standing == Standing::Running {
            return false;
        }
        wanted.standing = Standing::Running;
        if let Some(ladder) = &mut wanted.ladder {
            ladder.begin_step(Instant::now(), self.figures(Version::Next).answers());
        }
        self.window.clear();
        self.below
            .store(wanted.share.of_numbers(), Ordering::Relaxed);
        self.say("new version resumed by an administrator");
        true
    }

    /// Another share of clients than the file says, for as long as this try lasts.
    pub fn set_share(&self, share: Share) {
        let mut wanted = self.lock();
        let stays = match wanted.ladder.take() {
            Some(_) => " and grows no more by itself",
            None => "",
        };
        wanted.share = share;
        if wanted.standing == Standing::Running {
            self.below.store(share.of_numbers(), Ordering::Relaxed);
        }
        self.say(&format!(
            "new version set to {share} by an administrator{stays}"
        ));
    }

    /// Tells the log of a step, with both versions.
    pub fn say(&self, step: &str) {
        info!(
            "use" = %self.place,
            next = %self.terms.next.digest,
            current = %self.terms.current.digest,
            mode = self.terms.mode.as_str(),
            "{step}"
        );
    }

    pub fn standing(&self) -> Standing {
        self.lock().standing.clone()
    }

    /// The share that it has while it runs.
    pub fn share(&self) -> Share {
        self.lock().share
    }

    pub fn figures(&self, version: Version) -> &Figures {
        &self.figures[version as usize]
    }

    /// How many questions were answered by both.
    pub fn comparisons(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }

    /// How many of those differently.
    pub fn disagreements(&self) -> u64 {
        self.disagreements.load(Ordering::Relaxed)
    }

    /// How many calls the shadow was not shown since it did not keep up.
    pub fn unseen_calls(&self) -> u64 {
        self.unseen.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As a limit: all of the numbers that a client can have.
const ALL_NUMBERS: u64 = 1 << 32;

/// A client's number among 2³². Another candidate gives clients other numbers, so that not the same few meet
/// every new version first.
fn number(candidate: Digest, value: &str) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let seed = candidate.number();
    let hash = value
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        });
    // FNV leaves the high bits of short texts alike; this does not.
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash >> 32
}

/// A new version at the place of a use, as one generation has it.
#[derive(Debug)]
pub struct NextUse {
    pub used: PluginUse,
    pub rollout: Arc<Rollout>,
    pub part: NextPart,
    /// Of a balancer: how often each server was picked.
    pub picks: Arc<Picks>,
}

/// What a new version is there for.
pub enum NextPart {
    Canary,
    Shadow(Arc<Shadow>),
}

impl fmt::Debug for NextPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canary => "Canary",
            Self::Shadow(_) => "Shadow",
        })
    }
}

#[cfg(test)]
mod tests;
