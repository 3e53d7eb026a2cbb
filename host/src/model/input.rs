//! Facts about an exchange that a plugin can ask for, by the names the contract gives them.

use std::{fmt, str::FromStr};

use super::LiveFact;

/// A hook of a plugin; each has its own list of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    OnConnection,
    OnRequest,
    OnResponse,
    Pick,
    Lookup,
    Assigned,
}

impl Hook {
    pub const ALL: [Self; 6] = [
        Self::OnConnection,
        Self::OnRequest,
        Self::OnResponse,
        Self::Pick,
        Self::Lookup,
        Self::Assigned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnConnection => "on-connection",
            Self::OnRequest => "on-request",
            Self::OnResponse => "on-response",
            Self::Pick => "pick",
            Self::Lookup => "lookup",
            Self::Assigned => "assigned",
        }
    }

    /// Whether a response exists when the hook runs.
    pub fn sees_response(self) -> bool {
        matches!(self, Self::OnResponse | Self::Assigned)
    }

    /// Whether a request exists when the hook runs in front of HTTP.
    pub fn sees_request(self) -> bool {
        self != Self::OnConnection
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One declared input. Header names are kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    Method,
    /// The path with percent-encoded unreserved characters decoded and dot segments removed.
    Path,
    /// The path as the client sent it.
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
    /// The last field of that name.
    Header(String),
    /// All fields of that name, joined with `, `.
    HeaderAll(String),
    Cookie(String),
    Var(String),
    FrontendName,
    BackendName,
    RequestId,
    Status,
    ResponseHeader(String),
    ResponseHeaderAll(String),
    /// The value in the first Set-Cookie field of that name.
    ResponseCookie(String),
    /// Up to so many of the client's first bytes, as Latin-1.
    FirstBytes(u16),
    /// What a trusted PROXY header said.
    Proxy(ProxyFact),
    /// What holds at the moment it is asked for, such as how many servers of a backend are up.
    Live(Box<LiveFact>),
}

/// What a PROXY header can say besides addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyFact {
    Authority,
    Alpn,
    UniqueId,
    Netns,
    TlsVersion,
    TlsCipher,
    TlsClientCn,
    TlsVerified,
}

impl ProxyFact {
    pub const ALL: [(&'static str, Self); 8] = [
        ("authority", Self::Authority),
        ("alpn", Self::Alpn),
        ("unique-id", Self::UniqueId),
        ("netns", Self::Netns),
        ("tls-version", Self::TlsVersion),
        ("tls-cipher", Self::TlsCipher),
        ("tls-client-cn", Self::TlsClientCn),
        ("tls-verified", Self::TlsVerified),
    ];

    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, fact)| *fact == self);
        known.map_or("", |(name, _)| name)
    }
}

/// The most of a connection's first bytes that a plugin can ask for.
pub const MOST_FIRST_BYTES: u16 = 4096;

/// A plugin asked for a fact that this version of Weir does not offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownInput(pub String);

impl fmt::Display for UnknownInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no input named `{}`", self.0)
    }
}

impl std::error::Error for UnknownInput {}

impl Input {
    /// Whether the fact exists only once a server has answered.
    pub fn is_of_response(&self) -> bool {
        matches!(
            self,
            Self::Status
                | Self::ResponseHeader(_)
                | Self::ResponseHeaderAll(_)
                | Self::ResponseCookie(_)
        )
    }

    /// Whether the fact can be known of a connection without requests, once it has been let in.
    pub fn is_of_session(&self) -> bool {
        self.is_of_connection()
            || matches!(
                self,
                Self::BackendName
                    | Self::TlsVersion
                    | Self::TlsCipher
                    | Self::TlsClientVerified
                    | Self::TlsClientSubject
                    | Self::TlsClientSan
                    | Self::TlsClientFingerprint
            )
    }

    /// Whether the fact exists as soon as there is a connection.
    pub fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Self::ClientAddress
                | Self::ClientPort
                | Self::ListenerAddress
                | Self::ListenerPort
                | Self::Var(_)
                | Self::FrontendName
                | Self::RequestId
                | Self::TlsSni
                | Self::TlsAlpn
                | Self::FirstBytes(_)
                | Self::Proxy(_)
                | Self::Live(_)
        )
    }
}

impl FromStr for Input {
    type Err = UnknownInput;

