//! The worker threads and the commands they take.

use std::{
    collections::HashMap,
    io,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use socket2::Socket;
use tokio::{
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::Instant,
};
use tracing::{error, warn};

use crate::{
    event_loop::{EventLoop, sleep, spawn_local, yield_now},
    frontend::{self, LocalGeneration, ProcessState, Worker},
    net::{Listener, ListenerId},
    telemetry::LogWriter,
};

/// How often a worker looks for idle connections that have grown old.
const SWEEP: Duration = Duration::from_secs(1);

/// Something for a worker to do between exchanges.
pub enum Command {
    /// Serve new exchanges with this generation.
    Swap {
        generation: Box<LocalGeneration>,
        listen: Vec<(ListenerId, Socket)>,
        ignore: Vec<ListenerId>,
    },
    /// Take no more clients and end when those that are there have been served.
    Drain,
}

/// A running worker thread.
#[derive(Debug)]
pub struct WorkerHandle {
    commands: UnboundedSender<Command>,
    ended: Ended,
}

/// The end of a worker, or of one of its accept loops.
#[derive(Debug)]
pub struct Ended(oneshot::Receiver<()>);

/// Where a worker that drains can still be told something.
#[derive(Debug)]
pub struct Commands(UnboundedSender<Command>);

impl Commands {
    /// Idle connections that were left alone at first are to go now.
    pub fn hurry(&self) {
        // A worker that has ended already needs no hurry.
        let _ = self.0.send(Command::Drain);
    }
}

impl Ended {
    /// Waits until there is nothing more to do.
    pub async fn ended(&mut self) {
        // An error means that it is gone as well.
        let _ = (&mut self.0).await;
    }
}

/// What a worker starts with.
pub struct Start {
    pub index: usize,
    pub head_bytes: usize,
    pub process: Arc<ProcessState>,
    pub log: LogWriter,
    pub generation: LocalGeneration,
    pub listen: Vec<(ListenerId, Socket)>,
}

impl WorkerHandle {
    pub fn start(start: Start) -> io::Result<Self> {
        let (commands, inbox) = unbounded_channel();
        let (end, ended) = oneshot::channel();
        // An event loop stays on the thread that made it, so the thread makes it and says how that went.
        let (begin, begun) = mpsc::channel();
        thread::Builder::new()
            .name(format!("weir-worker-{}", start.index))
            .spawn(move || {
                let event_loop = match EventLoop::new() {
                    Ok(event_loop) => event_loop,
                    Err(error) => return drop(begin.send(Err(error))),
                };
                // Nobody listens if the control thread is gone, and then nothing matters.
                let _ = begin.send(Ok(()));
                // Connections that are still there at the deadline are dropped with their event loop.
                if let Err(error) = event_loop.run(work(start, inbox)) {
                    error!(%error, "a worker cannot wait for events any more");
                }
                let _ = end.send(());
            })?;
        begun
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
        Ok(Self {
            commands,
            ended: Ended(ended),
        })
    }

    pub fn send(&self, command: Command) {
        if self.commands.send(command).is_err() {
            error!("a worker has ended by itself");
        }
    }

    /// Its end, and where it can be told something meanwhile.
    pub fn part(self) -> (Ended, Commands) {
        (self.ended, Commands(self.commands))
    }
}

async fn work(start: Start, mut inbox: UnboundedReceiver<Command>) {
    let worker = Rc::new(Worker::new(
        start.index,
        start.head_bytes,
        start.process,
        start.log,
        start.generation,
    ));
    let mut accepting = Accepting::default();
    accepting.listen(&worker, start.listen);
    // It ends with the loop.
    spawn_local(sweep(Rc::clone(&worker)));
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Swap {
                generation,
                listen,
                ignore,
            } => {
                let leaving = !ignore.is_empty();
                for id in ignore {
                    accepting.ignore(id).await;
                }
                if leaving {
                    begin_what_was_sent().await;
                }
                worker.swap(*generation);
                accepting.listen(&worker, listen);
            }
            Command::Drain => {
                accepting.ignore_all().await;
                worker.wake_idle();
                // Told again when those that were left alone at first are to go as well.
                tokio::select! {
                    biased;
                    () = worker.emptied() => break,
                    _ = inbox.recv() => worker.wake_idle(),
                }
                worker.emptied().await;
                break;
            }
        }
    }
}

/// What ends a loop, and its end.
type AcceptLoop = (Rc<Notify>, Ended);

/// The accept loops of a worker.
#[derive(Default)]
struct Accepting {
    /// Mostly one for each listener.
    loops: HashMap<ListenerId, Vec<AcceptLoop>>,
}

impl Accepting {
    fn listen(&mut self, worker: &Rc<Worker>, sockets: Vec<(ListenerId, Socket)>) {
        for (id, socket) in sockets {
            match Listener::register(socket) {
                Ok(listener) => {
                    let stop = Rc::new(Notify::new());
                    let (end, ended) = oneshot::channel::<()>();
                    let accepting =
                        frontend::accept(Rc::clone(worker), listener, id, Rc::clone(&stop));
                    spawn_local(async move {
                        accepting.await;
                        drop(end);
                    });
                    let running = (stop, Ended(ended));
                    self.loops.entry(id).or_default().push(running);
                }
                Err(error) => warn!(%error, "a listener cannot be used by this worker"),
            }
        }
    }

    /// Ends a loop once it has taken in the clients that are already waiting.
    async fn ignore(&mut self, id: ListenerId) {
        for (stop, mut running) in self.loops.remove(&id).unwrap_or_default() {
            stop.notify_one();
            // It ends by itself; if it panicked, it has ended too.
            running.ended().await;
        }
    }

    async fn ignore_all(&mut self) {
        let all: Vec<_> = self.loops.keys().copied().collect();
        for id in all {
            self.ignore(id).await;
        }
    }
}

/// Lets those who were taken in last begin with the requests that they have already sent, as the coming
/// generation doesn't know their frontend any more.
async fn begin_what_was_sent() {
    // Once to have the event loop see what has arrived, and once to have the connections told.
    for _ in 0..2 {
        yield_now().await;
    }
}

async fn sweep(worker: Rc<Worker>) {
    loop {
        sleep(SWEEP).await;
        worker.pool.sweep(Instant::now());
        worker.streams.sweep();
    }
}
