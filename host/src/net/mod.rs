//! Sockets: listening, connecting, reading, writing, waiting with a deadline. Knows addresses and
//! bytes; knows nothing of HTTP or of why anybody connects.

mod buffer;
mod deadline;
mod listen;
mod resolve;
mod stream;

pub use buffer::{Buffer, BufferPool};
pub use deadline::Deadline;
pub use listen::{BindError, BoundAddress, Listener, ListenerId, SharedListener};
pub use resolve::{ResolveError, resolve};
pub use stream::{PeerAddress, Stream};
