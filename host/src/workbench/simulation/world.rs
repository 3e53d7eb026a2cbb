//! The world that a balancer is played in: one event after the other, each at its time.
//!
//! A server works at as many requests at a time as it has slots; others wait in it, in their order. A server
//! that goes down fails what it works at and refuses connections; the proxy takes it out of the balancer's
//! list after the time of detection, and then whoever waits in it chooses again. A refused connection is
//! tried elsewhere. Requests are given to workers by chance, as the kernel does it; each has an instance
//! of its own, and they share turn and loads.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    SimulationError,
    dice::Dice,
    figures::{Figures, Record, ServerRecord},
    requests::Requests,
};
use crate::{
    config::scenario::{Arrival, Scenario},
    frontend::StagedExchange,
    model::{Candidate, Hook, Outcome},
    plugin::{CallError, Instance, Place, Plugin, Stage, counters::CounterStore, maps::MapStore},
    workbench::{Setup, Subject},
};

/// When the clock of plugins begins: 2026-01-01, in milliseconds.
const BEGINNING: u64 = 1_767_225_600_000;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Playing<'a> {
    pub scenario: &'a Scenario,
    /// Requests in place of those that the scenario makes up.
    pub trace: Option<&'a [Arrival]>,
    /// The plugin's config as JSON text.
    pub config: &'a str,
}

/// Plays the scenario with a balancer and hands back what came of it.
pub fn play(subject: &Subject, playing: &Playing<'_>) -> Result<Figures, SimulationError> {
    let roles = subject.component().roles();
    if !Place::Balancer.suits(roles) {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        return Err(SimulationError::NoBalancer {
            plugin: subject.name().to_string(),
            roles: roles.join(", "),
        });
    }
    let scenario = playing.scenario;
    subject.stage().set(BEGINNING, scenario.seed);
    let plugin = subject.load(&Setup {
        place: Place::Balancer,
        config: playing.config,
        backends: None,
        maps: &MapStore::default(),
        counters: &CounterStore::default(),
        deadline: Duration::from_secs(10),
        memory: 1 << 30,
    })?;
    let requests = match playing.trace {
        Some(trace) => Requests::of_trace(trace),
        None => Requests::made_up(scenario),
    };
    let mut world = World::new(subject.stage(), plugin, scenario, requests)?;
    world.run()?;
    let name = subject.name().to_string();
    Ok(Figures::of(&name, playing.config, scenario, world.record))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives {
        request: usize,
    },
    Done {
        server: usize,
        request: usize,
        life: u32,
    },
    Fails {
        server: usize,
    },
    Recovers {
        server: usize,
    },
    /// The proxy learns whether the server is up.
    Noticed {
        server: usize,
        up: bool,
    },
}

struct World<'a> {
    stage: &'a Stage,
    plugin: Arc<Plugin>,
    scenario: &'a Scenario,
    requests: Requests,
    /// For each kind of request, what the balancer is given.
    values: Vec<Vec<Option<String>>>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// Orders events of the same time as they were made.
    made: u64,
    now: Duration,
    servers: Vec<Server>,
    workers: Vec<Worker>,
    worker_dice: Dice,
    turn: u64,
    /// Changes when a server is shown or hidden.
    version: u64,
    running: HashMap<usize, Running>,
    /// Where each set of inputs went last.
    kept: HashMap<Vec<Option<String>>, usize>,
    record: Record,
}

struct Server {
    dice: Dice,
    up: bool,
    shown: bool,
    /// How often it has failed; what it did before doesn't finish.
    life: u32,
    working: BTreeSet<usize>,
    waiting: VecDeque<usize>,
}

struct Worker {
    instance: Instance,
    version: u64,
    /// Servers by their position in the last update.
    shown: Vec<usize>,
}

/// A request on its way.
struct Running {
    arrived: Duration,
    worker: usize,
    tried: Vec<usize>,
    server: usize,
    sent: Duration,
    began: Option<Duration>,
}

impl<'a> World<'a> {
    fn new(
        stage: &'a Stage,
        plugin: Arc<Plugin>,
        scenario: &'a Scenario,
        requests: Requests,
    ) -> Result<Self, SimulationError> {
        let failed = |source| SimulationError::Call { request: 0, source };
        let worker = |_| {
            Ok(Worker {
                instance: plugin.instantiate().map_err(failed)?,
                version: 0,
                shown: Vec::new(),
            })
        };
        let workers = (0..scenario.workers).map(worker);
        let workers = workers.collect::<Result<_, SimulationError>>()?;
        let servers = (0..scenario.servers.len()).map(|index| Server {
            dice: Dice::new(scenario.seed, 100 + index as u64),
            up: true,
            shown: true,
            life: 0,
            working: BTreeSet::new(),
            waiting: VecDeque::new(),
        });
        let mut world = Self {
            stage,
            scenario,
            values: values(&plugin, &requests)?,
            plugin,
            events: BinaryHeap::new(),
            made: 0,
            now: Duration::ZERO,
            servers: servers.collect(),
            workers,
            worker_dice: Dice::new(scenario.seed, 3),
            turn: 0,
            version: 1,
            running: HashMap::new(),
            kept: HashMap::new(),
            record: Record {
                servers: vec![ServerRecord::default(); scenario.servers.len()],
                ..Record::default()
            },
            requests,
        };
        world.schedule();
        Ok(world)
    }

