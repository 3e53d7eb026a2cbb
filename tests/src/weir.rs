//! The real proxy, running from a folder of its own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{
    client::{Client, Response},
    deadline::{eventually, within},
    fill::repository,
    output::Lines,
};

/// What `weir run` writes to stderr once all listeners are bound.
const READY: &str = "ready";
/// Begins the line for each bound socket.
const LISTENING: &str = "listening";
/// A new generation has taken over.
const LOADED: &str = "new generation serves";
/// A new generation could not be built; the old one goes on.
const REFUSED: &str = "nothing changed, the running generation goes on";

/// A running proxy. Dropping it kills the process; if the test is failing, what it wrote is printed.
pub struct Weir {
    child: Child,
    folder: tempfile::TempDir,
    listeners: BTreeMap<String, Vec<String>>,
    stdout: Lines,
    stderr: Lines,
    pipes: Vec<JoinHandle<()>>,
}

/// What a proxy left that has ended.
#[derive(Debug)]
pub struct Exited {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// How a reload went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    Loaded,
    /// With everything that was written about it.
    Refused(String),
}

/// How to start a proxy that needs more than a configuration.
#[derive(Default)]
pub struct WeirBuilder {
    files: Vec<(PathBuf, Vec<u8>)>,
    copies: Vec<PathBuf>,
    variables: Vec<(OsString, OsString)>,
}

