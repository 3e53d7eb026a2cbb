//! The `weir` command for things that end by themselves: `weir plugin …`.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

use crate::{fill::repository, weir::binary};

/// A component that no run before has compiled takes seconds, on a busy machine many of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command left that has ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A folder of its own to run `weir` in.
pub struct WeirCommand {
    folder: tempfile::TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl Default for WeirCommand {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().expect("there is room for temporary files"),
            variables: Vec::new(),
        }
    }
}

impl WeirCommand {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file into the folder.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    /// Replaces a file of the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.folder().join(name);
        let folder = file.parent().expect("a file lies in a folder");
        fs::create_dir_all(folder).expect("folders can be made");
        fs::write(file, content).expect("files can be written");
    }

    pub fn read(&self, name: &str) -> String {
        let file = self.folder().join(name);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Sets an environment variable of the command.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs `weir` with these words and waits for its end.
    pub async fn run(&self, words: &[&str]) -> Ran {
        let ended = tokio::time::timeout(PATIENCE, self.command(words).output()).await;
        let output = ended.unwrap_or_else(|_| panic!("weir {} took too long", words.join(" ")));
        Ran::from(output.expect("the binary can be started"))
    }

    /// Like [`run`](Self::run) for what starts a compiler, which takes as long as it takes.
    pub async fn run_long(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().await;
        Ran::from(output.expect("the binary can be started"))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(words)
            .current_dir(self.folder())
            .env("NO_COLOR", "1")
            .env("XDG_CACHE_HOME", repository().join("target/test-cache"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Ran {
    /// What it wrote to stdout; panics with all that it wrote if it did not end well.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Stdout and stderr; panics unless it ended with exit code 1.
    #[track_caller]
    pub fn failed(self) -> String {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, Some(1), "{all}");
        all
    }
}
