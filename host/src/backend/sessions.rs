//! Connections to a server that last: TCP sessions, what follows an upgrade, and all that exchanges are using
//! where sessions must be ended when the server goes down. Each socket is shared, so that another thread can shut it
//! down; the exchange then sees that its server is gone.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::net::{Shutdown, shutdown};

#[derive(Debug, Default)]
pub struct Sessions(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Arc<OwnedFd>>,
}

/// Names a connection as long as it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId(u64);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while the lock is held; if something did, the list is still a list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, socket: Arc<OwnedFd>) -> SessionId {
        let mut open = self.lock();
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, socket);
        SessionId(id)
    }

    pub fn remove(&self, id: SessionId) {
        let socket = self.lock().connections.remove(&id.0);
        // Perhaps the last that has it, and to close it may take longer than others should wait for the lock.
        drop(socket);
    }

    /// Ends all of them, in both directions. Returns how many there were.
    pub fn end_all(&self) -> usize {
        let open = self.lock();
        for connection in open.connections.values() {
            // One that its server has closed already needs no end.
            let _ = shutdown(connection, Shutdown::Both);
        }
        open.connections.len()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, TcpStream},
        os::fd::AsFd,
    };

    use super::*;

    #[test]
    fn a_session_that_is_ended_is_at_its_end_on_both_sides() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let sessions = Sessions::default();
        let id = sessions.add(Arc::new(near.as_fd().try_clone_to_owned().unwrap()));
        assert_eq!(sessions.end_all(), 1);
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        sessions.remove(id);
        assert_eq!(sessions.end_all(), 0);
    }
}
