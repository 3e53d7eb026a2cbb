//! Every way an exchange can end early, and what each means for the client, the log and the blame.

use std::{io, time::Duration};

use crate::{
    backend::ConnectError,
    http::{
        bad::{BadRequest, BadResponse},
        body::BadBody,
    },
    model::{Fault, Outcome, ServerName},
};

/// Why an exchange did not run its course.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("bad request: {0}")]
    BadRequest(#[from] BadRequest),
    #[error("the client did not send a whole request within {limit:?}")]
    RequestTimedOut { limit: Duration },
    #[error("bad request body: {0}")]
    BadRequestBody(BadBody),
    #[error("the client stopped sending its request body for {limit:?}")]
    RequestBodyTimedOut { limit: Duration },
    #[error("the client went away")]
    ClientGone,
    #[error("the client did not take the answer for {limit:?}")]
    ClientTimedOut { limit: Duration },

    #[error("a filter failed, and it is to deny when it does")]
    FilterFailed,
    #[error("no filter chose a backend and there is no default one")]
    NoBackend,
    #[error("the balancer failed")]
    BalancerFailed,
    #[error("no server is available")]
    NoServer,
    #[error("too many wait for a server")]
    QueueFull,
    #[error("no server had a free place within {limit:?}")]
    QueueTimedOut { limit: Duration },

    #[error("server {server}: {source}")]
    Connect {
        server: ServerName,
        source: ConnectError,
    },
    #[error("server {server} closed the connection before it answered")]
    ServerClosed { server: ServerName },
    #[error("server {server} did not answer within {limit:?}")]
    ServerTimedOut { server: ServerName, limit: Duration },
    #[error("server {server}: bad response: {source}")]
    BadResponse {
        server: ServerName,
        source: BadResponse,
    },
    #[error("server {server} sent more than {most} interim answers")]
    TooManyInterim { server: ServerName, most: u32 },
    #[error("server {server} switched protocols though nobody asked it to")]
    UnaskedUpgrade { server: ServerName },
    #[error("server {server} does not take upgrades over HTTP/2")]
    NoUpgrade { server: ServerName },
    #[error("server {server} stopped in the middle of its answer")]
    AnswerTruncated { server: ServerName },
    #[error("server {server} stopped sending its answer for {limit:?}")]
    AnswerTimedOut { server: ServerName, limit: Duration },
    #[error("server {server}: bad response body: {source}")]
    BadAnswerBody {
        server: ServerName,
        source: BadBody,
        /// The client has been sent some of the answer.
        begun: bool,
    },
    #[error("the answer could not be compressed: {0}")]
    NotCompressed(io::Error),
}

/// The two letters that HAProxy's log shows for the end of a session: who ended it, and in which phase.
pub type Termination = [u8; 2];

