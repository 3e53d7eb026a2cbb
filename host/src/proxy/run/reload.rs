//! From one generation to the next while clients are served: built on a thread of its own, then swapped in.

use std::{fmt, sync::Arc};

use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::{Proxy, Stop, Workshop};
use crate::{
    config::{self, Config, ConfigErrors},
    frontend::{Generation, LocalGeneration},
    proxy::{
        additions::{self, ServersChange},
        assemble::{BuildErrors, Built, with_cause},
        orders::{self, Order},
        rollouts,
        workers::Command,
    },
    telemetry::LogError,
};

/// What a generation is to be made of.
pub(super) enum Plan {
    /// The file as it is now.
    File,
    /// What serves, with other servers.
    Servers(ServersChange),
    /// What serves, with other versions of a plugin.
    Order(Box<Order>),
}

/// Why a generation was not built.
enum ReloadError {
    Servers(additions::Objection),
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

impl Proxy {
    /// Builds a generation as `plan` says and swaps it in. If that fails, nothing changes.
    /// Returns the number of the generation that serves, or why it is still the old one.
    pub(super) async fn reload(&mut self, why: &str, plan: Plan) -> Result<u64, String> {
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
}

/// Lets the limits that outlive generations be what this one says.
pub(super) fn set_limits(config: &Config, generation: &Generation) {
    for (config, frontend) in config.frontends.iter().zip(&generation.frontends) {
        let most = config.max_connections.unwrap_or(usize::MAX);
        frontend.connections.set_most(most);
    }
    for backend in &generation.backends {
        backend.state.room.set_size(backend.limit.unwrap_or(0));
    }
}
