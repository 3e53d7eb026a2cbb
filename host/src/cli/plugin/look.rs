//! `weir plugin inspect` and `weir plugin check-compat`.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;

use super::ComponentFile;
use crate::{
    config::{KeyFile, SignedBy},
    store,
    workbench::{Subject, compat},
};

#[derive(Debug, Args)]
pub struct Inspect {
    /// A .wasm file, or the name of a plugin that comes with Weir.
    file: ComponentFile,
    /// A config as JSON text, to see the inputs that it makes the plugin ask for.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    config: String,
    /// A public key to check the signature beside the file with; several may be given.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

pub fn inspect(options: &Inspect) -> anyhow::Result<ExitCode> {
    let subject = Subject::open(&options.file)?;
    let inspection = subject.inspect(&options.config)?;
    print!("{inspection}");
    let signature = signature(options, subject.bytes())?;
    println!("signature {}", signature.as_ref().unwrap_or_else(|why| why));
    let sound = inspection.asks.is_ok() && inspection.foreign_imports.is_empty();
    Ok(ExitCode::from(u8::from(!sound || signature.is_err())))
}

/// What there is to say of the signature beside a file; an error if it is not one by the keys that were given.
fn signature(options: &Inspect, bytes: &[u8]) -> anyhow::Result<Result<String, String>> {
    let beside = store::signature_file(&options.file);
    if options.keys.is_empty() {
        return Ok(Ok(match beside.exists() {
            true => format!("{}, not checked: --key FILE does", beside.display()),
            false => "none beside it".to_owned(),
        }));
    }
    let read = |file: &PathBuf| {
        let pem = fs::read_to_string(file)
            .with_context(|| format!("{} can't be read", file.display()))?;
        let file = file.clone();
        anyhow::Ok(KeyFile { file, pem })
    };
    let keys = options.keys.iter().map(read).collect::<Result<_, _>>()?;
    let checked = store::verify_file(&options.file, bytes, &SignedBy { keys });
    Ok(match checked {
        Ok(key) => Ok(format!("{}, by {}", beside.display(), key.file.display())),
        Err(error) => Err(format!("NOT GOOD: {error}")),
    })
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
