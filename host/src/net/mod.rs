//! Sockets: listening, connecting, reading, writing, waiting with a deadline. Knows addresses and
//! bytes; knows nothing of HTTP or of why anybody connects.

pub mod account;
mod buffer;
pub mod client_hello;
mod deadline;
mod dial;
mod handover;
mod inner;
mod listen;
mod namespace;
mod peek;
pub mod proxy_protocol;
mod resolve;
mod splice;
mod stream;
mod tls;

pub use buffer::{Buffer, BufferPool};
pub use deadline::Deadline;
pub use dial::{FirstWord, Origin};
pub use handover::{Handover, HandoverError, Parcel, VARIABLE as HANDOVER_VARIABLE, activated};
pub use inner::{InnerDoor, Visitors};
pub use listen::{BindError, BoundAddress, Incoming, Listener, ListenerId, SharedListener};
pub use namespace::{Namespace, NamespaceError};
pub use resolve::{Addresses, ResolveError, Resolver, resolve};
pub use splice::{Pipe, PipePool};
pub use stream::{PeerAddress, Stream};
pub use tls::{
    Accepted, AcmeChallenges, CannotMake, Connected, HandshakeError, SessionKeeper, SystemRoots,
    TlsAcceptor, TlsConnector, TlsFacts, TlsFault, TlsFileError, TlsStream, tls_files,
    until_renewal, use_one_cryptography,
};
