//! Starting other programs: which `cargo`, in which environment, and errors that name the command.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The `cargo` that runs this program, for work on the host's own crates.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if is_set_by_cargo_run(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// A program that must not notice that it was started from under cargo and rustup: no toolchain
/// choice, compiler, flags or library path is handed down, only where to find the registry.
pub fn outside_cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if is_leakage(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` with its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` and hands back what it wrote to stdout; its stderr is in the error if it fails.
pub fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}: {}",
            shown(command),
            output.status,
            stderr.trim()
        );
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

/// What `cargo run` adds for the program it starts. Handing it on to another cargo makes that one
/// rebuild crates whose build scripts look at the environment.
fn is_set_by_cargo_run(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
    })
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
