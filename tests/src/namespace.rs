//! Network namespaces for tests, where the machine lets us make them.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A network namespace with its loopback up. Dropping it deletes it.
pub struct TestNamespace {
    name: String,
}

impl TestNamespace {
    /// A fresh one, or `None` with the reason printed if this machine forbids it.
    pub fn make() -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("weir-{}-{number}", std::process::id());
        if let Err(why) = ip(&["netns", "add", &name]) {
            eprintln!("skipped: no network namespace can be made here: {why}");
            return None;
        }
        let namespace = Self { name };
        let up = namespace.run(&["ip", "link", "set", "lo", "up"]);
        if let Err(why) = up {
            eprintln!("skipped: a network namespace cannot be used here: {why}");
            return None;
        }
        Some(namespace)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program that will run inside.
    pub fn command(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command
            .args(["netns", "exec", &self.name, program])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a program inside and waits for its end.
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        let mut all = vec!["netns", "exec", &self.name];
        all.extend(words);
        ip(&all)
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        // Whatever runs inside keeps it alive until it ends.
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(words: &[&str]) -> Result<String, String> {
    let output = Command::new("ip")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`ip` cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
