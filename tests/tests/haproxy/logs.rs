//! Log lines of both proxies about the same requests: the same but for times, sizes and ports.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Child, Stdio},
    time::Duration,
};

use regex::Regex;

use super::{
    origin,
    proxies::{Kind, command, is_installed, own_address, wait_for},
};

/// Lines of a frontend that say how its log looks, and nothing else.
const FORMATS: [&str; 10] = [
    "option httplog",
    "option httplog\ncapture request header Host len 40\ncapture request header User-Agent len 80",
    "option httplog\ncapture request header X-None len 10\ncapture response header X-Server len 10",
    "option httplog\ncapture cookie tier= len 8",
    "capture cookie SRV= len 32\nlog-format \"%CC %CS %ST\"",
    "log-format \"%ci %ft %b/%s %ST %{+Q}r %tsc\"",
    "log-format \"%{+Q}o %ft %b %s %ST %HM %HP %HV %tsc\"",
    "capture request header Host len 80\nlog-format \"host=%[capture.req.hdr(0)] %{+Q}[capture.req.hdr(0)] %hr\"",
    "http-request set-var(txn.tier) str(gold)\nhttp-request capture req.hdr(host) len 7\nlog-format \"%[var(txn.tier)] %[var(txn.none)] %hr %[src]\"",
    "declare capture response len 10\nhttp-response capture res.hdr(x-server) id 0\nlog-format \"%hs %ac/%fc/%bc/%sc/%rc %sq/%bq %TR/%Tw/%Tc/%Tr/%Ta\"",
];

const REQUESTS: [&str; 4] = [
    "GET /a?b=c HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: some thing/1.0\r\nConnection: close\r\n\r\n",
    "GET /b HTTP/1.1\r\nHost: x\r\nCookie: a=1; tier=golden; SRV=one\r\nUser-Agent: \"quoted\" # and more\r\nConnection: close\r\n\r\n",
    "POST /no HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    "GET /status/404 HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n",
];

const FIRST_PORT: usize = 21_800;
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    child: Child,
    host: String,
    log: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn log_lines_look_as_haproxys_do() {
    if !is_installed() {
        eprintln!("skipped: there is no haproxy 2.6 on this machine (`apt-get install haproxy`)");
        return;
    }
    let (haproxy, weir) = (start(Kind::Haproxy), start(Kind::Weir));
    let mut report = String::new();
    for (position, format) in FORMATS.iter().enumerate() {
        for request in REQUESTS {
            let theirs = line_of(&haproxy, position, request);
            let ours = line_of(&weir, position, request);
            if theirs != ours {
                report.push_str(&format!(
                    "{format}\n{request:?}\n  HAProxy: {theirs}\n  Weir:    {ours}\n\n"
                ));
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}

fn config(host: &str, folder: &Path) -> String {
    let server = origin::start("a");
    let mut text = format!(
        "global\n    nbthread 1\n    log {}/log local0\ndefaults\n    mode http\n    log global\n    option dontlognull\n    \
         timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n",
        folder.display()
    );
    for (position, format) in FORMATS.iter().enumerate() {
        let port = FIRST_PORT + position;
        text.push_str(&format!("frontend f{position}\n    bind {host}:{port}\n"));
        for line in format.lines() {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("    http-request deny if { path /no }\n    default_backend b\n");
    }
    text.push_str(&format!("backend b\n    server a {server}\n"));
    text
}

fn start(kind: Kind) -> Running {
    let folder = tempfile::tempdir().expect("a folder can be made");
    // The commands' test has its proxies at the same addresses, and other ports.
    let host = own_address(kind);
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, config(&host, folder.path())).expect("a file can be written");
    let log = UnixDatagram::bind(folder.path().join("log")).expect("the path is short");
    log.set_read_timeout(Some(PATIENCE))
        .expect("it is a socket");
    let child = command(kind, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let running = Running {
        child: child.expect("the proxy can be started"),
        host,
        log,
        _folder: folder,
    };
    let last = (FIRST_PORT + FORMATS.len() - 1) as u16;
    wait_for(kind, &running.host, last);
    running
}

/// Sends a request and answers with the line about it.
fn line_of(running: &Running, position: usize, request: &str) -> String {
    let address = (running.host.as_str(), (FIRST_PORT + position) as u16);
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it is a socket");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("it answers and closes");
    let mut buffer = [0; 8192];
    loop {
        let size = running.log.recv(&mut buffer).expect("there is a line");
        let line = String::from_utf8_lossy(&buffer[..size]).into_owned();
        let (_, line) = line.split_once("]: ").unwrap_or(("", &line));
        // What the proxy says of itself.
        if !line.starts_with("Server ") && !line.starts_with("Proxy ") {
            return alike(line.trim_end());
        }
    }
}

/// The line without what is never the same twice.
fn alike(line: &str) -> String {
    let replace = |text: &str, pattern: &str, with: &str| {
        let pattern = Regex::new(pattern).expect("the pattern is sound");
        pattern.replace_all(text, with).into_owned()
    };
    let line = replace(
        line,
        r"127\.[0-9]+\.[0-9]+\.[0-9]+:[0-9]+ \[[^\]]*\]",
        "CLIENT [TIME]",
    );
    let line = replace(&line, r" (-?[0-9]+/){4}[0-9]+", " TIMERS");
    let line = replace(
        &line,
        r" ([0-9]{3}) [0-9]+ ([^ ]+ [^ ]+ [A-Za-z-]{4} )",
        " $1 BYTES $2",
    );
    replace(&line, r"127\.[0-9]+\.[0-9]+\.[0-9]+", "ADDRESS")
}
