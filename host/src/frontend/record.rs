//! What is remembered of an exchange for its log line and for the counters.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    answer::Answer,
    error::ExchangeError,
    facts::{Ends, Facts, Vars},
    forwarded::ForwardedClient,
    generation::{Backend, Generation},
    notes::Notes,
    relay::SessionEnd,
    tell::Ending,
    tunnel::TunnelEnd,
    worker::{RequestId, Worker},
};
use crate::{
    backend::{Place, ServerState},
    event_loop::last_look,
    http::request::RequestHead,
    model::{Edit, Fault, Input},
    net::PeerAddress,
    telemetry::{
        AccessRecord, Connections, LineFacts, OwnLine, Queues, RequestLine, Spoken, Timers,
        story::{OutcomeShown, Spoke, Times},
    },
};

/// Grows while the exchange goes on.
#[derive(Debug)]
pub struct Record {
    /// For whoever asks why it went as it did.
    pub(super) notes: Notes,
    /// Why it ended early, if that is to be told.
    error: Option<Box<str>>,
    began: Instant,
    head_read: Option<Instant>,
    queued: Option<Instant>,
    placed: Option<Instant>,
    connected: Option<Instant>,
    answered: Option<Instant>,
    backend: Option<usize>,
    server: Option<usize>,
    status: Option<u16>,
    bytes_out: u64,
    bytes_in: u64,
    termination: [u8; 4],
    fault: Option<Fault>,
    verdict: Option<&'static str>,
    retries: u32,
    redispatched: bool,
    connections: Connections,
    queues: Queues,
    /// A cache answered.
    from_cache: bool,
    /// Nothing came from the client, and that isn't worth a line.
    silent: bool,
    /// The client had to wait for its answer on purpose.
    held_back: bool,
}

impl Record {
    /// Of a request whose first byte came at `began`.
    pub fn begin(began: Instant) -> Self {
        Self {
            notes: Notes::default(),
            error: None,
            began,
            head_read: None,
            queued: None,
            placed: None,
            connected: None,
            answered: None,
            backend: None,
            server: None,
            status: None,
            bytes_out: 0,
            bytes_in: 0,
            termination: *b"----",
            fault: None,
            verdict: None,
            retries: 0,
            redispatched: false,
            connections: Connections::default(),
            queues: Queues::default(),
            from_cache: false,
            silent: false,
            held_back: false,
        }
    }

    /// What came at once, with the first byte, costs no second look at the clock.
    pub fn head_read(&mut self, arrived: Arrived) {
        self.head_read = Some(match arrived {
            Arrived::AtOnce => self.began,
            Arrived::InPieces => Instant::now(),
        });
    }

    /// A backend was chosen.
    pub fn entered(&mut self, position: usize, backend: &Backend) {
        self.backend = Some(position);
        self.connections.backend = backend.state.active().saturating_sub(1);
        backend.metrics.session();
    }

    /// Persistence had a server in mind.
    pub fn bound(&mut self, known: bool, usable: bool) {
        self.termination[2] = match (known, usable) {
            (true, true) => b'V',
            (true, false) => b'D',
            (false, _) => b'I',
        };
        // Unless the answer will say otherwise.
        self.termination[3] = b'N';
    }

    /// Persistence was told where the client went.
    pub fn assigned(&mut self, edits: &[Edit]) {
        if self.termination[2] == b'-' {
            self.termination[2] = b'N';
        }
        self.termination[3] = match edits {
            [] => b'N',
            _ => b'I',
        };
    }

    pub fn queued(&mut self, backend: &Backend, servers: &[(Arc<ServerState>, u32)]) {
        self.queued.get_or_insert_with(Instant::now);
        match servers {
            [(server, _)] => self.queues.server = server.queued(),
            _ => self.queues.backend = u32::try_from(backend.state.queued()).unwrap_or(u32::MAX),
        }
        backend.metrics.queued();
    }

    pub fn placed(&mut self, server: usize, place: &Place, retries: u32) {
        if self.queued.is_some() {
            self.placed = Some(Instant::now());
        }
        self.server = Some(server);
        self.connections.server = place.server().active().saturating_sub(1);
        self.retries = retries;
    }

    pub fn redispatched(&mut self) {
        self.redispatched = true;
    }

