//! Why a message is refused, one variant per class, and with which status.

use super::{
    fields::BadLine,
    framing::{BadConnection, BadFraming},
    h2::BadMapping,
};

/// A request that is not forwarded. The connection cannot be used any further, since where the next
/// request starts is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("the first bytes `{found}` are not the start of a request")]
    NotHttp { found: String },
    #[error("more than one empty line before the request")]
    EmptyLine,
    #[error("a line ends in LF without CR")]
    BareLf,
    #[error("request line `{found}` is not `method target version`")]
    RequestLine { found: String },
    #[error(
        "method `{found}` is not a token of at most {} bytes",
        super::request::METHOD_LIMIT
    )]
    Method { found: String },
    #[error("CONNECT is not offered")]
    Connect,
    #[error("request line `{found}` has no version (HTTP/0.9)")]
    NoVersion { found: String },
    #[error("`{found}` is not an HTTP version")]
    VersionSyntax { found: String },
    #[error("version {found} is not spoken here; HTTP/1.0 and HTTP/1.1 are")]
    Version { found: String },
    #[error("target `{found}` has a {byte} in it")]
    TargetByte { found: String, byte: String },
    #[error("target `{found}` has a fragment")]
    Fragment { found: String },
    #[error("target `{found}` is neither a path, an http URL, nor the `*` of OPTIONS")]
    Target { found: String },
    #[error("`{found}` in the target is not a host")]
    Authority { found: String },
    #[error("authority `{found}` has a user in it")]
    UserInfo { found: String },
    #[error("target longer than {limit} bytes")]
    TargetTooLong { limit: usize },
    #[error("head larger than {limit} bytes")]
    HeadTooLarge { limit: usize },
    #[error("more than {limit} fields")]
    TooManyFields { limit: usize },
    #[error(transparent)]
    Field(#[from] BadLine),
    #[error("HTTP/1.1 request without Host")]
    NoHost,
    #[error("more than one Host")]
    RepeatedHost,
    #[error("Host `{found}` is not a host")]
    Host { found: String },
    #[error("Host `{host}` contradicts the target's `{target}`")]
    OtherHost { host: String, target: String },
    #[error(transparent)]
    Framing(#[from] BadFraming),
    #[error(transparent)]
    Connection(#[from] BadConnection),
    #[error("Expect `{found}`, where only `100-continue` is understood")]
    Expect { found: String },
    #[error(transparent)]
    Mapping(#[from] BadMapping),
    #[error("HTTP/1 where only HTTP/2 is spoken")]
    NotHttp2,
}

impl BadRequest {
    /// The status to answer with.
    ///
    /// An unknown transfer coding is 400 rather than the 501 that RFC 9112 §6.1 suggests: what arrives there
    /// are disguises of `chunked`, not codings. CONNECT is 501, since 405 would have to list what is
    /// allowed, which only the server knows.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotHttp { .. }
            | Self::EmptyLine
            | Self::BareLf
            | Self::RequestLine { .. }
            | Self::Method { .. }
            | Self::NoVersion { .. }
            | Self::VersionSyntax { .. }
            | Self::TargetByte { .. }
            | Self::Fragment { .. }
            | Self::Target { .. }
            | Self::Authority { .. }
            | Self::UserInfo { .. }
            | Self::Field(_)
            | Self::NoHost
            | Self::RepeatedHost
            | Self::Host { .. }
            | Self::OtherHost { .. }
            | Self::Framing(_)
            | Self::Connection(_) => 400,
            Self::TargetTooLong { .. } => 414,
            Self::Expect { .. } => 417,
            Self::HeadTooLarge { .. } | Self::TooManyFields { .. } => 431,
            Self::Connect => 501,
            Self::Version { .. } | Self::NotHttp2 => 505,
            Self::Mapping(bad) => bad.status(),
        }
    }
}

/// An answer that is not passed on. The client gets 502 and the connection to the server is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResponse {
    #[error("the first bytes `{found}` are not HTTP/1")]
    NotHttp { found: String },
    #[error("an empty line in place of a status line")]
    EmptyLine,
    #[error("a line ends in LF without CR")]
    BareLf,
    #[error("status line `{found}` is not `version status reason`")]
    StatusLine { found: String },
    #[error("`{found}` is not spoken here; HTTP/1.0 and HTTP/1.1 are")]
    Version { found: String },
    #[error("status `{found}` is not 100 to 599")]
    Status { found: String },
    #[error("the value of `{name}` begins or ends with a blank, or has a control character in it")]
    Value { name: String },
    #[error("a Content-Length without a body")]
    LengthWithoutBody,
    #[error("status 101, which HTTP/2 does not have")]
    SwitchOverH2,
    #[error("the reason of status {status} has a {byte} in it")]
    Reason { status: u16, byte: String },
    #[error("head larger than {limit} bytes")]
    HeadTooLarge { limit: usize },
    #[error("more than {limit} fields")]
    TooManyFields { limit: usize },
    #[error(transparent)]
    Field(#[from] BadLine),
    #[error(transparent)]
    Framing(#[from] BadFraming),
    #[error(transparent)]
    Connection(#[from] BadConnection),
}
