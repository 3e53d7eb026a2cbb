//! The listening sockets over all generations: what stays is never closed, what is new is bound before
//! anything is swapped, what is gone is closed after.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tracing::info;

use crate::{
    config::{Address, Bind, Config},
    frontend::ListenerUse,
    model::FrontendName,
    net::{BindError, ListenerId, SharedListener, TlsAcceptor},
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

/// Sockets that are listened on.
#[derive(Debug)]
pub struct Listeners {
    workers: usize,
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
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
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
                    None => {
                        match SharedListener::bind_with(&bind.address, &bind.socket, self.workers) {
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
                        }
                    }
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
