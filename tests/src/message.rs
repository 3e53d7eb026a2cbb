//! HTTP/1 messages as the harness reads them: a second, separate reading of what the proxy writes, so
//! it is strict and shares no code with the proxy.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A start line and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Without its CRLF.
    pub start_line: String,
    /// As they came: order, case and duplicates kept. Bytes that are not UTF-8 became U+FFFD.
    pub fields: Vec<(String, String)>,
    /// The bytes, up to and including the empty line.
    pub raw: Vec<u8>,
}

impl Head {
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All fields of that name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> + use<'_> {
        let name = name.to_owned();
        self.fields
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(&name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads a head. None if the other side closed before its first byte.
    pub(crate) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut raw = Vec::new();
        loop {
            let start = raw.len();
            if from.read_until(b'\n', &mut raw).await? == 0 {
                return if raw.is_empty() {
                    Ok(None)
                } else {
                    Err(bad("the connection ended inside a head", &raw))
                };
            }
            if &raw[start..] == b"\r\n" {
                return Self::parse(raw).map(Some);
            }
        }
    }

    fn parse(raw: Vec<u8>) -> io::Result<Self> {
        let text = String::from_utf8_lossy(&raw);
        let mut lines = text
            .strip_suffix("\r\n\r\n")
            .ok_or_else(|| bad("an empty head", &raw))?
            .split("\r\n");
        if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
            return Err(bad("a control character in a head", &raw));
        }
        let start_line = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| bad("a field without a colon", &raw))?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(bad("a malformed field", line.as_bytes()));
            }
            fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Self {
            start_line,
            fields,
            raw,
        })
    }

    /// How the body ends, by this head alone.
    pub(crate) fn framing(&self) -> io::Result<Framing> {
        let lengths: Vec<_> = self.headers("content-length").collect();
        let codings: Vec<_> = self.headers("transfer-encoding").collect();
        match (&lengths[..], &codings[..]) {
            ([], []) => Ok(Framing::Unsaid),
            ([length], []) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| bad("a bad length", &self.raw)),
            ([], ["chunked"]) => Ok(Framing::Chunked),
            _ => Err(bad("an ambiguous body length", &self.raw)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body in a request, everything until the end in a response.
    Unsaid,
    Length(usize),
    Chunked,
}

pub(crate) async fn read_length(
    from: &mut (impl AsyncBufRead + Unpin),
    length: usize,
) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(body)
}

/// A chunked body and its trailers.
pub(crate) async fn read_chunked(
    from: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<(Vec<u8>, Vec<String>)> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from).await?;
        let size = usize::from_str_radix(&line, 16)
            .map_err(|_| bad("a bad chunk size", line.as_bytes()))?;
        if size == 0 {
            return Ok((body, read_trailers(from).await?));
        }
        body.extend(read_length(from, size).await?);
        if !read_line(from).await?.is_empty() {
            return Err(bad("a chunk longer than it said", &body));
        }
    }
}

async fn read_trailers(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<String>> {
    let mut trailers = Vec::new();
    loop {
        let line = read_line(from).await?;
        if line.is_empty() {
            return Ok(trailers);
        }
        trailers.push(line);
    }
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        None => Err(bad("a line that does not end in CRLF", &line)),
    }
}

fn bad(what: &str, bytes: &[u8]) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what}: {:?}", String::from_utf8_lossy(bytes)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_keeps_order_case_and_duplicates() {
        let mut bytes = &b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a:  2 \r\n\r\nrest"[..];
        let head = Head::read(&mut bytes).await.unwrap().unwrap();
        assert_eq!(head.start_line, "GET / HTTP/1.1");
        assert_eq!(head.headers("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.fields[1].0, "X-A");
        assert_eq!(bytes, b"rest");
    }

    #[tokio::test]
    async fn what_is_ambiguous_is_refused() {
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
        ] {
            let text = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
            let head = Head::read(&mut text.as_bytes()).await.unwrap().unwrap();
            assert!(head.framing().is_err(), "{fields}");
        }
        assert!(
            Head::read(&mut &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..])
                .await
                .is_err(),
            "bare LF"
        );
    }

    #[tokio::test]
    async fn chunks_are_joined_and_trailers_kept() {
        let mut bytes = &b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\nrest"[..];
        let (body, trailers) = read_chunked(&mut bytes).await.unwrap();
        assert_eq!(body, b"abc0123456789");
        assert_eq!(trailers, ["x: y"]);
        assert_eq!(bytes, b"rest");
        assert!(
            read_chunked(&mut &b"3\r\nabcd\r\n0\r\n\r\n"[..])
                .await
                .is_err()
        );
    }
}
