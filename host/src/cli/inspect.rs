//! `weir plugin inspect` and `weir plugin list`.

use std::{fs, path::Path, process::ExitCode};

use crate::plugin::{Inspection, Runtime, RuntimeOptions, bundled, user_code_cache};

/// Shows what a component is. Exit code 1 if it could not be loaded as a plugin.
pub fn inspect(file: &Path, config: &str) -> ExitCode {
    match look(file, config) {
        Ok(inspection) => {
            print!("{inspection}");
            match inspection.asks.is_ok() && inspection.foreign_imports.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(1),
            }
        }
        Err(error) => {
            eprintln!("error: {}: {error:#}", file.display());
            ExitCode::from(1)
        }
    }
}

fn look(file: &Path, config: &str) -> anyhow::Result<Inspection> {
    // A name without a folder or an ending is one of Weir's own, unless there is such a file.
    let own = file
        .to_str()
        .filter(|name| !file.exists() && !name.contains(['/', '.']))
        .and_then(bundled::get);
    let bytes = match own {
        Some(bytes) => bytes.to_vec(),
        None => fs::read(file)?,
    };
    let runtime = Runtime::new(RuntimeOptions {
        code_cache: user_code_cache(),
        ..RuntimeOptions::default()
    })?;
    Ok(Inspection::of(&runtime, &bytes, config)?)
}

/// Prints the names of the plugins that come with Weir, one a line.
pub fn list() -> ExitCode {
    for name in bundled::names() {
        println!("{name}");
    }
    ExitCode::SUCCESS
}
