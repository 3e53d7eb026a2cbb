//! Addresses of servers, and those that connections to them come from.

use crate::remark::Fate;

/// An address in weir.toml's form.
pub fn address(text: &str) -> Result<(String, Fate), String> {
    if let Some(path) = text
        .strip_prefix("unix@")
        .or(text.starts_with('/').then_some(text))
    {
        return Ok((format!("unix:{path}"), Fate::Same));
    }
    if text.starts_with("abns@") || text.starts_with("fd@") || text.starts_with("sockpair@") {
        return Err(format!(
            "`{text}`: only addresses, names and Unix sockets can be connected to"
        ));
    }
    let text = text.split_once('@').map_or(text, |(_, rest)| rest);
    // Several colons and no brackets: an IPv6 address, whose last part is the port.
    let (host, port) = match text.rsplit_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host == "*" || host == "0.0.0.0" {
        return Err(
            "a server needs an address; the client's own destination is not connected to"
                .to_owned(),
        );
    }
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    match port {
        None | Some("") => Ok((bracketed, Fate::Same)),
        Some(port) if port.starts_with(['+', '-']) => Ok((
            bracketed,
            Fate::nearly(format!("the port is the client's own, without `{port}`")),
        )),
        Some(port) => match port.parse::<u16>() {
            Ok(0) => Ok((bracketed, Fate::Same)),
            Ok(port) => Ok((format!("{bracketed}:{port}"), Fate::Same)),
            Err(_) => Err(format!("`{port}` is no port")),
        },
    }
}

/// Where connections come from: an address, perhaps with a port or a range of ports.
pub fn source(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(":0");
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Some(text);
    }
    let (address, ports) = text.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let sound = match ports.split_once('-') {
        None => is_port(ports),
        Some((first, last)) => is_port(first) && is_port(last),
    };
    (sound && address.parse::<std::net::IpAddr>().is_ok()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_meaning() {
        let text = |written: &str| address(written).map(|(text, _)| text);
        for (written, wanted) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("app1:5001", "app1:5001"),
            ("10.0.0.2", "10.0.0.2"),
            ("10.0.0.2:0", "10.0.0.2"),
            ("[::1]:80", "[::1]:80"),
            ("ipv4@app:80", "app:80"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("unix@/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(text(written).as_deref(), Ok(wanted), "{written}");
        }
        assert!(matches!(
            address("10.0.0.1:+1000"),
            Ok((_, Fate::Nearly(_)))
        ));
        assert!(
            address("*:80").is_err() && address("a:99999").is_err() && address("abns@x").is_err()
        );
    }
}
