//! `openssl s_client`: a second opinion on what is on the wire.

use std::{net::SocketAddr, path::Path, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use crate::deadline::within;

/// One call of `openssl s_client`.
pub struct OpensslClient {
    args: Vec<String>,
    request: String,
}

impl OpensslClient {
    /// Connects to `address` and asks for `name`.
    pub fn new(address: SocketAddr, name: &str) -> Self {
        let args = ["s_client", "-ign_eof", "-connect"].map(str::to_owned);
        let mut args = args.to_vec();
        args.extend([address.to_string(), "-servername".into(), name.into()]);
        Self {
            args,
            request: format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"),
        }
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub fn file(self, option: &str, file: &Path) -> Self {
        let file = file.to_str().expect("a test's paths are UTF-8").to_owned();
        self.arg(option).arg(&file)
    }

    /// Sends the request and returns all that was said.
    pub async fn run(self) -> String {
        let mut child = Command::new("openssl")
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("openssl is installed");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A handshake that fails closes the pipe.
        stdin.write_all(self.request.as_bytes()).await.ok();
        let output = within("openssl s_client", child.wait_with_output()).await;
        drop(stdin);
        let output = output.expect("its output can be read");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

/// Runs a program to its end; returns whether it went well, and all that it wrote.
pub async fn run(program: &str, args: &[&str], folder: &Path) -> (bool, String) {
    let running = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within(program, running).await;
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Whether a program can be started. If not, that is said, since a test that needs it is skipped.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: there is no `{program}` here");
    }
    found
}