    /// On a kept connection this costs no look at the clock.
    pub fn connected(&mut self, reused: bool) {
        self.connected = Some(match reused {
            true => self.placed.or(self.head_read).unwrap_or(self.began),
            false => Instant::now(),
        });
    }

    /// How long it has been since the request went out, more or less.
    pub fn since_connected(&self) -> Duration {
        let from = self.connected.or(self.placed).unwrap_or(self.began);
        let until = self.answered.unwrap_or_else(Instant::now);
        until.saturating_duration_since(from)
    }

    /// When something last happened that was worth a look at the clock.
    pub fn last_seen(&self) -> Instant {
        self.answered
            .or(self.connected)
            .or(self.head_read)
            .unwrap_or(self.began)
    }

    pub fn answered(&mut self, status: u16) {
        self.status = Some(status);
        // A server that speaks first may have done so before the connection was seen to be there.
        let connected = self.connected.unwrap_or(self.began);
        self.answered = Some(last_look().max(connected));
    }

    /// A cache has the answer.
    pub fn cached(&mut self, status: u16) {
        self.status = Some(status);
        self.from_cache = true;
        self.termination[..2].copy_from_slice(b"LR");
    }

    pub fn sent(&mut self, to_client: u64, to_server: u64) {
        self.bytes_out = to_client;
        self.bytes_in = to_server;
    }

    pub fn failed(&mut self, error: &ExchangeError) {
        self.termination[..2].copy_from_slice(&error.termination());
        self.fault = Some(error.fault());
        self.error = Some(error.to_string().into());
    }

    /// The client closed in the middle of its request's head.
    pub fn client_closed_early(&mut self) {
        self.termination[..2].copy_from_slice(b"CR");
        self.status = Some(400);
        self.fault = Some(Fault::Client);
    }

    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// The answer that follows was held back.
    pub fn held_back(&mut self) {
        self.held_back = true;
    }

    pub fn refused(&mut self, status: u16, bytes: u64) {
        self.status = Some(status);
        self.bytes_out = bytes;
    }

    pub fn answered_by_proxy(&mut self, status: u16, answer: &Answer, bytes: u64) {
        self.status = Some(status);
        self.bytes_out = bytes;
        let (code, verdict) = match answer {
            Answer::Denied(_) | Answer::Reply(_) if self.held_back => (b"PT", "deny"),
            Answer::Reply(_) => (b"LR", "reply"),
            // A question to the client rather than a refusal, as HAProxy's `http-request auth` has it.
            Answer::Denied(401 | 407) => (b"LR", "deny"),
            Answer::Denied(_) => (b"PR", "deny"),
            // Said by the error.
            Answer::Failed(_) => return,
        };
        self.verdict = Some(verdict);
        self.termination[..2].copy_from_slice(code);
    }

    pub fn tunnelled(&mut self, end: TunnelEnd) {
        let code = match end {
            TunnelEnd::Finished => return,
            TunnelEnd::ClientGone => b"CD",
            TunnelEnd::ServerGone => b"SD",
            TunnelEnd::TimedOut => b"cD",
        };
        self.termination[..2].copy_from_slice(code);
    }

    /// How a session ended.
    pub fn relayed(&mut self, end: SessionEnd) {
        let (code, fault) = match end {
            SessionEnd::Finished => return,
            SessionEnd::ClientGone => (b"CD", Fault::Client),
            SessionEnd::ServerGone => (b"SD", Fault::Server),
            SessionEnd::ClientTimedOut => (b"cD", Fault::Client),
            SessionEnd::ServerTimedOut => (b"sD", Fault::Server),
        };
        self.termination[..2].copy_from_slice(code);
        self.fault = Some(fault);
    }

    /// A connection that was not let in.
    pub fn turned_away(&mut self, fault: Fault, verdict: Option<&'static str>) {
        self.termination[..2].copy_from_slice(b"PR");
        self.fault = verdict.is_none().then_some(fault);
        self.verdict = verdict;
    }

    /// How long it took to make the connection to the server.
    pub fn connecting(&self) -> Duration {
        let from = self.placed.or(self.head_read).unwrap_or(self.began);
        let until = self.connected.unwrap_or_else(Instant::now);
        until.saturating_duration_since(from)
    }

