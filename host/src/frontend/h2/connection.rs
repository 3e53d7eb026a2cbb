//! One client's connection of HTTP/2: streams are taken in as they come and served side by side.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::{Method, Request, request::Parts};
use tokio::{task::spawn_local, time::Instant};
use tracing::debug;

use super::{
    super::{
        answer::Answer,
        client::Client,
        error::ExchangeError,
        exchange::Exchange,
        facts::Ends,
        generation::{Frontend, LocalGeneration},
        record::{Arrived, Caller, Record},
        side::{ClientSide, WholeAnswer},
        worker::{IdleTicket, Worker},
    },
    client::StreamClient,
    io::{Io, Link},
};
use crate::{
    config::Http2Limits,
    http::{
        bad::BadRequest,
        base64::base64,
        h2::{Follows, FrameLimits, FrameMeter, read_request},
        request::RequestHead,
        response::{Asked, ResponseHead},
        scan::HeadLimits,
        write::ConnectionField,
    },
    net::{Deadline, ListenerId},
    telemetry::FrontendMetrics,
};

/// What a field costs in the library's count of a head's size (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// How long a connection that is being closed may take to hear of it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a client that has begun to speak HTTP/2, until its connection ends.
pub async fn serve(worker: &Rc<Worker>, client: Client) {
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(client.listener) else {
        return;
    };
    let settings = &generation.shared.frontends[frontend];
    let builder = builder(&settings.http2, &settings.head_limits);
    let limits = FrameLimits {
        resets: settings.http2.resets,
        control: settings.http2.control_frames,
    };
    let shared = Rc::new(Shared {
        worker: Rc::clone(worker),
        ends: Rc::clone(&client.ends),
        listener: client.listener,
        open: Cell::new(0),
        waker: RefCell::default(),
    });
    settings.metrics.http2_connected();
    let times = Times {
        request: settings.timeouts.http_request,
        idle: settings.timeouts.http_keep_alive,
    };
    let metrics = Arc::clone(&settings.metrics);
    let accepted = client.accepted;
    // Waiting must not keep an old generation and its instances alive.
    drop(generation);

    let meter = FrameMeter::new(limits, std::time::Instant::now());
    match shake_hands(&builder, client, meter, accepted + times.request).await {
        Ok((connection, link)) => {
            let mut serving = Serving {
                connection,
                link,
                shared: Rc::clone(&shared),
                times,
                metrics,
                deadline: Deadline::new(),
                phase: None,
                closing: Closing::No,
            };
            serving.run(accepted).await;
        }
        Err(Some(error)) => {
            debug!(%error, "a client did not get as far as its first request");
            metrics.http2_protocol_error();
        }
        Err(None) => debug!("a client did not get as far as its first request in time"),
    }
    shared.emptied().await;
}

/// Begins to speak HTTP/2; no error at all is the end of the time for it.
async fn shake_hands(
    builder: &Builder,
    client: Client,
    meter: FrameMeter,
    until: Instant,
) -> Result<(Connection<Io, Bytes>, Rc<RefCell<Link>>), Option<h2::Error>> {
    let (io, link) = Io::new(client, meter);
    let mut handshake = pin!(builder.handshake(io));
    let handshake = poll_fn(|cx| {
        let done = handshake.as_mut().poll(cx);
        // What cannot be sent shows when the library reads.
        let _ = link.borrow_mut().poll_send(cx);
        done
    });
    match tokio::time::timeout_at(until, handshake).await {
        Ok(Ok(connection)) => Ok((connection, link)),
        Ok(Err(error)) => Err(Some(error)),
        Err(_elapsed) => Err(None),
    }
}

fn builder(limits: &Http2Limits, head: &HeadLimits) -> Builder {
    let list = head.bytes + head.fields * FIELD_OVERHEAD;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams)
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_send_buffer_size(limits.stream_window as usize)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(Some(limits.stream_errors))
        .enable_connect_protocol();
    builder
}

#[derive(Debug, Clone, Copy)]
struct Times {
    /// For a request's head, the first one's wait included.
    request: Duration,
    /// Without a stream.
    idle: Duration,
}

