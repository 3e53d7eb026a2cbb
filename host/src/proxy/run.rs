//! Running the proxy: the control thread, which starts it, follows what signals, files and operators ask
//! for, and ends it.

mod leave;
mod reload;
mod signals;
mod start;

use std::{io, path::PathBuf, rc::Rc, sync::Arc};

use tokio::{
    runtime,
    sync::mpsc,
    task::{LocalSet, spawn_blocking},
};
use tracing::{error, info, warn};

use self::{reload::Plan, signals::Signals};
use super::{
    acme::Certificates,
    additions::Additions,
    admin::{Admin, ReloadWish, ServersWish},
    admin_orders::OrderWish,
    assemble::{BuildErrors, Builder, Built, with_cause},
    care::Care,
    checks::Checks,
    doors::Doors,
    listeners::Listeners,
    names::Names,
    notify::Notifier,
    orders::Orders,
    privileges::{self, PidFile, PrivilegeError},
    source::Source,
    steps::Steps,
    upgrade::StartedAs,
    watch::{Watcher, watched_files},
    workers::WorkerHandle,
};
use crate::{
    config::{Config, ConfigErrors, PluginUse},
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
    let mut warnings = config.warnings.clone();
    warnings.extend(privileges::doubts(&config.process));
    let runtime = Runtime::new(runtime_options(&config, 1))?;
    let mut builder = Builder::new(runtime, Arc::new(Metrics::default()));
    let built = builder.check(&config);
    let mut errors = built
        .err()
        .map_or_else(Vec::new, |BuildErrors(errors)| errors);
    errors.extend(privileges::unknown_accounts(&config));
    match errors.is_empty() {
        true => Ok(warnings),
        false => Err(RunError::Build(BuildErrors(errors))),
    }
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
                // A large one takes its time, in which servers are to be checked.
                let (maps, name) = (Arc::clone(&self.maps), map.name.clone());
                let reloading = spawn_blocking(move || maps.reload(&name));
                match reloading.await {
                    Ok(Ok(Reload::Changed)) => info!(map = map.name, "map loaded again"),
                    Ok(Ok(Reload::ChangedOverEdits)) => warn!(
                        map = map.name,
                        "map loaded again: its file has changed, and what was edited while the proxy ran is gone"
                    ),
                    Ok(Ok(Reload::Same)) => {}
                    Ok(Err(error)) => error!("map not changed: {}", with_cause(&error)),
                    Err(cut) => error!(map = map.name, %cut, "map not changed"),
                }
            }
        }
        if !others.is_empty() {
            let why = format!("{} changed", others.join(", "));
            // Already logged.
            let _ = self.reload(&why, Plan::File).await;
        }
    }
}
