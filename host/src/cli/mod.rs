//! The command line: what can be asked of `weir`, and how its answers and errors look.

mod admin;
mod haproxy;
mod plugin;
mod record;
mod replay;
mod rollout;
mod why;

use std::{
    io::{self, IsTerminal, Write},
    panic,
    path::PathBuf,
    process::{self, ExitCode},
};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::proxy::{self, RunError, Source};

/// What a shell says of a command that SIGPIPE has ended.
const NOBODY_READS: i32 = 128 + 13;
/// Where the config is looked for if no one says.
const DEFAULT_CONFIG: &str = "/etc/weir/weir.toml";

/// A proxy whose every routing decision is a sandboxed WebAssembly component.
///
/// Exit codes: 0 done, 1 the config or a plugin is not sound, 2 the command line is not understood,
/// 3 the system did not let the proxy start (a port in use, for example).
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, long_about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM, SIGINT or SIGUSR1, then finishes what runs.
    ///
    /// A changed config, plugin or map takes effect by itself; SIGHUP loads everything anew and reopens log
    /// files. What does not load changes nothing and is reported. WEIR_LOG sets what the process itself
    /// tells on stderr, e.g. `WEIR_LOG=debug`.
    Run {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// A haproxy.cfg instead: translated in memory, with SIGTERM and SIGINT as HAProxy takes them.
        #[arg(long, value_name = "FILE", conflicts_with = "config")]
        haproxy: Option<PathBuf>,
        /// Tell of the process itself in JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Says whether a config would load: file, plugins, maps and names, without listening.
    Check {
        /// The configuration file.
        #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// A haproxy.cfg instead; exit code 2 if it works and something is different.
        #[arg(long, value_name = "FILE", conflicts_with = "config")]
        haproxy: Option<PathBuf>,
    },
    /// Writes the weir.toml that means what a haproxy.cfg means, and says what is different.
    ///
    /// Exit codes: 0 everything means the same, 1 refused, 2 written, and something is different.
    Import(haproxy::Options),
    /// Tells why a request of a running proxy went as it did: who was asked, with what, and what they answered.
    ///
    /// `[why]` in the configuration says of which requests that is kept. Without an id, lists those.
    Why(why::Why),
    /// Writes down what plugins are asked and answer in a running proxy, for `weir replay`.
    Record(record::Record),
    /// Asks another component what was recorded, and says which answers differ.
    ///
    /// Exit code 1 if any does. What was masked in the recording is not compared.
    Replay(replay::Replay),
    /// Tries out a new version of a plugin on the traffic of a running proxy, and lets it take over or go back.
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// Tools for plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
}

/// Runs the command line; its errors go to stderr.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if !matches!(cli.command, Command::Run { .. }) {
        end_when_nobody_reads();
    }
    match cli.command {
        Command::Run {
            config,
            haproxy,
            json,
        } => {
            log_to_stderr(json);
            let source = match haproxy {
                Some(file) => haproxy::source(&file),
                None => Source::weir(&config),
            };
            report(proxy::run(&source))
        }
        Command::Import(options) => haproxy::import(&options),
        Command::Check {
            haproxy: Some(file),
            ..
        } => {
            log_to_stderr(false);
            haproxy::check(&file)
        }
        Command::Check {
            config,
            haproxy: None,
        } => {
            log_to_stderr(false);
            report(proxy::check(&Source::weir(&config)).map(|warnings| {
                for warning in warnings {
                    eprintln!("warning: {warning}");
                }
                println!("{} is sound", config.display());
            }))
        }
        Command::Why(options) => conclude(why::why(&options)),
        Command::Record(options) => conclude(record::record(&options)),
        Command::Replay(options) => conclude(replay::replay(&options)),
        Command::Rollout(command) => conclude(rollout::run(&command)),
        Command::Plugin(command) => plugin::run(command),
    }
}

/// Has a tool end without a word once its reader has seen enough, as `head` has. Printing panics then, which
/// is the one place where all that is printed comes by.
fn end_when_nobody_reads() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        let words = panicked.payload_as_str().unwrap_or_default();
        if words.starts_with("failed printing to std") && words.contains("Broken pipe") {
            process::exit(NOBODY_READS);
        }
        usual(panicked);
    }));
}

/// An error of a tool goes to stderr, and into the exit code.
fn conclude(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", plugin::told(&error));
        ExitCode::from(1)
    })
}

fn report(result: Result<(), RunError>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    say(&error);
    match error {
        RunError::Config(_) => ExitCode::from(1),
        RunError::Build(errors) if errors.is_only_system() => ExitCode::from(3),
        RunError::Build(_) => ExitCode::from(1),
        RunError::Runtime(_)
        | RunError::Log(_)
        | RunError::Privilege(_)
        | RunError::Handover(_)
        | RunError::System(_)
        | RunError::Watch(_) => ExitCode::from(3),
    }
}

/// Prints an error with its causes.
fn say(error: &dyn std::error::Error) {
    let mut stderr = io::stderr().lock();
    // If stderr is closed there is nobody to tell.
    let _ = writeln!(stderr, "error: {}", proxy::with_cause(error));
}

fn log_to_stderr(json: bool) {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if json {
        builder.json().init();
    } else {
        builder.init();
    }
}
