//! One client's connection of HTTP/2: its bytes go to [`Streams`] and come from there, and each request that
//! begins is given to a task of its own.
//!
//! What the streams send is kept together until nothing more is to be done, so that the answers of many leave
//! in one piece: one system call, and with TLS one record.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::Reason;
use tokio::{io::AsyncWrite, time::Instant};
use tracing::debug;

use super::{
    super::{
        client::Client,
        facts::Ends,
        transfer::read_more,
        worker::{IdleTicket, Worker},
    },
    tasks::{Work, give_work},
};
use crate::{
    config::Http2Limits,
    http::{
        base64::base64,
        h2::{FrameLimits, Step, StreamLimits, Streams, Why},
        scan::HeadLimits,
    },
    net::{Deadline, ListenerId},
    telemetry::FrontendMetrics,
};

/// How long a connection without a stream keeps what it needs for one.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a connection that is being closed may take to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);
/// So much is read away of what a client sends that was told to go.
const UNHEARD: usize = 256 * 1024;
/// What waits to be sent leaves at once from here on, though there is more to read.
const ENOUGH: usize = 32 * 1024;

/// Serves a client that has begun to speak HTTP/2, until its connection ends.
pub async fn serve(worker: &Rc<Worker>, client: Client) {
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(client.listener) else {
        return;
    };
    let settings = &generation.shared.frontends[frontend];
    let limits = limits(&settings.http2, settings.head_limits);
    settings.metrics.http2_connected();
    let times = Times {
        request: settings.timeouts.http_request,
        idle: settings.timeouts.http_keep_alive,
    };
    let metrics = Arc::clone(&settings.metrics);
    // Waiting must not keep an old generation and its instances alive.
    drop(generation);

    let streams = Streams::new(limits, std::time::Instant::now());
    let shared = Rc::new(Connection {
        worker: Rc::clone(worker),
        ends: Rc::clone(&client.ends),
        listener: client.listener,
        streams: RefCell::new(streams),
    });
    let mut serving = Serving {
        client,
        shared,
        times,
        metrics,
        deadline: Deadline::new(),
        phase: None,
        served: false,
        over: false,
    };
    serving.run().await;
    serving.shared.streams.borrow_mut().lose();
    serving.count();
    serving.say_goodbye().await;
}

fn limits(limits: &Http2Limits, head: HeadLimits) -> StreamLimits {
    StreamLimits {
        max_streams: limits.max_streams as usize,
        stream_window: limits.stream_window,
        connection_window: limits.connection_window,
        pending_resets: limits.pending_resets,
        stream_errors: limits.stream_errors,
        frames: FrameLimits {
            resets: limits.resets,
            control: limits.control_frames,
        },
        head,
    }
}

#[derive(Debug, Clone, Copy)]
struct Times {
    /// For a request's head, the first one's wait included.
    request: Duration,
    /// Without a stream.
    idle: Duration,
}

/// What a connection's task and those that serve its streams have in common.
#[derive(Debug)]
pub struct Connection {
    pub worker: Rc<Worker>,
    pub ends: Rc<Ends>,
    pub listener: ListenerId,
    pub streams: RefCell<Streams>,
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first request, or the rest of any.
    Request,
    /// Another request, which may come soon.
    Pause,
    /// Another request.
    Idle,
    /// Streams that run.
    Streams,
    /// The end.
    Farewell,
}

struct Serving {
    client: Client,
    shared: Rc<Connection>,
    times: Times,
    metrics: Arc<FrontendMetrics>,
    deadline: Deadline,
    phase: Option<Phase>,
    served: bool,
    /// The client was told to go, politely, or has been let go of.
    over: bool,
}

