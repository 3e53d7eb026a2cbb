//! One exchange, from a request's head to its log line. The steps of [`Exchange::run`] are the way of a
//! request: ask filters, choose a backend, ask persistence, reach a server, send and receive, ask
//! response filters, answer.

use std::{future::poll_fn, pin::pin, rc::Rc, sync::Arc, task::Poll};

use http::uri::Scheme;
use smallvec::SmallVec;

use super::{
    answer::Answer,
    caching::{Caching, Remembered},
    client::SendError,
    compress::Compressing,
    conversation::{AskError, Conversation, Limits},
    edits,
    error::ExchangeError,
    facts::{Ends, Facts, Vars},
    forwarded::ForwardedClient,
    generation::{Backend, Filter, Frontend, Generation, LocalBackend, LocalGeneration},
    h2::StreamTalk,
    noted,
    policy::{self, Failed, LocalPlugin},
    reach::{Freshness, Kept, Seek},
    record::{Caller, Record},
    side::{ClientSide, Watch, WholeAnswer},
    talk::{Beginning, Link, Talk},
    tarpit,
    upload::Upload,
    worker::{RequestId, Worker},
};
use crate::{
    backend::{BackendState, Seen},
    http::{
        body::BodyReader,
        coding,
        framing::Framing,
        h2::write_request,
        request::RequestHead,
        response::{Asked, ResponseHead},
        write::{ConnectionField, ExpectField, RequestWrite},
    },
    model::{Decision, Edit, Fault, Hook, Outcome, Verdict},
    plugin::Offload,
};

/// What becomes of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next request may come.
    KeepAlive,
    /// Close, but let the client see what was sent last.
    Linger,
    /// Close at once: there is nobody to see anything.
    Close,
    /// Close with a reset, so that an answer that ends with the connection isn't taken for complete.
    Reset,
}

/// A request being served.
#[derive(Debug)]
pub struct Exchange<'a, C> {
    pub(super) worker: &'a Worker,
    generation: Held,
    frontend: usize,
    pub(super) client: &'a mut C,
    pub(super) head: Box<RequestHead>,
    pub(super) vars: Vars,
    /// Who a trusted proxy says the client is.
    forwarded: Option<Box<ForwardedClient>>,
    id: RequestId,
    pub(super) record: Record,
    /// For whatever answer the client gets; collected from filters.
    response_edits: Vec<Edit>,
    /// The backend that was chosen, once one was.
    backend: Option<usize>,
    /// Where answers are compressed: what the client said about that.
    pub(super) codings: Option<coding::Asked>,
    /// Where a cache has a part in this exchange: what the answer is to be compared with.
    pub(super) remembered: Option<Box<Remembered>>,
}

/// The generation that an exchange belongs to.
#[derive(Debug, Clone)]
enum Held {
    /// With its plugins' instances, which live as long as this does.
    Local(Rc<LocalGeneration>),
    /// Without.
    Shared(Arc<Generation>),
}

impl Held {
    fn shared(&self) -> &Generation {
        match self {
            Self::Local(generation) => &generation.shared,
            Self::Shared(generation) => generation,
        }
    }
}

/// What the filters made of a request.
enum Routed {
    /// Position in the generation's backends.
    Backend(usize),
    Answer(Answer),
}

/// What some filters made of a request.
enum Heard {
    Pass { chosen: Option<usize> },
    Answer(Answer),
}

impl<'a, C: ClientSide> Exchange<'a, C> {
    pub fn new(
        worker: &'a Worker,
        generation: Rc<LocalGeneration>,
        frontend: usize,
        client: &'a mut C,
        head: Box<RequestHead>,
        mut record: Record,
    ) -> Self {
        let settings = &generation.shared.frontends[frontend];
        record.notes = worker.stories.open(&generation.shared.why, &settings.name);
        let forwarded = settings.trusted_proxies.as_ref();
        let forwarded = forwarded.and_then(|trusted| trusted.client_of(&head, client.ends()));
        Self {
            worker,
            generation: Held::Local(generation),
            frontend,
            vars: client.ends().vars().clone(),
            forwarded,
            client,
            head,
            id: worker.next_request_id(),
            record,
            response_edits: Vec::new(),
            backend: None,
            codings: None,
            remembered: None,
        }
    }

