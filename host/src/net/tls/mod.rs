//! TLS on sockets: certificates and keys from files, handshakes, records. The only folder that knows rustls.
//!
//! Knows nothing of who connects and why, and nothing of what is said inside.

mod accept;
mod acme;
mod connect;
mod error;
mod facts;
mod files;
mod lent;
mod names;
mod ocsp;
mod provider;
mod session;
mod stream;
mod trust;

pub use accept::{Accepted, SessionKeeper, TlsAcceptor};
pub use acme::{AcmeChallenges, CannotMake, until_renewal};
pub use connect::{Connected, TlsConnector};
pub use error::{HandshakeError, TlsFault, TlsFileError};
pub use facts::TlsFacts;
pub use files::tls_files;
pub use provider::use_one_cryptography;
pub use stream::TlsStream;
pub use trust::SystemRoots;
