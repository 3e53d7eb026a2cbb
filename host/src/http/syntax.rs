//! Which bytes may stand where in a head. Knows bytes and nothing of what they mean.

/// Bytes of a token: field names, methods, connection options (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// Bytes of a reg-name that a DNS name or an IPv4 address can hold. Sub-delims and percent-encoding are
/// left out on purpose: no server is found by such a name, and `,` is how two Hosts get joined.
const HOST: [bool; 256] = table(b"-._~");

const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

pub(super) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_token_byte(b))
}

pub(super) fn is_host_byte(byte: u8) -> bool {
    HOST[byte as usize]
}

/// Tab, space, visible ASCII or 8-bit: what a field value or a reason may hold.
pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

pub(super) fn is_value(bytes: &[u8]) -> bool {
    // Folded instead of `all`, so that it is done sixteen bytes at a time.
    !bytes.iter().fold(false, |bad, &b| bad | !is_value_byte(b))
}

/// Visible ASCII without `#`: a target as it may be sent. 8-bit bytes and fragments are not part of it.
pub(super) fn is_target(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, &b| bad | !is_target_byte(b))
}

pub(super) fn is_target_byte(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'#'
}

/// Without the spaces and tabs at both ends.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let Some(first) = bytes.iter().position(|b| !blank(b)) else {
        return &[];
    };
    let last = bytes.iter().rposition(|b| !blank(b)).unwrap_or(first);
    &bytes[first..=last]
}

/// Foreign bytes for an error message: escaped, and cut so that nobody fills the log with them.
pub(super) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 48;
    let mut text = bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
    if bytes.len() > LONGEST {
        text.push('…');
    }
    text
}

/// Appends a decimal number. `write!` into a `Vec` costs several times as much.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_decimal() {
        for number in [0, 7, 10, 65_536, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn trimming_takes_blanks_and_nothing_else() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\x0ba\xa0"), b"\x0ba\xa0");
    }

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        assert_eq!(shown(b"a\r\n\xff"), "a\\r\\n\\xff");
        assert!(shown(&[b'a'; 1000]).len() < 60);
    }
}
