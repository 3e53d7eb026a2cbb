//! Where things lie in this repository.

use std::path::{Path, PathBuf};

/// The folder that holds the top `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// Everything that comes from building guests. `host/build.rs` looks for the components here.
pub fn guests_target() -> PathBuf {
    root().join("target/guests")
}

/// The proxy's binary as `cargo build` leaves it.
pub fn weir(profile: Profile) -> PathBuf {
    target().join(profile.folder()).join("weir")
}

fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// How much the compiler should try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}
