//! The listening sockets over all generations: what stays is never closed, what is new is bound before
//! anything is swapped, what is gone is closed after.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
};

use tracing::info;

use crate::{
    config::{Address, Bind, Config},
    frontend::ListenerUse,
    model::FrontendName,
    net::{BindError, Handover, ListenerId, Parcel, SharedListener, TlsAcceptor},
};

/// Which socket a `bind` means. Where the system chooses the port, two binds that read alike are two
/// sockets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Address,
    namespace: Option<String>,
    interface: Option<String>,
    distinct: Option<(FrontendName, usize)>,
}

impl Key {
    fn new(frontend: &FrontendName, position: usize, bind: &Bind) -> Self {
        let any_port = matches!(bind.address, Address::Tcp(address) if address.port() == 0);
        Self {
            address: bind.address.clone(),
            namespace: bind.socket.namespace.clone(),
            interface: bind.socket.interface.clone(),
            distinct: any_port.then(|| (frontend.clone(), position)),
        }
    }
}

impl Key {
    /// The same in another process, and in another version of the program.
    fn text(&self) -> String {
        let address = match &self.address {
            Address::Tcp(address) => format!("tcp {address}"),
            Address::Unix(path) => format!("unix {}", path.display()),
            Address::Inherited(fd) => format!("fd {fd}"),
            Address::Activated(name) => format!("systemd {name}"),
            Address::Statistics => "statistics".to_owned(),
            Address::Name { host, port } => format!("name {host}:{port}"),
            Address::ClientPort(ip) => format!("ip {ip}"),
        };
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let (namespace, interface) = (or_none(&self.namespace), or_none(&self.interface));
        let distinct = match &self.distinct {
            Some((frontend, position)) => format!("{frontend}/{position}"),
            None => String::new(),
        };
        format!("{address}|{namespace}|{interface}|{distinct}")
    }
}

/// Sockets that are listened on.
#[derive(Debug)]
pub struct Listeners {
    workers: usize,
    /// What the proxy before this one listened on.
    handover: Handover,
    bound: HashMap<Key, Bound>,
    next: usize,
}

#[derive(Debug, Clone)]
struct Bound {
    id: ListenerId,
    listener: Arc<SharedListener>,
}

/// The TLS of a frontend's listeners, in their order.
pub type Acceptors = Vec<Option<Arc<TlsAcceptor>>>;

/// The sockets that a configuration wants, bound but not yet in use.
#[derive(Debug)]
pub struct Plan {
    wanted: HashMap<Key, Bound>,
    /// What each is used for.
    pub uses: HashMap<ListenerId, ListenerUse>,
    pub added: Vec<(ListenerId, Arc<SharedListener>)>,
    pub removed: Vec<ListenerId>,
}

impl Plan {
    /// What each listener is used for, by the listener's number.
    pub fn by_listener(&self) -> Vec<Option<ListenerUse>> {
        let most = self.uses.keys().map(|id| id.0 + 1).max();
        let mut uses = vec![None; most.unwrap_or(0)];
        for (id, used) in &self.uses {
            uses[id.0] = Some(used.clone());
        }
        uses
    }
}

impl Listeners {
    pub fn new(workers: usize, handover: Handover) -> Self {
        Self {
            workers,
            handover,
            bound: HashMap::new(),
            next: 0,
        }
    }

    /// Binds what `config` wants beyond what is there. Nothing else changes: dropping the plan undoes it.
    ///
    /// `acceptors` has the TLS of each listener, by frontend and position.
    pub fn plan(
        &mut self,
        config: &Config,
        acceptors: &[Acceptors],
    ) -> Result<Plan, Vec<BindError>> {
        let mut plan = Plan {
            wanted: HashMap::new(),
            uses: HashMap::new(),
            added: Vec::new(),
            removed: Vec::new(),
        };
        let mut errors = Vec::new();
        for (index, frontend) in config.frontends.iter().enumerate() {
            for (position, bind) in frontend.bind.iter().enumerate() {
                let key = Key::new(&frontend.name, position, bind);
                let bound = match self.bound.get(&key) {
                    Some(bound) => bound.clone(),
                    None => match self.open(&key, bind) {
                        Ok(listener) => {
                            let bound = Bound {
                                id: ListenerId(self.next),
                                listener: Arc::new(listener),
                            };
                            self.next += 1;
                            plan.added.push((bound.id, Arc::clone(&bound.listener)));
                            bound
                        }
                        Err(error) => {
                            errors.push(error);
                            continue;
                        }
                    },
                };
                let used = ListenerUse {
                    frontend: index,
                    number: position + 1,
                    bind: bind.clone(),
                    tls: acceptors[index][position].clone(),
                };
                plan.uses.insert(bound.id, used);
                plan.wanted.insert(key, bound);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let kept: HashSet<_> = plan.uses.keys().copied().collect();
        let before = self.bound.values().map(|bound| bound.id);
        plan.removed = before.filter(|id| !kept.contains(id)).collect();
        Ok(plan)
    }

    /// Takes the socket over from the proxy before, or binds it.
    fn open(&mut self, key: &Key, bind: &Bind) -> Result<SharedListener, BindError> {
        match self.handover.claim(&key.text()) {
            Some(sockets) => SharedListener::take_over(sockets).map_err(|source| BindError::Bind {
                address: key.text(),
                source,
            }),
            None => SharedListener::bind_with(&bind.address, &bind.socket, self.workers),
        }
    }

    /// The socket called `what` of the proxy before, if it had one.
    pub fn claim(&mut self, what: &str) -> Option<SharedListener> {
        let sockets = self.handover.claim(what)?;
        SharedListener::take_over(sockets).ok()
    }

    /// All is open: the proxy before can go.
    pub fn relieve(&mut self) {
        self.handover.done();
    }

    /// Puts all sockets into `parcel`, for the proxy that takes over.
    pub fn hand_over(&self, parcel: &mut Parcel) -> io::Result<()> {
        for (key, bound) in &self.bound {
            parcel.add(key.text(), bound.listener.hand_over()?)?;
        }
        Ok(())
    }

    /// Nobody took over after all.
    pub fn keep(&self) {
        self.bound.values().for_each(|bound| bound.listener.keep());
    }

    /// Makes the plan's sockets the ones there are, and says where they are.
    pub fn adopt(&mut self, plan: Plan, config: &Config) {
        for (id, listener) in &plan.added {
            let frontend = plan
                .uses
                .get(id)
                .map(|used| &config.frontends[used.frontend]);
            if let Some(frontend) = frontend {
                info!(frontend = %frontend.name, address = %listener.address, "listening");
            }
        }
        self.bound = plan.wanted;
    }
}
