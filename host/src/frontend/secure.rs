//! Making sure of a client: the TLS handshake, in the connection's own task and under a limit of time.

use std::{rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::{facts::Ends, generation::ListenerUse, worker::Worker};
use crate::{
    net::{Accepted, HandshakeError, ListenerId, PeerAddress, Stream, TlsAcceptor},
    telemetry::FailedHandshake,
};

/// The TLS of a listener, as it is now.
pub(super) fn acceptor(worker: &Worker, listener: ListenerId) -> Option<Arc<TlsAcceptor>> {
    worker.current().listener(listener)?.tls.clone()
}

/// Does the handshake and notes what is learnt from it; `None` if it came to nothing, which is logged.
pub(super) async fn secure(
    worker: Rc<Worker>,
    acceptor: Arc<TlsAcceptor>,
    socket: Stream,
    ends: &mut Ends,
    listener: ListenerId,
) -> Option<Stream> {
    let began = Instant::now();
    let accepted = acceptor.accept(socket).await;
    // Those that a reload has brought meanwhile; the handshake was done with the old settings all the same.
    let generation = worker.current();
    let used = generation.listener(listener)?;
    let frontend = &generation.shared.frontends[used.frontend];
    match accepted {
        Ok(Accepted {
            stream,
            facts,
            resumed,
        }) => {
            match resumed {
                true => frontend.metrics.handshake_resumed(),
                false => frontend.metrics.handshake_done(),
            }
            ends.tls = Some(Box::new(facts));
            Some(stream)
        }
        // Not a client, and nothing went wrong.
        Err(HandshakeError::Challenge) => None,
        Err(error) => {
            frontend.metrics.handshake_failed();
            let empty = matches!(error, HandshakeError::Closed { begun: false });
            if frontend.log_empty_connections || !empty {
                log(&worker, ends, frontend.name.as_str(), used, began, &error);
            }
            None
        }
    }
}

fn log(
    worker: &Worker,
    ends: &Ends,
    frontend: &str,
    used: &ListenerUse,
    began: Instant,
    error: &HandshakeError,
) {
    if !worker.is_logging() {
        return;
    }
    let words = match error {
        HandshakeError::Closed { .. } | HandshakeError::Io(_) => {
            "Connection closed during SSL handshake"
        }
        HandshakeError::TimedOut { .. } => "Timeout during SSL handshake",
        HandshakeError::Challenge
        | HandshakeError::NotTls
        | HandshakeError::UnknownName { .. }
        | HandshakeError::Failed(_) => "SSL handshake failure",
    };
    let failed = FailedHandshake {
        client: match ends.peer {
            PeerAddress::Ip(address) => Some(address),
            PeerAddress::Unix => None,
        },
        at: worker.clock.at(began),
        frontend,
        listener: used.number,
        words,
        reason: &error.reason(),
    };
    worker.log(|log| log.write_handshake(&failed));
}
