//! What may stand in `Host` and in the authority of an absolute target: `name[:port]`, no more.

use std::net::Ipv6Addr;

use super::syntax::is_host_byte;

/// The longest name that DNS can carry, with its trailing dot.
const LONGEST: usize = 255;

/// Splits an authority into host and port text. `None` if it is not one that a server can be found by:
/// userinfo, bad characters, empty labels, a port above 65535, ...
///
/// The port may be empty (`host:`); a host in brackets keeps them.
pub(super) fn split(authority: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (host, port) = if authority.first() == Some(&b'[') {
        let close = authority.iter().position(|&b| b == b']')?;
        let (host, rest) = authority.split_at(close + 1);
        let literal = std::str::from_utf8(&host[1..close]).ok()?;
        literal.parse::<Ipv6Addr>().ok()?;
        match rest.split_first() {
            None => (host, None),
            Some((b':', port)) => (host, Some(port)),
            Some(_) => return None,
        }
    } else {
        let (host, port) = match authority.iter().position(|&b| b == b':') {
            Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
            None => (authority, None),
        };
        (is_name(host).then_some(host)?, port)
    };
    port.is_none_or(is_port).then_some((host, port))
}

/// Whether two sound authorities mean the same place: case does not count, nor does spelling out the
/// scheme's own port.
pub(super) fn same(one: &[u8], other: &[u8], default_port: &[u8]) -> bool {
    let (Some((host, port)), Some((other_host, other_port))) = (split(one), split(other)) else {
        return false;
    };
    let port_of = |port: Option<&[u8]>| -> u32 {
        let text = port.filter(|p| !p.is_empty()).unwrap_or(default_port);
        text.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0'))
    };
    host.eq_ignore_ascii_case(other_host) && port_of(port) == port_of(other_port)
}

fn is_name(host: &[u8]) -> bool {
    // As if after a dot: a name may not begin with one either.
    let mut before = b'.';
    let has_sound_labels = host.iter().all(|&byte| {
        let is_empty_label = byte == b'.' && before == b'.';
        before = byte;
        is_host_byte(byte) && !is_empty_label
    });
    has_sound_labels && !host.is_empty() && host.len() <= LONGEST
}

fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')) <= 65_535
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_a_server_can_be_found_by_are_split() {
        for (authority, host, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com.", "EXAMPLE.com.", None),
            ("a_b-c~1:80", "a_b-c~1", Some("80")),
            ("example.com:", "example.com", Some("")),
            ("127.0.0.1:65535", "127.0.0.1", Some("65535")),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:8080", "[2001:db8::1]", Some("8080")),
            ("[::ffff:1.2.3.4]:", "[::ffff:1.2.3.4]", Some("")),
        ] {
            assert_eq!(
                split(authority.as_bytes()),
                Some((host.as_bytes(), port.map(str::as_bytes))),
                "{authority}"
            );
        }
    }

    #[test]
    fn anything_else_is_not_an_authority() {
        let long = "a".repeat(256);
        for authority in [
            "",
            ":80",
            ".",
            ".a",
            "a..b",
            "a b",
            "a\tb",
            "a,b",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "a@b",
            "u:p@b",
            "a%41",
            "a%00",
            "<a>",
            "\"a\"",
            "a{}",
            "a|b",
            "a^b",
            "a`",
            "a;b",
            "a=b",
            "a&b",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:+1",
            "a:0x1",
            "a:65536",
            "a:000080",
            "a: 80",
            "a:80 ",
            "[",
            "[]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]80",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[127.0.0.1]",
            "a\0",
            "\u{212a}",
            "é",
            &long,
        ] {
            assert_eq!(split(authority.as_bytes()), None, "{authority:?}");
        }
    }

    #[test]
    fn case_and_the_default_port_do_not_make_a_difference() {
        assert!(same(b"Example.com", b"example.COM:80", b"80"));
        assert!(same(b"a:", b"a", b"80"));
        assert!(same(b"a:0080", b"a", b"80"));
        assert!(!same(b"a", b"a:80", b"443"));
        assert!(!same(b"a", b"b", b"80"));
        assert!(!same(b"a", b"a.", b"80"));
    }
}
