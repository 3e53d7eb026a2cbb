//! The two proxies, each with servers of its own, on loopback addresses that nobody else uses.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use weir_tests::binary;

use super::{
    client::Client,
    origin,
    setup::{Setup, Step},
};

/// Where the first set-up listens; the others follow.
const FIRST_PORT: usize = 20_000;
/// Starting a proxy with all set-ups takes less, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Weir,
}

pub struct Proxy {
    child: Child,
    host: String,
    folder: tempfile::TempDir,
    names: Vec<String>,
}

pub fn is_installed() -> bool {
    let output = Command::new("haproxy").arg("-v").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("version 2.6"))
}

impl Proxy {
    pub fn start(kind: Kind, setups: &[Setup]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let host = own_address(kind);
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config(&host, folder.path(), setups)).expect("a file can be written");
        let told = fs::File::create(folder.path().join("told")).expect("a file can be made");
        let errors = told.try_clone().expect("a descriptor can be copied");
        let child = command(kind, &file).stdout(told).stderr(errors).spawn();
        let names = setups.iter().map(|setup| setup.name.clone()).collect();
        let mut proxy = Self {
            child: child.expect("the proxy can be started"),
            host,
            folder,
            names,
        };
        proxy.wait();
        proxy
    }

    /// Waits until the last set-up is listened on.
    fn wait(&mut self) {
        let last = format!("{}:{}", self.host, FIRST_PORT + self.names.len() - 1);
        let begun = Instant::now();
        while TcpStream::connect(&last).is_err() {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "the proxy did not start\n{}",
                self.told()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Goes through the steps of a set-up; one text for each.
    pub fn observe(&self, setup: &Setup) -> Vec<String> {
        let position = self
            .names
            .iter()
            .position(|name| *name == setup.name)
            .expect("it was started with it");
        let address = format!("{}:{}", self.host, FIRST_PORT + position);
        let mut client = Client::new(&address);
        let mut seen = Vec::new();
        for step in &setup.steps {
            match step {
                Step::New => {
                    client.reconnect();
                    seen.push(String::new());
                }
                Step::Send(bytes) => {
                    let text = client.ask(bytes);
                    seen.push(
                        text.replace(&address, "PROXY")
                            .replace(&self.host, "PROXY")
                            .replace(&self.folder.path().display().to_string(), "FOLDER")
                            .replace(&(FIRST_PORT + position).to_string(), "PORT"),
                    );
                }
            }
        }
        seen
    }

    /// What the proxy wrote.
    pub fn told(&self) -> String {
        fs::read_to_string(self.folder.path().join("told")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address for this process and proxy alone.
pub fn own_address(kind: Kind) -> String {
    let id = std::process::id();
    let last = if kind == Kind::Weir { 2 } else { 1 };
    format!("127.{}.{}.{last}", 1 + (id >> 8) % 254, id % 256)
}

/// What runs a haproxy.cfg in the foreground.
pub fn command(kind: Kind, file: &Path) -> Command {
    let (program, words) = match kind {
        Kind::Haproxy => (PathBuf::from("haproxy"), ["-db", "-f"]),
        Kind::Weir => (binary(), ["run", "--haproxy"]),
    };
    let mut command = Command::new(program);
    command.args(words).arg(file).stdin(Stdio::null());
    command
}

/// Waits until something listens there.
pub fn wait_for(kind: Kind, host: &str, port: u16) {
    let begun = Instant::now();
    while TcpStream::connect((host, port)).is_err() {
        let patient = begun.elapsed() < Duration::from_secs(60);
        assert!(patient, "{kind:?} does not listen at {host}:{port}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn config(host: &str, folder: &Path, setups: &[Setup]) -> String {
    let servers = [
        ("@a@", origin::start("a")),
        ("@b@", origin::start("b")),
        ("@c@", origin::start("c")),
    ];
    let dead = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        closed.local_addr().expect("a bound socket has an address")
    };
    let mut text = String::from(
        "global\n    maxconn 2000\n    nbthread 1\ndefaults\n    mode http\n    timeout connect 300ms\n    timeout client 5s\n    timeout server 5s\n",
    );
    for (position, setup) in setups.iter().enumerate() {
        let name = &setup.name;
        let mut lines = vec![
            format!("frontend {name}"),
            format!("    bind {host}:{}", FIRST_PORT + position),
        ];
        lines.extend(setup.front.iter().map(|line| format!("    {line}")));
        if !setup
            .front
            .iter()
            .any(|line| line.starts_with("default_backend"))
        {
            lines.push(format!("    default_backend {name}"));
        }
        lines.push(format!("backend {name}"));
        lines.extend(setup.back.iter().map(|line| format!("    {line}")));
        if !setup.back.iter().any(|line| line.starts_with("server ")) {
            lines.extend(["a", "b", "c"].map(|server| format!("    server {server} @{server}@")));
        }
        lines.extend(setup.more.iter().cloned());
        let mut section = lines.join("\n");
        for (file, content) in &setup.files {
            let path = folder.join(format!("{name}-{file}"));
            fs::write(&path, format!("{}\n", content.join("\n"))).expect("a file can be written");
            section = section.replace(&format!("@{file}@"), &path.display().to_string());
        }
        text.push_str(&section);
        text.push('\n');
    }
    for (mark, address) in servers {
        text = text.replace(mark, &address.to_string());
    }
    text.replace("@dead@", &dead.to_string())
}
