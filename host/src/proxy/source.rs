//! Where configurations come from: a file, read again at each reload.

use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigErrors};

/// A file and how it becomes a configuration.
#[derive(Debug, Clone)]
pub struct Source {
    file: PathBuf,
    read: fn(&Path) -> Result<Config, ConfigErrors>,
    ending: Ending,
}

/// What SIGTERM and SIGINT mean. SIGUSR1 always lets exchanges finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exchanges may finish.
    Drain,
    /// The process ends at once, as HAProxy takes it.
    AtOnce,
}

impl Source {
    /// A weir.toml.
    pub fn weir(file: &Path) -> Self {
        Self::new(file, config::load, Ending::Drain)
    }

    /// A file in another form; `read` is asked again at each reload, on a thread of its own.
    pub fn new(
        file: &Path,
        read: fn(&Path) -> Result<Config, ConfigErrors>,
        ending: Ending,
    ) -> Self {
        Self {
            file: file.to_owned(),
            read,
            ending,
        }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The configuration as the file has it now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        (self.read)(&self.file)
    }

    pub fn ending(&self) -> Ending {
        self.ending
    }
}
