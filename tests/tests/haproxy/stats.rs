//! The page of figures: where HAProxy has it, and for whom.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use super::{
    origin,
    proxies::{Kind, command, is_installed, own_address, wait_for},
};

const PORT: u16 = 21_950;
const PATIENCE: Duration = Duration::from_secs(60);

/// Frontends by their lines, on the ports from `PORT` on.
const FRONTENDS: [&str; 4] = [
    "stats enable\nstats uri /stats\nstats refresh 7s\nstats auth admin:secret",
    "stats enable",
    "stats uri /figures\nstats realm Figures\nstats auth a:b\nstats auth c:d\nstats hide-version",
    "http-request deny if { path_beg /figures } !{ src 10.0.0.0/8 }\nstats uri /figures",
];

/// What is asked of a frontend, with credentials or none.
const ASKED: [(usize, &str, &str); 14] = [
    (0, "/stats", ""),
    (0, "/stats", "YWRtaW46c2VjcmV0"),
    (0, "/stats", "YWRtaW46d3Jvbmc="),
    (0, "/stats;csv", ""),
    (0, "/stats;csv", "YWRtaW46c2VjcmV0"),
    (0, "/statsfoo", ""),
    (0, "/other", ""),
    (1, "/haproxy?stats", ""),
    (1, "/haproxy?stats;csv", ""),
    (1, "/haproxy", ""),
    (2, "/figures", "YTpi"),
    (2, "/figures", "Yzpk"),
    (2, "/figures;csv", ""),
    (3, "/figures", ""),
];

struct Running {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_of_figures_is_where_haproxy_has_it() {
    if !is_installed() {
        eprintln!("skipped: there is no haproxy 2.6 on this machine (`apt-get install haproxy`)");
        return;
    }
    let (haproxy, weir) = (start(Kind::Haproxy), start(Kind::Weir));
    let mut report = String::new();
    for (frontend, path, credentials) in ASKED {
        let theirs = ask(&haproxy, frontend, path, credentials);
        let ours = ask(&weir, frontend, path, credentials);
        if theirs != ours {
            report.push_str(&format!(
                "{frontend} {path} {credentials}\n  HAProxy: {theirs}\n  Weir:    {ours}\n"
            ));
        }
    }
    assert!(report.is_empty(), "{report}");
}

fn start(kind: Kind) -> Running {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (host, server) = (own_address(kind), origin::start("a"));
    let mut text =
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 5s\n    timeout server 5s\n"
            .to_owned();
    for (port, frontend) in (PORT..).zip(FRONTENDS) {
        text.push_str(&format!("frontend f{port}\n    bind {host}:{port}\n"));
        for line in frontend.lines() {
            text.push_str(&format!("    {line}\n"));
        }
        text.push_str("    default_backend b\n");
    }
    text.push_str(&format!("backend b\n    server a {server}\n"));
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, text).expect("a file can be written");
    let child = command(kind, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    let running = Running {
        child: child.expect("the proxy can be started"),
        host,
        _folder: folder,
    };
    wait_for(kind, &running.host, PORT + FRONTENDS.len() as u16 - 1);
    running
}

/// The status, the fields that matter, and what kind of page it is.
fn ask(running: &Running, frontend: usize, path: &str, credentials: &str) -> String {
    let address = (running.host.as_str(), PORT + frontend as u16);
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("it is a socket");
    let login = match credentials {
        "" => String::new(),
        credentials => format!("Authorization: Basic {credentials}\r\n"),
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: figures.example\r\n{login}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("it answers and closes");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let status = status.split(' ').nth(1).unwrap_or_default();
    let kind = match body {
        body if body.contains("# pxname,svname") => "csv",
        body if body.to_ascii_lowercase().contains("<table") => "tables",
        body if body.starts_with("GET ") => "a server's",
        _ => "other",
    };
    // Programs, which read CSV, load nothing anew by themselves.
    let wanted = |field: &String| {
        field.starts_with("www-authenticate:") || kind == "tables" && field.starts_with("refresh:")
    };
    let fields: Vec<String> = lines.map(str::to_ascii_lowercase).filter(wanted).collect();
    format!("{status} {fields:?} {kind}")
}
