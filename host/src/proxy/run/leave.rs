//! How the proxy ends: a new process of the program takes over, or clients are waited for.

use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{Proxy, Stop};
use crate::proxy::{
    assemble::with_cause,
    source::Ending,
    workers::{Command, Commands, WorkerHandle},
};

impl Proxy {
    /// Whether the signal that came leaves no time for exchanges to finish.
    pub(super) fn ends_at_once(&self) -> bool {
        let hurries = match self.stopping {
            Some(Stop::Signal(signal)) => signal != "SIGUSR1",
            Some(Stop::Succeeded) | None => false,
        };
        hurries && self.source.ending() == Ending::AtOnce
    }

    /// Lets a new process of the program as it is now on disk take over. If it does not get to serve, nothing
    /// changes.
    pub(super) async fn upgrade(&mut self) {
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
    pub(super) async fn drain(mut self) {
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
