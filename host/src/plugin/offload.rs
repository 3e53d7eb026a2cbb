//! Threads for one use of a plugin whose calls take long, so that they hold up no worker.
//!
//! A call waits for its turn in a queue of bounded length, and the deadline of the use counts from when
//! it was asked for, not from when it began. Knows nothing of what calls are for.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{config, event_loop::timeout};

use super::{
    error::{Call, CallError, CallFault},
    instance::Instance,
    plugin::Plugin,
};

/// A call that runs into its deadline says so itself, a little later than it passed.
const GRACE: Duration = Duration::from_millis(20);

/// The threads, each with an instance of its own. They end when this is dropped, after the calls that
/// they are at.
pub struct Offload {
    plugin: Arc<Plugin>,
    queue: Arc<Queue>,
}

/// One call, brought to a thread's instance.
type Job = Box<dyn FnOnce(&Plugin, &mut Option<Instance>) + Send>;

impl Offload {
    /// Makes the instances, then the threads. Takes as long as that takes: not for the data path.
    ///
    /// An instance that can't be made now is made when it is first asked; so is one that has failed.
    pub fn start(plugin: Arc<Plugin>, sizes: config::Offload) -> Result<Arc<Self>, OffloadError> {
        let queue = Arc::new(Queue::new(sizes.queue));
        let offload = Self {
            plugin: Arc::clone(&plugin),
            queue: Arc::clone(&queue),
        };
        for _ in 0..sizes.threads {
            let (plugin, queue) = (Arc::clone(&plugin), Arc::clone(&queue));
            let instance = plugin.instantiate().ok();
            thread::Builder::new()
                .name("plugin-offload".to_owned())
                .spawn(move || work(&plugin, instance, &queue))
                .map_err(|source| OffloadError { source })?;
        }
        Ok(Arc::new(offload))
    }

    /// Has `ask` called with an instance, on one of the threads.
    ///
    /// Waits at most the deadline of the plugin use. Dropping the future takes the call out of the queue
    /// in effect; one that has begun is finished, since an instance that was stopped half-way is lost.
    pub async fn call<T: Send + 'static>(
        &self,
        call: Call,
        ask: impl FnOnce(&mut Instance) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let limit = self.plugin.deadline();
        let due = Instant::now() + limit;
        let (answer, answered) = oneshot::channel();
        // A call that waited for most of its time and then had too little of it is not the plugin's failure.
        let had_its_time = Arc::new(AtomicBool::new(false));
        let has_its_time = Arc::clone(&had_its_time);
        let job: Job = Box::new(move |plugin, instance| {
            let left = due.saturating_duration_since(Instant::now());
            if answer.is_closed() || left.is_zero() {
                return;
            }
            has_its_time.store(left * 2 >= limit, Ordering::Relaxed);
            // Nobody may be left to hear it.
            let _ = answer.send(answer_within(left, plugin, instance, ask));
        });
        let too_late = || match had_its_time.load(Ordering::Relaxed) {
            true => CallFault::Deadline { limit },
            false => CallFault::Waited { limit },
        };
        let fault = match self.queue.push(job) {
            Err(Full) => CallFault::QueueFull {
                limit: self.queue.limit,
            },
            Ok(()) => match timeout(limit + GRACE, answered).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(error))) => match error.fault {
                    CallFault::Deadline { .. } => too_late(),
                    _ => return Err(error),
                },
                // Not begun in time, or not ended: the clock of deadlines may be slower than this one.
                Ok(Err(_)) | Err(_) => too_late(),
            },
        };
        Err(self.plugin.core.error(call, fault))
    }

    /// Calls that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.queue.lock().waiting.len()
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

/// The system gave no thread.
#[derive(Debug, thiserror::Error)]
#[error("no thread for an offloaded plugin")]
pub struct OffloadError {
    source: std::io::Error,
}

/// How much these threads give way to others: they get a tenth of what a worker gets where both want the CPU.
const NICE: i32 = 10;

/// Takes calls until there will be no more.
fn work(plugin: &Plugin, mut instance: Option<Instance>, queue: &Queue) {
    // Of this thread alone, so that a worker with something to do need not wait for a slow plugin's turn on the
    // CPU to end. If it can't be had, nothing else is lost.
    let _ = rustix::process::setpriority_process(None, NICE);
    while let Some(job) = queue.next() {
        let done = catch_unwind(AssertUnwindSafe(|| job(plugin, &mut instance)));
        if done.is_err() {
            // The fault is the proxy's; the caller learns that no answer came.
            instance = None;
        }
    }
}

fn answer_within<T>(
    left: Duration,
    plugin: &Plugin,
    slot: &mut Option<Instance>,
    ask: impl FnOnce(&mut Instance) -> Result<T, CallError>,
) -> Result<T, CallError> {
    let instance = match slot {
        Some(instance) => instance,
        None => slot.insert(plugin.instantiate()?),
    };
    let answer = instance.within(left, ask);
    if answer.is_err() {
        *slot = None;
    }
    answer
}

/// Calls that no thread has taken yet.
struct Queue {
    limit: usize,
    state: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    waiting: VecDeque<Job>,
    closed: bool,
}

/// As many calls wait as may.
struct Full;

impl Queue {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    fn push(&self, job: Job) -> Result<(), Full> {
        let mut state = self.lock();
        if state.waiting.len() >= self.limit {
            return Err(Full);
        }
        state.waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// The call that has waited longest; none once the queue is closed.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            state = self
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
