//! Replacing the program itself: a new process from the program's file as it is now gets the listening
//! sockets, and once it serves, this one drains.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{task::spawn_blocking, time::timeout};
use tracing::info;

use crate::net::{HANDOVER_VARIABLE, Parcel};

/// A new process that does not serve within this time is given up. Compiling plugins takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("the new process cannot be started from {}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("the sockets cannot be handed over")]
    HandOver(#[source] io::Error),
    #[error("the new process ended before it served ({status})")]
    Ended { status: String },
    #[error("the new process did not serve within {limit:?}, and was ended")]
    TooSlow { limit: Duration },
}

/// How this process was started, noted while the file is still the one that runs.
#[derive(Debug, Clone)]
pub struct StartedAs {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl StartedAs {
    pub fn now() -> io::Result<Self> {
        Ok(Self {
            program: env::current_exe()?,
            arguments: env::args_os().skip(1).collect(),
        })
    }

    /// Starts the successor and waits until it serves. `pack` puts what it is to get into the parcel. Returns its pid.
    ///
    /// Dropping the future leaves a successor that has not said anything yet to itself.
    pub async fn start_successor(
        &self,
        pack: impl FnOnce(&mut Parcel) -> io::Result<()>,
    ) -> Result<u32, UpgradeError> {
        let (listen, tell) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| UpgradeError::HandOver(error.into()))?;
        let mut parcel = Parcel::new(tell).map_err(UpgradeError::HandOver)?;
        pack(&mut parcel).map_err(UpgradeError::HandOver)?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env(HANDOVER_VARIABLE, parcel.text())
            .stdin(Stdio::null())
            .spawn()
            .map_err(|source| UpgradeError::Start {
                program: self.program.clone(),
                source,
            })?;
        // The child has copies; as long as ours are open, its end could not be noticed.
        drop(parcel);
        info!(pid = child.id(), "a new process is starting");
        let heard = timeout(PATIENCE, spawn_blocking(move || hear(listen))).await;
        match heard {
            Ok(Ok(true)) => Ok(child.id()),
            Ok(_) => Err(UpgradeError::Ended {
                status: status(&mut child),
            }),
            Err(_elapsed) => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                status(&mut child);
                Err(UpgradeError::TooSlow { limit: PATIENCE })
            }
        }
    }
}

/// Whether the other end has said that it is ready before it was closed.
fn hear(pipe: OwnedFd) -> bool {
    let mut said = String::new();
    File::from(pipe).read_to_string(&mut said).is_ok() && said == "ready"
}

fn status(child: &mut Child) -> String {
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