impl Serving {
    /// Until the connection is over, as far as streams are concerned.
    async fn run(&mut self) {
        let worker = Rc::clone(&self.shared.worker);
        let idle = IdlePlace(&worker, Some(worker.join_idle()));
        let first = worker.current().shared.number;
        self.deadline.set(self.client.accepted, self.times.request);
        poll_fn(|cx| {
            self.shared.streams.borrow_mut().watch(cx);
            loop {
                self.take_in();
                match self.poll_bytes(cx) {
                    Poll::Ready(Ok(true)) => continue,
                    Poll::Ready(Ok(false)) => return Poll::Ready(()),
                    Poll::Ready(Err(error)) => {
                        debug!(client = self.shared.ends.client_address(), %error, "connection broke");
                        return Poll::Ready(());
                    }
                    Poll::Pending => {}
                }
                let leaving = worker.process.is_leaving() || is_orphaned(&self.shared, first);
                if leaving && !self.over {
                    self.over = true;
                    self.shared.streams.borrow_mut().leave();
                    continue;
                }
                idle.wake_later(cx);
                self.set_deadline();
                ready!(self.deadline.poll_expired(cx));
                if self.expired() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// Looks at what was read, and has the requests in it served.
    fn take_in(&mut self) {
        let Some(buffer) = &mut self.client.buffer else {
            return;
        };
        loop {
            let (used, step) = self.shared.streams.borrow_mut().receive(buffer.filled());
            buffer.consume(used);
            match step {
                Step::Request(key, follows) => {
                    self.served = true;
                    let worker = &self.shared.worker;
                    let mut head = worker.request_head();
                    let mut streams = self.shared.streams.borrow_mut();
                    let read = streams.take_head(key, follows, websocket_key, &mut head);
                    drop(streams);
                    match read {
                        Some(read) => {
                            let connection = Rc::clone(&self.shared);
                            let work = Work::new(connection, key, head, read);
                            give_work(worker, work);
                        }
                        None => worker.give_request_head(head),
                    }
                }
                Step::More | Step::Over => break,
            }
        }
        if buffer.is_empty() {
            self.client.release_buffer();
        }
    }

    /// Sends what waits and reads what has come. True if something has; false if the connection is over.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let is_over = self.shared.streams.borrow().is_over();
        let had = self.unsent();
        if !is_over
            && had < ENOUGH
            && let Poll::Ready(read) = self.poll_read(cx)
        {
            return Poll::Ready(read);
        }
        match self.poll_send(cx)? {
            Poll::Ready(()) if is_over => Poll::Ready(Ok(false)),
            Poll::Ready(()) if had >= ENOUGH => Poll::Ready(Ok(true)),
            Poll::Pending if !is_over && had >= ENOUGH => {
                // A client that takes nothing may have something to say about that.
                let is_full = self.shared.streams.borrow().is_full();
                match is_full {
                    true => Poll::Pending,
                    false => self.poll_read(cx),
                }
            }
            Poll::Ready(()) | Poll::Pending => Poll::Pending,
        }
    }

    /// Reads what has come. False at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let (stream, buffers) = (&mut self.client.stream, &self.shared.worker.buffers);
        let read = read_more(cx, stream, &mut self.client.buffer, buffers);
        if read.is_pending() {
            self.client.release_buffer();
        }
        read.map_ok(|n| n > 0)
    }

    fn unsent(&self) -> usize {
        self.shared.streams.borrow().unsent().len()
    }

    /// Sends what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let streams = &mut *self.shared.streams.borrow_mut();
        let stream = &mut self.client.stream;
        while !streams.unsent().is_empty() {
            match ready!(stream.poll_write(cx, streams.unsent()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => streams.sent(n),
            }
        }
        Pin::new(stream).poll_flush(cx)
    }

    /// Moves the deadline if what is waited for is another thing than before.
    fn set_deadline(&mut self) {
        let streams = self.shared.streams.borrow();
        let in_frame = self.client.buffer.is_some() || streams.is_in_frame();
        let phase = match streams.ended() {
            Some(_) => Phase::Farewell,
            None if streams.is_in_head() => Phase::Request,
            None if streams.is_busy() => Phase::Streams,
            None if self.over => Phase::Farewell,
            None if !self.served || in_frame => Phase::Request,
            None if self.phase == Some(Phase::Idle) || self.times.idle <= PAUSE => Phase::Idle,
            None => Phase::Pause,
        };
        // The wait for the first request began when the client was accepted.
        let goes_on = self.phase == Some(phase) || (self.phase.is_none() && !self.served);
        self.phase = Some(phase);
        if goes_on {
            return;
        }
        let limit = match phase {
            Phase::Request => self.times.request,
            Phase::Pause => PAUSE,
            Phase::Idle => {
                drop(streams);
                self.rest();
                self.times.idle
            }
            // They have limits of their own.
            Phase::Streams => Duration::MAX,
            Phase::Farewell => FAREWELL,
        };
        self.deadline.set(Instant::now(), limit);
    }

    /// Lets go of what only streams need.
    fn rest(&self) {
        let streams = &mut *self.shared.streams.borrow_mut();
        if streams.unsent().is_empty() {
            streams.rest();
        }
    }

    /// What is waited for did not come. True if the connection is over.
    fn expired(&mut self) -> bool {
        let mut streams = self.shared.streams.borrow_mut();
        match self.phase {
            Some(Phase::Pause) => {
                self.phase = Some(Phase::Idle);
                self.deadline
                    .set(Instant::now(), self.times.idle.saturating_sub(PAUSE));
                drop(streams);
                self.rest();
                false
            }
            Some(Phase::Idle) => {
                self.over = true;
                streams.leave();
                false
            }
            Some(Phase::Request) => {
                streams.end(Reason::NO_ERROR, Why::Proxy);
                false
            }
            Some(Phase::Streams | Phase::Farewell) | None => true,
        }
    }

    /// Counts why the connection was ended, if the client gave cause.
    fn count(&self) {
        let Some(ended) = self.shared.streams.borrow().ended() else {
            return;
        };
        let client = self.shared.ends.client_address();
        debug!(client, reason = %ended.reason, "connection ended");
        match ended.why {
            Why::Rules => self.metrics.http2_protocol_error(),
            Why::Flood => self.metrics.http2_flooded(),
            Why::Proxy => {}
        }
    }

    /// Closes so that the client hears of what was sent last: a connection that is closed with bytes unread
    /// takes that away from it.
    async fn say_goodbye(&mut self) {
        let worker = Rc::clone(&self.shared.worker);
        self.deadline.set(Instant::now(), FAREWELL);
        let mut unheard = UNHEARD;
        let mut told = false;
        poll_fn(|cx| {
            if !told {
                match self.client.stream.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => told = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return self.deadline.poll_expired(cx),
                }
            }
            loop {
                if let Some(buffer) = &mut self.client.buffer {
                    buffer.clear();
                }
                let stream = &mut self.client.stream;
                match read_more(cx, stream, &mut self.client.buffer, &worker.buffers) {
                    Poll::Ready(Ok(n @ 1..)) if n < unheard => unheard -= n,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.deadline.poll_expired(cx),
                }
            }
        })
        .await;
        self.client.release_buffer();
    }
}

/// Whether a generation since `seen` took the listener away.
fn is_orphaned(shared: &Connection, seen: u64) -> bool {
    let current = shared.worker.current();
    current.shared.number != seen && current.frontend_of(shared.listener).is_none()
}

/// The key that the opening of a WebSocket needs over HTTP/1: sixteen new bytes, as Base64.
fn websocket_key() -> String {
    let mut bytes = [0; 16];
    // It only keeps old answers from passing for new ones; a server takes any.
    let _ = getrandom::fill(&mut bytes);
    base64(&bytes)
}

/// A place on the list of connections that are told when the proxy stops.
struct IdlePlace<'a>(&'a Worker, Option<IdleTicket>);

impl IdlePlace<'_> {
    fn wake_later(&self, cx: &Context<'_>) {
        if let Some(ticket) = &self.1 {
            self.0.set_idle_waker(ticket, cx.waker());
        }
    }
}

impl Drop for IdlePlace<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.1.take() {
            self.0.leave_idle(ticket);
        }
    }
}
