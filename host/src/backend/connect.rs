//! Connecting to a server within a time limit.

use std::{io, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{Server, ServerAddress};
use crate::{
    event_loop::timeout,
    net::{FirstWord, HandshakeError, Stream},
};

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the server refused the connection")]
    Refused(#[source] io::Error),
    #[error("the server did not take the connection within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("no secure connection to the server")]
    Handshake(#[source] HandshakeError),
    #[error("the server does not speak HTTP/2")]
    NotHttp2(#[source] h2::Error),
    /// Our own fault, such as no descriptor left: trying another server would not help.
    #[error("the proxy has no means left to connect")]
    Exhausted(#[source] io::Error),
}

/// Opens a connection to `server`, says `introduction` on it, a few bytes that come before all else, and makes it secure
/// if the server wants TLS. `client_port` is used where the server has no port of its own, `first_word` says who sends
/// after all that. `limit` is for all of it.
///
/// Dropping the future closes the half-open connection.
pub async fn connect(
    server: &Server,
    client_port: u16,
    introduction: &[u8],
    first_word: FirstWord,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    let first_word = match introduction.is_empty() && server.tls.is_none() {
        true => first_word,
        false => FirstWord::Ours,
    };
    let connecting = async {
        let mut socket = open(server, client_port, first_word)
            .await
            .map_err(classify)?;
        if !introduction.is_empty() {
            socket.write_all(introduction).await.map_err(classify)?;
        }
        match &server.tls {
            None => Ok(socket),
            // In a box, so that connecting in clear text does not pay for it.
            Some(tls) => Box::pin(tls.connect(socket))
                .await
                .map(|connected| connected.stream)
                .map_err(ConnectError::Handshake),
        }
    };
    match timeout(limit, connecting).await {
        Ok(connected) => connected,
        Err(_elapsed) => Err(ConnectError::TimedOut { limit }),
    }
}

async fn open(server: &Server, client_port: u16, first_word: FirstWord) -> io::Result<Stream> {
    let origin = &server.origin;
    if let ServerAddress::Unix(path) = &server.address {
        return origin.connect_unix(path).await;
    }
    if server.address == ServerAddress::Statistics {
        return origin.connect_inner();
    }
    match server.socket_address(client_port) {
        Some(address) => origin.connect_tcp(address, first_word).await,
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "its name has no address at the moment",
        )),
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
