//! A cache's part in an exchange: answering in place of a server, keeping what a server answers, forgetting
//! what has changed.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    answer::Answer,
    client::SendError,
    compress::Compressing,
    conversation::{Limits, RelayFailure},
    error::ExchangeError,
    exchange::{Exchange, Next},
    generation::{Backend, Frontend, LocalBackend, LocalGeneration},
    pieces::{Change, Source, pass_on},
    side::{ClientSide, WholeAnswer},
};
use crate::{
    cache::{Cache, Fill, Found, Key, Stored},
    config::{CacheWhen, Said},
    http::{
        caching::{self, Lookup, Terms},
        framing::Framing,
        h2::Piece,
        response::{Asked, ResponseHead},
    },
};

/// The variable by which filters say whether a cache is to have a part in an exchange.
const VARIABLE: &str = "cache";

/// A cache as a frontend or backend uses it.
#[derive(Debug, Clone)]
pub struct Caching {
    pub cache: Arc<Cache>,
    pub when: CacheWhen,
}

impl Caching {
    /// What holds for a backend that was reached through a frontend.
    pub(super) fn of<'g>(frontend: &'g Frontend, backend: &'g Backend) -> Option<&'g Self> {
        match &backend.cache {
            Said::Nothing => match &frontend.cache {
                Said::On(caching) => Some(caching),
                Said::Off | Said::Nothing => None,
            },
            Said::Off => None,
            Said::On(caching) => Some(caching),
        }
    }
}

/// What an exchange remembers of its request for the answer's sake.
#[derive(Debug)]
pub struct Remembered {
    cache: Arc<Cache>,
    key: Key,
    /// None: the request may change what is kept.
    terms: Option<Terms>,
}

impl<'a, C: ClientSide> Exchange<'a, C> {
    /// Answers out of a cache, if it has the answer.
    pub(super) async fn ask_cache(
        &mut self,
        caching: &Caching,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
    ) -> Result<Option<Next>, ExchangeError> {
        let said = self.vars.get(VARIABLE);
        let asked = match caching.when {
            CacheWhen::Always => said != Some("no"),
            CacheWhen::Asked => said == Some("yes"),
        };
        let terms = Terms::of(&self.head);
        // What changes things counts whether the cache was asked for or not.
        if terms.is_some() && !asked {
            return Ok(None);
        }
        let Some(key) = Key::new(backend.name.as_str(), self.scheme(), &self.head) else {
            return Ok(None);
        };
        let cache = &caching.cache;
        if let Some(terms) = terms {
            if terms.lookup == Lookup::Yes
                && let Found::Fresh(stored) = cache.find(&key, &self.head, &terms, Instant::now())
            {
                let next = self.answer_from_cache(generation, frontend, backend, local, &stored);
                return next.await.map(Some);
            }
            if terms.only_if_cached {
                let whole = self.is_bodiless();
                return Ok(Some(self.answer(Answer::Failed(504), whole).await));
            }
        }
        self.remembered = Some(Box::new(Remembered {
            cache: Arc::clone(cache),
            key,
            terms,
        }));
        Ok(None)
    }

