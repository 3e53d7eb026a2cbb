//! Active checks: asking a server at intervals whether it lives, and believing it only after a while.

use std::{fmt, io, sync::Arc, time::Duration};

use http_body_util::Empty;
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{Instant, sleep_until, timeout},
};

use super::{Hindrance, Server, ServerAddress};
use crate::config::{Check, CheckKind};

/// What repeated checks say about a server. Counts, and knows no clock.
///
/// A server counts as up until its first check. That first check alone can take it down, whatever
/// `fall` says: nothing good is known of it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Unchecked,
    Up { failures: u32 },
    Down { successes: u32 },
}

/// A check changed what is believed of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    WentUp,
    WentDown,
}

impl Health {
    pub fn is_up(self) -> bool {
        !matches!(self, Self::Down { .. })
    }

    /// Takes the result of one check in.
    pub fn record(&mut self, passed: bool, fall: u32, rise: u32) -> Option<Transition> {
        let (next, transition) = match (*self, passed) {
            (Self::Unchecked | Self::Up { .. }, true) => (Self::Up { failures: 0 }, None),
            (Self::Unchecked, false) => (Self::Down { successes: 0 }, Some(Transition::WentDown)),
            (Self::Up { failures }, false) if failures + 1 >= fall => {
                (Self::Down { successes: 0 }, Some(Transition::WentDown))
            }
            (Self::Up { failures }, false) => (
                Self::Up {
                    failures: failures + 1,
                },
                None,
            ),
            (Self::Down { successes }, true) if successes + 1 >= rise => {
                (Self::Up { failures: 0 }, Some(Transition::WentUp))
            }
            (Self::Down { successes }, true) => (
                Self::Down {
                    successes: successes + 1,
                },
                None,
            ),
            (Self::Down { .. }, false) => (Self::Down { successes: 0 }, None),
        };
        *self = next;
        transition
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckFailure {
    #[error("Layer4 connection problem, info: \"{0}\"")]
    Connect(io::Error),
    #[error("Layer4 timeout")]
    ConnectTimeout,
    #[error("Layer7 wrong status, code: {0}")]
    Status(u16),
    #[error("Layer7 invalid response, info: \"{0}\"")]
    Response(hyper::Error),
    #[error("Layer7 timeout")]
    ResponseTimeout,
}

/// A check ended; told to whoever writes the log.
#[derive(Debug)]
pub struct CheckEvent<'a> {
    pub server: &'a Server,
    pub health: Health,
    pub transition: Option<Transition>,
    /// The status that was answered, or what went wrong.
    pub result: &'a Result<Passed, CheckFailure>,
    pub took: Duration,
}

/// How a check succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    Layer4,
    Layer7 { status: u16 },
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer4 => f.write_str("Layer4 check passed"),
            Self::Layer7 { status } => write!(f, "Layer7 check passed, code: {status}"),
        }
    }
}

/// Checks `server` for ever, the first time after `first`, and keeps its state's `up` true to it.
///
/// Starts from `health`, which is what a former generation knew. Drop the future to stop.
pub async fn watch(
    server: Arc<Server>,
    check: Check,
    mut health: Health,
    first: Duration,
    mut on_event: impl FnMut(CheckEvent<'_>),
) {
    let mut next = Instant::now() + first;
    let mut place = server.state.pool_key();
    loop {
        sleep_until(next).await;
        let start = Instant::now();
        let key = server.state.pool_key();
        if key != place {
            // Another address is another server, of which nothing is known yet.
            (place, health) = (key, Health::Unchecked);
        }
        if server.state.has(Hindrance::Unresolved) {
            next += check.interval;
            continue;
        }
        let result = run(&server, &check).await;
        if server.state.pool_key() != place {
            // It moved meanwhile, and what came out says nothing of where it is now.
            continue;
        }
        let transition = health.record(result.is_ok(), check.fall, check.rise);
        if transition.is_some() {
            server.state.set_up(health.is_up());
        }
        on_event(CheckEvent {
            server: &server,
            health,
            transition,
            result: &result,
            took: start.elapsed(),
        });
        // Checks keep their rhythm; one that took longer than the interval skips the turns it missed.
        while next <= Instant::now() {
            next += check.interval;
        }
    }
}

async fn run(server: &Server, check: &Check) -> Result<Passed, CheckFailure> {
    let deadline = Instant::now() + check.timeout;
    let connecting = async {
        if let ServerAddress::Unix(path) = &server.address {
            return server.origin.connect_unix(path).await.map(Probe::Unix);
        }
        match server
            .socket_address(0)
            .filter(|address| address.port() > 0)
        {
            Some(address) => server.origin.connect_tcp(address).await.map(Probe::Tcp),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a server without a port cannot be checked",
            )),
        }
    };
    let stream = timeout(check.timeout, connecting)
        .await
        .map_err(|_| CheckFailure::ConnectTimeout)?
        .map_err(CheckFailure::Connect)?;
    let CheckKind::Http {
        method,
        path,
        host,
        expect,
    } = &check.kind
    else {
        if let Probe::Tcp(stream) = &stream {
            // The application need not hear of it: a reset instead of an orderly close.
            let _ = stream.set_zero_linger();
        }
        return Ok(Passed::Layer4);
    };
    let asking = async {
        match stream {
            Probe::Tcp(stream) => ask(stream, method, path, host.as_deref(), &server.address).await,
            Probe::Unix(stream) => {
                ask(stream, method, path, host.as_deref(), &server.address).await
            }
        }
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let status = timeout(left, asking)
        .await
        .map_err(|_| CheckFailure::ResponseTimeout)?
        .map_err(CheckFailure::Response)?;
    if expect
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&status))
    {
        Ok(Passed::Layer7 { status })
    } else {
        Err(CheckFailure::Status(status))
    }
}

enum Probe {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Sends one request and answers with the status; the body is not waited for.
async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    host: Option<&str>,
    address: &ServerAddress,
) -> Result<u16, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = match (host, address) {
        (Some(host), _) => host.to_owned(),
        // A path is no host, and servers that look at the field refuse it.
        (None, ServerAddress::Unix(_)) => "localhost".to_owned(),
        (None, address) => address.to_string(),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(
            header::USER_AGENT,
            concat!("weir/", env!("CARGO_PKG_VERSION"), " check"),
        )
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("the config reader has checked method, path and host");
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    let answer = tokio::select! {
        answer = &mut answer => answer?,
        // The connection must be driven for the answer to come; its end alone is no answer.
        ended = &mut connection => {
            ended?;
            answer.await?
        }
    };
    Ok(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `+` (passed) and `-` (failed), answers with what is believed after each: U or D.
    fn believe(fall: u32, rise: u32, results: &str) -> String {
        let mut health = Health::Unchecked;
        results
            .chars()
            .map(|result| {
                health.record(result == '+', fall, rise);
                if health.is_up() { 'U' } else { 'D' }
            })
            .collect()
    }

    #[test]
    fn the_first_check_alone_takes_a_server_down() {
        assert_eq!(believe(3, 2, "-++"), "DDU");
    }

    #[test]
    fn a_blip_is_forgiven_and_fall_failures_in_a_row_are_not() {
        assert_eq!(believe(3, 2, "+--+---"), "UUUUUUD");
    }

    #[test]
    fn fall_1_rise_5_leaves_at_once_and_comes_back_after_five() {
        assert_eq!(believe(1, 5, "+-+++++"), "UDDDDDU");
    }

    #[test]
    fn a_failure_on_the_way_up_starts_over() {
        assert_eq!(believe(1, 2, "-+-++"), "DDDDU");
    }
}
