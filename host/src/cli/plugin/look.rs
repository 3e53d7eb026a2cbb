//! `weir plugin inspect` and `weir plugin list`.

use std::process::ExitCode;

use clap::Args;

use super::ComponentFile;
use crate::{plugin::bundled, workbench::Subject};

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

/// Prints the names of the plugins that come with Weir, one a line.
pub fn list() {
    for name in bundled::names() {
        println!("{name}");
    }
}
