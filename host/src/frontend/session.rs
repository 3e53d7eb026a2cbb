//! One TCP session, from a connection that was let in to its log line. The steps of [`Session::run`] are its
//! way: choose a backend, ask persistence, reach a server, relay.

use std::{
    io, mem,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use super::{
    edits,
    error::ExchangeError,
    exchange::Inside,
    facts::{Ends, Facts, Vars},
    generation::{Backend, Frontend, Generation, LocalBackend, LocalGeneration},
    noted, policy,
    reach::{Freshness, Kept, Reached, Seek},
    record::{Arrived, Record},
    relay::{Patience, SessionEnd, relay},
    talk::Link,
    transfer::read_more,
    worker::{RequestId, Worker},
};
use crate::{
    backend::Server,
    config::ServerProtocol,
    model::{Hook, Outcome},
    net::{Buffer, Deadline, FirstWord, Stream},
};

/// A session being served.
struct Session<'a> {
    worker: &'a Worker,
    frontend: usize,
    ends: &'a Ends,
    vars: Vars,
    id: RequestId,
    record: Record,
    generation: Arc<Generation>,
    client: &'a mut Stream,
    /// What reading from the client has brought before there was a server.
    early: io::Result<Option<Buffer>>,
}

/// Serves a client that was let in until its session ends, and logs it.
pub(super) async fn serve(
    worker: &Worker,
    generation: Rc<LocalGeneration>,
    frontend: usize,
    client: &mut Stream,
    ends: &Ends,
    began: Instant,
) {
    let mut record = Record::begin(began);
    record.head_read(Arrived::InPieces);
    let settings = &generation.shared.frontends[frontend];
    record.notes = worker.stories.open(&generation.shared.why, &settings.name);
    let mut session = Session {
        worker,
        frontend,
        ends,
        vars: ends.vars().clone(),
        id: worker.next_request_id(),
        record,
        generation: Arc::clone(&generation.shared),
        client,
        early: Ok(None),
    };
    let shared = Arc::clone(&generation.shared);
    if let Err(error) = session.run(generation).await {
        session.record.failed(&error);
    }
    let Session {
        mut record,
        id,
        vars,
        ..
    } = session;
    record.write_session(worker, &shared, frontend, ends, &vars, id);
}