    fn from_str(text: &str) -> Result<Self, UnknownInput> {
        let unknown = || UnknownInput(text.to_owned());
        let Some((kind, rest)) = text.split_once('(') else {
            return Ok(match text {
                "method" => Self::Method,
                "path" => Self::Path,
                "raw-path" => Self::RawPath,
                "query" => Self::Query,
                "host" => Self::Host,
                "scheme" => Self::Scheme,
                "version" => Self::Version,
                "client-address" => Self::ClientAddress,
                "client-port" => Self::ClientPort,
                "listener-address" => Self::ListenerAddress,
                "listener-port" => Self::ListenerPort,
                "tls-sni" => Self::TlsSni,
                "tls-alpn" => Self::TlsAlpn,
                "tls-version" => Self::TlsVersion,
                "tls-cipher" => Self::TlsCipher,
                "tls-client-verified" => Self::TlsClientVerified,
                "tls-client-subject" => Self::TlsClientSubject,
                "tls-client-san" => Self::TlsClientSan,
                "tls-client-fingerprint" => Self::TlsClientFingerprint,
                "frontend-name" => Self::FrontendName,
                "backend-name" => Self::BackendName,
                "request-id" => Self::RequestId,
                "status" => Self::Status,
                _ => return Err(unknown()),
            });
        };
        let name = rest
            .strip_suffix(')')
            .filter(|n| !n.is_empty())
            .ok_or_else(unknown)?;
        Ok(match kind {
            "query-param" => Self::QueryParam(name.to_owned()),
            "header" => Self::Header(name.to_ascii_lowercase()),
            "header-all" => Self::HeaderAll(name.to_ascii_lowercase()),
            "cookie" => Self::Cookie(name.to_owned()),
            "var" => Self::Var(name.to_owned()),
            "response-header" => Self::ResponseHeader(name.to_ascii_lowercase()),
            "response-header-all" => Self::ResponseHeaderAll(name.to_ascii_lowercase()),
            "response-cookie" => Self::ResponseCookie(name.to_owned()),
            "first-bytes" => {
                let count = name.parse().ok();
                let sound = count.filter(|count| (1..=MOST_FIRST_BYTES).contains(count));
                Self::FirstBytes(sound.ok_or_else(unknown)?)
            }
            "proxy" => {
                let fact = ProxyFact::ALL.iter().find(|(known, _)| *known == name);
                Self::Proxy(fact.ok_or_else(unknown)?.1)
            }
            _ => Self::Live(Box::new(LiveFact::parse(kind, name).ok_or_else(unknown)?)),
        })
    }
}

impl fmt::Display for Input {
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
            Self::Header(name) => write!(f, "header({name})"),
            Self::HeaderAll(name) => write!(f, "header-all({name})"),
            Self::Cookie(name) => write!(f, "cookie({name})"),
            Self::Var(name) => write!(f, "var({name})"),
            Self::FrontendName => f.write_str("frontend-name"),
            Self::BackendName => f.write_str("backend-name"),
            Self::RequestId => f.write_str("request-id"),
            Self::Status => f.write_str("status"),
            Self::ResponseHeader(name) => write!(f, "response-header({name})"),
            Self::ResponseHeaderAll(name) => write!(f, "response-header-all({name})"),
            Self::ResponseCookie(name) => write!(f, "response-cookie({name})"),
            Self::FirstBytes(count) => write!(f, "first-bytes({count})"),
            Self::Proxy(fact) => write!(f, "proxy({})", fact.as_str()),
            Self::Live(fact) => fact.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_prints_the_name_it_is_read_from() {
        for text in [
            "method",
            "path",
            "raw-path",
            "query",
            "query-param(Id)",
            "host",
            "scheme",
            "version",
            "client-address",
            "client-port",
            "listener-address",
            "listener-port",
            "tls-sni",
            "tls-alpn",
            "tls-version",
            "tls-cipher",
            "tls-client-verified",
            "tls-client-subject",
            "tls-client-san",
            "tls-client-fingerprint",
            "header(x-api)",
            "header-all(accept)",
            "cookie(SID)",
            "var(user)",
            "frontend-name",
            "backend-name",
            "request-id",
            "status",
            "response-header(etag)",
            "response-header-all(vary)",
            "response-cookie(SID)",
            "first-bytes(16)",
            "proxy(tls-client-cn)",
            "usable-servers(app)",
            "server-up(app/a1)",
        ] {
            assert_eq!(text.parse::<Input>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_that_is_not_offered_is_said_back() {
        for text in [
            "",
            "header",
            "header()",
            "header(x",
            "tls-moon",
            "Method",
            "first-bytes",
            "first-bytes(0)",
            "first-bytes(4097)",
            "proxy(moon)",
            "usable-servers",
            "server-up(app)",
        ] {
            assert_eq!(text.parse::<Input>(), Err(UnknownInput(text.to_owned())));
        }
    }
}