/// What a connection's streams have in common.
struct Shared {
    worker: Rc<Worker>,
    ends: Rc<Ends>,
    listener: ListenerId,
    open: Cell<usize>,
    /// Of the connection's task, to be told when a stream has ended.
    waker: RefCell<Option<Waker>>,
}

impl Shared {
    async fn emptied(&self) {
        poll_fn(|cx| {
            if self.open.get() == 0 {
                return Poll::Ready(());
            }
            self.wake_later(cx);
            Poll::Pending
        })
        .await;
    }

    fn wake_later(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }
}

/// A stream that is being served.
struct OpenStream(Rc<Shared>);

impl OpenStream {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// Whether a connection takes new streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// The client was told; streams that run are finished.
    Politely,
    /// Nothing more is done for this client.
    AtOnce,
}

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first request, or the rest of any.
    Request,
    /// Another request.
    Idle,
    /// Streams that run.
    Streams,
    /// The end.
    Farewell,
}

struct Serving {
    connection: Connection<Io, Bytes>,
    link: Rc<RefCell<Link>>,
    shared: Rc<Shared>,
    times: Times,
    metrics: Arc<FrontendMetrics>,
    deadline: Deadline,
    phase: Option<Phase>,
    closing: Closing,
}

impl Serving {
    async fn run(&mut self, accepted: Instant) {
        let worker = Rc::clone(&self.shared.worker);
        let idle = IdlePlace(&worker, Some(worker.join_idle()));
        let first = worker.current().shared.number;
        let mut served = false;
        self.deadline.set(accepted, self.times.request);
        poll_fn(|cx| {
            loop {
                match self.connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        served = true;
                        let stream = OpenStream::new(&self.shared);
                        spawn_local(exchange(stream, request, respond));
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => {
                        self.ended_with(&error);
                        return Poll::Ready(());
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
                // Streams that were served since have left their frames with the library, and it with us.
                if let Poll::Ready(Err(error)) = self.link.borrow_mut().poll_send(cx) {
                    self.broken(&error);
                    return Poll::Ready(());
                }
                if self.stops_a_flood() {
                    continue;
                }
                let shared = Rc::clone(&self.shared);
                let worker = &shared.worker;
                let leaving = worker.process.is_leaving() || is_orphaned(&shared, first);
                if leaving && self.closing == Closing::No {
                    self.close_politely();
                    continue;
                }
                idle.wake_later(cx);
                shared.wake_later(cx);
                self.set_deadline(served);
                if self.deadline.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
                match self.expired() {
                    true => return Poll::Ready(()),
                    false => continue,
                }
            }
        })
        .await;
    }

    /// Ends a connection whose client makes work for nothing. True if there is something new to do.
    fn stops_a_flood(&mut self) -> bool {
        let flood = self.link.borrow().flood;
        let Some(flood) = flood.filter(|_| self.closing != Closing::AtOnce) else {
            return false;
        };
        debug!(client = self.shared.ends.client_address(), "{flood}");
        self.metrics.http2_flooded();
        self.closing = Closing::AtOnce;
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        true
    }

    fn close_politely(&mut self) {
        self.closing = Closing::Politely;
        self.connection.graceful_shutdown();
    }

    /// Moves the deadline if what is waited for is another thing than before.
    fn set_deadline(&mut self, served: bool) {
        let busy = self.shared.open.get() > 0;
        let link = self.link.borrow();
        let phase = match self.closing {
            Closing::AtOnce => Phase::Farewell,
            _ if link.meter.is_in_head() => Phase::Request,
            _ if busy => Phase::Streams,
            Closing::Politely => Phase::Farewell,
            Closing::No if !served || link.meter.is_in_frame() => Phase::Request,
            Closing::No => Phase::Idle,
        };
        // The wait for the first request began when the client was accepted.
        let goes_on = self.phase == Some(phase) || (self.phase.is_none() && !served);
        self.phase = Some(phase);
        if goes_on {
            return;
        }
        let limit = match phase {
            Phase::Request => self.times.request,
            Phase::Idle => self.times.idle,
            // They have limits of their own.
            Phase::Streams => Duration::MAX,
            Phase::Farewell => FAREWELL,
        };
        self.deadline.set(Instant::now(), limit);
    }

    /// What is waited for did not come. True if the connection is over.
    fn expired(&mut self) -> bool {
        match self.phase {
            Some(Phase::Idle) => {
                self.close_politely();
                false
            }
            Some(Phase::Request) => {
                self.closing = Closing::AtOnce;
                self.connection.abrupt_shutdown(Reason::NO_ERROR);
                false
            }
            Some(Phase::Streams | Phase::Farewell) | None => true,
        }
    }

    /// The client takes nothing any more.
    fn broken(&self, error: &io::Error) {
        debug!(client = self.shared.ends.client_address(), %error, "connection broke");
    }

    /// Counts a connection that the library has ended.
    fn ended_with(&self, error: &h2::Error) {
        debug!(client = self.shared.ends.client_address(), %error, "connection ended");
        match error.reason() {
            Some(Reason::ENHANCE_YOUR_CALM) if error.is_library() => self.metrics.http2_flooded(),
            Some(_) if error.is_library() => self.metrics.http2_protocol_error(),
            Some(_) | None => {}
        }
    }
}

/// Whether a generation since `seen` took the listener away.
fn is_orphaned(shared: &Shared, seen: u64) -> bool {
    let current = shared.worker.current();
    current.shared.number != seen && current.frontend_of(shared.listener).is_none()
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

/// Serves the request of one stream.
async fn exchange(stream: OpenStream, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let Shared {
        worker,
        ends,
        listener,
        ..
    } = &*stream.0;
    let generation = worker.current();
    let Some(frontend) = generation.frontend_of(*listener) else {
        let mut respond = respond;
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    };
    let settings = &generation.shared.frontends[frontend];
    let mut record = Record::begin(Instant::now());
    let (parts, body) = request.into_parts();
    let mut head = worker.request_head();
    let mut text = worker.buffers.scratch();
    let read = read_request(
        &parts,
        Follows::after(&body),
        &websocket_key(&parts),
        &settings.head_limits,
        &mut text,
        &mut head,
    );
    worker.buffers.give_scratch(text);
    drop(parts);
    let mut client = StreamClient::new(Rc::clone(ends), body, respond);
    match read {
        Ok(()) => {
            record.head_read(Arrived::AtOnce);
            settings.metrics.requested();
            let mut exchange =
                Exchange::new(worker, generation, frontend, &mut client, head, record);
            exchange.serve().await;
            exchange.end();
        }
        Err(bad) => {
            worker.give_request_head(head);
            refuse(worker, &generation, frontend, &mut client, record, bad).await;
        }
    }
    client.finish().await;
}

/// The key that the opening of a WebSocket needs over HTTP/1: sixteen new bytes, as Base64.
fn websocket_key(parts: &Parts) -> String {
    let mut bytes = [0; 16];
    if parts.method == Method::CONNECT {
        // It only keeps old answers from passing for new ones; a server takes any.
        let _ = getrandom::fill(&mut bytes);
    }
    base64(&bytes)
}

/// Answers what is no sound request.
async fn refuse(
    worker: &Worker,
    generation: &LocalGeneration,
    frontend: usize,
    client: &mut StreamClient,
    mut record: Record,
    bad: BadRequest,
) {
    let settings: &Frontend = &generation.shared.frontends[frontend];
    let error = ExchangeError::BadRequest(bad);
    record.failed(&error);
    settings.metrics.bad_request();
    let status = error.status().unwrap_or(400);
    let answer = Answer::Failed(status);
    let mut head = ResponseHead::new(status);
    let body = answer.body(&mut head, &settings.error_pages, None);
    let whole = WholeAnswer {
        head: &head,
        body: &body,
        asked: Asked::Other,
        connection: ConnectionField::Implied,
    };
    let limit = settings.timeouts.client;
    let sent = client.send_answer(whole, &worker.buffers, limit).await;
    record.refused(status, sent.unwrap_or(0));
    let id = worker.next_request_id();
    let head: Option<&RequestHead> = None;
    record.write(
        worker,
        &generation.shared,
        frontend,
        head,
        Caller {
            ends: client.ends(),
            forwarded: None,
            vars: client.ends().vars(),
        },
        id,
    );
}
