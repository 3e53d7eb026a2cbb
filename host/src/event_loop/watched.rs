//! A socket that the thread's event loop watches.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use tokio::{io::Interest, net::UnixStream, task::coop};

use super::{epoll::Registration, own};

/// What a task may do on sockets before it lets others go first, as with tokio.
const BUDGET: u8 = 128;

thread_local! {
    static LEFT: Cell<u8> = const { Cell::new(BUDGET) };
}

/// A task of this thread begins to run.
pub(super) fn renew_budget() {
    LEFT.set(BUDGET);
}

/// Whether one reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Read,
    Write,
}

impl From<Way> for Interest {
    fn from(way: Way) -> Self {
        match way {
            Way::Read => Self::READABLE,
            Way::Write => Self::WRITABLE,
        }
    }
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Connected,
    Connecting,
    Listening,
}

/// A non-blocking socket, registered with the loop of the thread.
#[derive(Debug)]
pub struct Watched(Kind);

#[derive(Debug)]
enum Kind {
    Own {
        socket: Socket,
        registration: Registration,
        role: Role,
    },
    /// Only its readiness is used, and that is the same for every socket. What tokio has for descriptors in general
    /// takes a promise in `unsafe` code.
    Tokio(UnixStream),
}

#[derive(Debug)]
enum Socket {
    Alone(OwnedFd),
    /// Other threads may have it, too; see [`Watched::share`].
    Shared(Arc<OwnedFd>),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Alone(socket) => socket.as_fd(),
            Self::Shared(socket) => socket.as_fd(),
        }
    }
}

impl Watched {
    /// Of a connection that can be written to at once.
    ///
    /// # Panics
    ///
    /// As all that makes one, if the thread runs neither a loop of its own nor one of tokio's.
    pub fn connected(socket: OwnedFd) -> io::Result<Self> {
        Self::new(socket, Role::Connected)
    }

    /// Of a socket that is about to connect: it can be written to when it has.
    pub fn connecting(socket: OwnedFd) -> io::Result<Self> {
        Self::new(socket, Role::Connecting)
    }

    /// Of a socket that listens, and may do so in other processes.
    pub fn listening(socket: OwnedFd) -> io::Result<Self> {
        Self::new(socket, Role::Listening)
    }

    fn new(socket: OwnedFd, role: Role) -> io::Result<Self> {
        Ok(Self(match own() {
            Some(parts) => Kind::Own {
                registration: {
                    let writable = role == Role::Connected;
                    Registration::new(&parts.epoll, socket.as_fd(), writable)?
                },
                socket: match role {
                    Role::Connecting => Socket::Shared(Arc::new(socket)),
                    Role::Connected | Role::Listening => Socket::Alone(socket),
                },
                role,
            },
            None => Kind::Tokio(UnixStream::from_std(socket.into())?),
        }))
    }

