//! Running the proxy: start, follow changes, reload, drain, end.

use std::{
    cell::RefCell,
    fmt, io,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::{LocalSet, spawn_blocking, spawn_local},
    time::timeout,
};
use tracing::{error, info, warn};

use super::{
    acme::Certificates,
    additions::{Additions, Objection, ServersChange},
    admin::{Admin, ReloadWish, ServersWish},
    admin_figures,
    admin_orders::OrderWish,
    assemble::{BuildError, BuildErrors, Builder, Built, with_cause},
    care::Care,
    checks::Checks,
    doors::Doors,
    listeners::Listeners,
    map_desk::MapDesk,
    names::Names,
    notify::Notifier,
    orders::{self, Order, Orders},
    privileges::{PidFile, PrivilegeError, give_away},
    rollouts,
    source::{Ending, Source},
    steps::Steps,
    upgrade::StartedAs,
    watch::{Watcher, watched_files},
    workers::{Command, Commands, Start, WorkerHandle},
};
use crate::{
    config::{self, Config, ConfigErrors, PluginUse},
    frontend::{Generation, LocalGeneration, ProcessState},
    net::{AcmeChallenges, Handover, HandoverError},
    plugin::{
        Runtime, RuntimeError, RuntimeOptions,
        maps::{MapStore, Reload},
        user_code_cache,
    },
    telemetry::{LogError, LogHub, Metrics},
};

/// Why the proxy did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Config(ConfigErrors),
    #[error("{0}")]
    Build(BuildErrors),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("the proxy cannot be set up")]
    System(#[from] io::Error),
    #[error("changes of files cannot be noticed")]
    Watch(#[from] notify::Error),
}

/// Runs the proxy with the configuration of `source` until it is told to end and has drained.
///
/// The first generation must build; later ones that do not are reported and change nothing.
pub fn run(source: &Source) -> Result<(), RunError> {
    let started = StartedAs::now()?;
    let handover = Handover::take()?;
    let config = source.load().map_err(RunError::Config)?;
    let control = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&control, async {
        let mut proxy = Proxy::start(source, config, started, handover).await?;
        proxy.follow().await?;
        if !proxy.ends_at_once() {
            proxy.drain().await;
        }
        Ok(())
    })
}

/// Checks the configuration of `source` as starting would, down to the plugins, without listening.
pub fn check(source: &Source) -> Result<Vec<String>, RunError> {
    let config = source.load().map_err(RunError::Config)?;
    let warnings = config.warnings.clone();
    let runtime = Runtime::new(runtime_options(&config, 1))?;
    let mut builder = Builder::new(runtime, Arc::new(Metrics::default()));
    builder.check(&config).map_err(RunError::Build)?;
    Ok(warnings)
}

fn runtime_options(config: &Config, workers: usize) -> RuntimeOptions {
    let defaults = RuntimeOptions::default();
    // A backend's former balancer comes on top.
    let uses = config.plugins().flat_map(PluginUse::with_next).count() + config.backends.len();
    // Three generations may be alive at a time: one that drains, one that serves, one being built.
    let instances = u32::try_from(3 * (workers + 1) * uses).unwrap_or(u32::MAX);
    RuntimeOptions {
        code_cache: config.process.code_cache.clone().or_else(user_code_cache),
        max_instances: instances.max(defaults.max_instances),
        ..defaults
    }
}

/// The state of the control thread.
struct Proxy {
    source: Source,
    /// Away while a generation is being built on another thread.
    workshop: Option<Workshop>,
    workers: Vec<WorkerHandle>,
    process: Arc<ProcessState>,
    current: Arc<Generation>,
    config: Arc<Config>,
    additions: Additions,
    orders: Orders,
    steps: Steps,
    maps: Arc<MapStore>,
    log: Rc<LogHub>,
    checks: Checks,
    care: Care,
    names: Names,
    watcher: Option<Watcher>,
    admin: Rc<Admin>,
    certificates: Certificates,
    challenges: AcmeChallenges,
    reloads: mpsc::UnboundedReceiver<ReloadWish>,
    servers_wishes: mpsc::UnboundedReceiver<ServersWish>,
    order_wishes: mpsc::UnboundedReceiver<OrderWish>,
    signals: Signals,
    started: StartedAs,
    notifier: Notifier,
    /// Kept until the end, which removes it.
    _pid_file: Option<PidFile>,
    doors: Doors,
    /// What ends it all, once it came.
    stopping: Option<Stop>,
}

