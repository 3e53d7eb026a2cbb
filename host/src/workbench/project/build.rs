//! `weir plugin build`: from a folder of sources to a component that Weir takes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use weir_plugin_build::{ComponentError, ProgramError, ToolchainError, c::CError};

use super::{c, fetch::FetchError, javascript, python, rust};
use crate::{
    config::{
        ConfigErrors,
        project::{self, PluginProject, SourceFile},
    },
    workbench::{Subject, SubjectError},
};

/// A component that was built.
pub struct Built {
    pub file: PathBuf,
    pub subject: Subject,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "{} is no plugin's folder: there is no Cargo.toml and no plugin.toml in it; `weir plugin new` makes one",
        folder.display()
    )]
    NoProject { folder: PathBuf },
    #[error(transparent)]
    Manifest(#[from] ConfigErrors),
    #[error("there is no {}, which {} names as the source", source_file.display(), manifest.display())]
    NoSource {
        source_file: PathBuf,
        manifest: PathBuf,
    },
    #[error(
        "{} has no {file}, which is part of Weir's SDK; `weir plugin new` makes a folder that has it, \
         and `sdk` in plugin.toml says where else it is",
        folder.display()
    )]
    NoSdk { folder: PathBuf, file: &'static str },
    #[error(
        "plugins in JavaScript need Node {wanted} or later with npm, and {found}\n\
         Debian: apt-get install nodejs npm    elsewhere: nodejs.org"
    )]
    NoNode { found: String, wanted: u32 },
    #[error(
        "plugins in Python need Python 3.10 or later with venv and pip, and {found}\n\
         Debian: apt-get install python3 python3-venv python3-pip    elsewhere: python.org"
    )]
    NoPython { found: String },
    #[error(transparent)]
    C(#[from] CError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
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

/// Builds the project at `place`: a folder with a Cargo.toml or a plugin.toml, or a file like the latter
/// under another name. The component goes to `output`, or beside the sources under the plugin's name; it
/// appears there whole or not at all. What the tools say is shown as they say it.
pub fn build(place: &Path, output: Option<&Path>) -> Result<Built, BuildError> {
    let (folder, manifest) = match place.parent() {
        Some(folder) if place.is_file() => (folder, place.to_owned()),
        _ => (place, place.join("plugin.toml")),
    };
    // The current folder is the parent of a bare file name.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let sources = Sources { folder, output };
    if manifest.is_file() {
        let project = project::load(&manifest)?;
        return sources.component(&project, &manifest);
    }
    if !folder.join("Cargo.toml").is_file() {
        return Err(BuildError::NoProject {
            folder: folder.to_owned(),
        });
    }
    let (name, component) = rust::build(folder)?;
    let file = sources.file(&name);
    fs::write(fresh(&file), component).map_err(|source| BuildError::File {
        file: fresh(&file),
        source,
    })?;
    taken(file)
}

struct Sources<'a> {
    folder: &'a Path,
    output: Option<&'a Path>,
}

impl Sources<'_> {
    fn file(&self, name: &str) -> PathBuf {
        match self.output {
            Some(file) => file.to_owned(),
            None => self.folder.join(format!("{name}.wasm")),
        }
    }

    /// By the tools of the source's language.
    fn component(&self, project: &PluginProject, manifest: &Path) -> Result<Built, BuildError> {
        let (SourceFile::JavaScript(source)
        | SourceFile::C(source)
        | SourceFile::Python { file: source, .. }) = &project.source;
        if !self.folder.join(source).is_file() {
            return Err(BuildError::NoSource {
                source_file: self.folder.join(source),
                manifest: manifest.to_owned(),
            });
        }
        let file = self.file(&project.name);
        let failed = |source| BuildError::File {
            file: file.clone(),
            source,
        };
        // Where it is written by programs that run in the project's folder.
        let fresh = std::path::absolute(fresh(&file)).map_err(failed)?;
        match &project.source {
            SourceFile::JavaScript(source) => {
                javascript::build(self.folder, project, source, &fresh)?;
            }
            SourceFile::Python { file, class } => {
                python::build(self.folder, project, (file, class), &fresh)?;
            }
            SourceFile::C(source) => {
                let component = c::build(self.folder, manifest, project, source)?;
                fs::write(&fresh, component).map_err(failed)?;
            }
        }
        taken(file)
    }
}

/// Beside the component, so that what a running proxy watches changes in one step.
fn fresh(file: &Path) -> PathBuf {
    file.with_extension("wasm.new")
}

/// Puts a component that was built in the place of the last one, if Weir takes it.
fn taken(file: PathBuf) -> Result<Built, BuildError> {
    let fresh = fresh(&file);
    let failed = |file: &Path, source| BuildError::File {
        file: file.to_owned(),
        source,
    };
    let component = fs::read(&fresh).map_err(|source| failed(&fresh, source))?;
    match Subject::of_bytes(&file, component) {
        Ok(subject) => {
            fs::rename(&fresh, &file).map_err(|source| failed(&file, source))?;
            Ok(Built { file, subject })
        }
        Err(refused) => {
            // Nobody asks for it; that it stays if it cannot be removed does no harm.
            drop(fs::remove_file(&fresh));
            Err(refused.into())
        }
    }
}
