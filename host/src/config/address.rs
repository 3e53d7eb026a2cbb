//! Addresses as they stand in a file: to listen on, to connect to, and networks.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Address, Network};

/// Longest path that fits a socket address of the system.
const UNIX_PATH_BYTES: usize = 107;
/// Each port of a range is a socket per worker.
const LONGEST_RANGE: usize = 1_000;

/// Why a text is no address, and what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressError {
    pub message: String,
    pub hint: String,
}

fn wrong<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, AddressError> {
    Err(AddressError {
        message: message.into(),
        hint: hint.into(),
    })
}

/// How the proxy's own figures are written as a server's address.
pub(super) const STATISTICS: &str = "weir:statistics";

const BIND_HINT: &str = "write `127.0.0.1:8080`, `[::1]:8080`, `*:80`, `*:8000-8009`, `unix:/path`, `fd@3` or `systemd:web`";

/// Reads one entry of `bind`; a port range gives an address for each of its ports.
pub(super) fn bind(text: &str, base: &Path) -> Result<Vec<Address>, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(vec![Address::Unix(unix_path(path, base)?)]);
    }
    if let Some(number) = text.strip_prefix("fd@") {
        return match number.parse::<i32>() {
            Ok(fd) if fd >= 3 => Ok(vec![Address::Inherited(fd)]),
            _ => wrong(
                format!("`{text}` names no descriptor that could be inherited"),
                "write `fd@N` with N from 3 (0 to 2 are standard input and output)",
            ),
        };
    }
    if let Some(name) = text.strip_prefix("systemd:") {
        if name.is_empty() || name.contains(':') {
            return wrong(
                format!("`{text}` names no socket of the service manager"),
                "write `systemd:web`, with the `FileDescriptorName=` of a socket unit",
            );
        }
        return Ok(vec![Address::Activated(name.to_owned())]);
    }
    let Some((host, ports)) = split_port(text) else {
        return wrong(format!("`{text}` has no port"), BIND_HINT);
    };
    let ip = match host {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "" => {
            return wrong(
                format!("`{text}` has no address"),
                format!("write `*:{ports}`"),
            );
        }
        _ => match ip(host) {
            Some(ip) => ip,
            None => {
                return wrong(
                    format!("`{host}` is not an IP address"),
                    "a frontend listens on IP addresses, not on host names; `*` is every IPv4 address",
                );
            }
        },
    };
    Ok(port_range(ports)?
        .map(|port| Address::Tcp(SocketAddr::new(ip, port)))
        .collect())
}

fn port_range(text: &str) -> Result<std::ops::RangeInclusive<u16>, AddressError> {
    let Some((first, last)) = text.split_once('-') else {
        let port = port(text)?;
        return Ok(port..=port);
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return wrong(
            format!("the port range `{text}` ends before it begins"),
            format!("write `{last}-{first}`"),
        );
    }
    if first == 0 {
        return wrong("a port range cannot begin with 0", "begin with 1 or more");
    }
    if usize::from(last - first) >= LONGEST_RANGE {
        return wrong(
            format!(
                "the port range `{text}` has {} ports",
                u32::from(last - first) + 1
            ),
            format!("at most {LONGEST_RANGE} go into one range"),
        );
    }
    Ok(first..=last)
}

fn port(text: &str) -> Result<u16, AddressError> {
    match text.parse() {
        Ok(port) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => wrong(
            format!("`{text}` is not a port"),
            "ports are numbers from 0 to 65535",
        ),
    }
}

/// Reads a server's address.
pub(super) fn server(text: &str, base: &Path) -> Result<Address, AddressError> {
    const HINT: &str = "write `10.0.0.2:80`, `[::1]:80`, `app.local:80`, `unix:/path`, or `10.0.0.2` for the client's port";
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Address::Unix(unix_path(path, base)?));
    }
    if text == STATISTICS {
        return Ok(Address::Statistics);
    }
    if text.starts_with("fd@") {
        return wrong(
            "a server is connected to; only a frontend inherits descriptors",
            HINT,
        );
    }
    if text.contains("://") {
        return wrong(
            format!("`{text}` is a URL"),
            "write the address alone, as `host:port`",
        );
    }
    if let Some(ip) = ip(text) {
        return Ok(Address::ClientPort(ip));
    }
    let Some((host, port_text)) = split_port(text) else {
        return wrong(format!("`{text}` is no address with a port"), HINT);
    };
    let port = port(port_text)?;
    if port == 0 {
        return wrong("nothing can be connected to at port 0", HINT);
    }
    if let Some(ip) = ip(host) {
        return Ok(Address::Tcp(SocketAddr::new(ip, port)));
    }
    if host == "*" {
        return wrong("a server has one address, not all of them", HINT);
    }
    if !is_host_name(host) {
        return wrong(
            format!("`{host}` is neither an IP address nor a host name"),
            HINT,
        );
    }
    Ok(Address::Name {
        host: host.to_owned(),
        port,
    })
}

/// Reads `IP:PORT`, without names or wildcards.
pub(super) fn socket(text: &str) -> Result<SocketAddr, AddressError> {
    SocketAddr::from_str(text).or_else(|_| {
        wrong(
            format!("`{text}` is not an IP address with a port"),
            "write `127.0.0.1:514` or `[::1]:514`",
        )
    })
}

