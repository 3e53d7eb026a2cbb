//! The last part of an exchange: the server's answer goes to the client, and both connections are kept or not.

use super::{
    compress::{Compressing, Compressor},
    conversation::RelayFailure,
    error::ExchangeError,
    exchange::{Exchange, Next},
    generation::{Backend, Frontend, LocalBackend},
    pieces::Change,
    side::ClientSide,
    talk::Talk,
};
use crate::{
    cache::Fill,
    http::{
        framing::{Framing, Version},
        write::ConnectionField,
    },
    model::Outcome,
};

impl<'a, C: ClientSide> Exchange<'a, C> {
    /// Passes the answer on and decides what becomes of both connections. `local` is there if its balancer
    /// is to hear of the outcome.
    pub(super) async fn relay(
        &mut self,
        frontend: &Frontend,
        backend: &Backend,
        local: Option<&LocalBackend>,
        mut talk: Talk<'a>,
        fill: Option<Fill>,
    ) -> Result<Next, ExchangeError> {
        let compressor = self.begin_compressing(frontend, backend, &mut talk);
        let framing = match compressor {
            Some(_) => Framing::Chunked,
            None => talk.head().framing_for(self.head.version()),
        };
        let keep = talk.is_sent() && framing != Framing::UntilClose && self.may_keep_client();
        let connection = self.connection_field(keep);
        let relayed = match Change::of(compressor, fill) {
            None => talk.relay(self.client, framing, connection).await,
            Some(change) => {
                let relayed =
                    talk.relay_changed(self.worker, self.client, framing, connection, change);
                Box::pin(relayed).await
            }
        };
        self.record.sent(relayed.bytes, talk.uploaded());

        let status = talk.head().status();
        let server = talk.server();
        let sent = talk.is_sent();
        // With a PROXY header before it, a connection is this client's alone.
        let whole = relayed.failed.is_none() && backend.servers[server].send_proxy.is_none();
        talk.end(self.worker, &backend.pool, self.record.last_seen(), whole);
        backend.metrics.answered(status);
        backend.server_metrics[server].answered(status);
        let outcome = match &relayed.failed {
            None if status >= 500 => Outcome::ServerError,
            None => Outcome::Success,
            Some(RelayFailure::ServerTimedOut) => Outcome::TimedOut,
            Some(RelayFailure::Truncated | RelayFailure::BadBody(_)) => Outcome::ServerError,
            Some(
                RelayFailure::ClientGone
                | RelayFailure::ClientTimedOut
                | RelayFailure::NotCompressed(_),
            ) => Outcome::Aborted,
        };
        if let Some(local) = local {
            self.observe(frontend, backend, local, server, outcome);
        }

        let Some(failure) = relayed.failed else {
            return Ok(match keep && sent {
                true => Next::KeepAlive,
                false => self.client.close(sent),
            });
        };
        let name = backend.servers[server].name.clone();
        let error = match failure {
            RelayFailure::ClientGone => ExchangeError::ClientGone,
            RelayFailure::ClientTimedOut => ExchangeError::ClientTimedOut {
                limit: frontend.timeouts.client,
            },
            RelayFailure::Truncated => ExchangeError::AnswerTruncated { server: name },
            RelayFailure::BadBody(source) => ExchangeError::BadAnswerBody {
                server: name,
                source,
                begun: relayed.begun,
            },
            RelayFailure::NotCompressed(source) => ExchangeError::NotCompressed(source),
            RelayFailure::ServerTimedOut => ExchangeError::AnswerTimedOut {
                server: name,
                limit: backend.timeouts.server,
            },
        };
        if error.status().is_some() {
            // The client is still to be answered.
            return Err(error);
        }
        self.record.failed(&error);
        Ok(match framing {
            Framing::UntilClose => Next::Reset,
            Framing::None | Framing::Length(_) | Framing::Chunked => Next::Close,
        })
    }

    /// Gives what the answer's body is to go through, and has its head say so; nothing for most answers.
    fn begin_compressing(
        &self,
        frontend: &Frontend,
        backend: &Backend,
        talk: &mut Talk<'_>,
    ) -> Option<Compressor> {
        let asked = self.codings?;
        let compressing = Compressing::of(frontend, backend)?;
        compressing.begin(asked, &self.head, talk.head_mut())
    }

    /// Sends the 101 and relays whatever is spoken from then on.
    pub(super) async fn switch_protocols(&mut self, backend: &Backend, mut talk: Talk<'a>) -> Next {
        let head = talk
            .relay(self.client, Framing::None, ConnectionField::Upgrade)
            .await;
        let mut bytes = head.bytes;
        if head.failed.is_none() {
            let limit = backend.timeouts.tunnel;
            let done = talk.tunnel(self.client, self.worker, limit).await;
            bytes += done.to_client;
            self.record.tunnelled(done.end);
        }
        self.record.sent(bytes, talk.uploaded());
        talk.end(self.worker, &backend.pool, self.record.last_seen(), false);
        Next::Close
    }

    /// Whether the client's connection may go on after this exchange.
    pub(super) fn may_keep_client(&self) -> bool {
        self.head.persistent() && !self.worker.process.is_leaving()
    }

    pub(super) fn connection_field(&self, keep: bool) -> ConnectionField {
        match (keep, self.head.version()) {
            (false, _) => ConnectionField::Close,
            (true, Version::Http10) => ConnectionField::KeepAlive,
            (true, Version::Http11 | Version::Http2) => ConnectionField::Implied,
        }
    }
}