impl Session<'_> {
    async fn run(&mut self, generation: Rc<LocalGeneration>) -> Result<(), ExchangeError> {
        let shared = Arc::clone(&generation.shared);
        let frontend = &shared.frontends[self.frontend];
        let chosen = self.backend(&shared).ok_or(ExchangeError::NoBackend)?;
        let backend = &shared.backends[chosen];
        let local = &generation.backends[chosen];
        let _inside = Inside::enter(&backend.state);
        self.record.entered(chosen, backend);
        let _room = match backend.limit {
            Some(_) => Some(self.find_room(backend).await?),
            None => None,
        };

        let bound = self.ask_persistence(frontend, backend, local).await;
        let bound = self.named_server(backend).or(bound);
        let reached = self.reach(frontend, backend, local, bound, Freshness::New);
        let Link::Http1(reached) = reached.await? else {
            unreachable!("a session has a connection to itself, not a stream of one");
        };
        let Reached {
            server,
            mut stream,
            mut place,
            ..
        } = reached;
        // It may last for days, and an operator may want it to end.
        place.hold(&stream);
        self.tell(frontend, backend, local, server, bound).await;
        // What follows may outlive many generations, and plugins have no say in it any more.
        drop(generation);

        let mut deadline = Deadline::new();
        let patience = patience(frontend, backend);
        let early = mem::replace(&mut self.early, Ok(None));
        let (worker, client) = (self.worker, &mut *self.client);
        let relayed = relay(worker, client, &mut stream, early, &mut deadline, patience).await;
        drop(place);
        self.record.sent(relayed.to_client, relayed.to_server);
        self.record.relayed(relayed.end);
        match relayed.end {
            SessionEnd::Finished => {}
            SessionEnd::ServerTimedOut => backend.server_metrics[server].failed(),
            // What broke on one side must not look like an orderly end on the other.
            SessionEnd::ServerGone => {
                backend.server_metrics[server].failed();
                self.client.reset_on_close();
            }
            SessionEnd::ClientGone => stream.reset_on_close(),
            SessionEnd::ClientTimedOut => {}
        }
        Ok(())
    }

    /// The backend that connection filters chose, else the default one.
    fn backend(&self, shared: &Generation) -> Option<usize> {
        let chosen = self.ends.chosen_backend(shared);
        chosen.or(shared.frontends[self.frontend].default_backend)
    }

    /// The server that a filter has named, if it can take the session.
    fn named_server(&self, backend: &Backend) -> Option<usize> {
        let name = self.vars.get(backend.server_from.as_deref()?)?;
        backend.usable_server(name)
    }

    /// The server that the client is bound to, if it can take the session.
    async fn ask_persistence(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
    ) -> Option<usize> {
        let plugin = local.persistence.as_ref()?;
        let facts = self.known(frontend, backend);
        let found = match plugin.offload() {
            None => noted::lookup(plugin, &facts),
            Some(offload) => noted::offloaded::lookup(plugin, offload, &facts).await,
        };
        let found = found?;
        if let Err(bad) = edits::apply_session(&mut self.vars, &found.edits) {
            plugin.refused(&self.known(frontend, backend), Hook::Lookup, &bad);
        }
        let known = backend.server_by_persistence_key(found.server.as_deref()?);
        // A server that takes no new clients still serves those it has.
        let usable = known.filter(|index| backend.servers[*index].state.is_up());
        self.record.bound(known.is_some(), usable.is_some());
        usable
    }

    /// Tells persistence and a balancer that learns where the session went. A session may last for days, so
    /// they hear of it when it begins.
    async fn tell(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        server: usize,
        bound: Option<usize>,
    ) {
        let facts = self.known(frontend, backend);
        let took = self.record.connecting();
        policy::observe(local, server, Outcome::Success, took, &facts);
        let Some(plugin) = &local.persistence else {
            return;
        };
        if bound == Some(server) && !plugin.always_assigned(&facts) {
            return;
        }
        let used = &backend.servers[server];
        let edits = match plugin.offload() {
            None => noted::assigned(plugin, used, &facts),
            Some(offload) => noted::offloaded::assigned(plugin, offload, used, &facts).await,
        };
        self.record.assigned(&edits);
        if let Err(bad) = edits::apply_session(&mut self.vars, &edits) {
            plugin.refused(&self.known(frontend, backend), Hook::Assigned, &bad);
        }
    }
}

impl Seek for Session<'_> {
    fn worker(&self) -> &Worker {
        self.worker
    }

    fn ends(&self) -> &Ends {
        self.ends
    }

    fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    fn known<'b>(&'b self, frontend: &'b Frontend, backend: &'b Backend) -> Facts<'b> {
        Facts {
            head: None,
            ends: self.ends,
            frontend: frontend.name.as_str(),
            backend: Some(backend.name.as_str()),
            vars: &self.vars,
            request_id: self.id,
            response: None,
            client: None,
            generation: Some(&self.generation),
            notes: &self.record.notes,
        }
    }

    /// A session has its connection to itself from beginning to end.
    fn kept(&self) -> Kept {
        Kept::IfCertain
    }

    /// Ours if the client has said something already, which is read here in place of later.
    fn first_word(&mut self) -> FirstWord {
        // Over TLS what has arrived may be nothing that a server is to get.
        if let Ok(early @ None) = &mut self.early
            && self.client.is_plain()
        {
            self.client.believe_readable();
            let mut context = Context::from_waker(Waker::noop());
            let buffers = &self.worker.buffers;
            match read_more(&mut context, self.client, early, buffers) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Err(error)) => self.early = Err(error),
                // The end, too, is there for whoever reads next.
                Poll::Ready(Ok(0)) | Poll::Pending => {
                    if let Some(empty) = early.take() {
                        buffers.give(empty);
                    }
                }
            }
        }
        match &self.early {
            Ok(Some(_)) => FirstWord::Ours,
            Ok(None) | Err(_) => FirstWord::Theirs,
        }
    }

    /// Whatever the client speaks.
    fn speaks(&self, _: &Server) -> ServerProtocol {
        ServerProtocol::Http1
    }
}

fn patience(frontend: &Frontend, backend: &Backend) -> Patience {
    let silence = backend.timeouts.tunnel;
    Patience {
        silence,
        client: frontend.timeouts.client,
        server: backend.timeouts.server,
        client_fin: frontend.timeouts.client_fin.unwrap_or(silence),
        server_fin: backend.timeouts.server_fin.unwrap_or(silence),
    }
}
