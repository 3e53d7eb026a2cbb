//! Peers written in Python: other people's implementations, so that two mistakes of ours can't cancel out.

use std::{
    path::PathBuf,
    process::{Command as Blocking, Stdio},
    sync::OnceLock,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{deadline::within, fill::repository};

/// Set where nothing may be skipped.
const REQUIRED: &str = "WEIR_TESTS_REQUIRE_PEERS";

/// A script of `tests/peers`, and the modules that it needs.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    pub file: &'static str,
    pub modules: &'static [&'static str],
}

/// Whether the script can run here. If not, why is printed, and the test should end; where peers are
/// required it panics instead.
pub fn can_run(script: Script) -> bool {
    let imports = format!("import {}", script.modules.join(", "));
    let run = Blocking::new("python3")
        .args(["-c", &imports])
        .stderr(Stdio::piped())
        .output();
    let reason = match run {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned(),
        Err(error) => format!("no python3: {error}"),
    };
    skipped(&reason);
    false
}

/// Whether a program is there; see [`can_run`].
pub fn has_program(name: &str) -> bool {
    static PATH: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let folders = PATH.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).collect()
    });
    let found = folders.iter().any(|folder| folder.join(name).is_file());
    if !found {
        skipped(&format!("no {name}"));
    }
    found
}

fn skipped(reason: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

impl Script {
    fn command(self, args: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command
            .arg(repository().join("tests/peers").join(self.file))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end and returns what it printed. Panics if it fails.
    pub async fn run(self, args: &[&str]) -> String {
        let what = format!("{} {}", self.file, args.join(" "));
        let output = within(&what, self.command(args).stderr(Stdio::piped()).output()).await;
        let output = output.expect("python3 was there");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}:\n{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a server, which prints the port that it listens on first of all.
    pub async fn serve(self, args: &[&str]) -> PythonServer {
        let mut child = self.command(args).spawn().expect("python3 was there");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = within("the server's port", lines.next_line()).await;
        let first = first.expect("stdout is text").expect("it began to serve");
        let port = first.trim().parse().expect("the first line is the port");
        PythonServer {
            port,
            lines,
            _child: child,
        }
    }
}

/// A server that runs. Dropping it kills the process.
pub struct PythonServer {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl PythonServer {
    pub fn address(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The next line that it prints.
    pub async fn line(&mut self) -> String {
        let line = within("a line of the server's", self.lines.next_line()).await;
        let line = line.expect("stdout is text");
        line.expect("the server goes on")
    }
}