/// Reads `10.0.0.0/8` or a single address.
pub(super) fn network(text: &str) -> Result<Network, AddressError> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = IpAddr::from_str(address) else {
        return wrong(
            format!("`{text}` is not a network"),
            "write `10.0.0.0/8`, `fd00::/8` or one address",
        );
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix.map(str::parse::<u8>) {
        None => bits,
        Some(Ok(prefix)) if prefix <= bits => prefix,
        Some(_) => {
            return wrong(
                format!("`{text}` has an impossible prefix length"),
                format!("from 0 to {bits} leading bits can count"),
            );
        }
    };
    let first = masked(address, prefix);
    if first != address {
        return wrong(
            format!("`{text}` has bits set beyond its prefix"),
            format!("write `{first}/{prefix}`"),
        );
    }
    Ok(Network { address, prefix })
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl Network {
    /// Whether `address` lies in this network. An IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

/// Makes a path absolute, starting at the config file's folder.
pub(super) fn resolve(path: &str, base: &Path) -> PathBuf {
    base.join(path)
}

fn unix_path(path: &str, base: &Path) -> Result<PathBuf, AddressError> {
    if path.is_empty() || path.contains('\0') {
        return wrong("`unix:` needs a path", "write `unix:/run/weir.sock`");
    }
    let path = resolve(path, base);
    if path.as_os_str().len() > UNIX_PATH_BYTES {
        return wrong(
            format!("the socket path `{}` is too long", path.display()),
            format!("the system takes at most {UNIX_PATH_BYTES} bytes"),
        );
    }
    Ok(path)
}

/// Splits at the last colon, if what follows can be meant as a port.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    // `::1` is an address without a port, not the host `:` with port 1.
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    (!bare_v6).then_some((host, port))
}

fn ip(text: &str) -> Option<IpAddr> {
    if let Some(inner) = text.strip_prefix('[') {
        let v6 = inner.strip_suffix(']')?;
        return Ipv6Addr::from_str(v6).ok().map(IpAddr::V6);
    }
    IpAddr::from_str(text).ok()
}

fn is_host_name(text: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    // What looks like numbers only is a mistyped IP address.
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let name = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253 && !numeric && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/etc/weir";

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.parse().unwrap())
    }

    fn read_bind(text: &str) -> Result<Vec<Address>, String> {
        bind(text, Path::new(BASE)).map_err(|error| error.message)
    }

    fn read_server(text: &str) -> Result<Address, String> {
        server(text, Path::new(BASE)).map_err(|error| error.message)
    }

    #[test]
    fn what_a_frontend_can_listen_on() {
        assert_eq!(read_bind("127.0.0.1:80"), Ok(vec![tcp("127.0.0.1:80")]));
        assert_eq!(read_bind("*:80"), Ok(vec![tcp("0.0.0.0:80")]));
        assert_eq!(read_bind("[::]:80"), Ok(vec![tcp("[::]:80")]));
        assert_eq!(read_bind("127.0.0.1:0"), Ok(vec![tcp("127.0.0.1:0")]));
        assert_eq!(
            read_bind("*:60000-60001"),
            Ok(vec![tcp("0.0.0.0:60000"), tcp("0.0.0.0:60001")])
        );
        assert_eq!(read_bind("fd@3"), Ok(vec![Address::Inherited(3)]));
        assert_eq!(
            read_bind("unix:run/w.sock"),
            Ok(vec![Address::Unix("/etc/weir/run/w.sock".into())])
        );
    }

    #[test]
    fn what_a_frontend_cannot_listen_on() {
        for text in [
            "",
            "80",
            ":80",
            "::1:80",
            "localhost:80",
            "1.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "*:80-70",
            "*:0-5",
            "*:1-65535",
            "*:+80",
            "unix:",
            "fd@0",
            "fd@x",
            "[::1:80",
            "[127.0.0.1]:80",
        ] {
            assert!(read_bind(text).is_err(), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(200));
        assert!(read_bind(&long).is_err());
    }

    #[test]
    fn where_a_server_can_be() {
        assert_eq!(read_server("127.0.0.1:5001"), Ok(tcp("127.0.0.1:5001")));
        assert_eq!(read_server("[::1]:80"), Ok(tcp("[::1]:80")));
        assert_eq!(
            read_server("web-a.local:5001"),
            Ok(Address::Name {
                host: "web-a.local".to_owned(),
                port: 5001
            })
        );
        assert_eq!(
            read_server("10.0.0.2"),
            Ok(Address::ClientPort("10.0.0.2".parse().unwrap()))
        );
        assert_eq!(
            read_server("::1"),
            Ok(Address::ClientPort("::1".parse().unwrap()))
        );
        assert_eq!(
            read_server("unix:/run/app.sock"),
            Ok(Address::Unix("/run/app.sock".into()))
        );
    }

    #[test]
    fn where_a_server_cannot_be() {
        for text in [
            "",
            "app",
            "*:80",
            "10.0.0.2:0",
            "10.0.0.256:80",
            "10.0.0.2:+1000",
            "-x:80",
            "a b:80",
            "a..b:80",
            "http://app:80",
            "fd@3",
            "app:80:90",
            "unix:",
        ] {
            assert!(read_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let net = network("10.1.0.0/16").unwrap();
        assert!(net.contains("10.1.255.255".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!net.contains("10.2.0.0".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        let all = network("::/0").unwrap();
        assert!(all.contains("fd00::1".parse().unwrap()));
        assert!(!all.contains("10.0.0.1".parse().unwrap()));
        let one = network("192.0.2.7").unwrap();
        assert!(one.contains("192.0.2.7".parse().unwrap()));
        assert!(!one.contains("192.0.2.8".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "10.0.0.0/",
            "lan",
            "10/8",
        ] {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
