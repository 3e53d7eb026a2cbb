//! Programs of other languages' makers: run with what they say shown, and fetched if need be.

use std::{io, process::Command};

use weir_plugin_build::{ProgramError, run};

/// What the sources are built with could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{what} can't be fetched; if there is no network here, {instead} where there is")]
pub struct FetchError {
    pub what: &'static str,
    /// What the author can do without Weir.
    pub instead: &'static str,
    pub source: ProgramError,
}

/// Runs a command. All that it says goes to stderr, for stdout is for the result.
pub fn told(command: &mut Command) -> Result<(), ProgramError> {
    run(command.stdout(io::stderr()))
}
