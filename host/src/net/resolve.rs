//! Host names to addresses, when a configuration is loaded.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("host name `{host}` does not resolve")]
    Failed { host: String, source: io::Error },
    #[error("host name `{host}` has no address")]
    Empty { host: String },
}

/// Asks the system's resolver. Blocks, so it is for loading, never for a worker. IPv4 is preferred
/// where a name has both, as servers are more often bound to it alone.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, ResolveError> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|source| ResolveError::Failed {
            host: host.to_owned(),
            source,
        })?
        .collect();
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .or_else(|| addresses.first())
        .copied()
        .ok_or_else(|| ResolveError::Empty {
            host: host.to_owned(),
        })
}
