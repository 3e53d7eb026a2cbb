//! One request and its answer with a server, whichever version of HTTP the server speaks.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    conversation::{AskError, Conversation, Limits, RelayFailure, Relayed},
    h2::StreamTalk,
    pieces::{Change, FromHttp1, pass_on},
    reach::Reached,
    side::ClientSide,
    tunnel::Tunnelled,
    worker::Worker,
};
use crate::{
    backend::StreamSlot,
    config,
    http::{
        body::BodyReader,
        framing::{Framing, Version},
        response::{Asked, ResponseHead},
        write::ConnectionField,
    },
    model::ServerName,
};

/// A server that is ready to be sent the request.
#[derive(Debug)]
pub enum Link {
    Http1(Reached),
    /// With room for one more stream.
    Http2(Reached<StreamSlot>),
}

impl Link {
    /// Position in the backend's servers.
    pub fn server(&self) -> usize {
        match self {
            Self::Http1(reached) => reached.server,
            Self::Http2(reached) => reached.server,
        }
    }
}

/// In boxes: it is handed on seven times, and to allocate costs less than to copy it as often. Each copy would
/// also have its place in the task of every connection.
#[derive(Debug)]
pub enum Talk<'a> {
    Http1(Box<Conversation<'a>>),
    Http2(Box<StreamTalk<'a>>),
}

impl Talk<'_> {
    pub fn head(&self) -> &ResponseHead {
        match self {
            Self::Http1(talk) => &talk.head,
            Self::Http2(talk) => &talk.head,
        }
    }

    pub fn head_mut(&mut self) -> &mut ResponseHead {
        match self {
            Self::Http1(talk) => &mut talk.head,
            Self::Http2(talk) => &mut talk.head,
        }
    }

    /// Position in the backend's servers.
    pub fn server(&self) -> usize {
        match self {
            Self::Http1(talk) => talk.reached.server,
            Self::Http2(talk) => talk.reached.server,
        }
    }

    /// Bytes of the request that the server took.
    pub fn uploaded(&self) -> u64 {
        match self {
            Self::Http1(talk) => talk.upload.bytes,
            Self::Http2(talk) => talk.uploaded,
        }
    }

    /// See [`Conversation::ask`].
    pub async fn ask<C: ClientSide>(
        &mut self,
        client: &mut C,
        asked: Asked,
        version: Version,
    ) -> Result<(), AskError> {
        match self {
            Self::Http1(talk) => talk.ask(client, asked, version).await,
            Self::Http2(talk) => Box::pin(talk.ask(client, asked, version)).await,
        }
    }

    /// Whether all of the request is still here or yet to come.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Http1(talk) => talk.upload.is_repeatable(),
            Self::Http2(talk) => talk.is_repeatable(),
        }
    }

    /// The body, for the request to be sent again. Only if it [is repeatable](Self::is_repeatable).
    pub fn into_unsent_body(self) -> BodyReader {
        match self {
            Self::Http1(talk) => talk.into_unsent_body(),
            Self::Http2(talk) => talk.into_unsent_body(),
        }
    }

    /// Whether the request is with the server in full.
    pub fn is_sent(&self) -> bool {
        match self {
            Self::Http1(talk) => talk.is_sent(),
            Self::Http2(talk) => talk.is_sent(),
        }
    }

    /// Whether more of the answer or of the request is to come than is here already.
    pub fn is_long(&self) -> bool {
        match self {
            Self::Http1(talk) => talk.is_long(),
            Self::Http2(talk) => talk.is_long(),
        }
    }

    /// See [`Conversation::relay`].
    pub async fn relay<C: ClientSide>(
        &mut self,
        client: &mut C,
        to_client: Framing,
        connection: ConnectionField,
    ) -> Relayed {
        match self {
            Self::Http1(talk) => talk.relay(client, to_client, connection).await,
            Self::Http2(talk) => Box::pin(talk.relay(client, to_client, connection)).await,
        }
    }

    /// The same for an answer that is changed on its way.
    pub async fn relay_changed<C: ClientSide>(
        &mut self,
        worker: &Worker,
        client: &mut C,
        to_client: Framing,
        connection: ConnectionField,
        mut change: Change,
    ) -> Relayed {
        let change = &mut change;
        match self {
            Self::Http1(talk) => match FromHttp1::new(talk) {
                Ok(mut source) => {
                    pass_on(worker, client, &mut source, to_client, connection, change).await
                }
                Err(bad) => Relayed::nothing(RelayFailure::BadBody(bad)),
            },
            Self::Http2(talk) => {
                pass_on(worker, client, &mut **talk, to_client, connection, change).await
            }
        }
    }

    /// Relays whatever is spoken after a 101, until it ends or falls silent for `limit`.
    pub async fn tunnel<C: ClientSide>(
        &mut self,
        client: &mut C,
        worker: &Worker,
        limit: Duration,
    ) -> Tunnelled {
        match self {
            Self::Http1(talk) => {
                let from_server = talk.buffer.take();
                let reached = &mut talk.reached;
                // As a session does, for it may last as long.
                reached.place.hold(&reached.stream);
                let server = (&mut talk.reached.stream, from_server);
                client.tunnel(server, &worker.buffers, limit).await
            }
            Self::Http2(talk) => Box::pin(talk.tunnel(client, limit)).await,
        }
    }

    /// Gives the place on the server back. The connection is kept if it can be and `whole` says that nothing
    /// of the answer is missing.
    pub fn end(self, worker: &Worker, pool: &config::Pool, now: Instant, whole: bool) {
        match self {
            Self::Http1(talk) => {
                let reusable = whole && talk.is_reusable();
                let Reached {
                    stream, key, place, ..
                } = talk.end();
                if reusable {
                    let (most, limit) = (pool.max_idle, pool.idle_timeout);
                    worker.pool.give(key, stream, most, now, limit);
                }
                drop(place);
            }
            Self::Http2(talk) => talk.end(),
        }
    }
}

/// What a conversation of either kind begins with.
pub struct Beginning<'a> {
    pub worker: &'a Worker,
    pub server: ServerName,
    pub limits: Limits,
    pub since: Instant,
}
