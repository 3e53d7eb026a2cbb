//! Heads as they leave: numbers of the table that both sides know from the start, and otherwise text as it
//! is. What is the same in many answers could be named by a table of our own, and be packed tighter; to look
//! every field up in it costs more than to send it.

use super::names::number_of;

/// Writes the blocks of one connection.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The other side wants to hear, before the next block, that its table stays empty.
    renounces: bool,
}

/// Literal fields: their first byte beside the number of their name.
const PLAIN: u8 = 0x00;
/// One that no proxy on the way may remember either.
const SECRET: u8 = 0x10;

impl Encoder {
    /// The other side has set the size of its table.
    pub fn table_was_resized(&mut self) {
        self.renounces = true;
    }

    /// Begins the head of an answer.
    pub fn begin(&mut self, out: &mut Vec<u8>, status: u16) {
        self.begin_trailers(out);
        let number = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                out.extend_from_slice(&[PLAIN | 8, 3, digit(100), digit(10), digit(1)]);
                return;
            }
        };
        out.push(0x80 | number);
    }

    /// Begins the fields after a body.
    pub fn begin_trailers(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.renounces) {
            out.push(0x20);
        }
    }

    /// Writes a field; its name in small letters.
    pub fn field(&self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        let number = number_of(name);
        let kind = match number {
            // A cookie or a challenge.
            Some(48 | 55 | 61) => SECRET,
            _ => PLAIN,
        };
        match number {
            Some(number) => integer(out, kind, 4, number.into()),
            None => {
                out.push(kind);
                integer(out, 0, 7, name.len());
                out.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
        }
        integer(out, 0, 7, value.len());
        out.extend_from_slice(value);
    }
}

/// Writes a number into the lower `prefix` bits of a byte that begins with `first`, and as many more bytes as
/// it takes.
fn integer(out: &mut Vec<u8>, first: u8, prefix: u32, number: usize) {
    let most = (1_usize << prefix) - 1;
    if number < most {
        out.push(first | number as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = number - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::{super::Decoder, *};

    fn decoded(block: &[u8]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        Decoder::new()
            .decode(block, |name, value| {
                found.push((
                    String::from_utf8(name.to_vec()).unwrap(),
                    String::from_utf8(value.to_vec()).unwrap(),
                ));
            })
            .unwrap();
        found
    }

    #[test]
    fn what_is_written_is_read_back() {
        let long = "v".repeat(300);
        let fields = [
            ("content-type", "text/html"),
            ("Set-Cookie", "a=b"),
            ("WWW-Authenticate", "Basic"),
            ("X-Long", long.as_str()),
            ("x-empty", ""),
        ];
        for status in [200, 204, 206, 304, 400, 404, 500, 103, 418, 599] {
            let mut out = Vec::new();
            let mut encoder = Encoder::default();
            encoder.begin(&mut out, status);
            for (name, value) in fields {
                encoder.field(&mut out, name, value.as_bytes());
            }
            let found = decoded(&out);
            assert_eq!(found[0], (":status".to_owned(), status.to_string()));
            for ((name, value), found) in fields.iter().zip(&found[1..]) {
                assert_eq!(found, &(name.to_lowercase(), (*value).to_owned()));
            }
        }
    }

    #[test]
    fn the_example_of_the_rfc_for_numbers_comes_out() {
        let mut out = Vec::new();
        integer(&mut out, 0, 5, 1337);
        integer(&mut out, 0, 5, 10);
        integer(&mut out, 0, 8, 42);
        assert_eq!(out, [31, 154, 10, 10, 42]);
    }

    #[test]
    fn a_table_that_was_resized_is_renounced_once() {
        let mut encoder = Encoder::default();
        encoder.table_was_resized();
        let mut out = Vec::new();
        encoder.begin(&mut out, 200);
        encoder.begin(&mut out, 200);
        assert_eq!(out, [0x20, 0x88, 0x88]);
    }
}
