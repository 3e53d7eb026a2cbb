//! Starting other programs: in which environment, and errors that name the command.

use std::{
    ffi::OsStr,
    io,
    process::{Command, ExitStatus, Stdio},
};

/// A program that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("cannot start {command}")]
    Start { command: String, source: io::Error },
    #[error("{command} ended with {status}{}", said(stderr))]
    Failed {
        command: String,
        status: ExitStatus,
        /// What it wrote; empty if that was shown.
        stderr: String,
    },
}

fn said(stderr: &str) -> String {
    match stderr.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// A program that must not notice that it was started from under cargo and rustup: no toolchain
/// choice, compiler, flags or library path is handed down, only where to find the registry.
pub fn outside_cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if is_leakage(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` with its output shown.
pub fn run(command: &mut Command) -> Result<(), ProgramError> {
    let status = command.status().map_err(|source| ProgramError::Start {
        command: shown(command),
        source,
    })?;
    if !status.success() {
        return Err(ProgramError::Failed {
            command: shown(command),
            status,
            stderr: String::new(),
        });
    }
    Ok(())
}

/// Runs `command` and hands back what it wrote to stdout; its stderr is in the error if it fails.
pub fn output_of(command: &mut Command) -> Result<String, ProgramError> {
    let output = command.output().map_err(|source| ProgramError::Start {
        command: shown(command),
        source,
    })?;
    if !output.status.success() {
        return Err(ProgramError::Failed {
            command: shown(command),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!(
        "`{}`",
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    )
}

/// Whatever chooses or changes a toolchain.
fn is_leakage(name: &OsStr) -> bool {
    const KEPT: [&str; 5] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
    ];
    name.to_str().is_some_and(|name| {
        let cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
        let compiler =
            name.starts_with("RUSTC") || name.starts_with("RUSTDOC") || name == "RUSTFLAGS";
        cargo || compiler || ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "OUT_DIR"].contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_choice_does_not_reach_a_program_outside_cargo() {
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "LD_LIBRARY_PATH",
            "CARGO_TARGET_DIR",
        ] {
            assert!(is_leakage(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_way_to_the_registry_does() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "PATH",
            "HOME",
            "RUST_BACKTRACE",
        ] {
            assert!(!is_leakage(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_program_that_fails_is_named_with_what_it_said() {
        let error = output_of(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sh -c") && error.contains("no luck") && error.contains('3'),
            "{error}"
        );
    }
}