    /// Serves the request and logs it.
    pub async fn serve(&mut self) -> Next {
        let next = match self.run().await {
            Ok(next) => next,
            Err(error) => self.fail(&error).await,
        };
        let ended = self.record.write(
            self.worker,
            self.generation.shared(),
            self.frontend,
            Some(&self.head),
            Caller {
                ends: self.client.ends(),
                forwarded: self.forwarded.as_deref(),
                vars: &self.vars,
            },
            self.id,
        );
        self.client.ended(ended);
        next
    }

    /// Gives what was borrowed back.
    pub fn end(self) {
        self.worker.give_request_head(self.head);
    }

    async fn run(&mut self) -> Result<Next, ExchangeError> {
        let Held::Local(generation) = self.generation.clone() else {
            unreachable!("an exchange begins with its worker's part of a generation");
        };
        let frontend = &generation.shared.frontends[self.frontend];
        let body = self.client.body_reader(&self.head, frontend.body_limit);
        let mut body = body.map_err(ExchangeError::BadRequestBody)?;

        let chosen = match self.ask_filters(&generation, frontend).await? {
            Routed::Backend(chosen) => chosen,
            Routed::Answer(answer) => {
                if tarpit::is_wanted(&self.vars) {
                    Box::pin(self.hold_back(frontend)).await?;
                }
                let whole = self.client.skip_body(&mut body);
                return Ok(self.answer(answer, whole).await);
            }
        };
        self.backend = Some(chosen);
        let backend = &generation.shared.backends[chosen];
        let local = &generation.backends[chosen];
        let inside = Inside::enter(&backend.state);
        self.record.entered(chosen, backend);
        if let Some(compressing) = Compressing::of(frontend, backend) {
            self.codings = Some(compressing.ask(&mut self.head));
        }
        if let Some(caching) = Caching::of(frontend, backend) {
            let asked = self.ask_cache(caching, &generation, frontend, backend, local);
            if let Some(next) = Box::pin(asked).await? {
                return Ok(next);
            }
        }
        // Held to the end, whatever happens.
        let _room = match backend.limit {
            None => None,
            Some(_) => Some(self.find_room(backend).await?),
        };

        let bound = self.ask_persistence(frontend, backend, local).await;
        let bound = self.named_server(backend).or(bound);
        let mut talk = self.converse(frontend, backend, local, bound, body).await?;
        self.record.answered(talk.head().status());
        let fill = self.tell_cache(backend, talk.head());
        self.ask_response_filters(&generation, frontend, backend, local, bound, &mut talk)
            .await?;
        let fill = fill.filter(|_| self.may_keep());
        let tunnel = talk.head().status() == 101;
        if !tunnel && (policy::wants_outcomes(local) || !talk.is_long()) {
            return self.relay(frontend, backend, Some(local), talk, fill).await;
        }
        // What follows may outlive many generations, and plugins have no say in it any more.
        let shared = Arc::clone(&generation.shared);
        drop(inside);
        drop(generation);
        self.generation = Held::Shared(Arc::clone(&shared));
        let backend = &shared.backends[chosen];
        let _inside = Inside::enter(&backend.state);
        if tunnel {
            return Ok(self.switch_protocols(backend, talk).await);
        }
        let frontend = &shared.frontends[self.frontend];
        self.relay(frontend, backend, None, talk, fill).await
    }

