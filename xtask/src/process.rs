//! Starting other programs: which `cargo`, and in which environment.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

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

/// Runs `command` with its output shown.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    Ok(weir_plugin_build::run(command)?)
}

/// A program of this repository that must not notice that it was started from under cargo and rustup.
pub fn outside_cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = weir_plugin_build::outside_cargo(program);
    command.current_dir(workspace::root());
    command
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
