//! The signals that mean something, and which of them ends the proxy.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Wish;

/// The signals that mean something.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
    user2: Signal,
    reopen: bool,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            reopen: false,
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
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
    pub(super) async fn stop(&mut self) -> &'static str {
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