    fn scheme(&self) -> &'static str {
        match self.client.ends().tls {
            Some(_) => "https",
            None => "http",
        }
    }

    async fn answer_from_cache(
        &mut self,
        generation: &LocalGeneration,
        frontend: &Frontend,
        backend: &Backend,
        local: &LocalBackend,
        stored: &Stored,
    ) -> Result<Next, ExchangeError> {
        let mut head = self.worker.response_head();
        head.as_mut().clone_from(&stored.head);
        let age = stored.age(Instant::now()).as_secs().to_string();
        // A head that has no room for it was too large to be kept.
        let _ = head.fields.set("age", age.as_bytes());
        if caching::is_not_modified(&self.head, &head) {
            *head = caching::not_modified(&head);
        }
        let filters = self.ask_filters_about(generation, frontend, backend, local, &mut head);
        if let Err(error) = filters.await {
            self.worker.give_response_head(head);
            return Err(error);
        }
        let body = match head.status() {
            204 | 304 => Bytes::new(),
            _ => stored.body.clone(),
        };
        self.record.cached(head.status());
        let keep = self.may_keep_client();
        let connection = self.connection_field(keep);
        let asked = Asked::by(self.head.method().as_bytes());
        let compressor = match (asked, self.codings) {
            (Asked::Other, Some(codings)) => Compressing::of(frontend, backend)
                .and_then(|compressing| compressing.begin(codings, &self.head, &mut head)),
            (Asked::Head, _) | (_, None) => None,
        };
        let (bytes, error) = match compressor {
            None => {
                let answer = WholeAnswer {
                    head: &head,
                    body: &body,
                    asked,
                    connection,
                };
                let limit = frontend.timeouts.client;
                let sent = self
                    .client
                    .send_answer(answer, &self.worker.buffers, limit)
                    .await;
                match sent {
                    Ok(bytes) => (bytes, None),
                    Err(SendError::Gone) => (0, Some(ExchangeError::ClientGone)),
                    Err(SendError::TimedOut) => (0, Some(ExchangeError::ClientTimedOut { limit })),
                }
            }
            Some(compressor) => {
                let mut source = FromCache {
                    head: &head,
                    body: Some(body),
                    limits: Limits {
                        client: frontend.timeouts.client,
                        server: frontend.timeouts.client,
                        head: frontend.head_limits,
                    },
                };
                let mut change = Change {
                    compressor: Some(compressor),
                    fill: None,
                };
                let passed = pass_on(
                    self.worker,
                    self.client,
                    &mut source,
                    Framing::Chunked,
                    connection,
                    &mut change,
                );
                let passed = passed.await;
                let error = passed.failed.map(|failure| match failure {
                    RelayFailure::NotCompressed(error) => ExchangeError::NotCompressed(error),
                    RelayFailure::ClientTimedOut | RelayFailure::ServerTimedOut => {
                        ExchangeError::ClientTimedOut {
                            limit: frontend.timeouts.client,
                        }
                    }
                    RelayFailure::ClientGone
                    | RelayFailure::Truncated
                    | RelayFailure::BadBody(_) => ExchangeError::ClientGone,
                });
                (passed.bytes, error)
            }
        };
        self.worker.give_response_head(head);
        self.record.sent(bytes, 0);
        if let Some(error) = error {
            self.record.failed(&error);
            return Ok(Next::Close);
        }
        Ok(match keep {
            true => Next::KeepAlive,
            false => self.client.close(true),
        })
    }

    /// Looks at an answer as its server gave it: forgets what it says has changed, and begins to keep it if it
    /// may be kept.
    pub(super) fn tell_cache(&mut self, backend: &Backend, head: &ResponseHead) -> Option<Fill> {
        let remembered = self.remembered.take()?;
        let Some(terms) = remembered.terms else {
            if caching::invalidates(&self.head, head.status()) {
                remembered.cache.forget(&remembered.key);
                self.forget_beside(&remembered.cache, backend, head);
            }
            return None;
        };
        if !terms.keep {
            return None;
        }
        let now = Instant::now();
        let cache = &remembered.cache;
        let kept = caching::keepable(
            &self.head,
            head,
            self.worker.clock.at(now),
            self.record.since_connected(),
            cache.settings().max_age,
        )?;
        cache.fill(remembered.key, head, kept, now)
    }

    /// What the answer to a change names besides, if it is of the same origin (RFC 9111 §4.4).
    fn forget_beside(&self, cache: &Cache, backend: &Backend, head: &ResponseHead) {
        for name in ["location", "content-location"] {
            let location = head.fields.get(name);
            let location = location.and_then(|value| std::str::from_utf8(value).ok());
            let key = location.and_then(|location| {
                Key::beside(backend.name.as_str(), self.scheme(), &self.head, location)
            });
            if let Some(key) = key {
                cache.forget(&key);
            }
        }
    }

    /// Whether filters have said by now that an answer is not to be kept.
    pub(super) fn may_keep(&self) -> bool {
        self.vars.get(VARIABLE) != Some("no")
    }
}

/// An answer that is here already.
struct FromCache<'c> {
    head: &'c ResponseHead,
    body: Option<Bytes>,
    limits: Limits,
}

/// What is handed over in one go.
const PIECE: usize = 16 * 1024;

impl Source for FromCache<'_> {
    fn head(&self) -> &ResponseHead {
        self.head
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn poll_rest_of_request<C: ClientSide>(&mut self, _: &mut Context<'_>, _: &mut C) {}

    fn uploaded(&self) -> u64 {
        0
    }

    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, RelayFailure>> {
        let piece = match self.body.as_mut().filter(|body| !body.is_empty()) {
            Some(body) => Piece::Data(body.split_to(body.len().min(PIECE))),
            None => Piece::End(None),
        };
        Poll::Ready(Ok(piece))
    }
}
