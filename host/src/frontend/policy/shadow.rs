//! A new version that is asked what the current one is asked, on a thread of its own, and whose answers are
//! compared and dropped.
//!
//! Workers put what they asked into a queue of bounded length and go on; what does not fit is not shown, and
//! counted. A call that never ends keeps nobody waiting but the shadow.

use std::{
    cell::RefCell,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use smallvec::SmallVec;
use tracing::warn;

use super::{
    alike::{self, Difference, Versions},
    balancer::candidates,
};
use crate::{
    frontend::{
        facts::Facts,
        generation::Backend,
        rollout::{Picks, Rollout, Version},
    },
    model::{Candidate, ConnectionDecision, Decision, Edit, Found, Hook, Outcome},
    plugin::{CallError, Instance, Plugin},
};

/// Calls that may wait to be shown. What the values of so many take is little beside an instance.
const QUEUE: usize = 1024;

/// Values of inputs, for another thread.
pub(super) type OwnValues = Vec<Option<String>>;

/// The thread of one shadow. It ends when nobody is left who could ask.
#[derive(Debug)]
pub struct Shadow {
    seats: AtomicUsize,
    plugin: Arc<Plugin>,
    rollout: Arc<Rollout>,
    questions: SyncSender<Asked>,
}

/// What one worker's instance was asked.
#[derive(Debug)]
struct Asked {
    seat: usize,
    question: Question,
}

/// A call of the current version with what it answered; no answer if the call failed.
#[derive(Debug)]
pub(super) enum Question {
    OnConnection {
        values: OwnValues,
        answer: Option<ConnectionDecision>,
    },
    OnRequest {
        values: OwnValues,
        answer: Option<Arc<Decision>>,
    },
    OnResponse {
        values: OwnValues,
        answer: Option<Arc<Vec<Edit>>>,
    },
    Lookup {
        values: OwnValues,
        answer: Option<Arc<Found>>,
    },
    Assigned {
        server: String,
        values: OwnValues,
        answer: Option<Arc<Vec<Edit>>>,
    },
    Update(Servers),
    Pick {
        turn: u64,
        values: OwnValues,
        loads: Vec<u32>,
        /// Positions in the last update.
        tried: SmallVec<[u32; 4]>,
        /// Position in the backend's servers.
        answer: Option<Option<usize>>,
    },
    Observe {
        /// Position in the backend's servers.
        server: usize,
        outcome: Outcome,
        micros: u64,
    },
}

/// What a balancer is told, and where each of it stands among the backend's servers.
#[derive(Debug, Default)]
pub(super) struct Servers {
    candidates: Vec<Candidate>,
    positions: Vec<u32>,
}

impl Shadow {
    /// Starts the thread. Its instances are made when there is something to ask them.
    pub fn start(
        current: Arc<Plugin>,
        next: Arc<Plugin>,
        rollout: Arc<Rollout>,
        picks: Arc<Picks>,
    ) -> io::Result<Arc<Self>> {
        let (questions, asked) = sync_channel(QUEUE);
        let mut watcher = Watcher {
            current,
            next: Arc::clone(&next),
            rollout: Arc::clone(&rollout),
            picks,
            seats: Vec::new(),
            warned: None,
        };
        thread::Builder::new()
            .name("plugin-shadow".to_owned())
            .spawn(move || watcher.watch(&asked))?;
        Ok(Arc::new(Self {
            seats: AtomicUsize::new(0),
            plugin: next,
            rollout,
            questions,
        }))
    }

    /// A seat for one worker. Each has an instance of its own that is asked what the worker's own is, in the
    /// same order.
    pub(super) fn spectator(&self) -> Spectator {
        Spectator {
            seat: self.seats.fetch_add(1, Ordering::Relaxed),
            plugin: Arc::clone(&self.plugin),
            rollout: Arc::clone(&self.rollout),
            questions: self.questions.clone(),
        }
    }
}

/// A worker's end of a shadow.
pub(super) struct Spectator {
    seat: usize,
    plugin: Arc<Plugin>,
    rollout: Arc<Rollout>,
    questions: SyncSender<Asked>,
}

impl Spectator {
    /// Shows a call, with the values that the shadow asks for.
    pub fn show(
        &self,
        facts: &Facts<'_>,
        hook: Hook,
        question: impl FnOnce(OwnValues) -> Question,
    ) {
        if self.plugin.has_hook(hook) {
            self.send(question(self.values(facts, hook)));
        }
    }

    pub fn observe(&self, server: usize, outcome: Outcome, micros: u64) {
        if self.plugin.has_feedback() {
            self.send(Question::Observe {
                server,
                outcome,
                micros,
            });
        }
    }

    fn values(&self, facts: &Facts<'_>, hook: Hook) -> OwnValues {
        let values = facts.values(self.plugin.inputs(hook));
        let owned = values.into_iter().map(|value| Some(value?.into_owned()));
        owned.collect()
    }

    /// False if the shadow does not keep up.
    fn send(&self, question: Question) -> bool {
        let asked = Asked {
            seat: self.seat,
            question,
        };
        let sent = self.questions.try_send(asked).is_ok();
        if !sent {
            self.rollout.unseen();
        }
        sent
    }
}

/// A worker's end of a balancer's shadow.
pub(super) struct BalancerSpectator {
    spectator: Spectator,
    told: RefCell<Told>,
}

/// The last update that was sent.
#[derive(Default)]
struct Told {
    /// The backend's version at that time; 0 is none.
    version: u64,
    positions: Vec<u32>,
}

impl BalancerSpectator {
    pub fn new(spectator: Spectator) -> Self {
        Self {
            spectator,
            told: RefCell::default(),
        }
    }

    /// Shows what was picked in this turn; no answer if the current version failed.
    pub fn picked(
        &self,
        backend: &Backend,
        turn: u64,
        tried: &[usize],
        facts: &Facts<'_>,
        answer: Option<Option<usize>>,
    ) {
        let told = &mut *self.told.borrow_mut();
        let version = backend.state.version();
        if told.version != version {
            let mut positions = Vec::new();
            let candidates = candidates(backend, &mut positions);
            told.positions.clone_from(&positions);
            let update = Servers {
                candidates,
                positions,
            };
            told.version = match self.spectator.send(Question::Update(update)) {
                true => version,
                false => return,
            };
        }
        let load = |index: &u32| backend.servers[*index as usize].state.load().sum();
        let loads = match self.spectator.plugin.wants_loads() {
            true => told.positions.iter().map(load).collect(),
            false => Vec::new(),
        };
        let tried = match tried {
            [] => SmallVec::new(),
            tried => (0_u32..)
                .zip(&told.positions)
                .filter(|(_, index)| tried.contains(&(**index as usize)))
                .map(|(position, _)| position)
                .collect(),
        };
        self.spectator
            .show(facts, Hook::Pick, |values| Question::Pick {
                turn,
                values,
                loads,
                tried,
                answer,
            });
    }

    pub fn observe(&self, server: usize, outcome: Outcome, micros: u64) {
        self.spectator.observe(server, outcome, micros);
    }
}

/// What the thread has.
struct Watcher {
    current: Arc<Plugin>,
    next: Arc<Plugin>,
    rollout: Arc<Rollout>,
    picks: Arc<Picks>,
    seats: Vec<Seat>,
    /// When a failure was last told of.
    warned: Option<Instant>,
}

/// One worker's instance.
#[derive(Default)]
struct Seat {
    instance: Option<Instance>,
    servers: Servers,
    /// Whether the instance knows the servers.
    told: bool,
}

/// A shadow that fails all the time is told of so often, until it is given up.
const WARN_EVERY: Duration = Duration::from_secs(1);

impl Watcher {
    fn watch(&mut self, asked: &Receiver<Asked>) {
        for Asked { seat, question } in asked {
            if self.seats.len() <= seat {
                self.seats.resize_with(seat + 1, Seat::default);
            }
            if self.rollout.is_off() {
                self.rest(seat, question);
                continue;
            }
            let began = Instant::now();
            match self.hear(seat, question) {
                Ok(Heard::Answer(difference)) => {
                    self.rollout.answered(Version::Next, began);
                    self.rollout.compared(difference);
                }
                Ok(Heard::NothingToCompare) => {
                    self.rollout.answered(Version::Next, began);
                }
                Err(error) => {
                    self.seats[seat] = Seat {
                        servers: std::mem::take(&mut self.seats[seat].servers),
                        ..Seat::default()
                    };
                    self.failed(&error);
                }
            }
        }
    }

    /// While nothing is asked there is no instance either, but the servers are known when it begins again.
    fn rest(&mut self, seat: usize, question: Question) {
        let seat = &mut self.seats[seat];
        *seat = Seat {
            servers: match question {
                Question::Update(servers) => servers,
                _ => std::mem::take(&mut seat.servers),
            },
            ..Seat::default()
        };
    }

    fn failed(&mut self, error: &CallError) {
        self.rollout.next_failed(error.fault.cause());
        let now = Instant::now();
        let recent = |warned: Instant| now.duration_since(warned) < WARN_EVERY;
        if !self.warned.is_some_and(recent) {
            self.warned = Some(now);
            warn!(
                plugin = %error.plugin,
                hook = %error.call,
                "use" = %self.rollout.place,
                "shadow failed, which no client notices: {}", error.fault
            );
        }
    }

    fn hear(&mut self, seat: usize, question: Question) -> Result<Heard, CallError> {
        let seat = &mut self.seats[seat];
        let instance = match &mut seat.instance {
            Some(instance) => instance,
            None => seat.instance.insert(self.next.rehearse()?),
        };
        let versions = Versions {
            current: &self.current,
            next: &self.next,
            first_backend: 0,
        };
        Ok(match question {
            Question::OnConnection { values, answer } => {
                let found = instance.on_connection(&borrowed(&values))?;
                Heard::compared(answer, |answer| {
                    alike::connections(&versions, answer, &found)
                })
            }
            Question::OnRequest { values, answer } => {
                let found = instance.on_request(&borrowed(&values))?;
                Heard::compared(answer, |answer| alike::decisions(&versions, answer, &found))
            }
            Question::OnResponse { values, answer } => {
                let found = instance.on_response(&borrowed(&values))?;
                Heard::compared(answer, |answer| {
                    alike::edits(Hook::OnResponse, answer, &found)
                })
            }
            Question::Lookup { values, answer } => {
                let found = instance.lookup(&borrowed(&values))?;
                Heard::compared(answer, |answer| alike::found(answer, &found))
            }
            Question::Assigned {
                server,
                values,
                answer,
            } => {
                let found = instance.assigned(&server, &borrowed(&values))?;
                Heard::compared(answer, |answer| {
                    alike::edits(Hook::Assigned, answer, &found)
                })
            }
            Question::Update(servers) => {
                seat.servers = servers;
                instance.update(&seat.servers.candidates)?;
                seat.told = true;
                Heard::NothingToCompare
            }
            Question::Pick {
                turn,
                values,
                loads,
                tried,
                answer,
            } => {
                if !seat.told {
                    instance.update(&seat.servers.candidates)?;
                    seat.told = true;
                }
                let positions = &seat.servers.positions;
                // As for the version in use: where there is none to pick, nobody is asked.
                let picked = match positions.is_empty() {
                    true => None,
                    false => instance.pick(turn, &borrowed(&values), &loads, &tried)?,
                };
                let picked = picked.map(|position| positions[position] as usize);
                if let Some(server) = picked {
                    self.picks.picked(Version::Next, server);
                }
                Heard::compared(answer, |answer| alike::picks(*answer, picked))
            }
            Question::Observe {
                server,
                outcome,
                micros,
            } => {
                let mut positions = seat.servers.positions.iter();
                let position = positions.position(|index| *index as usize == server);
                if let Some(position) = position.filter(|_| seat.told) {
                    instance.observe(position, outcome, micros)?;
                }
                Heard::NothingToCompare
            }
        })
    }
}

/// What came of a call of the shadow.
enum Heard {
    Answer(Option<Difference>),
    NothingToCompare,
}

impl Heard {
    fn compared<T>(answer: Option<T>, compare: impl FnOnce(&T) -> Option<Difference>) -> Self {
        match answer {
            Some(answer) => Self::Answer(compare(&answer)),
            None => Self::NothingToCompare,
        }
    }
}

fn borrowed(values: &[Option<String>]) -> SmallVec<[Option<&str>; 8]> {
    values.iter().map(Option::as_deref).collect()
}
