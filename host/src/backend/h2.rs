//! A worker's connections of HTTP/2 to servers, each with many streams at a time.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, Reason, SendStream,
    client::{Builder, Connection, ResponseFuture, SendRequest},
};
use http::Request;
use tokio::{sync::Notify, time::Instant};
use tracing::debug;

use super::{
    ConnectError, PoolKey, Server, connect,
    gather::{Gathered, Outflow, gather},
    place::HeldConnection,
};
use crate::{
    config::ServerHttp2,
    event_loop::{Timer, spawn_local, timeout, timeout_at},
    http::h2::Outlet,
    net::{FirstWord, Stream},
};

/// Connections by server. Not shared between threads.
#[derive(Debug, Default)]
pub struct StreamPool {
    servers: RefCell<HashMap<PoolKey, Rc<Lane>>>,
}

/// The connections to one server.
#[derive(Debug, Default)]
struct Lane {
    open: RefCell<Vec<Rc<Shared>>>,
    /// Somebody is connecting; who comes meanwhile waits for that connection.
    connecting: Cell<bool>,
    /// A stream has ended, or connecting has.
    changed: Notify,
}

/// One connection.
struct Shared {
    sender: RefCell<SendRequest<Bytes>>,
    /// Streams that run.
    streams: Cell<usize>,
    /// It takes no more streams.
    retired: Cell<bool>,
    /// Of the task that keeps it going, to be told when it becomes idle or retired.
    waker: RefCell<Option<Waker>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("streams", &self.streams)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn has_room(&self, most: usize) -> bool {
        if self.retired.get() {
            return false;
        }
        let mut sender = self.sender.borrow_mut();
        let ready = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        let sound = matches!(ready, Poll::Ready(Ok(())));
        sound && self.streams.get() < most.min(sender.current_max_send_streams())
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Room for one stream. Dropping it makes room for another.
#[derive(Debug)]
pub struct StreamSlot {
    lane: Rc<Lane>,
    connection: Rc<Shared>,
}

impl StreamSlot {
    fn take(lane: &Rc<Lane>, connection: &Rc<Shared>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            lane: Rc::clone(lane),
            connection: Rc::clone(connection),
        }
    }

    /// Whether the server knows extended CONNECT.
    pub fn takes_upgrades(&self) -> bool {
        let sender = self.connection.sender.borrow();
        sender.is_extended_connect_protocol_enabled()
    }

    /// Sends a request's head. `ends` says that nothing follows it. An error means that nothing was sent.
    pub fn send(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, Outlet), h2::Error> {
        let mut sender = self.connection.sender.borrow_mut();
        let sent = sender.send_request(request, ends);
        sent.map(|(answer, stream): (_, SendStream<Bytes>)| (answer, Outlet::new(stream)))
    }

    /// No more streams are begun on this connection; those that run go on.
    pub fn retire(&self) {
        self.connection.retired.set(true);
        self.connection.wake();
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let left = self.connection.streams.get() - 1;
        self.connection.streams.set(left);
        if left == 0 {
            self.connection.wake();
        }
        self.lane.changed.notify_one();
    }
}

impl StreamPool {
    /// Room for a stream on a connection to `server`, which is made if none has any. Says whether the
    /// connection has served others before.
    ///
    /// Waits at most `limit`. Dropping the future gives an unfinished connection up.
    pub async fn stream(
        &self,
        key: PoolKey,
        server: &Server,
        client_port: u16,
        limit: Duration,
        idle_timeout: Duration,
    ) -> Result<(StreamSlot, bool), ConnectError> {
        let lane = Rc::clone(self.servers.borrow_mut().entry(key).or_default());
        let most = server.http2.max_streams;
        let deadline = Instant::now() + limit;
        loop {
            let found = lane
                .open
                .borrow()
                .iter()
                .find(|c| c.has_room(most))
                .cloned();
            if let Some(connection) = found {
                return Ok((StreamSlot::take(&lane, &connection), true));
            }
            if !lane.connecting.get() {
                break;
            }
            if timeout_at(deadline, lane.changed.notified()).await.is_err() {
                return Err(ConnectError::TimedOut { limit });
            }
        }
        let _connecting = Connecting::begin(&lane);
        let stream = connect(server, client_port, &[], FirstWord::Ours, limit).await?;
        let held = server
            .holds_sessions
            .then(|| HeldConnection::new(&server.state, &stream));
        let left = deadline.saturating_duration_since(Instant::now());
        let connection = match timeout(left, greet(stream, &server.http2)).await {
            Ok(Ok((sender, connection, pings, outflow))) => {
                let shared = Rc::new(Shared {
                    sender: RefCell::new(sender),
                    streams: Cell::new(0),
                    retired: Cell::new(false),
                    waker: RefCell::default(),
                });
                let keeper = Keeper {
                    shared: Rc::clone(&shared),
                    lane: Rc::clone(&lane),
                    pings,
                    outflow,
                    settings: Arc::clone(&server.http2),
                    idle_timeout,
                    _held: held,
                };
                spawn_local(keeper.keep(connection));
                shared
            }
            Ok(Err(error)) => return Err(ConnectError::NotHttp2(error)),
            Err(_elapsed) => return Err(ConnectError::TimedOut { limit }),
        };
        lane.open.borrow_mut().push(Rc::clone(&connection));
        Ok((StreamSlot::take(&lane, &connection), false))
    }