    /// What plugins can know now.
    pub(super) fn facts<'b>(
        &'b self,
        frontend: &'b Frontend,
        backend: Option<&'b Backend>,
        response: Option<&'b ResponseHead>,
    ) -> Facts<'b> {
        Facts {
            head: Some(&self.head),
            ends: self.client.ends(),
            frontend: frontend.name.as_str(),
            backend: backend.map(|backend| backend.name.as_str()),
            vars: &self.vars,
            request_id: self.id,
            response,
            client: self.forwarded.as_deref(),
            generation: Some(self.generation.shared()),
            notes: &self.record.notes,
        }
    }

    /// Lets the client wait for an answer that a filter has made.
    async fn hold_back(&mut self, frontend: &Frontend) -> Result<(), ExchangeError> {
        let mut watch = self.client.watch();
        let held = async {
            tarpit::hold_back(&*self.client, frontend.timeouts.tarpit).await;
            Ok(())
        };
        unless_gone(&mut watch, held).await?;
        self.record.held_back();
        Ok(())
    }

    /// The server that a filter has named, if it can take the request.
    fn named_server(&mut self, backend: &Backend) -> Option<usize> {
        let name = self.vars.get(backend.server_from.as_deref()?)?;
        backend.usable_server(name)
    }

    /// Asks the frontend's filters in order, and then those of the backend that comes out. The last to
    /// choose a backend wins; a reply ends the matter.
    async fn ask_filters(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
    ) -> Result<Routed, ExchangeError> {
        let plugins = &generation.frontends[self.frontend].filters;
        let heard = self.ask_each(frontend, None, &frontend.filters, plugins);
        let chosen = match heard.await? {
            Heard::Answer(answer) => return Ok(Routed::Answer(answer)),
            Heard::Pass { chosen } => chosen
                .or_else(|| self.client.ends().chosen_backend(&generation.shared))
                .or(frontend.default_backend),
        };
        let chosen = chosen.ok_or(ExchangeError::NoBackend)?;
        let backend = &generation.shared.backends[chosen];
        if backend.filters.is_empty() {
            return Ok(Routed::Backend(chosen));
        }
        let plugins = &generation.backends[chosen].filters;
        let heard = self.ask_each(frontend, Some(backend), &backend.filters, plugins);
        match Box::pin(heard).await? {
            Heard::Answer(answer) => Ok(Routed::Answer(answer)),
            // That they choose none is seen to when they are loaded.
            Heard::Pass { chosen: _ } => Ok(Routed::Backend(chosen)),
        }
    }

    async fn ask_each(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        filters: &[Filter],
        plugins: &[LocalPlugin],
    ) -> Result<Heard, ExchangeError> {
        let mut chosen = None;
        for (filter, plugin) in filters.iter().zip(plugins) {
            if !plugin.has_hook(Hook::OnRequest) {
                continue;
            }
            let decision = match plugin.offload() {
                None => self.ask_filter(frontend, backend, plugin),
                Some(offload) => {
                    Box::pin(self.ask_offloaded_filter(frontend, backend, plugin, offload)).await
                }
            };
            let decision = match decision {
                Ok(decision) => decision,
                Err(Failed) if filter.denies_when_failed() => {
                    return Err(ExchangeError::FilterFailed);
                }
                Err(Failed) => continue,
            };
            self.response_edits
                .extend_from_slice(&decision.response_edits);
            match &decision.verdict {
                Verdict::Pass => {}
                Verdict::UseBackend(position) => chosen = Some(filter.backends[*position]),
                Verdict::Reply(reply) => {
                    return Ok(Heard::Answer(Answer::Reply(reply.clone())));
                }
                Verdict::Deny(status) => return Ok(Heard::Answer(Answer::Denied(*status))),
            }
        }
        Ok(Heard::Pass { chosen })
    }

    /// One filter's decision, its edits of the request made.
    fn ask_filter(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
    ) -> Result<Arc<Decision>, Failed> {
        let decision = noted::on_request(plugin, &self.facts(frontend, backend, None))?;
        self.make_edits(frontend, backend, plugin, decision)
    }

    async fn ask_offloaded_filter(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
        offload: &Offload,
    ) -> Result<Arc<Decision>, Failed> {
        let facts = self.facts(frontend, backend, None);
        let decision = noted::offloaded::on_request(plugin, offload, &facts).await?;
        self.make_edits(frontend, backend, plugin, decision)
    }

    fn make_edits(
        &mut self,
        frontend: &Frontend,
        backend: Option<&Backend>,
        plugin: &LocalPlugin,
        decision: Arc<Decision>,
    ) -> Result<Arc<Decision>, Failed> {
        match edits::apply_request(&mut self.head, &mut self.vars, &decision.edits) {
            Ok(()) => Ok(decision),
            Err(bad) => {
                let facts = self.facts(frontend, backend, None);
                plugin.refused(&facts, Hook::OnRequest, &bad);
                Err(Failed)
            }
        }
    }

    /// The server that the client is bound to, if it can take the request.
    async fn ask_persistence(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
    ) -> Option<usize> {
        let plugin = local.persistence.as_ref()?;
        let facts = self.facts(frontend, Some(backend), None);
        let found = match plugin.offload() {
            None => noted::lookup(plugin, &facts),
            Some(offload) => Box::pin(noted::offloaded::lookup(plugin, offload, &facts)).await,
        }?;
        if let Err(bad) = edits::apply_request(&mut self.head, &mut self.vars, &found.edits) {
            let facts = self.facts(frontend, Some(backend), None);
            plugin.refused(&facts, Hook::Lookup, &bad);
        }
        let known = backend.server_by_persistence_key(found.server.as_deref()?);
        // A server that takes no new clients still serves those it has.
        let usable = known.filter(|index| backend.servers[*index].state.is_up());
        self.record.bound(known.is_some(), usable.is_some());
        usable
    }

    /// Sends the request to a server and reads the head of its answer; on another connection if a kept
    /// one turns out to be closed and sending again does no harm.
    async fn converse(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        bound: Option<usize>,
        body: BodyReader,
    ) -> Result<Talk<'a>, ExchangeError> {
        let asked = Asked::by(self.head.method_bytes());
        let version = self.head.version();
        let mut unsent = body;
        let mut refusals = 0;
        let mut wanted = bound;
        let mut freshness = Freshness::Any;
        loop {
            let mut watch = self.client.watch();
            let reached = self.reach(frontend, backend, local, wanted, freshness);
            let reached = unless_gone(&mut watch, reached).await?;
            let server = reached.server();
            let name = &backend.servers[server].name;
            let limits = Limits {
                client: frontend.timeouts.client,
                server: backend.timeouts.server,
                head: frontend.head_limits,
            };
            let beginning = Beginning {
                worker: self.worker,
                server: name.clone(),
                limits,
                since: self.record.last_seen(),
            };
            let mut talk = self.begin_talk(frontend, backend, beginning, reached, unsent)?;
            let error = match talk.ask(self.client, asked, version).await {
                Ok(()) => {
                    let status = talk.head().status();
                    backend.servers[server].saw(Seen::Answer { status });
                    if status != 101 || self.wants_upgrade() {
                        return Ok(talk);
                    }
                    ExchangeError::UnaskedUpgrade {
                        server: name.clone(),
                    }
                }
                Err(AskError::Failed(error)) => error,
                Err(AskError::Closed) if self.may_repeat() && talk.is_repeatable() => {
                    unsent = talk.into_unsent_body();
                    wanted = Some(server);
                    freshness = Freshness::New;
                    continue;
                }
                // What the server did not look at does no harm a second time, whatever it is.
                Err(AskError::Unprocessed)
                    if talk.is_repeatable() && refusals < backend.retries =>
                {
                    unsent = talk.into_unsent_body();
                    wanted = Some(server);
                    refusals += 1;
                    backend.server_metrics[server].retried();
                    continue;
                }
                Err(AskError::Closed | AskError::Unprocessed) => ExchangeError::ServerClosed {
                    server: name.clone(),
                },
            };
            if error.fault() == Fault::Server {
                backend.servers[server].saw(Seen::BadAnswer);
            }
            backend.server_metrics[server].failed();
            talk.end(self.worker, &backend.pool, self.record.last_seen(), false);
            self.observe(frontend, backend, local, server, error.outcome());
            return Err(error);
        }
    }

    /// Gets the request ready for the server that was reached.
    fn begin_talk(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        beginning: Beginning<'a>,
        link: Link,
        body: BodyReader,
    ) -> Result<Talk<'a>, ExchangeError> {
        match link {
            Link::Http1(reached) => {
                let upload = self.start_upload(frontend, body);
                let talk = Conversation::new(beginning, reached, upload);
                Ok(Talk::Http1(Box::new(talk)))
            }
            Link::Http2(reached) => {
                let server = &backend.servers[reached.server];
                let authority = server.address.to_string();
                let scheme = match &server.tls {
                    Some(_) => Scheme::HTTPS,
                    None => Scheme::HTTP,
                };
                let written = self.with_request_write(frontend, |head, how| {
                    write_request(head, how, scheme, &authority)
                });
                let request = written.map_err(ExchangeError::BadRequest)?;
                let key = self.head.fields.get("sec-websocket-key");
                let talk = StreamTalk::new(beginning, reached, request, key, body);
                Ok(Talk::Http2(Box::new(talk)))
            }
        }
    }

    fn start_upload(&mut self, frontend: &Frontend, body: BodyReader) -> Upload {
        let mut out = self.worker.buffers.scratch();
        self.with_request_write(frontend, |head, how| head.write(&mut out, how));
        Upload::new(out, self.head.framing(), body)
    }

    /// What servers are told besides what the client has said.
    fn with_request_write<T>(
        &self,
        frontend: &Frontend,
        write: impl FnOnce(&RequestHead, &RequestWrite<'_>) -> T,
    ) -> T {
        let id;
        let mut extra: SmallVec<[(&str, &[u8]); 2]> = SmallVec::new();
        let ends = self.client.ends();
        if let Some(forwarded_for) = &frontend.forwarded_for {
            let except = &forwarded_for.except;
            let address = match &self.forwarded {
                Some(client) => (!client.is_in(except)).then(|| client.text()),
                None => ends.client_address().filter(|_| !ends.is_client_in(except)),
            };
            if let Some(address) = address {
                extra.push((&forwarded_for.header, address.as_bytes()));
            }
        }
        if let Some(name) = &frontend.request_id_header {
            id = self.id.text();
            extra.push((name, id.as_str().as_bytes()));
        }
        let connection = if self.wants_upgrade() {
            ConnectionField::Upgrade
        } else {
            ConnectionField::Implied
        };
        let how = RequestWrite {
            connection,
            expect: ExpectField::Forward,
            extra: &extra,
        };
        write(&self.head, &how)
    }

    /// Whether the client asks to leave HTTP/1. Leaving for HTTP/2 in clear text is not offered: whatever is
    /// asked for inside such a tunnel would get past the filters.
    fn wants_upgrade(&self) -> bool {
        let mut protocols = self.head.upgrades().peekable();
        self.is_bodiless() && protocols.peek().is_some() && !protocols.any(is_http)
    }

    /// Whether sending the request a second time does no harm (RFC 9110 §9.2.2).
    pub(super) fn may_repeat(&self) -> bool {
        matches!(
            self.head.method_bytes(),
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE"
        )
    }

    /// Whether no body belongs to the request.
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(self.head.framing(), Framing::None | Framing::Length(0))
    }

    pub(super) fn observe(
        &self,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        server: usize,
        outcome: Outcome,
    ) {
        if policy::wants_outcomes(local) {
            let facts = self.facts(frontend, Some(backend), None);
            let took = self.record.since_connected();
            policy::observe(local, server, outcome, took, &facts);
        }
    }

    /// Lets persistence and the filters see the answer, and makes their edits and those that filters
    /// asked for with the request.
    async fn ask_response_filters(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        bound: Option<usize>,
        talk: &mut Talk<'_>,
    ) -> Result<(), ExchangeError> {
        let server = talk.server();
        if let Some(plugin) = &local.persistence
            && (bound != Some(server)
                || plugin.always_assigned(&self.facts(frontend, Some(backend), None)))
        {
            let facts = self.facts(frontend, Some(backend), Some(talk.head()));
            let assigned = &backend.servers[server];
            let edits = match plugin.offload() {
                None => noted::assigned(plugin, assigned, &facts),
                Some(offload) => {
                    let edits = noted::offloaded::assigned(plugin, offload, assigned, &facts);
                    Box::pin(edits).await
                }
            };
            self.record.assigned(&edits);
            edits::apply_response(talk.head_mut(), &mut self.vars, &edits);
        }
        self.ask_filters_about(generation, frontend, backend, local, talk.head_mut())
            .await
    }

    /// Lets the filters see an answer, wherever it comes from.
    pub(super) async fn ask_filters_about(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        head: &mut ResponseHead,
    ) -> Result<(), ExchangeError> {
        let plugins = &generation.frontends[self.frontend].filters;
        let of_frontend = frontend.filters.iter().zip(plugins);
        let of_backend = backend.filters.iter().zip(&local.filters);
        for (filter, plugin) in of_backend.chain(of_frontend) {
            if !plugin.has_hook(Hook::OnResponse) {
                continue;
            }
            let facts = self.facts(frontend, Some(backend), Some(head));
            let edits = match plugin.offload() {
                None => noted::on_response(plugin, &facts),
                Some(offload) => {
                    Box::pin(noted::offloaded::on_response(plugin, offload, &facts)).await
                }
            };
            match edits {
                Ok(edits) => edits::apply_response(head, &mut self.vars, &edits),
                Err(Failed) if filter.denies_when_failed() => {
                    return Err(ExchangeError::FilterFailed);
                }
                Err(Failed) => {}
            }
        }
        edits::apply_response(head, &mut self.vars, &self.response_edits);
        Ok(())
    }

    /// Sends an answer of the proxy's own in place of a server's.
    ///
    /// `whole` says that the request was read to its end.
    pub(super) async fn answer(&mut self, answer: Answer, whole: bool) -> Next {
        let keep = whole && self.may_keep_client();
        let generation = self.generation.clone();
        let generation = generation.shared();
        let frontend = &generation.frontends[self.frontend];
        let backend = self.backend.map(|index| &generation.backends[index]);
        let mut head = self.worker.response_head();
        let body = answer.body(&mut head, &frontend.error_pages, backend);
        edits::apply_response(&mut head, &mut self.vars, &self.response_edits);
        let whole_answer = WholeAnswer {
            head: &head,
            body: &body,
            asked: Asked::by(self.head.method_bytes()),
            connection: self.connection_field(keep),
        };
        let buffers = &self.worker.buffers;
        let limit = frontend.timeouts.client;
        let sent = self.client.send_answer(whole_answer, buffers, limit).await;
        if let Answer::Denied(_) | Answer::Reply(_) = answer {
            frontend.metrics.denied();
        }
        self.record
            .answered_by_proxy(head.status(), &answer, sent.unwrap_or(0));
        self.worker.give_response_head(head);
        match sent {
            Ok(_) if keep => Next::KeepAlive,
            Ok(_) => self.client.close(whole),
            Err(SendError::Gone | SendError::TimedOut) => Next::Close,
        }
    }

    /// Tells the client what went wrong, if it can still be told, and the log in any case.
    async fn fail(&mut self, error: &ExchangeError) -> Next {
        self.record.failed(error);
        let Some(status) = error.status() else {
            return Next::Close;
        };
        // Where a body was to come, nobody knows how much of it is still on its way.
        self.answer(Answer::Failed(status), self.is_bodiless())
            .await
    }
}