    /// Counts the exchange and writes its line. Returns when it ended.
    pub fn write(
        &mut self,
        worker: &Worker,
        generation: &Generation,
        frontend: usize,
        head: Option<&RequestHead>,
        caller: Caller<'_>,
        id: RequestId,
    ) -> Instant {
        let Caller {
            ends,
            forwarded,
            vars,
        } = caller;
        let client = match (forwarded, ends.peer) {
            (Some(client), _) => Some(client.socket_address()),
            (None, PeerAddress::Ip(address)) => Some(address),
            (None, PeerAddress::Unix) => None,
        };
        let request = head.map(|head| RequestLine {
            method: head.method_bytes(),
            target: head.target_bytes(),
            version: head.version().as_str(),
        });
        let shown = Shown {
            client,
            ends,
            forwarded,
            head,
            vars,
        };
        self.finish(
            worker,
            generation,
            frontend,
            shown,
            Spoken::Http(request),
            id,
        )
    }

    /// Ends the notes about a connection that was let in; what comes of it has notes of its own.
    pub fn let_in(
        mut self,
        worker: &Worker,
        generation: &Generation,
        frontend: usize,
        ends: &Ends,
        id: RequestId,
    ) {
        let shown = Shown {
            client: None,
            ends,
            forwarded: None,
            head: None,
            vars: ends.vars(),
        };
        self.tell(
            worker,
            generation,
            frontend,
            &shown,
            Spoke::Tcp,
            id,
            Instant::now(),
        );
    }

    /// Counts a session, or a connection that came to none, and writes its line.
    pub fn write_session(
        &mut self,
        worker: &Worker,
        generation: &Generation,
        frontend: usize,
        ends: &Ends,
        vars: &Vars,
        id: RequestId,
    ) {
        let client = match ends.peer {
            PeerAddress::Ip(address) => Some(address),
            PeerAddress::Unix => None,
        };
        let received = self.bytes_in;
        let spoken = Spoken::Tcp { received };
        let shown = Shown {
            client,
            ends,
            forwarded: None,
            head: None,
            vars,
        };
        self.finish(worker, generation, frontend, shown, spoken, id);
    }

    fn finish(
        &mut self,
        worker: &Worker,
        generation: &Generation,
        frontend: usize,
        shown: Shown<'_>,
        spoken: Spoken<'_>,
        id: RequestId,
    ) -> Instant {
        let ended = Instant::now();
        let settings = &generation.frontends[frontend];
        let metrics = &settings.metrics;
        metrics.received(self.bytes_in);
        metrics.sent(self.bytes_out);
        if let Some(status) = self.status {
            metrics.answered(status);
        }
        if self.silent {
            return ended;
        }
        let is_worth_a_line = settings.log_normal || !self.went_well();
        if !worker.is_logging() || !is_worth_a_line {
            self.tell(
                worker,
                generation,
                frontend,
                &shown,
                spoke(&spoken),
                id,
                ended,
            );
            return ended;
        }
        self.connections.process = clamp(worker.process.connections.count());
        self.connections.frontend = clamp(settings.connections.count());
        let backend = self.backend.map(|index| &generation.backends[index]);
        let server = backend.zip(self.server).map(|(b, index)| &b.servers[index]);
        let text = id.text();
        let facts = Facts {
            head: shown.head,
            ends: shown.ends,
            frontend: settings.name.as_str(),
            backend: backend.map(|backend| backend.name.as_str()),
            vars: shown.vars,
            request_id: id,
            response: None,
            client: shown.forwarded,
            generation: Some(generation),
            notes: &self.notes,
        };
        let own_line = settings.log_format.as_deref().map(|template| OwnLine {
            template,
            facts: &facts,
        });
        let record = AccessRecord {
            client: shown.client,
            started: worker.clock.at(self.began),
            frontend: settings.name.as_str(),
            tls: shown.ends.tls.is_some(),
            backend: backend.map(|backend| backend.name.as_str()),
            server: match self.from_cache {
                true => Some("<CACHE>"),
                false => server.map(|server| server.name.as_str()),
            },
            timers: self.timers(ended),
            status: self.status,
            bytes: self.bytes_out,
            bytes_received: self.bytes_in,
            termination: self.termination,
            connections: self.connections,
            retries: self.retries,
            redispatched: self.redispatched,
            queues: self.queues,
            spoken,
            request_id: text.as_str(),
            verdict: self.verdict,
            fault: self.fault.map(Fault::as_str),
            own_line,
        };
        worker.log(|log| log.write(&record));
        let spoke = spoke(&spoken);
        self.tell(worker, generation, frontend, &shown, spoke, id, ended);
        ended
    }