/// Why the proxy is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Signal(&'static str),
    /// Another process has taken over.
    Succeeded,
}

/// What building needs, together so that it can be lent to another thread.
struct Workshop {
    builder: Builder,
    listeners: Listeners,
}

/// What the control thread is told to do.
enum Wish {
    Reload {
        why: String,
        tell: Option<ReloadWish>,
    },
    FilesChanged(Vec<PathBuf>),
    Servers(ServersWish),
    Order(Box<OrderWish>),
    ReopenLogs,
    Upgrade,
    Stop {
        signal: &'static str,
    },
}

/// What a generation is to be made of.
enum Plan {
    /// The file as it is now.
    File,
    /// What serves, with other servers.
    Servers(ServersChange),
    /// What serves, with other versions of a plugin.
    Order(Box<Order>),
}

/// Why a generation was not built.
enum ReloadError {
    Servers(Objection),
    Order(orders::Objection),
    Config(ConfigErrors),
    Build(BuildErrors),
    Log(LogError),
    /// The proxy was told to stop meanwhile.
    Stopping,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers(objection) => objection.fmt(f),
            Self::Order(objection) => objection.fmt(f),
            Self::Config(errors) => errors.fmt(f),
            Self::Build(errors) => errors.fmt(f),
            Self::Log(error) => f.write_str(&with_cause(error)),
            Self::Stopping => f.write_str("the proxy is stopping"),
        }
    }
}

impl Workshop {
    /// Builds a generation and every worker's part of it.
    fn build(
        &mut self,
        config: Config,
        former: Option<&Generation>,
        workers: usize,
    ) -> Result<(Built, Vec<LocalGeneration>), BuildErrors> {
        let built = self.builder.build(config, former, &mut self.listeners)?;
        let locals = (0..workers)
            .map(|_| LocalGeneration::build(Arc::clone(&built.generation)))
            .collect();
        Ok((built, locals))
    }
}

