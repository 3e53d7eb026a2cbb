//! One exchange, from a request's head to its log line. The steps of [`Exchange::run`] are the way of a
//! request: ask filters, choose a backend, ask persistence, reach a server, send and receive, ask
//! response filters, answer.

use std::{pin::pin, rc::Rc, sync::Arc};

use super::{
    answer::Answer,
    asking::Routed,
    caching::{Caching, Remembered},
    client::SendError,
    compress::Compressing,
    edits,
    error::ExchangeError,
    facts::{Facts, Vars},
    forwarded::ForwardedClient,
    generation::{Backend, Frontend, Generation, LocalGeneration},
    policy,
    reach::Seek,
    record::{Caller, Record},
    sending::unless_gone,
    side::{ClientSide, WholeAnswer},
    tarpit,
    worker::{RequestId, Worker},
};
use crate::{
    backend::BackendState,
    http::{
        coding,
        request::RequestHead,
        response::{Asked, ResponseHead},
    },
    model::Edit,
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
    pub(super) frontend: usize,
    pub(super) client: &'a mut C,
    pub(super) head: Box<RequestHead>,
    pub(super) vars: Vars,
    /// Who a trusted proxy says the client is.
    pub(super) forwarded: Option<Box<ForwardedClient>>,
    pub(super) id: RequestId,
    pub(super) record: &'a mut Record,
    /// For whatever answer the client gets; collected from filters.
    pub(super) response_edits: Vec<Edit>,
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

impl<'a, C: ClientSide> Exchange<'a, C> {
    pub fn new(
        worker: &'a Worker,
        generation: Rc<LocalGeneration>,
        frontend: usize,
        client: &'a mut C,
        head: Box<RequestHead>,
        record: &'a mut Record,
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
        let held = pin!(async {
            tarpit::hold_back(&*self.client, frontend.timeouts.tarpit).await;
            Ok(())
        });
        unless_gone(&mut watch, held).await?;
        self.record.held_back();
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