    /// Ready when a call of this way would probably not block; else the task is woken when that is so. For each
    /// way, one task at a time.
    pub fn poll_ready(&self, way: Way, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Own { registration, .. } => {
                ready!(poll_budget(cx));
                if registration.is_ready(way) {
                    return Poll::Ready(Ok(()));
                }
                registration.wait(way, cx.waker());
                Poll::Pending
            }
            Kind::Tokio(socket) => match way {
                Way::Read => socket.poll_read_ready(cx),
                Way::Write => socket.poll_write_ready(cx),
            },
        }
    }

    /// Makes a call if it would probably not block. An error of [`io::ErrorKind::WouldBlock`], be it that the call
    /// wasn't made or that it said so, means that [`poll_ready`](Self::poll_ready) is to be asked.
    pub fn try_call<R>(&self, way: Way, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match &self.0 {
            Kind::Own { registration, .. } => {
                if !registration.is_ready(way) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let done = call();
                if matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                    registration.clear(way);
                }
                done
            }
            Kind::Tokio(socket) => socket.try_io(way.into(), call),
        }
    }

    /// Makes a call that moves up to `most` bytes once the socket is ready for it; says how many it moved.
    ///
    /// Less than there was room for means that there is no more to be had for now: the next call waits for the system
    /// to say otherwise, and isn't made in vain.
    pub fn poll_move(
        &self,
        way: Way,
        cx: &mut Context<'_>,
        most: usize,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match &self.0 {
            Kind::Own { registration, .. } => {
                ready!(poll_budget(cx));
                if registration.is_ready(way) {
                    match call() {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            registration.clear(way);
                        }
                        Ok(moved) => {
                            if 0 < moved && moved < most {
                                registration.clear(way);
                            }
                            return Poll::Ready(Ok(moved));
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                registration.wait(way, cx.waker());
                Poll::Pending
            }
            Kind::Tokio(socket) => loop {
                // A connection on which there is always something to do leaves room for the others.
                let turn = ready!(coop::poll_proceed(cx));
                let mut moved = None;
                let done = socket.try_io(way.into(), || {
                    let count = *moved.insert(call()?);
                    match 0 < count && count < most {
                        true => Err(io::ErrorKind::WouldBlock.into()),
                        false => Ok(()),
                    }
                });
                match (moved, done) {
                    (Some(moved), Ok(()) | Err(_)) => {
                        turn.made_progress();
                        return Poll::Ready(Ok(moved));
                    }
                    (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                        turn.made_progress();
                        return Poll::Ready(Err(error));
                    }
                    (None, _) => {}
                }
                // Gives the turn back: tokio counts what follows itself.
                drop(turn);
                ready!(self.poll_ready(way, cx))?;
            },
        }
    }

    /// Has the next call of this way made without waiting for an event, e.g. since something was left there. On tokio's
    /// loop, which takes no such advice, nothing happens.
    pub fn believe_ready(&self, way: Way) {
        match &self.0 {
            Kind::Own { registration, .. } => registration.believe(way),
            Kind::Tokio(_) => {}
        }
    }

    /// The socket for another thread, which keeps it open as long as it has it. Costs a descriptor unless this one was
    /// connecting at first.
    pub fn share(&self) -> io::Result<Arc<OwnedFd>> {
        match &self.0 {
            Kind::Own {
                socket: Socket::Shared(socket),
                ..
            } => Ok(Arc::clone(socket)),
            Kind::Own { .. } | Kind::Tokio(_) => Ok(Arc::new(self.as_fd().try_clone_to_owned()?)),
        }
    }

    /// Whether the other side has said that it sends no more, be there data of before or not.
    pub fn is_read_closed(&self) -> bool {
        match &self.0 {
            Kind::Own { registration, .. } => registration.is_read_closed(),
            Kind::Tokio(socket) => {
                let mut context = Context::from_waker(Waker::noop());
                let ready = pin!(socket.ready(Interest::READABLE)).poll(&mut context);
                matches!(ready, Poll::Ready(Ok(ready)) if ready.is_read_closed())
            }
        }
    }

    /// Whether a socket that was connecting, and is ready to be written to, may have failed to; asking it tells.
    pub fn may_have_failed(&self) -> bool {
        match &self.0 {
            Kind::Own { registration, .. } => registration.is_write_closed(),
            Kind::Tokio(_) => true,
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Own { socket, .. } => socket.as_fd(),
            Kind::Tokio(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Kind::Own {
            socket,
            registration,
            role: Role::Listening,
        } = &self.0
        {
            // Other processes may hold it too, and then its events don't end by closing this one.
            registration.withdraw(socket.as_fd());
        }
    }
}

/// Counts a turn of the running task. One that has had its share is polled again after the others.
fn poll_budget(cx: &Context<'_>) -> Poll<()> {
    match LEFT.get().checked_sub(1) {
        Some(left) => {
            LEFT.set(left);
            Poll::Ready(())
        }
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}
