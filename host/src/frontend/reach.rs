//! Getting an exchange to a server: asking for one, waiting for a place on it, and a connection to it,
//! with the retries that need no thought because nothing was sent yet.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::time::Instant;
use tracing::warn;

use super::{
    error::ExchangeError,
    facts::{Ends, Facts},
    generation::{Backend, Frontend, LocalBackend},
    introduce::introduction,
    policy::{self, Failed, Pick},
    record::Record,
    talk::Link,
    worker::Worker,
};
use crate::{
    backend::{
        ConnectError, InRoom, Place, PoolKey, QueueError, Seen, Server, StreamSlot, connect,
    },
    config::{Redispatch, ServerProtocol},
    event_loop::sleep,
    model::Outcome,
    net::{FirstWord, Stream, TlsConnector},
};

/// The longest pause before the same server is tried again.
const TURN_AROUND: Duration = Duration::from_secs(1);

/// A server that is ready to be sent the request.
#[derive(Debug)]
pub struct Reached<S = Stream> {
    /// Position in the backend's servers.
    pub server: usize,
    pub stream: S,
    pub place: Place,
    pub key: PoolKey,
    /// The connection has served others before, so it may be closed already.
    pub reused: bool,
}

/// Whether a kept connection will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Any,
    New,
}

/// Where an exchange may stand.
#[derive(Debug)]
pub enum Room {
    /// On the server at this position.
    Taken(usize, Place),
    /// In the queue for whichever of these gets room first.
    WaitFor(SmallVec<[usize; 1]>),
}

/// Positions of servers that this exchange has already failed on.
type Tried = SmallVec<[usize; 4]>;

/// Whether a connection that was kept from before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Whichever seems to be open: if it is not, nothing is lost.
    IfOpen,
    /// Only one that the system has just said to be open.
    IfCertain,
}

