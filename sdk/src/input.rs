//! Facts about an exchange that a plugin can ask for.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A fact about the request.
///
/// Can be part of a plugin's config: facts without a name are texts (`"path"`, `"client_address"`), the
/// others tables (`{ header = "x-tier" }`, `{ query_param = "id" }`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Method,
    /// With percent-encoded unreserved characters decoded and dot segments removed.
    Path,
    /// As the client sent it.
    RawPath,
    /// Without `?`; none if there is no `?`.
    Query,
    /// The first parameter of that name, percent-decoded.
    QueryParam(String),
    /// In lower case, without port.
    Host,
    Scheme,
    /// `HTTP/1.0`, `HTTP/1.1`.
    Version,
    ClientAddress,
    ClientPort,
    ListenerAddress,
    ListenerPort,
    /// The name that the client asked for, in lower case.
    TlsSni,
    /// What both sides agreed to speak.
    TlsAlpn,
    /// `TLSv1.2`, `TLSv1.3`.
    TlsVersion,
    /// As OpenSSL calls it.
    TlsCipher,
    /// `true` if the client has shown a certificate, `false` if not; none in clear text.
    TlsClientVerified,
    /// As RFC 4514 writes it: `CN=ada,O=Example`.
    TlsClientSubject,
    /// `DNS:a.example, URI:spiffe://b`.
    TlsClientSan,
    /// SHA-256 of the client's certificate in hexadecimal digits.
    TlsClientFingerprint,
    /// The last field of that name, in any case.
    Header(String),
    /// All fields of that name, joined with `, `.
    HeaderAll(String),
    /// The first cookie of that name; its case matters.
    Cookie(String),
    /// Set by an earlier filter.
    Var(String),
    FrontendName,
    BackendName,
    RequestId,
    /// Up to so many (1 to 4096) of the first bytes of the connection, as Latin-1.
    FirstBytes(u16),
    /// What a trusted PROXY header said: `authority`, `alpn`, `unique-id`, `netns`, `tls-version`,
    /// `tls-cipher`, `tls-client-cn` or `tls-verified`.
    Proxy(String),
    /// How many servers of the backend new clients may be given now: backups only where nobody else can take
    /// any.
    UsableServers(String),
    /// Exchanges and sessions in the backend, those that wait included.
    BackendExchanges(String),
    /// Exchanges that wait for a place in the backend.
    BackendQueued(String),
    /// How many that are for each usable server, rounded up; two for each that waits where there is none.
    BackendQueuedPerServer(String),
    /// How many more the backend's servers take at once; none if one of them has no limit.
    BackendFreePlaces(String),
    /// `true` or `false`: whether the server `BACKEND/SERVER` may be given anything at all.
    ServerUp(String),
    /// Exchanges and sessions that the server `BACKEND/SERVER` runs.
    ServerExchanges(String),
    /// Exchanges that wait for the server `BACKEND/SERVER` and no other.
    ServerQueued(String),
    /// Client connections of the frontend.
    FrontendConnections(String),
}

impl fmt::Display for Input {
    /// Writes the contract's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Path => f.write_str("path"),
            Self::RawPath => f.write_str("raw-path"),
            Self::Query => f.write_str("query"),
            Self::QueryParam(name) => write!(f, "query-param({name})"),
            Self::Host => f.write_str("host"),
            Self::Scheme => f.write_str("scheme"),
            Self::Version => f.write_str("version"),
            Self::ClientAddress => f.write_str("client-address"),
            Self::ClientPort => f.write_str("client-port"),
            Self::ListenerAddress => f.write_str("listener-address"),
            Self::ListenerPort => f.write_str("listener-port"),
            Self::TlsSni => f.write_str("tls-sni"),
            Self::TlsAlpn => f.write_str("tls-alpn"),
            Self::TlsVersion => f.write_str("tls-version"),
            Self::TlsCipher => f.write_str("tls-cipher"),
            Self::TlsClientVerified => f.write_str("tls-client-verified"),
            Self::TlsClientSubject => f.write_str("tls-client-subject"),
            Self::TlsClientSan => f.write_str("tls-client-san"),
            Self::TlsClientFingerprint => f.write_str("tls-client-fingerprint"),
            Self::Header(name) => write!(f, "header({})", name.to_ascii_lowercase()),
            Self::HeaderAll(name) => write!(f, "header-all({})", name.to_ascii_lowercase()),
            Self::Cookie(name) => write!(f, "cookie({name})"),
            Self::Var(name) => write!(f, "var({name})"),
            Self::FrontendName => f.write_str("frontend-name"),
            Self::BackendName => f.write_str("backend-name"),
            Self::RequestId => f.write_str("request-id"),
            Self::FirstBytes(count) => write!(f, "first-bytes({count})"),
            Self::Proxy(name) => write!(f, "proxy({name})"),
            Self::UsableServers(backend) => write!(f, "usable-servers({backend})"),
            Self::BackendExchanges(backend) => write!(f, "backend-exchanges({backend})"),
            Self::BackendQueued(backend) => write!(f, "backend-queued({backend})"),
            Self::BackendQueuedPerServer(backend) => {
                write!(f, "backend-queued-per-server({backend})")
            }
            Self::BackendFreePlaces(backend) => write!(f, "backend-free-places({backend})"),
            Self::ServerUp(server) => write!(f, "server-up({server})"),
            Self::ServerExchanges(server) => write!(f, "server-exchanges({server})"),
            Self::ServerQueued(server) => write!(f, "server-queued({server})"),
            Self::FrontendConnections(frontend) => write!(f, "frontend-connections({frontend})"),
        }
    }
}

/// A fact about the response, for the hooks that run after one came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseInput {
    Status,
    /// The last field of that name, in any case.
    Header(String),
    /// All fields of that name, joined with `, `.
    HeaderAll(String),
    /// The value in the first Set-Cookie field of that name; its case matters.
    Cookie(String),
}

impl fmt::Display for ResponseInput {
    /// Writes the contract's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "response-header({})", name.to_ascii_lowercase()),
            Self::HeaderAll(name) => {
                write!(f, "response-header-all({})", name.to_ascii_lowercase())
            }
            Self::Cookie(name) => write!(f, "response-cookie({name})"),
        }
    }
}