    /// Whether nobody failed, at the first try. What a rule or a server has answered is an answer, up to 499.
    fn went_well(&self) -> bool {
        let fine = self.status.is_none_or(|status| status < 500);
        fine && self.fault.is_none() && self.retries == 0 && !self.redispatched
    }

    /// Hands the story to whoever is to have it, if anybody is.
    #[expect(clippy::too_many_arguments, reason = "all of them are handed on")]
    fn tell(
        &mut self,
        worker: &Worker,
        generation: &Generation,
        frontend: usize,
        shown: &Shown<'_>,
        spoken: Spoke,
        id: RequestId,
        ended: Instant,
    ) {
        let attention = self.notes.attention();
        let by_proxy = self.answered.is_none();
        let refused = self.status.is_some_and(|status| by_proxy && status >= 400);
        let failed = self.fault.is_some()
            || refused
            || self.verdict == Some("refuse")
            || self.notes.has_failure();
        if attention.sampled || attention.recorded || (generation.why.failures && failed) {
            let outcome = self.outcome(generation, ended);
            let ending = Ending {
                worker: worker.index,
                generation,
                frontend,
                backend: self.backend.map(|index| &generation.backends[index]),
                spoken,
                head: shown.head,
                ends: shown.ends,
                forwarded: shown.forwarded,
                id,
                began: self.began,
                at: worker.clock.at(self.began),
                outcome,
                notes: &self.notes,
            };
            worker.stories.close(&generation.why, failed, &ending);
        }
        worker.stories.give(std::mem::take(&mut self.notes));
    }

    fn outcome(&self, generation: &Generation, ended: Instant) -> OutcomeShown {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let backend = self.backend.map(|index| &generation.backends[index]);
        let server = backend.zip(self.server).map(|(b, index)| &b.servers[index]);
        let timers = self.timers(ended);
        OutcomeShown {
            status: self.status,
            backend: backend.map(|backend| backend.name.to_string()),
            server: server.map(|server| server.name.to_string()),
            verdict: self.verdict.map(str::to_owned),
            fault: self.fault.map(|fault| fault.as_str().to_owned()),
            error: self.error.as_deref().map(str::to_owned),
            termination: String::from_utf8_lossy(&self.termination).into_owned(),
            retries: self.retries,
            redispatched: self.redispatched,
            received: self.bytes_in,
            sent: self.bytes_out,
            times: Times {
                request: timers.request.map(micros),
                queue: timers.queue.map(micros),
                connect: timers.connect.map(micros),
                response: timers.response.map(micros),
                total: micros(timers.total),
            },
        }
    }

    fn timers(&self, ended: Instant) -> Timers {
        let between =
            |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let from_queue = self.queued.or(self.head_read);
        Timers {
            request: between(Some(self.began), self.head_read),
            queue: match (self.queued, self.placed, self.server) {
                (Some(queued), placed, _) => Some(placed.unwrap_or(ended) - queued),
                (None, _, Some(_)) => Some(Duration::ZERO),
                (None, _, None) => None,
            },
            connect: between(self.placed.or(from_queue), self.connected),
            response: between(self.connected, self.answered),
            total: ended.saturating_duration_since(self.began),
        }
    }
}

/// How a request's head came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    AtOnce,
    InPieces,
}

/// Who made a request.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub ends: &'a Ends,
    /// Who a trusted proxy says it is.
    pub forwarded: Option<&'a ForwardedClient>,
    /// What filters have set.
    pub vars: &'a Vars,
}

/// The client, as lines show it.
struct Shown<'a> {
    client: Option<SocketAddr>,
    ends: &'a Ends,
    forwarded: Option<&'a ForwardedClient>,
    head: Option<&'a RequestHead>,
    vars: &'a Vars,
}

impl LineFacts for Facts<'_> {
    fn value<'a>(&'a self, input: &'a Input) -> Option<Cow<'a, str>> {
        Facts::value(self, input)
    }
}

fn spoke(spoken: &Spoken<'_>) -> Spoke {
    match spoken {
        Spoken::Http(_) => Spoke::Http,
        Spoken::Tcp { .. } => Spoke::Tcp,
    }
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