impl Proxy {
    async fn start(
        source: &Source,
        config: Config,
        started: StartedAs,
        handover: Handover,
    ) -> Result<Self, RunError> {
        for warning in &config.warnings {
            warn!("{warning}");
        }
        let count = config
            .process
            .workers
            .or_else(|| thread::available_parallelism().ok().map(usize::from))
            .unwrap_or(1);
        let notifier = Notifier::new();
        let signals = Signals::new()?;
        raise_descriptor_limit(&config);
        let log = Rc::new(LogHub::open(&config.logs)?);
        let runtime = Runtime::new(runtime_options(&config, count))?;
        let metrics = Arc::new(Metrics::default());
        let mut workshop = Workshop {
            builder: Builder::new(runtime, Arc::clone(&metrics)),
            listeners: Listeners::new(count, handover),
        };
        let challenges = workshop.builder.challenges();
        let visitors = workshop.builder.visitors();
        let (built, locals) = workshop
            .build(config, None, count)
            .map_err(RunError::Build)?;
        let doors = Doors::open(&built.config.process, &mut workshop.listeners)
            .map_err(|error| RunError::Build(BuildErrors(vec![BuildError::Bind(error)])))?;
        let pid_file = built.config.process.pid_file.as_deref();
        let pid_file = pid_file.map(PidFile::write).transpose()?;
        give_away(&built.config.process)?;
        set_limits(&built.config, &built.generation);
        let head_bytes = built.config.frontends.iter().map(|f| f.limits.header_bytes);
        let head_bytes = head_bytes.max().unwrap_or(0);
        let process = ProcessState::new(seed(), built.config.process.max_connections);
        let mut workers = Vec::with_capacity(count);
        for (index, generation) in locals.into_iter().enumerate() {
            let mut listen = Vec::new();
            for (id, listener) in &built.listeners.added {
                let sockets = listener.of_worker(index, count)?;
                listen.extend(sockets.into_iter().map(|socket| (*id, socket)));
            }
            workers.push(WorkerHandle::start(Start {
                index,
                head_bytes,
                process: Arc::clone(&process),
                log: log.writer(),
                generation,
                listen,
            })?);
        }
        workshop.listeners.adopt(built.listeners, &built.config);
        let watcher = match built.config.process.watch {
            true => Some(Watcher::new()?),
            false => None,
        };
        let (wishes, reloads) = mpsc::unbounded_channel();
        let (servers, servers_wishes) = mpsc::unbounded_channel();
        let (orders_desk, order_wishes) = mpsc::unbounded_channel();
        let config = Arc::new(built.config);
        let admin = Rc::new(Admin {
            metrics,
            process: Arc::clone(&process),
            current: RefCell::new(Arc::clone(&built.generation)),
            config: RefCell::new(Arc::clone(&config)),
            log: Rc::clone(&log),
            reloads: wishes,
            servers,
            orders_desk,
            orders: RefCell::default(),
            desk: MapDesk::default(),
            workers: count,
            started: Instant::now(),
            started_at: since_epoch().as_secs(),
            runtime_sockets: RefCell::default(),
        });
        doors.serve(&admin);
        if let Some(visitors) = visitors {
            spawn_local(admin_figures::serve(Rc::clone(&admin), visitors));
        }
        let mut proxy = Self {
            source: source.clone(),
            workshop: Some(workshop),
            workers,
            process,
            current: built.generation,
            config,
            additions: Additions::default(),
            orders: Orders::default(),
            steps: Steps::default(),
            maps: built.maps,
            log,
            checks: Checks::default(),
            care: Care::default(),
            names: Names::default(),
            watcher,
            admin,
            certificates: Certificates::default(),
            challenges,
            reloads,
            servers_wishes,
            order_wishes,
            signals,
            started,
            notifier,
            _pid_file: pid_file,
            doors,
            stopping: None,
        };
        proxy.settle();
        rollouts::tell(None, &proxy.current);
        info!(generation = proxy.current.number, workers = count, "ready");
        proxy.notifier.ready();
        if let Some(workshop) = &mut proxy.workshop {
            workshop.listeners.relieve();
        }
        Ok(proxy)
    }

    /// Lets what runs beside the data path follow the current generation.
    fn settle(&mut self) {
        self.certificates
            .follow(&self.config, &self.challenges, &self.admin.reloads);
        self.checks.follow(&self.config, &self.current, &self.log);
        self.care.follow(&self.config, &self.current, &self.log);
        self.names.follow(&self.config, &self.current, &self.log);
        self.steps.follow(&self.current);
        if let Some(watcher) = &mut self.watcher {
            watcher.follow(watched_files(self.source.file(), &self.config));
        }
    }