    fn schedule(&mut self) {
        for (server, about) in self.scenario.servers.iter().enumerate() {
            for &(from, until) in &about.down {
                self.at(from, Event::Fails { server });
                self.at(until, Event::Recovers { server });
            }
        }
        if let Some(first) = self.requests.arrivals.first() {
            self.at(first.at, Event::Arrives { request: 0 });
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.made += 1;
        self.events.push(Reverse((time, self.made, event)));
    }

    fn run(&mut self) -> Result<(), SimulationError> {
        let mut left = self.requests.arrivals.len();
        // What happens to servers once nobody asks any more is of no interest.
        while left > 0 || !self.running.is_empty() {
            let Some(Reverse((time, _, event))) = self.events.pop() else {
                break;
            };
            self.now = time;
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            self.stage.set_clock(BEGINNING + millis);
            match event {
                Event::Arrives { request } => {
                    left -= 1;
                    if let Some(next) = self.requests.arrivals.get(request + 1) {
                        let at = next.at;
                        self.at(
                            at,
                            Event::Arrives {
                                request: request + 1,
                            },
                        );
                    }
                    self.arrives(request)
                }
                Event::Done {
                    server,
                    request,
                    life,
                } => self.done(server, request, life),
                Event::Fails { server } => self.fails(server),
                Event::Recovers { server } => {
                    self.servers[server].up = true;
                    self.notice(server, true);
                    Ok(())
                }
                Event::Noticed { server, up } => self.noticed(server, up),
            }
            .map_err(|(request, source)| SimulationError::Call {
                request: request as u64,
                source,
            })?;
        }
        self.record.ended = self.now;
        for (server, record) in self.record.servers.iter_mut().enumerate() {
            let down = &self.scenario.servers[server].down;
            let clamp = |time: Duration| time.min(self.now);
            let down: Duration = down.iter().map(|&(a, b)| clamp(b) - clamp(a)).sum();
            record.up = self.now - down;
        }
        Ok(())
    }

    fn notice(&mut self, server: usize, up: bool) {
        let time = self.now + self.scenario.detection;
        self.at(time, Event::Noticed { server, up });
    }

    fn arrives(&mut self, request: usize) -> Result<(), Failed> {
        let running = Running {
            arrived: self.now,
            worker: self.worker_dice.below(self.workers.len()),
            tried: Vec::new(),
            server: 0,
            sent: self.now,
            began: None,
        };
        self.running.insert(request, running);
        self.assign(request)
    }

    /// Has the balancer pick until a server takes the request or nobody is left to try.
    fn assign(&mut self, request: usize) -> Result<(), Failed> {
        loop {
            let Some(server) = self.pick(request).map_err(|error| (request, error))? else {
                self.running.remove(&request);
                self.record.unserved += 1;
                return Ok(());
            };
            let running = self.running_mut(request);
            running.server = server;
            let first = running.tried.is_empty();
            self.record.servers[server].picks += 1;
            if first {
                self.remember(request, server);
            }
            if self.servers[server].up {
                self.running_mut(request).sent = self.now;
                self.servers[server].waiting.push_back(request);
                self.work(server);
                return Ok(());
            }
            self.observe(request, Outcome::ConnectFailed)?;
            self.record.refused += 1;
            let retries = self.scenario.retries as usize;
            let running = self.running_mut(request);
            running.tried.push(server);
            if running.tried.len() > retries {
                self.running.remove(&request);
                self.record.unserved += 1;
                return Ok(());
            }
        }
    }

    fn running_mut(&mut self, request: usize) -> &mut Running {
        let running = self.running.get_mut(&request);
        running.expect("a request is on its way until it is removed")
    }

    /// The server that the balancer names.
    fn pick(&mut self, request: usize) -> Result<Option<usize>, CallError> {
        let kind = self.requests.arrivals[request].kind;
        let running = &self.running[&request];
        let worker = &mut self.workers[running.worker];
        if worker.version != self.version {
            worker.version = self.version;
            worker.shown = (0..self.servers.len())
                .filter(|&server| self.servers[server].shown)
                .collect();
            let candidates = worker.shown.iter().map(|&server| {
                let about = &self.scenario.servers[server];
                Candidate {
                    name: about.name.clone(),
                    id: u32::try_from(server + 1).unwrap_or(u32::MAX),
                    weight: about.weight,
                    limit: 0,
                }
            });
            worker.instance.update(&candidates.collect::<Vec<_>>())?;
        }
        if worker.shown.is_empty() {
            // The proxy doesn't ask where there is nothing to choose.
            return Ok(None);
        }
        let load = |&server: &usize| {
            let server = &self.servers[server];
            u32::try_from(server.working.len() + server.waiting.len()).unwrap_or(u32::MAX)
        };
        let loads: Vec<u32> = match self.plugin.wants_loads() {
            true => worker.shown.iter().map(load).collect(),
            false => Vec::new(),
        };
        let position = |server| worker.shown.iter().position(|shown| shown == server);
        let tried = running.tried.iter().filter_map(position);
        let tried: Vec<u32> = tried.filter_map(|at| u32::try_from(at).ok()).collect();
        let values: Vec<Option<&str>> = self.values[kind].iter().map(Option::as_deref).collect();
        let turn = self.turn;
        self.turn += 1;
        let picked = worker.instance.pick(turn, &values, &loads, &tried)?;
        Ok(picked.map(|at| worker.shown[at]))
    }

    /// Counts whether the same inputs went to the same server as before.
    fn remember(&mut self, request: usize, server: usize) {
        let kind = self.requests.arrivals[request].kind;
        let values = &self.values[kind];
        if values.is_empty() {
            return;
        }
        let Some(former) = self.kept.insert(values.clone(), server) else {
            self.record.keys += 1;
            return;
        };
        let moves = &mut self.record.moves;
        match (former == server, self.servers[former].shown) {
            (true, _) => moves.stayed += 1,
            (false, true) => moves.without_need += 1,
            (false, false) => moves.had_to += 1,
        }
    }

    /// Lets a server begin with what waits, as far as it has slots.
    fn work(&mut self, server: usize) {
        let about = &self.scenario.servers[server];
        while self.servers[server].working.len() < about.slots as usize {
            let Some(request) = self.servers[server].waiting.pop_front() else {
                return;
            };
            let own = &mut self.servers[server];
            own.working.insert(request);
            let of_trace = self.requests.arrivals[request].service;
            let time = of_trace.unwrap_or_else(|| own.dice.service(&about.service));
            let life = own.life;
            self.record.servers[server].busy += time;
            self.running_mut(request).began = Some(self.now);
            let done = Event::Done {
                server,
                request,
                life,
            };
            self.at(self.now + time, done);
        }
    }

    fn done(&mut self, server: usize, request: usize, life: u32) -> Result<(), Failed> {
        if self.servers[server].life != life {
            return Ok(());
        }
        self.servers[server].working.remove(&request);
        self.observe(request, Outcome::Success)?;
        let running = self.running.remove(&request);
        let running = running.expect("a request is on its way until it is removed");
        let began = running.began.unwrap_or(self.now);
        self.record.waited.push(began - running.arrived);
        self.record.took.push(self.now - running.arrived);
        self.record.servers[server].served += 1;
        self.work(server);
        Ok(())
    }

    fn fails(&mut self, server: usize) -> Result<(), Failed> {
        let own = &mut self.servers[server];
        own.up = false;
        own.life += 1;
        for request in std::mem::take(&mut own.working) {
            self.observe(request, Outcome::ServerError)?;
            self.running.remove(&request);
            self.record.broken += 1;
        }
        self.notice(server, false);
        Ok(())
    }

    fn noticed(&mut self, server: usize, up: bool) -> Result<(), Failed> {
        let own = &mut self.servers[server];
        // It may have changed again meanwhile, which is noticed in its turn.
        if own.up != up || own.shown == up {
            return Ok(());
        }
        own.shown = up;
        let waiting = std::mem::take(&mut own.waiting);
        self.version += 1;
        for request in waiting {
            self.assign(request)?;
        }
        Ok(())
    }

    fn observe(&mut self, request: usize, outcome: Outcome) -> Result<(), Failed> {
        if !self.plugin.has_feedback() {
            return Ok(());
        }
        let running = &self.running[&request];
        let took = self.now - running.sent;
        let server = running.server;
        let worker = &mut self.workers[running.worker];
        let Some(index) = worker.shown.iter().position(|&shown| shown == server) else {
            return Ok(());
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        worker
            .instance
            .observe(index, outcome, micros)
            .map_err(|error| (request, error))
    }
}

/// What the balancer is given for each kind of request.
fn values(
    plugin: &Plugin,
    requests: &Requests,
) -> Result<Vec<Vec<Option<String>>>, SimulationError> {
    let inputs = plugin.inputs(Hook::Pick);
    let of_kind = |(kind, given)| {
        let exchange = StagedExchange::new(given).map_err(|source| SimulationError::Request {
            request: kind as u64,
            source,
        })?;
        Ok(exchange.values(Hook::Pick, inputs))
    };
    requests.kinds.iter().enumerate().map(of_kind).collect()
}

/// The request that a call failed for.
type Failed = (usize, CallError);
