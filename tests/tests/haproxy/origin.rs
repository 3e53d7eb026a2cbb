//! Servers that answer with what they were asked. What else a path asks for:
//! `/status/404`, `/close`, `/chunked`, `/garbage`, `/empty`, `/field/Name/Value`, `/slow/MILLISECONDS`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// Requests that have come to any server of this process.
pub static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// Starts a server that lives as long as the test.
pub fn start(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(name, stream));
        }
    });
    address
}

/// Serves one client until it leaves.
pub fn serve(name: &str, stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let Ok(mut out) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    for turn in 0.. {
        let Some((head, body)) = read_request(&mut reader) else {
            return;
        };
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let answer = answer(name, turn, &head, &body);
        if out.write_all(&answer.bytes).is_err() || answer.closes {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let field = |name: &str| {
        head.iter()
            .filter_map(|line| line.split_once(':'))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let mut body = Vec::new();
    if let Some(length) = field("content-length").and_then(|length| length.parse().ok()) {
        body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
    } else if field("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    Some((head, body))
}

struct Answer {
    bytes: Vec<u8>,
    closes: bool,
}

fn answer(name: &str, turn: usize, head: &[String], body: &[u8]) -> Answer {
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or("/");
    let plain = path.split('?').next().unwrap_or(path);
    let parts: Vec<&str> = plain.split('/').collect();
    let is_head = head.first().is_some_and(|line| line.starts_with("HEAD "));
    let mut status = "200 OK".to_owned();
    let mut fields = format!("X-Server: {name}\r\nX-Reused: {}\r\n", turn > 0);
    let mut closes = false;
    match parts.as_slice() {
        ["", "status", code, ..] => status = format!("{code} Whatever"),
        ["", "field", field, value, ..] => {
            fields.push_str(&format!("{field}: {}\r\n", value.replace("%20", " ")))
        }
        ["", "garbage", ..] => {
            return Answer {
                bytes: b"what is this\r\n\r\n".to_vec(),
                closes: true,
            };
        }
        ["", "empty", ..] => {
            return Answer {
                bytes: Vec::new(),
                closes: true,
            };
        }
        ["", "slow", milliseconds, ..] => {
            let pause = milliseconds.parse().map(Duration::from_millis);
            thread::sleep(pause.unwrap_or_default());
        }
        ["", "close", ..] => closes = true,
        _ => {}
    }
    let mut lines = head.to_vec();
    if let Some((_, rest)) = lines.split_first_mut() {
        for line in rest.iter_mut() {
            if let Some((field, value)) = line.split_once(':') {
                *line = format!("{}: {}", field.to_ascii_lowercase(), value.trim());
            }
        }
        rest.sort();
    }
    let mut echo = lines.join("\n").into_bytes();
    echo.push(b'\n');
    echo.extend_from_slice(body);
    let has_body = !is_head && !status.starts_with("204") && !status.starts_with("304");
    let mut bytes = format!("HTTP/1.1 {status}\r\n{fields}").into_bytes();
    if closes {
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
    } else if parts.get(1) == Some(&"chunked") {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        if has_body {
            bytes.extend_from_slice(format!("{:x}\r\n", echo.len()).as_bytes());
            bytes.extend_from_slice(&echo);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        }
        return Answer { bytes, closes };
    } else if has_body || is_head {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", echo.len()).as_bytes());
    } else {
        bytes.extend_from_slice(b"\r\n");
    }
    if has_body {
        bytes.extend_from_slice(&echo);
    }
    Answer { bytes, closes }
}
