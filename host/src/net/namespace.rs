//! Sockets in other network namespaces of this machine. A socket belongs to the namespace of the thread
//! that makes it, so each namespace in use has a thread that has entered it and does nothing but make
//! sockets for the others. No worker ever leaves its own namespace, and nothing has to be undone.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak, mpsc},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Where `ip netns add` puts the names.
const FOLDER: &str = "/run/netns";

#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    #[error("network namespace `{name}` cannot be opened at {}", path.display())]
    Open {
        name: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error("network namespace `{name}` cannot be entered; that takes CAP_SYS_ADMIN")]
    Enter { name: String, source: io::Error },
}

/// A network namespace that sockets can be made in.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    requests: mpsc::Sender<Request>,
}

/// What kind of socket is wanted, and what to do with it.
struct Request {
    domain: Domain,
    reply: Box<dyn FnOnce(io::Result<Socket>) + Send>,
}

impl Namespace {
    /// The namespace called `name`, whose thread is started unless it runs already.
    ///
    /// # Errors
    /// There is no such namespace, or it may not be entered.
    pub fn enter(name: &str) -> Result<Arc<Self>, NamespaceError> {
        static ENTERED: OnceLock<Mutex<HashMap<String, Weak<Namespace>>>> = OnceLock::new();
        let entered = ENTERED.get_or_init(Mutex::default);
        let mut entered = entered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = entered.get(name).and_then(Weak::upgrade) {
            return Ok(running);
        }
        let namespace = Arc::new(Self::start(name)?);
        entered.retain(|_, namespace| namespace.strong_count() > 0);
        entered.insert(name.to_owned(), Arc::downgrade(&namespace));
        Ok(namespace)
    }

    fn start(name: &str) -> Result<Self, NamespaceError> {
        let (requests, inbox) = mpsc::channel();
        let (report, entered) = mpsc::channel();
        let place = Door::new(name);
        let failed = |source| NamespaceError::Enter {
            name: name.to_owned(),
            source,
        };
        thread::Builder::new()
            // The system cuts names of threads after 15 bytes.
            .name(format!("netns {name}"))
            .spawn(move || {
                let mut place = place;
                let began = place.go_in();
                let entered = began.is_ok();
                // Whoever started this thread waits for the report.
                let _ = report.send(began);
                if entered {
                    serve(&mut place, &inbox);
                }
            })
            .map_err(failed)?;
        match entered.recv() {
            Ok(Ok(())) => Ok(Self {
                name: name.to_owned(),
                requests,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(failed(gone())),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A stream socket that lives there, blocking until it is made, which takes microseconds.
    pub fn socket(&self, domain: Domain) -> io::Result<Socket> {
        let (reply, answer) = mpsc::channel();
        self.ask(domain, move |made| drop(reply.send(made)))?;
        answer.recv().map_err(|_| gone())?
    }

    /// As [`socket`](Self::socket), for those who must not block.
    pub async fn make_socket(&self, domain: Domain) -> io::Result<Socket> {
        let (reply, answer) = oneshot::channel();
        // Who asked may have given up meanwhile.
        self.ask(domain, move |made| drop(reply.send(made)))?;
        answer.await.map_err(|_| gone())?
    }

    fn ask(
        &self,
        domain: Domain,
        reply: impl FnOnce(io::Result<Socket>) + Send + 'static,
    ) -> io::Result<()> {
        let reply = Box::new(reply);
        let asked = self.requests.send(Request { domain, reply });
        asked.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that makes sockets there has ended")
}

fn serve(place: &mut Door, requests: &mpsc::Receiver<Request>) {
    while let Ok(Request { domain, reply }) = requests.recv() {
        place.follow();
        reply(Socket::new(domain, Type::STREAM, Some(Protocol::TCP)));
    }
}

/// The file that stands for a namespace, and which one it was when the thread went in.
#[derive(Debug)]
struct Door {
    name: String,
    path: PathBuf,
    inside: Option<(u64, u64)>,
}

impl Door {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: PathBuf::from(FOLDER).join(name),
            inside: None,
        }
    }

    fn go_in(&mut self) -> Result<(), NamespaceError> {
        let (door, identity) = File::open(&self.path)
            .and_then(|file| {
                let about = file.metadata()?;
                Ok((file, (about.dev(), about.ino())))
            })
            .map_err(|source| NamespaceError::Open {
                name: self.name.clone(),
                path: self.path.clone(),
                source,
            })?;
        move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
            |error| NamespaceError::Enter {
                name: self.name.clone(),
                source: error.into(),
            },
        )?;
        self.inside = Some(identity);
        Ok(())
    }

    /// A namespace that was deleted and made again has the old name and is another one.
    fn follow(&mut self) {
        let now = std::fs::metadata(&self.path).map(|about| (about.dev(), about.ino()));
        let Ok(now) = now else {
            // It is gone, or this process may not see it any more; those who are inside stay.
            return;
        };
        if self.inside == Some(now) {
            return;
        }
        match self.go_in() {
            Ok(()) => info!(
                namespace = self.name,
                "entered the namespace that took its place"
            ),
            Err(error) => {
                warn!(%error, "the namespace was made anew; the old one is still used");
                self.inside = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_not_there_is_named_with_its_place() {
        let error = Namespace::enter("no-such-namespace").unwrap_err();
        assert_eq!(
            error.to_string(),
            "network namespace `no-such-namespace` cannot be opened at /run/netns/no-such-namespace"
        );
    }
}
