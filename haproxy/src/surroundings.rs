//! What an import may look at besides the file itself: environment variables, and files that hold
//! patterns or pages.

use std::{fs, io, path::Path};

/// Longer files are not read into a configuration.
const MOST_BYTES: u64 = 4 << 20;

/// Where a configuration stands.
pub trait Surroundings {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file that the configuration names.
    ///
    /// # Errors
    /// It is not there, not readable, no text, or too long.
    fn file(&self, path: &Path) -> io::Result<String>;
}

/// The machine that the import runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Surroundings for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        if fs::metadata(path)?.len() > MOST_BYTES {
            return Err(io::Error::other("longer than 4 MiB"));
        }
        fs::read_to_string(path)
    }
}

/// No variables and no files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Surroundings for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}