    /// Does what it is told until it is told to stop.
    async fn follow(&mut self) -> Result<(), RunError> {
        loop {
            if let Some(stop) = self.stopping {
                match stop {
                    Stop::Signal(signal) => info!(signal, "draining"),
                    Stop::Succeeded => info!("another process has taken over, draining"),
                }
                return Ok(());
            }
            let changed = async {
                match &mut self.watcher {
                    Some(watcher) => watcher.changed().await,
                    None => std::future::pending().await,
                }
            };
            let wish = tokio::select! {
                wish = self.signals.next() => wish,
                files = changed => Wish::FilesChanged(files),
                Some(tell) = self.reloads.recv() => Wish::Reload {
                    why: "an administrator asked for it".to_owned(),
                    tell: Some(tell),
                },
                Some(wish) = self.servers_wishes.recv() => Wish::Servers(wish),
                Some(wish) = self.order_wishes.recv() => Wish::Order(Box::new(wish)),
            };
            match wish {
                Wish::Reload { why, tell } => {
                    let outcome = self.reload(&why, Plan::File).await;
                    if let Some(tell) = tell {
                        // Whoever asked may have gone meanwhile.
                        let _ = tell.send(outcome);
                    }
                }
                Wish::Servers(ServersWish { change, tell }) => {
                    let why = "an administrator changed the servers of a backend";
                    let _ = tell.send(self.reload(why, Plan::Servers(change)).await);
                }
                Wish::Order(wish) => {
                    let OrderWish { order, tell } = *wish;
                    let why = format!("an administrator gave an order about {}", order.place);
                    let plan = Plan::Order(Box::new(order));
                    let _ = tell.send(self.reload(&why, plan).await);
                }
                Wish::FilesChanged(files) => self.files_changed(&files).await,
                Wish::ReopenLogs => self.log.reopen(),
                Wish::Upgrade => self.upgrade().await,
                Wish::Stop { signal } => self.stopping = Some(Stop::Signal(signal)),
            }
        }
    }

    /// Maps are read again in place; anything else asks for a new generation.
    async fn files_changed(&mut self, files: &[PathBuf]) {
        let mut others = Vec::new();
        for file in files {
            let maps: Vec<_> = self
                .config
                .maps
                .iter()
                .filter(|map| map.file == *file)
                .collect();
            if maps.is_empty() {
                others.push(file.display().to_string());
            }
            for map in maps {
                match self.maps.reload(&map.name) {
                    Ok(Reload::Changed) => info!(map = map.name, "map loaded again"),
                    Ok(Reload::ChangedOverEdits) => warn!(
                        map = map.name,
                        "map loaded again: its file has changed, and what was edited while the proxy ran is gone"
                    ),
                    Ok(Reload::Same) => {}
                    Err(error) => error!("map not changed: {}", with_cause(&error)),
                }
            }
        }
        if !others.is_empty() {
            let why = format!("{} changed", others.join(", "));
            // Already logged.
            let _ = self.reload(&why, Plan::File).await;
        }
    }

    /// Whether the signal that came leaves no time for exchanges to finish.
    fn ends_at_once(&self) -> bool {
        let hurries = match self.stopping {
            Some(Stop::Signal(signal)) => signal != "SIGUSR1",
            Some(Stop::Succeeded) | None => false,
        };
        hurries && self.source.ending() == Ending::AtOnce
    }

    /// Builds a generation as `plan` says and swaps it in. If that fails, nothing changes.
    /// Returns the number of the generation that serves, or why it is still the old one.
    async fn reload(&mut self, why: &str, plan: Plan) -> Result<u64, String> {
        info!("building a new generation: {why}");
        self.notifier.reloading();
        let rebuilt = self.rebuild(plan).await;
        self.notifier.ready();
        match rebuilt {
            Ok(()) => {
                info!(generation = self.current.number, "new generation serves");
                Ok(self.current.number)
            }
            Err(error) => {
                error!(
                    "nothing changed, the running generation goes on serving (number {}):\n{error}",
                    self.current.number
                );
                Err(error.to_string())
            }
        }
    }

