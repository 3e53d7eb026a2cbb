//! A place on a server: the right to run one exchange there, and the connection that may be shut down meanwhile.

use std::sync::Arc;

use super::{server_state::ServerState, sessions::SessionId};
use crate::net::Stream;

/// The right to run one exchange on a server. Dropping it lets the next in the queue go.
#[derive(Debug)]
pub struct Place {
    server: Arc<ServerState>,
    session: Option<SessionId>,
}

impl Place {
    /// A place that is already counted.
    pub(super) fn on(server: &Arc<ServerState>) -> Self {
        Self {
            server: Arc::clone(server),
            session: None,
        }
    }

    pub fn server(&self) -> &Arc<ServerState> {
        &self.server
    }

    /// Lets [`end_sessions`](ServerState::end_sessions) shut `connection` down as long as the place is held. If there
    /// is no descriptor left for that, this one will not be ended early.
    pub fn hold(&mut self, connection: &Stream) {
        if self.session.is_none() {
            self.session = session_of(&self.server, connection);
        }
    }
}

fn session_of(server: &ServerState, connection: &Stream) -> Option<SessionId> {
    let socket = connection.share().ok()?;
    Some(server.sessions().add(socket))
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.server.sessions().remove(session);
        }
        let queue = &self.server.backend().queue;
        if queue.is_empty() || !queue.hand_over(&self.server) {
            self.server.load().end();
            // Somebody may have joined the queue between the two steps above and seen no free place.
            if !queue.is_empty() {
                queue.offer_again(&self.server);
            }
        }
    }
}

/// A connection that many exchanges share, as long as it is kept; see [`Place::hold`].
#[derive(Debug)]
pub(super) struct HeldConnection {
    server: Arc<ServerState>,
    session: Option<SessionId>,
}

impl HeldConnection {
    pub(super) fn new(server: &Arc<ServerState>, connection: &Stream) -> Self {
        Self {
            session: session_of(server, connection),
            server: Arc::clone(server),
        }
    }
}

impl Drop for HeldConnection {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.server.sessions().remove(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::BackendState, model::BackendName};

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let server = ServerState::new(BackendState::new(BackendName::new("b")));
        let first = server.take_place(Some(1)).unwrap();
        assert!(server.take_place(Some(1)).is_none());
        drop(first);
        assert!(server.take_place(Some(1)).is_some());
    }
}
