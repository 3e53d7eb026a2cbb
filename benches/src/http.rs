//! As much HTTP as the measuring side needs: it talks to origins and proxies that it started itself.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The head of an answer: how much there is to read, and what it said.
#[derive(Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// Bytes of the head itself.
    pub head: usize,
    pub body: usize,
    pub status: u16,
    /// Whether the connection ends with this answer.
    pub closing: bool,
}

/// Reads a head at the start of `bytes`. None if it isn't complete.
///
/// Answers are expected to state a length, as the origins do; others count as status 0.
pub fn answer_head(bytes: &[u8]) -> Option<AnswerHead> {
    let head = end_of_head(bytes)?;
    let status = bytes
        .get(9..12)
        .and_then(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .unwrap_or(0);
    let closing = says_close(&bytes[..head]);
    match header(&bytes[..head], b"content-length").and_then(|value| value.parse().ok()) {
        Some(body) => Some(AnswerHead {
            head,
            body,
            status,
            closing,
        }),
        None => Some(AnswerHead {
            head,
            body: 0,
            status: 0,
            closing,
        }),
    }
}

/// Whether the sender of this head wants to end the connection.
pub fn says_close(head: &[u8]) -> bool {
    header(head, b"connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// Where the body begins.
pub fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The first field of that lower-case name.
pub fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let mut named = lines.filter(|line| {
        line.len() > name.len()
            && line[name.len()] == b':'
            && line[..name.len()].eq_ignore_ascii_case(name)
    });
    std::str::from_utf8(&named.next()?[name.len() + 1..])
        .ok()
        .map(str::trim)
}

/// The field by which a client says who it is.
pub fn authorization(name: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        base64(format!("{name}:{password}").as_bytes())
    )
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() {
                char::from(DIGITS[index as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// An answer read whole.
pub struct Answer {
    pub status: u16,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name.as_bytes())
    }

    /// Which origin answered.
    pub fn origin(&self) -> Option<usize> {
        self.header("x-origin")?.parse().ok()
    }
}

/// Sends one request on a connection of its own and reads the answer. `fields` are whole lines.
pub fn ask(port: u16, method: &str, target: &str, fields: &str) -> io::Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = if method == "POST" {
        "Content-Length: 0\r\n"
    } else {
        ""
    };
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: bench.local\r\n{fields}{length}Connection: close\r\n\r\n"
    );
    (&stream).write_all(request.as_bytes())?;
    let mut reader = BufReader::new(&stream);
    let mut head = Vec::new();
    while end_of_head(&head).is_none() {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Err(io::Error::other("no answer"));
        }
    }
    let read = answer_head(&head).ok_or_else(|| io::Error::other("half a head"))?;
    let mut body = vec![0; read.body];
    reader.read_exact(&mut body)?;
    Ok(Answer {
        status: read.status,
        head,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_much_follows() {
        let bytes = b"HTTP/1.1 200 OK\r\nx-origin: 3\r\nContent-Length: 12\r\n\r\nbody";
        assert_eq!(
            answer_head(bytes),
            Some(AnswerHead {
                head: 52,
                body: 12,
                status: 200,
                closing: false
            })
        );
        assert_eq!(answer_head(&bytes[..51]), None);
        assert_eq!(header(bytes, b"x-origin"), Some("3"));
    }

    #[test]
    fn an_answer_without_a_length_is_no_success() {
        let head = answer_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        assert_eq!(head.status, 0);
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("user:pw", "dXNlcjpwdw=="),
        ];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
