//! The field names that the proxy itself acts on, so that finding one is comparing a byte.

/// A field name as a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Known {
    /// Any name that isn't below.
    Other,
    /// Like [`Other`](Self::Other), but `Connection` named it: it ends at this hop.
    Nominated,
    Authorization,
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    WwwAuthenticate,
    XForwardedFor,
}

/// Whether a name is `text`, whatever its case. `text` is of small letters and hyphens, and as long as
/// the name; eight bytes are compared at a time, the last eight perhaps twice.
///
/// Setting the bit that tells small letters from capitals makes a letter or hyphen of nothing else that a
/// name can hold.
fn is_same(name: &[u8], text: &[u8]) -> bool {
    const SMALL: u64 = 0x2020_2020_2020_2020;
    let (Some(name_end), Some(text_end)) = (name.last_chunk(), text.last_chunk()) else {
        return name.eq_ignore_ascii_case(text);
    };
    let differ = |name: &[u8; 8], text: &[u8; 8]| {
        (u64::from_ne_bytes(*name) | SMALL) ^ u64::from_ne_bytes(*text)
    };
    let (names, _) = name.as_chunks();
    let (texts, _) = text.as_chunks();
    let mut difference = differ(name_end, text_end);
    for (name, text) in names.iter().zip(texts) {
        difference |= differ(name, text);
    }
    difference == 0
}

impl Known {
    /// The tag of a field name, whatever its case.
    pub fn of(name: &[u8]) -> Self {
        let Some(first) = name.first() else {
            return Self::Other;
        };
        // Length and first letter leave one name to compare with at most.
        let (text, known) = match (name.len(), first.to_ascii_lowercase()) {
            (2, b't') => ("te", Self::Te),
            (3, b'v') => ("via", Self::Via),
            (4, b'd') => ("date", Self::Date),
            (4, b'h') => ("host", Self::Host),
            (6, b'c') => ("cookie", Self::Cookie),
            (6, b'e') => ("expect", Self::Expect),
            (7, b't') => ("trailer", Self::Trailer),
            (7, b'u') => ("upgrade", Self::Upgrade),
            (9, b'f') => ("forwarded", Self::Forwarded),
            (10, b'c') => ("connection", Self::Connection),
            (10, b'k') => ("keep-alive", Self::KeepAlive),
            (10, b's') => ("set-cookie", Self::SetCookie),
            (12, b'c') => ("content-type", Self::ContentType),
            (12, b'm') => ("max-forwards", Self::MaxForwards),
            (13, b'a') => ("authorization", Self::Authorization),
            (13, b'c') if name[1].eq_ignore_ascii_case(&b'a') => {
                ("cache-control", Self::CacheControl)
            }
            (13, b'c') => ("content-range", Self::ContentRange),
            (14, b'c') => ("content-length", Self::ContentLength),
            (15, b'x') => ("x-forwarded-for", Self::XForwardedFor),
            (16, b'c') => ("content-encoding", Self::ContentEncoding),
            (16, b'p') => ("proxy-connection", Self::ProxyConnection),
            (16, b'w') => ("www-authenticate", Self::WwwAuthenticate),
            (17, b't') => ("transfer-encoding", Self::TransferEncoding),
            (18, b'p') => ("proxy-authenticate", Self::ProxyAuthenticate),
            (19, b'p') => ("proxy-authorization", Self::ProxyAuthorization),
            _ => return Self::Other,
        };
        if is_same(name, text.as_bytes()) {
            known
        } else {
            Self::Other
        }
    }

    /// Names that belong to one hop or say where a message ends: the proxy states them itself and takes
    /// no edit of them from a plugin.
    pub fn is_of_the_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::ContentLength
                | Self::Expect
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// Names that change how a message is framed, routed or trusted and therefore come too late in a
    /// trailer (RFC 9110 §6.5.1).
    pub(super) fn is_refused_in_trailers(self) -> bool {
        match self {
            Self::Other | Self::Nominated | Self::Date => false,
            Self::Authorization
            | Self::CacheControl
            | Self::Connection
            | Self::ContentEncoding
            | Self::ContentLength
            | Self::ContentRange
            | Self::ContentType
            | Self::Cookie
            | Self::Expect
            | Self::Forwarded
            | Self::Host
            | Self::KeepAlive
            | Self::MaxForwards
            | Self::ProxyAuthenticate
            | Self::ProxyAuthorization
            | Self::ProxyConnection
            | Self::SetCookie
            | Self::Te
            | Self::Trailer
            | Self::TransferEncoding
            | Self::Upgrade
            | Self::Via
            | Self::WwwAuthenticate
            | Self::XForwardedFor => true,
        }
    }