/// Whoever needs a server: an exchange, or a session.
pub trait Seek {
    fn worker(&self) -> &Worker;
    fn ends(&self) -> &Ends;
    fn record(&mut self) -> &mut Record;
    /// What plugins can know now.
    fn known<'b>(&'b self, frontend: &'b Frontend, backend: &'b Backend) -> Facts<'b>;
    fn kept(&self) -> Kept;

    /// Who sends first on a connection of its own.
    fn first_word(&mut self) -> FirstWord {
        FirstWord::Ours
    }

    /// What is to be spoken with a server.
    fn speaks(&self, server: &Server) -> ServerProtocol {
        server.protocol
    }

    /// Room in a backend that has a limit as a whole.
    async fn find_room(&mut self, backend: &Backend) -> Result<InRoom, ExchangeError> {
        let room = &backend.state.room;
        if let Some(inside) = room.try_enter() {
            return Ok(inside);
        }
        self.record().queued(backend, &[]);
        let deadline = Instant::now() + backend.timeouts.queue;
        let entered = Box::pin(room.enter(backend.max_queue, deadline)).await;
        entered.map_err(|error| {
            backend.metrics.queue_failed();
            match error {
                QueueError::Full => ExchangeError::QueueFull,
                QueueError::TimedOut => ExchangeError::QueueTimedOut {
                    limit: backend.timeouts.queue,
                },
                QueueError::SentElsewhere => ExchangeError::NoServer,
            }
        })
    }

    /// Finds a server, `bound` if that is still possible, and connects to it.
    async fn reach(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        mut bound: Option<usize>,
        freshness: Freshness,
    ) -> Result<Link, ExchangeError> {
        let mut tried = Tried::new();
        let mut retries = 0;
        loop {
            let (server, mut place) = self.place(frontend, backend, local, bound, &tried).await?;
            self.record().placed(server, &place, retries);
            backend.server_metrics[server].session();
            let error = match self.connection(frontend, backend, server, freshness).await {
                Ok(connection) => {
                    self.record().connected(connection.reused());
                    if backend.servers[server].holds_sessions
                        && let Connection::Http1(stream, ..) = &connection
                    {
                        place.hold(stream);
                    }
                    backend.servers[server].saw(Seen::Connected);
                    return Ok(connection.into_link(server, place));
                }
                Err(error) => error,
            };
            drop(place);
            self.record().notes.no_connection(server, &error);
            backend.servers[server].saw(Seen::NoConnection);
            backend.server_metrics[server].connect_failed();
            let took = self.record().since_connected();
            let facts = self.known(frontend, backend);
            policy::observe(local, server, Outcome::ConnectFailed, took, &facts);
            if retries == backend.retries || matches!(error, ConnectError::Exhausted(_)) {
                return Err(ExchangeError::Connect {
                    server: backend.servers[server].name.clone(),
                    source: error,
                });
            }
            retries += 1;
            backend.server_metrics[server].retried();
            let elsewhere = match backend.redispatch {
                Redispatch::Never => false,
                Redispatch::LastRetry => retries == backend.retries,
                Redispatch::Always => true,
            };
            if elsewhere {
                tried.push(server);
                bound = None;
                backend.metrics.redispatched();
                self.record().redispatched();
            } else {
                bound = Some(server);
            }
            // A refusal comes at once, so the server gets a moment before it is asked again; a
            // time-out was moment enough.
            let again = !elsewhere || self.only_server_left(backend, &tried);
            if again
                && matches!(
                    error,
                    ConnectError::Refused(_) | ConnectError::Unreachable(_)
                )
            {
                sleep(TURN_AROUND.min(backend.timeouts.connect)).await;
            }
        }
    }

    fn only_server_left(&self, backend: &Backend, tried: &[usize]) -> bool {
        let eligible = backend.eligible();
        eligible.iter().all(|index| tried.contains(index))
    }

    /// A place on `bound`, or on a server that the balancer picks.
    async fn place(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        mut bound: Option<usize>,
        tried: &[usize],
    ) -> Result<(usize, Place), ExchangeError> {
        let deadline = || Instant::now() + backend.timeouts.queue;
        loop {
            let room = match bound {
                Some(position) => {
                    let server = &backend.servers[position];
                    match server.state.take_place(server.limit_now()) {
                        Some(place) => Room::Taken(position, place),
                        None => Room::WaitFor([position].into_iter().collect()),
                    }
                }
                None => self.picked_room(frontend, backend, local, tried)?,
            };
            let wanted = match room {
                Room::Taken(position, place) => return Ok((position, place)),
                Room::WaitFor(wanted) => wanted,
            };
            let servers: Vec<_> = wanted
                .iter()
                .map(|index| &backend.servers[*index])
                .map(|server| {
                    let limit = server.limit_now().unwrap_or(u32::MAX);
                    (Arc::clone(&server.state), limit)
                })
                .collect();
            self.record().queued(backend, &servers);
            let waited = backend
                .state
                .wait_for_place(&servers, backend.max_queue, deadline())
                .await;
            match waited {
                Ok(place) => {
                    let key = place.server().key();
                    let server = wanted
                        .into_iter()
                        .find(|index| backend.servers[*index].state.key() == key);
                    let server = server.ok_or(ExchangeError::NoServer)?;
                    return Ok((server, place));
                }
                Err(QueueError::SentElsewhere) => bound = None,
                Err(QueueError::Full) => {
                    backend.metrics.queue_failed();
                    return Err(ExchangeError::QueueFull);
                }
                Err(QueueError::TimedOut) => {
                    backend.metrics.queue_failed();
                    return Err(ExchangeError::QueueTimedOut {
                        limit: backend.timeouts.queue,
                    });
                }
            }
        }
    }

    /// A place on a server that the balancer picks among those that have room. Where none has, the
    /// servers to wait for are returned instead: whichever gets room first will do.
    fn picked_room(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        tried: &[usize],
    ) -> Result<Room, ExchangeError> {
        let mut avoid = Tried::from(tried);
        // Another worker may take the last place between the look and the grab; a second look is enough
        // before standing in the queue, which nobody can jump.
        for _ in 0..2 {
            let facts = self.known(frontend, backend);
            let picked = match policy::pick(local, backend, &avoid, &facts) {
                Ok(Pick::Server(picked)) => picked,
                Ok(Pick::NoServer) => {
                    backend.metrics.no_server();
                    return Err(ExchangeError::NoServer);
                }
                Err(Failed) => return Err(ExchangeError::BalancerFailed),
            };
            let server = &backend.servers[picked];
            if let Some(place) = server.state.take_place(server.limit_now()) {
                return Ok(Room::Taken(picked, place));
            }
            let eligible = backend.eligible();
            let full = |index: &&usize| !backend.servers[**index].has_room();
            avoid = tried
                .iter()
                .chain(eligible.iter().filter(full))
                .copied()
                .collect();
            if eligible.iter().all(|index| avoid.contains(index)) {
                break;
            }
        }
        Ok(Room::WaitFor(backend.eligible().into_iter().collect()))
    }

    /// A kept connection to the server, or a new one.
    async fn connection(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        server: usize,
        freshness: Freshness,
    ) -> Result<Connection, ConnectError> {
        let server = &backend.servers[server];
        let port = match server.is_at_clients_port() {
            true => self.ends().listener_port(),
            false => 0,
        };
        let tls = server.tls.as_deref();
        let key = (
            server.state.pool_key(),
            port,
            tls.map_or(0, TlsConnector::number),
        );
        let limit = backend.timeouts.connect;
        if self.speaks(server) == ServerProtocol::Http2 {
            let idle = backend.pool.idle_timeout;
            let stream = self.worker().streams.stream(key, server, port, limit, idle);
            // Boxed, so that exchanges with servers of HTTP/1 need not have room for it.
            let connected = Box::pin(stream).await;
            warn_of_handshake(backend, server, connected.as_ref().err());
            let (stream, reused) = connected?;
            return Ok(Connection::Http2(stream, key, reused));
        }
        // With a PROXY header before it, a connection is its first client's alone.
        if freshness == Freshness::Any && server.send_proxy.is_none() {
            while let Some(stream) = self.worker().pool.take(key) {
                // What may not be sent a second time is worth a system call to be sure of the connection.
                if self.kept() == Kept::IfOpen || stream.is_quiet() {
                    return Ok(Connection::Http1(stream, key, true));
                }
            }
        }
        let introduction = match server.send_proxy {
            Some(send) => introduction(send, &self.known(frontend, backend)),
            None => Vec::new(),
        };
        // In a box, so that an exchange with a kept connection need not have room for it.
        let first_word = self.first_word();
        let connected = connect(server, port, &introduction, first_word, limit);
        let connected = Box::pin(connected).await;
        warn_of_handshake(backend, server, connected.as_ref().err());
        Ok(Connection::Http1(connected?, key, false))
    }
}

/// Says once that connections to a server cannot be secured, until they can again; which exchanges it has cost
/// is in the access log.
fn warn_of_handshake(backend: &Backend, server: &Server, error: Option<&ConnectError>) {
    if let (Some(ConnectError::Handshake(error)), Some(tls)) = (error, &server.tls)
        && tls.begins_to_fail()
    {
        warn!(backend = %backend.name, server = %server.name, "{}", error.reason());
    }
}

/// What leads to a server, and whether it has served others before.
pub enum Connection {
    Http1(Stream, PoolKey, bool),
    Http2(StreamSlot, PoolKey, bool),
}

impl Connection {
    fn reused(&self) -> bool {
        match self {
            Self::Http1(.., reused) | Self::Http2(.., reused) => *reused,
        }
    }

    fn into_link(self, server: usize, place: Place) -> Link {
        match self {
            Self::Http1(stream, key, reused) => Link::Http1(Reached {
                server,
                stream,
                place,
                key,
                reused,
            }),
            Self::Http2(stream, key, reused) => Link::Http2(Reached {
                server,
                stream,
                place,
                key,
                reused,
            }),
        }
    }
}
