//! Connecting to a server within a time limit.

use std::{io, time::Duration};

use tokio::time::timeout;

use super::{Server, ServerAddress};
use crate::net::Stream;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the server refused the connection")]
    Refused(#[source] io::Error),
    #[error("the server did not take the connection within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Our own fault, such as no descriptor left: trying another server would not help.
    #[error("the proxy has no means left to connect")]
    Exhausted(#[source] io::Error),
}

/// Opens a connection to `server`. `client_port` is used where the server has no port of its own.
///
/// Dropping the future closes the half-open connection.
pub async fn connect(
    server: &Server,
    client_port: u16,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    let origin = &server.origin;
    let connecting = async {
        if let ServerAddress::Unix(path) = &server.address {
            return origin.connect_unix(path).await.map(Stream::Unix);
        }
        match server.socket_address(client_port) {
            Some(address) => origin.connect_tcp(address).await.map(Stream::Tcp),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "its name has no address at the moment",
            )),
        }
    };
    match timeout(limit, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(classify(error)),
        Err(_elapsed) => Err(ConnectError::TimedOut { limit }),
    }
}

fn classify(error: io::Error) -> ConnectError {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        Some(Errno::CONNREFUSED | Errno::CONNRESET | Errno::NOENT) => ConnectError::Refused(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL) => {
            ConnectError::Exhausted(error)
        }
        _ => ConnectError::Unreachable(error),
    }
}