    /// Forgets servers to which there is no connection.
    pub fn sweep(&self) {
        let mut servers = self.servers.borrow_mut();
        servers.retain(|_, lane| Rc::strong_count(lane) > 1 || !lane.open.borrow().is_empty());
    }

    /// Connections that are open.
    pub fn len(&self) -> usize {
        let servers = self.servers.borrow();
        servers.values().map(|lane| lane.open.borrow().len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Marks a lane as being connected, as long as that goes on.
struct Connecting<'a>(&'a Lane);

impl<'a> Connecting<'a> {
    fn begin(lane: &'a Lane) -> Self {
        lane.connecting.set(true);
        Self(lane)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.changed.notify_waiters();
    }
}

/// A connection to a server that speaks HTTP/2.
type Greeted = (
    SendRequest<Bytes>,
    Connection<Gathered, Bytes>,
    PingPong,
    Outflow,
);

/// Begins to speak HTTP/2 and waits until the server has answered a ping. By then its settings are known, and
/// that it speaks HTTP/2 at all.
async fn greet(stream: Stream, settings: &ServerHttp2) -> Result<Greeted, h2::Error> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_send_buffer_size(settings.stream_window as usize)
        .max_header_list_size(settings.header_list)
        .max_concurrent_reset_streams(settings.max_streams);
    let (stream, outflow) = gather(stream);
    let (sender, mut connection) = builder.handshake::<_, Bytes>(stream).await?;
    let Some(mut pings) = connection.ping_pong() else {
        return Err(Reason::INTERNAL_ERROR.into());
    };
    {
        let mut answered = pin!(pings.ping(Ping::opaque()));
        let mut going = pin!(&mut connection);
        poll_fn(|cx| {
            if let Poll::Ready(answered) = answered.as_mut().poll(cx) {
                return Poll::Ready(answered.map(drop));
            }
            match going.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Err(Reason::NO_ERROR.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
            // What cannot be sent shows when the library reads.
            let _ = outflow.poll_send(cx);
            Poll::Pending
        })
        .await?;
    }
    Ok((sender, connection, pings, outflow))
}

/// Keeps a connection going until it is lost or nobody needs it any more.
struct Keeper {
    shared: Rc<Shared>,
    lane: Rc<Lane>,
    pings: PingPong,
    outflow: Outflow,
    settings: Arc<ServerHttp2>,
    idle_timeout: Duration,
    /// Where a server that goes down takes its connections with it.
    _held: Option<HeldConnection>,
}

/// What a connection is waiting for, besides its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Streams run: the next ping.
    Busy,
    /// The answer to a ping.
    Pinged,
    /// A stream, before it has been idle for too long.
    Idle,
}

impl Keeper {
    async fn keep(mut self, connection: Connection<Gathered, Bytes>) {
        let why = self.watch(connection).await;
        debug!("a connection of HTTP/2 to a server ended: {why}");
        self.shared.retired.set(true);
        let open = &self.lane.open;
        open.borrow_mut()
            .retain(|other| !Rc::ptr_eq(other, &self.shared));
        self.lane.changed.notify_waiters();
    }

    /// Says why the connection is over. Dropping it then fails the streams that still run.
    async fn watch(&mut self, connection: Connection<Gathered, Bytes>) -> String {
        let mut connection = pin!(connection);
        let mut phase = Phase::Idle;
        let mut timer = Timer::new(Instant::now() + self.idle_timeout);
        poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(match ended {
                    Ok(()) => "the server closed it".to_owned(),
                    Err(error) => error.to_string(),
                });
            }
            if let Poll::Ready(Err(error)) = self.outflow.poll_send(cx) {
                return Poll::Ready(error.to_string());
            }
            *self.shared.waker.borrow_mut() = Some(cx.waker().clone());
            loop {
                let busy = self.shared.streams.get() > 0;
                if !busy && self.shared.retired.get() {
                    return Poll::Ready("it was retired and is empty".to_owned());
                }
                let pong = phase == Phase::Pinged && self.pings.poll_pong(cx).is_ready();
                let next = match phase {
                    Phase::Idle if busy => Phase::Busy,
                    Phase::Busy | Phase::Pinged if !busy => Phase::Idle,
                    Phase::Pinged if pong => Phase::Busy,
                    Phase::Idle | Phase::Busy | Phase::Pinged => phase,
                };
                if next != phase {
                    phase = next;
                    timer.reset(Instant::now() + self.limit(phase));
                }
                if timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
                match phase {
                    Phase::Idle => return Poll::Ready("it was idle".to_owned()),
                    Phase::Pinged => return Poll::Ready("a ping was not answered".to_owned()),
                    Phase::Busy => {
                        // One that is still unanswered from before will do as well.
                        let _ = self.pings.send_ping(Ping::opaque());
                        phase = Phase::Pinged;
                        timer.reset(Instant::now() + self.limit(phase));
                    }
                }
            }
        })
        .await
    }

    fn limit(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Idle => self.idle_timeout,
            Phase::Busy => self.settings.ping_interval,
            Phase::Pinged => self.settings.ping_timeout,
        }
    }
}
