//! The client that everyone has.

use std::process::Stdio;

use tokio::process::Command;

use crate::deadline::within;

/// What curl left.
#[derive(Debug)]
pub struct CurlOutput {
    /// curl's own exit code; 0 is fine, 7 a refused connection, 52 an empty answer, 56 a reset.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `curl --silent --show-error ARGS`, without the user's settings and proxies.
///
/// Panics if there is no curl.
pub async fn curl(args: &[&str]) -> CurlOutput {
    let mut command = Command::new("curl");
    command
        .args([
            "--disable",
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "10",
        ])
        .args(args);
    let output = within(
        "curl",
        command.stdin(Stdio::null()).kill_on_drop(true).output(),
    )
    .await;
    let output = output.expect("curl is installed");
    CurlOutput {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
