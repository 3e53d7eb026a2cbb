//! Listening sockets on their way from one process to the next: by inherited descriptors, with a list of
//! what they are in the environment.

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::listen::duplicate;

/// Where the list stands.
pub const VARIABLE: &str = "WEIR_HANDOVER";

#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("{VARIABLE} is set and makes no sense; it is for a proxy that takes over from another")]
    BadList(#[source] serde_json::Error),
    #[error("descriptor {fd}, which another proxy was to hand over, is not there")]
    NotThere { fd: RawFd, source: io::Error },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    /// Descriptors by what the socket is.
    sockets: BTreeMap<String, Vec<RawFd>>,
    /// Where the new process says that it serves.
    ready: Option<RawFd>,
}

/// Sockets that are about to be handed over. They are open for a child process as long as this lives.
#[derive(Debug)]
pub struct Parcel {
    list: List,
    kept: Vec<OwnedFd>,
}

impl Parcel {
    /// `ready` is where the child is to write once it serves.
    pub fn new(ready: OwnedFd) -> io::Result<Self> {
        let mut parcel = Self {
            list: List::default(),
            kept: Vec::new(),
        };
        parcel.list.ready = Some(parcel.keep(ready)?);
        Ok(parcel)
    }

    pub fn add(&mut self, what: String, sockets: Vec<Socket>) -> io::Result<()> {
        for socket in sockets {
            let fd = self.keep(socket.into())?;
            self.list.sockets.entry(what.clone()).or_default().push(fd);
        }
        Ok(())
    }

    fn keep(&mut self, descriptor: OwnedFd) -> io::Result<RawFd> {
        fcntl_setfd(&descriptor, FdFlags::empty())?;
        let fd = descriptor.as_raw_fd();
        self.kept.push(descriptor);
        Ok(fd)
    }

    /// What the child needs in its environment.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.list).expect("names and numbers are JSON")
    }
}

/// What another proxy has handed over to this one; empty if there was none.
#[derive(Debug, Default)]
pub struct Handover {
    sockets: BTreeMap<String, Vec<Socket>>,
    ready: Option<File>,
}

impl Handover {
    /// Takes what the environment names. To be called once, before anything else is opened.
    pub fn take() -> Result<Self, HandoverError> {
        let Some(text) = env::var_os(VARIABLE) else {
            return Ok(Self::default());
        };
        let list: List =
            serde_json::from_str(&text.to_string_lossy()).map_err(HandoverError::BadList)?;
        let mut handover = Self::default();
        for (what, fds) in list.sockets {
            let sockets: Result<Vec<_>, _> = fds.into_iter().map(own).collect();
            let sockets = sockets?.into_iter().map(Socket::from).collect();
            handover.sockets.insert(what, sockets);
        }
        if let Some(fd) = list.ready {
            handover.ready = Some(File::from(own(fd)?));
        }
        Ok(handover)
    }

    /// The sockets that are `what`, one for each accept queue.
    pub fn claim(&mut self, what: &str) -> Option<Vec<Socket>> {
        self.sockets.remove(what)
    }

    /// Closes what nobody wants any more and tells the former proxy that it can go.
    pub fn done(&mut self) {
        self.sockets.clear();
        if let Some(mut ready) = self.ready.take() {
            // If it is gone already, it need not be told.
            let _ = ready.write_all(b"ready");
        }
    }
}

/// Makes an inherited number a descriptor of ours. The number itself is given back, so that closing ours
/// closes the socket.
fn own(fd: RawFd) -> Result<OwnedFd, HandoverError> {
    let not_there = |source| HandoverError::NotThere { fd, source };
    let ours = duplicate(fd).map_err(not_there)?;
    nix::unistd::close(fd).map_err(|error| not_there(error.into()))?;
    Ok(ours)
}

/// Descriptors that systemd hands over, by their names there (`FileDescriptorName=`).
pub fn activated(name: &str) -> Option<RawFd> {
    /// Below are standard input, output and errors.
    const FIRST: RawFd = 3;
    let number = |variable: &str| env::var(variable).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID")? != std::process::id() {
        return None;
    }
    let count = RawFd::try_from(number("LISTEN_FDS")?).ok()?;
    let names = env::var("LISTEN_FDNAMES").ok()?;
    let position = names.split(':').position(|known| known == name)?;
    let position = RawFd::try_from(position).ok()?;
    (position < count).then_some(FIRST + position)
}
