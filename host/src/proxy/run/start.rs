//! The first generation, and all that outlives it: the log, the workers, the doors.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{sync::mpsc, task::spawn_local};
use tracing::{info, warn};

use super::{Proxy, RunError, Workshop, reload::set_limits, runtime_options, signals::Signals};
use crate::{
    config::Config,
    frontend::{LocalGeneration, ProcessState},
    net::Handover,
    plugin::Runtime,
    proxy::{
        acme::Certificates,
        additions::Additions,
        admin::Admin,
        admin_figures,
        assemble::{BuildError, BuildErrors, Builder, Built},
        care::Care,
        checks::Checks,
        doors::Doors,
        listeners::Listeners,
        map_desk::MapDesk,
        names::Names,
        notify::Notifier,
        orders::Orders,
        privileges::{PidFile, give_away},
        rollouts,
        source::Source,
        steps::Steps,
        upgrade::StartedAs,
        watch::Watcher,
        workers::{Start, WorkerHandle},
    },
    telemetry::{LogHub, Metrics},
};

impl Proxy {
    pub(super) async fn start(
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
        let process = ProcessState::new(seed(), built.config.process.max_connections);
        let workers = start_workers(&built, locals, &process, &log)?;
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
}

/// A worker for each of `locals`.
fn start_workers(
    built: &Built,
    locals: Vec<LocalGeneration>,
    process: &Arc<ProcessState>,
    log: &LogHub,
) -> Result<Vec<WorkerHandle>, RunError> {
    let count = locals.len();
    let head_bytes = built.config.frontends.iter().map(|f| f.limits.header_bytes);
    let head_bytes = head_bytes.max().unwrap_or(0);
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
            process: Arc::clone(process),
            log: log.writer(),
            generation,
            listen,
        })?);
    }
    Ok(workers)
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