impl WeirBuilder {
    /// Puts a file beside weir.toml; `name` may contain folders.
    pub fn file(mut self, name: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), content.into()));
        self
    }

    /// Copies all that lies in `folder`, such as an example, beside weir.toml.
    pub fn copy_of(mut self, folder: impl Into<PathBuf>) -> Self {
        self.copies.push(folder.into());
        self
    }

    /// Sets an environment variable of the proxy.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Starts `weir run` and waits until it is ready. Panics with its output if it ends instead.
    pub async fn start(self, config: &str) -> Weir {
        match self.try_start(config).await {
            Ok(weir) => weir,
            Err(exited) => panic!(
                "weir ended with {}\n{}{}",
                exited.status, exited.stderr, exited.stdout
            ),
        }
    }

    /// Like [`WeirBuilder::start`] for configurations that may be refused.
    pub async fn try_start(self, config: &str) -> Result<Weir, Exited> {
        let folder = self.folder(config);
        let mut child = self
            .command(folder.path(), "run")
            .spawn()
            .expect("the binary can be started");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let pipes = vec![
            stdout.collect(child.stdout.take().expect("stdout is piped")),
            stderr.collect(child.stderr.take().expect("stderr is piped")),
        ];
        let mut weir = Weir {
            child,
            folder,
            listeners: BTreeMap::new(),
            stdout,
            stderr,
            pipes,
        };
        if weir.comes_up().await {
            weir.listeners = listeners(&weir.stderr.all());
            return Ok(weir);
        }
        Err(weir.exited().await)
    }

    /// Runs `weir check`.
    pub async fn check(self, config: &str) -> Exited {
        let folder = self.folder(config);
        let output = within("weir check", self.command(folder.path(), "check").output()).await;
        let output = output.expect("the binary can be started");
        Exited {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn folder(&self, config: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        for source in &self.copies {
            copy_all(source, folder.path());
        }
        for (name, content) in &self.files {
            write(&folder.path().join(name), content);
        }
        write(&folder.path().join("weir.toml"), config.as_bytes());
        folder
    }

    fn command(&self, folder: &Path, subcommand: &str) -> Command {
        let mut command = Command::new(binary());
        command
            .arg(subcommand)
            .arg("-c")
            .arg(folder.join("weir.toml"))
            .current_dir(folder);
        command.env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
        // Compiled plugins are shared by all tests, and stay out of the user's own cache.
        command.env("XDG_CACHE_HOME", repository().join("target/test-cache"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Weir {
    /// Starts `weir run` with this configuration in an empty folder and waits until it is ready.
    pub async fn start(config: &str) -> Self {
        Self::builder().start(config).await
    }

    /// The program's file, for those who start it in a way of their own.
    pub fn program() -> PathBuf {
        binary()
    }

    pub fn builder() -> WeirBuilder {
        WeirBuilder::default()
    }

    /// Runs `weir check` with this configuration in an empty folder.
    pub async fn check(config: &str) -> Exited {
        Self::builder().check(config).await
    }

    /// The first address of the frontend, with the port that the system chose.
    #[track_caller]
    pub fn address(&self, frontend: &str) -> SocketAddr {
        self.addresses(frontend)[0]
            .parse()
            .expect("a TCP listener has a socket address")
    }

    /// All addresses of the frontend as they were logged: `IP:PORT` or `unix:PATH`.
    #[track_caller]
    pub fn addresses(&self, frontend: &str) -> &[String] {
        self.listeners.get(frontend).unwrap_or_else(|| {
            panic!(
                "frontend `{frontend}` has no listener; there are {:?}",
                self.listeners
            )
        })
    }

    /// A new connection to the only frontend, or to the first by name.
    pub async fn client(&self) -> Client {
        let frontend = self
            .listeners
            .keys()
            .next()
            .expect("a proxy that is ready has a listener");
        self.client_of(frontend).await
    }

    /// A new connection to that frontend.
    pub async fn client_of(&self, frontend: &str) -> Client {
        Client::connect(self.address(frontend)).await
    }

    /// A GET on a connection of its own.
    pub async fn get(&self, target: &str) -> Response {
        self.client().await.get(target).await
    }

    /// [`Weir::get`] with further fields.
    pub async fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Response {
        self.client().await.get_with(target, fields).await
    }

    /// Any request on a connection of its own.
    pub async fn request(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.client()
            .await
            .request(method, target, fields, body)
            .await
    }

    /// Asks the admin interface, which the configuration has at `unix:admin.sock`.
    pub async fn admin(&self, method: &str, target: &str) -> Response {
        self.admin_with(method, target, b"").await
    }

    /// [`Weir::admin`] with a body.
    pub async fn admin_with(&self, method: &str, target: &str, body: &[u8]) -> Response {
        let mut client = Client::connect_unix(&self.folder().join("admin.sock"))
            .await
            .expect("administrators are served");
        let host = [("Host", "localhost")];
        client.request(method, target, &host, body).await
    }

    /// Where weir.toml lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces weir.toml, in one step as editors and deploys do. With `watch` on the proxy notices.
    pub fn write_config(&self, config: &str) {
        self.write_file("weir.toml", config);
    }

    /// Replaces a file beside weir.toml in one step.
    pub fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let (file, fresh) = (
            self.folder().join(name),
            self.folder().join(format!(".{name}.new")),
        );
        write(&fresh, content.as_ref());
        fs::rename(fresh, file).expect("both names are in one folder");
    }

    /// Sends SIGHUP and waits for what becomes of it.
    pub async fn reload(&self) -> Reload {
        let start = self.stderr.count();
        self.signal(Signal::HUP);
        self.next_generation(start).await
    }

    /// Waits for the next generation after the first `start` lines of stderr (see
    /// [`Weir::log_length`]), whatever caused it.
    pub async fn next_generation(&self, start: usize) -> Reload {
        let outcome = |line: &str| match line {
            _ if line.contains(LOADED) => Some(true),
            _ if line.contains(REFUSED) => Some(false),
            _ => None,
        };
        if eventually("a new generation", async || {
            self.stderr.find(start, outcome)
        })
        .await
        {
            return Reload::Loaded;
        }
        // What was wrong follows in lines of its own, all written at once.
        self.stderr.settle().await;
        Reload::Refused(self.stderr.all()[start..].join("\n"))
    }

    /// How many lines stderr has now; a mark to look for later ones.
    pub fn log_length(&self) -> usize {
        self.stderr.count()
    }

    /// Waits for a line on stderr, where the proxy's own log goes, and hands it back.
    pub async fn log_line(&self, with: &str) -> String {
        let found = |line: &str| line.contains(with).then(|| line.to_owned());
        eventually(&format!("`{with}` in the log"), async || {
            self.stderr.find(0, found)
        })
        .await
    }

    /// Waits for a line on stdout, where access logs can be sent, and hands it back.
    pub async fn stdout_line(&self, with: &str) -> String {
        let found = |line: &str| line.contains(with).then(|| line.to_owned());
        eventually(&format!("`{with}` on stdout"), async || {
            self.stdout.find(0, found)
        })
        .await
    }

    /// All lines of stdout so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// All lines of stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Asks it to drain and end, as a service manager does. See [`Weir::exited`].
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until the process has ended.
    pub async fn exited(mut self) -> Exited {
        let status = within("the end of weir", self.child.wait())
            .await
            .expect("a child can be waited for");
        for pipe in self.pipes.drain(..) {
            // It ends with the pipe. What a grandchild that kept the pipe writes isn't waited for.
            let _ = tokio::time::timeout(crate::DEADLINE, pipe).await;
        }
        Exited {
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has not been waited for")
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a process has memory");
        let kibibytes: u64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("the kernel writes a number");
        kibibytes * 1024
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("it runs")
            .count()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process has a pid above 0");
        kill_process(pid, signal).expect("our own child can be signalled");
    }

    /// Waits until it is ready (true) or has ended (false).
    async fn comes_up(&mut self) -> bool {
        let stderr = self.stderr.clone();
        let ready = eventually("weir getting ready", async || {
            stderr.find(0, |line| is_ready(line).then_some(()))
        });
        tokio::select! {
            () = ready => true,
            status = self.child.wait() => {
                status.expect("a child can be waited for");
                false
            }
        }
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- weir wrote to stderr:\n{}--- to stdout:\n{}---",
                self.stderr.text(),
                self.stdout.text()
            );
            return;
        }
        // A thread that panicked is started anew or lets go of one client, which a test can fail to see.
        let panicked = |line: &String| line.starts_with("thread '") && line.contains("panicked at");
        if let Some(line) = self.stderr.all().iter().find(|line| panicked(line)) {
            panic!("{line}\n{}", self.stderr.text());
        }
    }
}

/// `WEIR_BIN`, or the binary that lies beside the test's own in the target folder.
pub fn binary() -> PathBuf {
    if let Some(file) = std::env::var_os("WEIR_BIN") {
        // The proxy is started from another folder.
        return std::path::absolute(&file).expect("WEIR_BIN is not empty");
    }
    let test = std::env::current_exe().expect("a program knows where it is");
    let beside = test
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("weir"))
        .find(|file| file.is_file());
    beside.expect("no `weir` beside the tests; run them with `cargo xtask test`")
}

fn is_ready(line: &str) -> bool {
    line.split_whitespace().any(|word| word == READY)
}

/// `… listening frontend="web" address=127.0.0.1:40123` → web: [127.0.0.1:40123].
fn listeners(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut listeners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines
        .iter()
        .filter(|line| line.split_whitespace().any(|word| word == LISTENING))
    {
        if let (Some(frontend), Some(address)) =
            (value_of(line, "frontend="), value_of(line, "address="))
        {
            listeners.entry(frontend).or_default().push(address);
        }
    }
    listeners
}

fn value_of(line: &str, key: &str) -> Option<String> {
    let value = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(key))?;
    Some(value.trim_matches('"').to_owned())
}

fn write(file: &Path, content: &[u8]) {
    fs::create_dir_all(file.parent().expect("a file lies in a folder"))
        .expect("folders can be made");
    fs::write(file, content)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}

fn copy_all(from: &Path, to: &Path) {
    let entries = fs::read_dir(from)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("the folder stays readable");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_all(&source, &target);
        } else {
            write(
                &target,
                &fs::read(&source).expect("the file stays readable"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_from_the_log() {
        let lines = [
            r#"2026-11-21T09:00:00Z  INFO listening frontend="web" address=127.0.0.1:40123"#,
            r#"2026-11-21T09:00:00Z  INFO listening frontend="web" address=unix:/run/w.sock"#,
            "2026-11-21T09:00:00Z  INFO ready",
        ]
        .map(str::to_owned);
        let wanted = vec!["127.0.0.1:40123".to_owned(), "unix:/run/w.sock".to_owned()];
        assert_eq!(listeners(&lines), [("web".to_owned(), wanted)].into());
        assert!(is_ready(&lines[2]) && !is_ready(&lines[0]));
    }
}
