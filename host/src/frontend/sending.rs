//! The part of an exchange that is a talk with a server: reaching one, sending it the request, and waiting for the head
//! of its answer.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use http::uri::Scheme;
use smallvec::SmallVec;

use super::{
    conversation::{AskError, Conversation, Limits},
    error::ExchangeError,
    exchange::Exchange,
    facts::{Ends, Facts},
    generation::{Backend, Frontend, LocalBackend},
    h2::StreamTalk,
    policy,
    reach::{Freshness, Kept, Seek},
    record::Record,
    side::{ClientSide, Watch},
    talk::{Beginning, Link, Talk},
    upload::Upload,
    worker::Worker,
};
use crate::{
    backend::Seen,
    http::{
        body::BodyReader,
        framing::Framing,
        h2::write_request,
        request::RequestHead,
        response::Asked,
        write::{ConnectionField, ExpectField, RequestWrite},
    },
    model::{Fault, Outcome},
};

impl<'a, C: ClientSide> Exchange<'a, C> {
    /// Sends the request to a server and reads the head of its answer; on another connection if a kept
    /// one turns out to be closed and sending again does no harm.
    pub(super) async fn converse(
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
            let reached = {
                let reaching = pin!(self.reach(frontend, backend, local, wanted, freshness));
                unless_gone(&mut watch, reaching).await?
            };
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
}

/// Goes on until the client has gone. The step stays where it is: to hand a future on is to copy all that it will
/// ever hold.
pub(super) async fn unless_gone<T>(
    watch: &mut impl Watch,
    mut step: Pin<&mut impl Future<Output = Result<T, ExchangeError>>>,
) -> Result<T, ExchangeError> {
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
        self.record
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
