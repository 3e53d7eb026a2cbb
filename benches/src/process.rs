//! Processes pinned to one CPU, that end when they are dropped.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// Proxy, origins and load share this one CPU: without wake-ups across CPUs the numbers vary least.
const CPU: &str = "0";
const PATIENCE: Duration = Duration::from_secs(30);

/// A child that is killed when dropped.
pub struct Process(Child);

/// `program` pinned to the measuring CPU.
pub fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["--cpu-list", CPU])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Another part of this program, pinned.
pub fn part(name: &str) -> Result<Command> {
    let mut command = pinned(&std::env::current_exe().context("this program cannot find itself")?);
    command.arg(name);
    Ok(command)
}

impl Process {
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command
            .get_args()
            .nth(2)
            .unwrap_or(command.get_program())
            .to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self(child))
    }

    /// Starts it with stdout and stderr in a file.
    pub fn start_logged(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        Self::start(command)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Reads one line of its piped stdout.
    pub fn line(&mut self) -> Result<String> {
        let stdout = self.0.stdout.as_mut().context("stdout is not piped")?;
        let mut line = String::new();
        // One byte at a time: what follows the line is read by others.
        BufReader::with_capacity(1, stdout).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Closes its stdin, waits for its end and hands back the rest of its stdout.
    pub fn finish(mut self) -> Result<String> {
        drop(self.0.stdin.take());
        let mut text = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        let status = self.0.wait()?;
        if !status.success() {
            bail!("a part of the benchmark ended with {status}");
        }
        Ok(text)
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process has a pid")?;
        kill_process(pid, signal).context("the process cannot be signalled")
    }

    /// Waits until something listens on the port.
    pub fn wait_for_port(&mut self, port: u16, log: &Path) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait()? {
                bail!(
                    "the proxy ended with {status}: {}",
                    std::fs::read_to_string(log).unwrap_or_default()
                );
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("nothing listens on port {port}; see {}", log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free just now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Lets this process and its children open as many files as the system allows.
pub fn allow_many_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("cannot raise the limit of open files")
}
