//! `weir plugin build`: from a folder of sources to a component that Weir takes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use weir_plugin_build::{ComponentError, ProgramError, ToolchainError};

use super::rust;
use crate::workbench::{Subject, SubjectError};

/// A component that was built.
pub struct Built {
    pub file: PathBuf,
    pub subject: Subject,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "{} is no plugin's folder: there is no Cargo.toml in it; `weir plugin new` makes one",
        folder.display()
    )]
    NoProject { folder: PathBuf },
    #[error("{} makes no module: its library needs `crate-type = [\"cdylib\", \"rlib\"]`", manifest.display())]
    NoModule { manifest: PathBuf },
    #[error("cargo describes {} in a way that is not understood", manifest.display())]
    Metadata { manifest: PathBuf },
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("{}", file.display())]
    Component {
        file: PathBuf,
        source: ComponentError,
    },
    #[error("{}", file.display())]
    File { file: PathBuf, source: io::Error },
    /// It was built, and Weir does not take it.
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

/// Builds the project in `folder`. The component goes to `output`, or beside the sources under the plugin's
/// name; it appears there whole or not at all. What the tools say is shown as they say it.
pub fn build(folder: &Path, output: Option<&Path>) -> Result<Built, BuildError> {
    if !folder.join("Cargo.toml").is_file() {
        return Err(BuildError::NoProject {
            folder: folder.to_owned(),
        });
    }
    let (name, component) = rust::build(folder)?;
    let file = match output {
        Some(file) => file.to_owned(),
        None => folder.join(format!("{name}.wasm")),
    };
    let subject = Subject::of_bytes(&file, component.clone())?;
    // Written beside it first: what a running proxy watches changes in one step.
    let fresh = file.with_extension("wasm.new");
    let failed = |file: &Path, source| BuildError::File {
        file: file.to_owned(),
        source,
    };
    fs::write(&fresh, component).map_err(|source| failed(&fresh, source))?;
    fs::rename(&fresh, &file).map_err(|source| failed(&file, source))?;
    Ok(Built { file, subject })
}