    async fn rebuild(&mut self, plan: Plan) -> Result<(), ReloadError> {
        let mut orders = self.orders.clone();
        let changed = match &plan {
            Plan::File => None,
            Plan::Servers(change) => {
                let mut config = Config::clone(&self.config);
                change.apply(&mut config).map_err(ReloadError::Servers)?;
                Some(config)
            }
            Plan::Order(order) => {
                let mut config = Config::clone(&self.config);
                let done = orders.carry_out(order, &mut config);
                done.map_err(ReloadError::Order)?;
                Some(config)
            }
        };
        let Some(mut workshop) = self.workshop.take() else {
            return Err(ReloadError::Stopping);
        };
        let source = self.source.clone();
        let mut additions = self.additions.clone();
        let former = Arc::clone(&self.current);
        let workers = self.workers.len();
        let building = spawn_blocking(move || {
            let config = changed.map_or_else(
                || {
                    let mut config = source.load().map_err(ReloadError::Config)?;
                    additions.lay_over(&mut config);
                    orders.lay_over(&mut config);
                    Ok(config)
                },
                Ok,
            );
            let result = config.and_then(|config| {
                let built = workshop.build(config, Some(&former), workers);
                built.map_err(ReloadError::Build)
            });
            (workshop, additions, orders, result)
        });
        let built = tokio::select! {
            built = building => built,
            // Compiling takes its time, and whoever wants the proxy to stop should not wait for it.
            signal = self.signals.stop() => {
                self.stopping = Some(Stop::Signal(signal));
                return Err(ReloadError::Stopping);
            }
        };
        let (mut workshop, additions, orders, result) = match built {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let adopted = result.and_then(|(built, locals)| {
            // The last thing that can fail.
            self.log
                .replace(&built.config.logs)
                .map_err(ReloadError::Log)?;
            self.admin.orders.replace(orders.clone());
            self.orders = orders;
            self.adopt(&mut workshop, built, locals);
            self.additions = additions;
            if let Plan::Servers(change) = plan {
                self.additions.remember(change);
            }
            Ok(())
        });
        self.workshop = Some(workshop);
        adopted
    }

    /// Lets a new generation serve.
    fn adopt(&mut self, workshop: &mut Workshop, built: Built, locals: Vec<LocalGeneration>) {
        let Built {
            config,
            generation,
            maps,
            listeners,
        } = built;
        for (index, (worker, local)) in self.workers.iter().zip(locals).enumerate() {
            let listen = listeners.added.iter().flat_map(|(id, listener)| {
                let sockets = listener.of_worker(index, self.workers.len());
                let sockets = sockets.unwrap_or_else(|error| {
                    error!(address = %listener.address, %error, "a worker cannot listen");
                    Vec::new()
                });
                sockets.into_iter().map(|socket| (*id, socket))
            });
            worker.send(Command::Swap {
                generation: Box::new(local),
                listen: listen.collect(),
                ignore: listeners.removed.clone(),
            });
        }
        workshop.listeners.adopt(listeners, &config);
        for warning in &config.warnings {
            warn!("{warning}");
        }
        let before = &self.config.process;
        let now = &config.process;
        let fixed = |process: &config::Process| {
            (
                process.admin.clone(),
                process.runtime_sockets.clone(),
                process.workers,
                process.user.clone(),
                process.group.clone(),
                process.chroot.clone(),
                process.pid_file.clone(),
            )
        };
        if fixed(before) != fixed(now) {
            warn!(
                "`admin`, `runtime_socket`, `workers`, `user`, `group`, `chroot` and `pid_file` take effect \
                 when the proxy is started again"
            );
        }
        self.process
            .connections
            .set_most(config.process.max_connections);
        set_limits(&config, &generation);
        self.admin.current.replace(Arc::clone(&generation));
        rollouts::tell(Some(&self.current), &generation);
        self.current = generation;
        self.config = Arc::new(config);
        self.admin.config.replace(Arc::clone(&self.config));
        self.maps = maps;
        self.settle();
    }

    /// Lets a new process of the program as it is now on disk take over. If it does not get to serve, nothing
    /// changes.
    async fn upgrade(&mut self) {
        let Some(workshop) = &self.workshop else {
            return;
        };
        let doors = &self.doors;
        let successor = self.started.start_successor(|parcel| {
            workshop.listeners.hand_over(parcel)?;
            doors.hand_over(parcel)
        });
        let outcome = tokio::select! {
            outcome = successor => outcome,
            signal = self.signals.stop() => {
                self.stopping = Some(Stop::Signal(signal));
                return;
            }
        };
        match outcome {
            Ok(pid) => {
                info!(pid, "the new process serves");
                self.notifier.succeeded_by(pid);
                self.doors.close();
                self.stopping = Some(Stop::Succeeded);
            }
            Err(error) => {
                workshop.listeners.keep();
                doors.keep();
                error!(
                    "nothing changed, this process goes on serving: {}",
                    with_cause(&error)
                );
            }
        }
    }

    /// Takes no more clients and waits for those that are there, up to the configured time.
    async fn drain(mut self) {
        let limit = self.config.process.drain_timeout;
        // Clients of a process that was succeeded are not in a hurry: half of the time they may send their
        // next request here, whose answer tells them to connect anew.
        let gently = match self.stopping {
            Some(Stop::Succeeded) => {
                self.process.retire();
                Some(limit / 2)
            }
            Some(Stop::Signal(_)) | None => {
                self.notifier.stopping();
                self.process.drain();
                None
            }
        };
        self.checks.stop();
        self.care.stop();
        self.names.stop();
        self.steps.stop();
        // Its descriptors would keep the ports open, and clients would wait there for nobody.
        self.workshop = None;
        for worker in &self.workers {
            worker.send(Command::Drain);
        }
        let (mut workers, commands): (Vec<_>, Vec<_>) =
            self.workers.into_iter().map(WorkerHandle::part).unzip();
        let all_ended = async {
            for worker in &mut workers {
                worker.ended().await;
            }
        };
        tokio::pin!(all_ended);
        let left = match gently {
            Some(gently) if timeout(gently, &mut all_ended).await.is_ok() => {
                info!("drained");
                return;
            }
            Some(gently) => limit.saturating_sub(gently),
            None => limit,
        };
        self.process.drain();
        commands.iter().for_each(Commands::hurry);
        match timeout(left, all_ended).await {
            Ok(()) => info!("drained"),
            Err(_) => warn!(
                connections = self.process.connections.count(),
                "connections were still open after {limit:?}"
            ),
        }
    }
}

/// Lets the limits that outlive generations be what this one says.
fn set_limits(config: &Config, generation: &Generation) {
    for (config, frontend) in config.frontends.iter().zip(&generation.frontends) {
        let most = config.max_connections.unwrap_or(usize::MAX);
        frontend.connections.set_most(most);
    }
    for backend in &generation.backends {
        backend.state.room.set_size(backend.limit.unwrap_or(0));
    }
}

/// The signals that mean something.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
    user2: Signal,
    reopen: bool,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            reopen: false,
        })
    }

    async fn next(&mut self) -> Wish {
        // Rotating logs and changing the config are both said by SIGHUP.
        if std::mem::take(&mut self.reopen) {
            return Wish::Reload {
                why: "SIGHUP".to_owned(),
                tell: None,
            };
        }
        let hangup = self.hangup.recv();
        let stops = [&mut self.terminate, &mut self.interrupt, &mut self.user1];
        tokio::select! {
            _ = hangup => {
                self.reopen = true;
                Wish::ReopenLogs
            }
            _ = self.user2.recv() => Wish::Upgrade,
            signal = first(stops) => Wish::Stop { signal },
        }
    }

    /// Waits for a signal that ends the proxy.
    async fn stop(&mut self) -> &'static str {
        first([&mut self.terminate, &mut self.interrupt, &mut self.user1]).await
    }
}

async fn first([terminate, interrupt, user1]: [&mut Signal; 3]) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = user1.recv() => "SIGUSR1",
    }
}

/// Lets the process have as many descriptors as the system allows it: the usual soft limit of 1,024 is
/// for programs that count them in a bit set. Says so if these will not do.
fn raise_descriptor_limit(config: &Config) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit on descriptors stays as it is");
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // A client and its server each; what listens and the like is little beside that.
    let most = config.process.max_connections;
    let needed = 2 * most as u64;
    if allowed < needed {
        warn!(
            "`max_connections` is {most}, which may take {needed} descriptors, and the system allows \
             {allowed}: raise the hard limit (`ulimit -Hn`, `LimitNOFILE=`), or lower `max_connections`"
        );
    }
}

/// Makes the request ids of this process differ from those of others.
fn seed() -> u64 {
    let nanos = since_epoch().as_nanos() as u64;
    nanos ^ u64::from(std::process::id()).rotate_right(16)
}

fn since_epoch() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