/// Goes on until the client has gone.
async fn unless_gone<T>(
    watch: &mut impl Watch,
    step: impl Future<Output = Result<T, ExchangeError>>,
) -> Result<T, ExchangeError> {
    let mut step = pin!(step);
    poll_fn(|cx| match step.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done),
        Poll::Pending => watch.poll_gone(cx).map(|()| Err(ExchangeError::ClientGone)),
    })
    .await
}

impl<C: ClientSide> Seek for Exchange<'_, C> {
    fn worker(&self) -> &Worker {
        self.worker
    }

    fn ends(&self) -> &Ends {
        self.client.ends()
    }

    fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    fn known<'b>(&'b self, frontend: &'b Frontend, backend: &'b Backend) -> Facts<'b> {
        self.facts(frontend, Some(backend), None)
    }

    /// What may not be sent a second time is worth a system call to be sure of the connection.
    fn kept(&self) -> Kept {
        match self.may_repeat() && self.is_bodiless() {
            true => Kept::IfOpen,
            false => Kept::IfCertain,
        }
    }
}

/// Whether a protocol named by `Upgrade` is a version of HTTP.
fn is_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next();
    [&b"h2c"[..], b"h2", b"http"]
        .iter()
        .any(|http| name.is_some_and(|name| name.eq_ignore_ascii_case(http)))
}

/// Counts an exchange as long as it is in a backend.
pub(super) struct Inside<'a>(&'a BackendState);

impl<'a> Inside<'a> {
    pub(super) fn enter(state: &'a BackendState) -> Self {
        state.enter();
        Self(state)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