impl ExchangeError {
    /// What the client gets, if nothing has been sent to it yet. `None`: there is nobody to answer, or
    /// it is too late.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::BadRequest(bad) => Some(bad.status()),
            Self::RequestTimedOut { .. } | Self::RequestBodyTimedOut { .. } => Some(408),
            Self::BadRequestBody(bad) => Some(bad.status()),
            Self::FilterFailed => Some(500),
            Self::NoBackend
            | Self::BalancerFailed
            | Self::NoServer
            | Self::QueueFull
            | Self::QueueTimedOut { .. }
            | Self::Connect { .. } => Some(503),
            Self::ServerClosed { .. }
            | Self::BadResponse { .. }
            | Self::TooManyInterim { .. }
            | Self::UnaskedUpgrade { .. }
            | Self::NoUpgrade { .. }
            | Self::BadAnswerBody { begun: false, .. } => Some(502),
            Self::ServerTimedOut { .. } => Some(504),
            Self::ClientGone
            | Self::ClientTimedOut { .. }
            | Self::AnswerTruncated { .. }
            | Self::AnswerTimedOut { .. }
            | Self::BadAnswerBody { begun: true, .. }
            | Self::NotCompressed(_) => None,
        }
    }

    pub fn fault(&self) -> Fault {
        match self {
            Self::BadRequest(_)
            | Self::RequestTimedOut { .. }
            | Self::BadRequestBody(_)
            | Self::RequestBodyTimedOut { .. }
            | Self::ClientGone
            | Self::ClientTimedOut { .. } => Fault::Client,
            Self::FilterFailed | Self::BalancerFailed => Fault::Plugin,
            Self::NoBackend
            | Self::QueueFull
            | Self::QueueTimedOut { .. }
            | Self::NotCompressed(_) => Fault::Proxy,
            Self::Connect {
                source: ConnectError::Exhausted(_),
                ..
            } => Fault::Proxy,
            Self::NoServer
            | Self::Connect { .. }
            | Self::ServerClosed { .. }
            | Self::ServerTimedOut { .. }
            | Self::BadResponse { .. }
            | Self::TooManyInterim { .. }
            | Self::UnaskedUpgrade { .. }
            | Self::NoUpgrade { .. }
            | Self::AnswerTruncated { .. }
            | Self::AnswerTimedOut { .. }
            | Self::BadAnswerBody { .. } => Fault::Server,
        }
    }

    /// What a balancer that learns is told.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Connect { .. } => Outcome::ConnectFailed,
            Self::ServerTimedOut { .. } | Self::AnswerTimedOut { .. } => Outcome::TimedOut,
            Self::ServerClosed { .. }
            | Self::BadResponse { .. }
            | Self::TooManyInterim { .. }
            | Self::UnaskedUpgrade { .. }
            | Self::NoUpgrade { .. }
            | Self::AnswerTruncated { .. }
            | Self::BadAnswerBody { .. } => Outcome::ServerError,
            Self::BadRequest(_)
            | Self::RequestTimedOut { .. }
            | Self::BadRequestBody(_)
            | Self::RequestBodyTimedOut { .. }
            | Self::ClientGone
            | Self::ClientTimedOut { .. }
            | Self::FilterFailed
            | Self::NoBackend
            | Self::BalancerFailed
            | Self::NoServer
            | Self::QueueFull
            | Self::QueueTimedOut { .. }
            | Self::NotCompressed(_) => Outcome::Aborted,
        }
    }

    pub fn termination(&self) -> Termination {
        *match self {
            Self::BadRequest(_) => b"PR",
            Self::RequestTimedOut { .. } => b"cR",
            Self::BadRequestBody(_) => b"PD",
            Self::RequestBodyTimedOut { .. } | Self::ClientTimedOut { .. } => b"cD",
            Self::ClientGone => b"CD",
            Self::FilterFailed => b"IR",
            Self::BalancerFailed => b"IC",
            Self::NoBackend | Self::NoServer => b"SC",
            Self::QueueFull => b"SQ",
            Self::QueueTimedOut { .. } => b"sQ",
            Self::Connect { source, .. } => match source {
                ConnectError::TimedOut { .. } => b"sC",
                ConnectError::Refused(_)
                | ConnectError::Unreachable(_)
                | ConnectError::Handshake(_)
                | ConnectError::NotHttp2(_) => b"SC",
                ConnectError::Exhausted(_) => b"RC",
            },
            Self::ServerClosed { .. } => b"SH",
            Self::ServerTimedOut { .. } => b"sH",
            Self::BadResponse { .. }
            | Self::TooManyInterim { .. }
            | Self::UnaskedUpgrade { .. }
            | Self::NoUpgrade { .. }
            | Self::BadAnswerBody { begun: false, .. } => b"PH",
            Self::AnswerTruncated { .. } => b"SD",
            Self::AnswerTimedOut { .. } => b"sD",
            Self::BadAnswerBody { begun: true, .. } => b"PD",
            Self::NotCompressed(_) => b"RD",
        }
    }
}
