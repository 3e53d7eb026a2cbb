//! Numbers and foreign bytes for log lines, without going through `fmt`.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
};

pub(super) fn push_number(out: &mut Vec<u8>, number: u64) {
    // Most numbers in a line are 0 or near it.
    if number < 10 {
        out.push(b'0' + number as u8);
        return;
    }
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes `number` with leading zeros, `width` digits wide.
pub(super) fn push_padded(out: &mut Vec<u8>, number: u32, width: u32) {
    let mut digits = [b'0'; 10];
    let width = (width as usize).min(digits.len());
    let mut rest = number;
    for digit in digits[..width].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Writes `IP:PORT` as HAProxy does: IPv6 addresses go without brackets.
pub(super) fn push_client(out: &mut Vec<u8>, client: Option<SocketAddr>) {
    let Some(client) = client else {
        out.extend_from_slice(b"unix:1");
        return;
    };
    match client.ip().to_canonical() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                push_number(out, u64::from(octet));
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(ip) => write!(out, "{ip}").unwrap_or_default(),
    }
    out.push(b':');
    push_number(out, u64::from(client.port()));
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes foreign bytes as HAProxy's logs show them: `"`, `#`, control and 8-bit bytes as `#XX`.
pub(super) fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    push_runs(
        out,
        bytes,
        |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'#',
        |out, byte| {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'#', HEX[high], HEX[low]]);
        },
    );
}

/// Copies runs of bytes that are `plain` at once and hands each other one to `escape`.
pub(super) fn push_runs(
    out: &mut Vec<u8>,
    mut bytes: &[u8],
    plain: impl Fn(u8) -> bool,
    escape: impl Fn(&mut Vec<u8>, u8),
) {
    while let Some(at) = bytes.iter().position(|byte| !plain(*byte)) {
        out.extend_from_slice(&bytes[..at]);
        escape(out, bytes[at]);
        bytes = &bytes[at + 1..];
    }
    out.extend_from_slice(bytes);
}

/// Writes a line of the proxy's own, with control characters as spaces: it stays one line.
pub(super) fn push_line(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|byte| {
        if byte < b' ' || byte == 0x7f {
            b' '
        } else {
            byte
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_read_as_numbers() {
        for number in [0, 7, 10, 99, 1_000, u64::MAX] {
            assert_eq!(written(|out| push_number(out, number)), number.to_string());
        }
        assert_eq!(written(|out| push_padded(out, 7, 3)), "007");
        assert_eq!(written(|out| push_padded(out, 41, 2)), "41");
    }

    #[test]
    fn clients_are_shown_as_haproxy_shows_them() {
        for (client, expected) in [
            ("127.0.0.1:40176", "127.0.0.1:40176"),
            ("[::1]:50310", "::1:50310"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
        ] {
            let client = Some(client.parse().unwrap());
            assert_eq!(written(|out| push_client(out, client)), expected);
        }
        assert_eq!(written(|out| push_client(out, None)), "unix:1");
    }

    #[test]
    fn nothing_foreign_can_end_a_line_or_a_quote() {
        let shown = written(|out| push_escaped(out, b"/a\"b#c\r\n\t\x00\x7f\xe9 ~"));
        assert_eq!(shown, "/a#22b#23c#0D#0A#09#00#7F#E9 ~");
        assert_eq!(written(|out| push_line(out, "a\nb\x1b[0m")), "a b [0m");
    }
}
