//! A client that sends bytes and writes down what it sees.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Neither proxy takes so long for any set-up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection must stay open to count as kept.
const KEPT: Duration = Duration::from_millis(40);

pub struct Client {
    dial: Box<dyn Fn() -> TcpStream>,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Self {
        let address = address.to_owned();
        let dial = move || TcpStream::connect(&address).expect("the proxy listens");
        Self::connecting_by(Box::new(dial))
    }

    pub fn connecting_by(dial: Box<dyn Fn() -> TcpStream>) -> Self {
        Self { dial, stream: None }
    }

    /// Takes a connection that was made already for the first request.
    pub fn adopt(&mut self, stream: TcpStream) {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a limit can be set");
        self.stream = Some(BufReader::new(stream));
    }

    /// A connection of its own.
    pub fn connect(&self) -> TcpStream {
        (self.dial)()
    }

    pub fn reconnect(&mut self) {
        self.stream = None;
    }

    /// Sends a request and describes the answer, and what became of the connection.
    pub fn ask(&mut self, bytes: &[u8]) -> String {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = self.connect();
                stream
                    .set_read_timeout(Some(PATIENCE))
                    .expect("a limit can be set");
                BufReader::new(stream)
            }
        };
        const CLOSED: &str = "closed without an answer";
        // Whoever is turned away at once may hear of it before or after sending.
        if stream.get_mut().write_all(bytes).is_err() {
            return CLOSED.to_owned();
        }
        let is_head = bytes.starts_with(b"HEAD ");
        let Some(answer) = read_answer(&mut stream, is_head) else {
            return CLOSED.to_owned();
        };
        let closed = answer.until_close || is_closed(&mut stream);
        if !closed {
            self.stream = Some(stream);
        }
        format!(
            "{}\n[{}]",
            answer.text,
            if closed { "closed" } else { "kept" }
        )
    }
}

struct Answer {
    text: String,
    until_close: bool,
}

fn read_answer(stream: &mut BufReader<TcpStream>, is_head: bool) -> Option<Answer> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let status = lines.remove(0);
    let mut fields: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.trim()))
        .collect();
    let field = |name: &str| {
        fields
            .iter()
            .find_map(|field| field.strip_prefix(&format!("{name}: ")))
            .map(str::to_owned)
    };
    let bodiless = is_head || status.contains(" 204") || status.contains(" 304");
    let mut body = Vec::new();
    let mut until_close = false;
    if bodiless {
    } else if let Some(length) = field("content-length") {
        body = vec![0; length.parse().ok()?];
        stream.read_exact(&mut body).ok()?;
    } else if field("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else {
        until_close = true;
        stream.read_to_end(&mut body).ok()?;
    }
    fields.retain(|field| !field.starts_with("date: "));
    fields.sort();
    // Reasons are words for people; any will do.
    let status: Vec<&str> = status.split(' ').take(2).collect();
    let status = status.join(" ");
    let text = format!(
        "{status}\n{}\n\n{}",
        fields.join("\n"),
        String::from_utf8_lossy(&body)
    );
    Some(Answer { text, until_close })
}

/// Whether the other side has closed, or does so now.
fn is_closed(stream: &mut BufReader<TcpStream>) -> bool {
    stream
        .get_ref()
        .set_read_timeout(Some(KEPT))
        .expect("a limit can be set");
    let closed = matches!(stream.fill_buf(), Ok([]));
    stream
        .get_ref()
        .set_read_timeout(Some(PATIENCE))
        .expect("a limit can be set");
    closed
}
