//! `weir plugin inspect` and `weir plugin check-compat`.

use std::process::ExitCode;

use clap::Args;

use super::ComponentFile;
use crate::workbench::{Subject, compat};

#[derive(Debug, Args)]
pub struct Inspect {
    /// A .wasm file, or the name of a plugin that comes with Weir.
    file: ComponentFile,
    /// A config as JSON text, to see the inputs that it makes the plugin ask for.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    config: String,
}

pub fn inspect(options: &Inspect) -> anyhow::Result<ExitCode> {
    let inspection = Subject::open(&options.file)?.inspect(&options.config)?;
    print!("{inspection}");
    let sound = inspection.asks.is_ok() && inspection.foreign_imports.is_empty();
    Ok(ExitCode::from(u8::from(!sound)))
}

#[derive(Debug, Args)]
pub struct CheckCompat {
    /// The component that is in use.
    old: ComponentFile,
    /// The one that is to take its place.
    new: ComponentFile,
    /// The config that it is used with, as JSON text.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    config: String,
}

pub fn check_compat(options: &CheckCompat) -> anyhow::Result<ExitCode> {
    let (old, new) = (Subject::open(&options.old)?, Subject::open(&options.new)?);
    let differences = compat::compare(&old, &new, &options.config)?;
    print!("{differences}");
    Ok(ExitCode::from(u8::from(!differences.breaking.is_empty())))
}