    pub(super) const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// `Content_Length` and its like: servers that turn names into environment variables (CGI, WSGI) can't
/// tell them from the real ones.
pub(super) fn is_lookalike(name: &[u8]) -> bool {
    let like = |text: &str| {
        name.len() == text.len()
            && name.contains(&b'_')
            && name.iter().zip(text.bytes()).all(|(&found, wanted)| {
                found.eq_ignore_ascii_case(&wanted) || (found == b'_' && wanted == b'-')
            })
    };
    match name.len() {
        14 => like("content-length"),
        17 => like("transfer-encoding"),
        _ => false,
    }
}

/// Whether `Connection` must not be able to take the field away: it says who the client is, what it may
/// do, or where the message ends, so its absence would be believed by the server.
pub(super) fn is_protected(name: &[u8], known: Known) -> bool {
    const TRUSTED: [&str; 14] = [
        "client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "remote-addr",
        "remote-user",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "x-original-url",
        "x-real-ip",
        "x-remote-user",
        "x-request-id",
        "x-rewrite-url",
    ];
    let begins = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    match known {
        Known::Other | Known::Nominated => {
            begins("x-forwarded-")
                || begins("x-auth")
                || begins("x-ssl-")
                || TRUSTED
                    .iter()
                    .any(|trusted| name.eq_ignore_ascii_case(trusted.as_bytes()))
        }
        // What such options are for.
        Known::Connection
        | Known::Expect
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Te
        | Known::Trailer
        | Known::Upgrade => false,
        Known::Authorization
        | Known::CacheControl
        | Known::ContentEncoding
        | Known::ContentLength
        | Known::ContentRange
        | Known::ContentType
        | Known::Cookie
        | Known::Date
        | Known::Forwarded
        | Known::Host
        | Known::MaxForwards
        | Known::ProxyAuthenticate
        | Known::ProxyAuthorization
        | Known::SetCookie
        | Known::TransferEncoding
        | Known::Via
        | Known::WwwAuthenticate
        | Known::XForwardedFor => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_only_in_full() {
        for (name, known) in [
            ("Authorization", Known::Authorization),
            ("Cache-Control", Known::CacheControl),
            ("Connection", Known::Connection),
            ("Content-Encoding", Known::ContentEncoding),
            ("Content-Length", Known::ContentLength),
            ("Content-Range", Known::ContentRange),
            ("Content-Type", Known::ContentType),
            ("Cookie", Known::Cookie),
            ("Date", Known::Date),
            ("Expect", Known::Expect),
            ("Forwarded", Known::Forwarded),
            ("Host", Known::Host),
            ("Keep-Alive", Known::KeepAlive),
            ("Max-Forwards", Known::MaxForwards),
            ("Proxy-Authenticate", Known::ProxyAuthenticate),
            ("Proxy-Authorization", Known::ProxyAuthorization),
            ("Proxy-Connection", Known::ProxyConnection),
            ("Set-Cookie", Known::SetCookie),
            ("TE", Known::Te),
            ("Trailer", Known::Trailer),
            ("Transfer-Encoding", Known::TransferEncoding),
            ("Upgrade", Known::Upgrade),
            ("Via", Known::Via),
            ("WWW-Authenticate", Known::WwwAuthenticate),
            ("X-Forwarded-For", Known::XForwardedFor),
        ] {
            for spelt in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(Known::of(spelt.as_bytes()), known, "{spelt}");
            }
            let last = &name[..name.len() - 1];
            for other in [
                last.to_owned(),
                format!("{name}x"),
                format!("{last}_"),
                format!("x{last}"),
            ] {
                assert_eq!(Known::of(other.as_bytes()), Known::Other, "{other}");
            }
        }
        assert_eq!(Known::of(b""), Known::Other);
    }
}
