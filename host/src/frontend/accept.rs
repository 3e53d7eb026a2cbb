//! Taking clients in: one loop per listener and worker, which nothing but its end can end.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tracing::{debug, warn};

use super::{
    connection::{self, Arrival},
    gate::Gate,
    sources::FromSource,
    worker::Worker,
};
use crate::{
    event_loop::{sleep, spawn_local},
    net::{Incoming, Listener, ListenerId, PeerAddress},
};

/// How long to leave the kernel's backlog alone when there is no descriptor left for a client.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Accepts clients of `listener` until `stop` is told, and then those who are already waiting.
///
/// A client is accepted before there is a place for it: a place that was held ready for whoever comes next
/// would be missing elsewhere, and under a low limit the clients of one worker would wait for ever for a
/// place that another worker holds and nobody uses. So each loop takes at most one client out of the kernel's
/// backlog early; it isn't read from before it has its places.
pub async fn accept(worker: Rc<Worker>, listener: Listener, id: ListenerId, stop: Rc<Notify>) {
    let mut warned = false;
    loop {
        let arrived = tokio::select! {
            biased;
            arrived = listener.accept() => arrived,
            () = stop.notified() => break,
        };
        match arrived {
            Ok(client) => {
                warned = false;
                let mut admitted = Box::pin(admit(Rc::clone(&worker), client, id));
                tokio::select! {
                    biased;
                    () = &mut admitted => {}
                    () = stop.notified() => {
                        spawn_local(admitted);
                        break;
                    }
                }
            }
            Err(error) if is_the_clients(&error) => {
                debug!(%error, "a client left before it was accepted");
            }
            Err(error) => {
                if !warned {
                    warn!(%error, "clients cannot be accepted now; trying again");
                    warned = true;
                }
                sleep(BACK_OFF).await;
            }
        }
    }
    // Asked of the system itself: that nothing was heard of clients doesn't mean that none wait.
    loop {
        match listener.accept_waiting() {
            Ok(Some(client)) => spawn_local(admit(Rc::clone(&worker), client, id)),
            Ok(None) => return,
            Err(error) if is_the_clients(&error) => {}
            Err(error) => return warn!(%error, "clients that wait are not accepted any more"),
        }
    }
}

/// Waits for a place under the limits of the process and of the frontend, and begins to serve. A client that
/// has as many connections as it may have gets no place to wait in, which others would miss.
fn admit(
    worker: Rc<Worker>,
    client: Incoming,
    listener: ListenerId,
) -> impl Future<Output = ()> + 'static {
    // Counted at once: a worker that drains waits for this client too.
    let arrival = Arrival {
        client,
        listener,
        open: worker.open_connection(),
        source: None,
    };
    find_places(worker, arrival)
}

async fn find_places(worker: Rc<Worker>, mut arrival: Arrival) {
    match count_source(&worker, &arrival) {
        Ok(source) => arrival.source = source,
        Err(TooMany) => return,
    }
    let Some(gate) = frontend_gate(&worker, arrival.listener) else {
        // A new generation has taken the frontend away.
        return;
    };
    let places = [worker.process.connections.admit().await, gate.admit().await];
    count(&worker, arrival.listener);
    spawn_local(connection::serve(Rc::clone(&worker), arrival, places));
}

/// The client has as many connections as it may have.
struct TooMany;

fn count_source(worker: &Worker, arrival: &Arrival) -> Result<Option<FromSource>, TooMany> {
    let generation = worker.current();
    let frontend = generation.frontend_of(arrival.listener);
    let frontend = frontend.map(|frontend| &generation.shared.frontends[frontend]);
    let (Some(frontend), PeerAddress::Ip(client)) = (frontend, arrival.client.peer) else {
        return Ok(None);
    };
    let Some(most) = frontend.per_client else {
        return Ok(None);
    };
    match frontend.sources.take(client.ip(), most) {
        Some(source) => Ok(Some(source)),
        None => {
            frontend.metrics.refused();
            debug!(%client, frontend = %frontend.name, "the client has too many connections");
            Err(TooMany)
        }
    }
}

fn count(worker: &Worker, listener: ListenerId) {
    let generation = worker.current();
    if let Some(frontend) = generation.frontend_of(listener) {
        generation.shared.frontends[frontend].metrics.connected();
    }
}

fn frontend_gate(worker: &Worker, listener: ListenerId) -> Option<Arc<Gate>> {
    let generation = worker.current();
    let frontend = generation.frontend_of(listener)?;
    let frontend = &generation.shared.frontends[frontend];
    Some(Arc::clone(&frontend.connections))
}

/// The connection was reset while it waited, which says nothing about the listener.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
