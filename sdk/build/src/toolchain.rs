//! Finds a Rust that can compile to wasm32-unknown-unknown.
//!
//! Three ways, tried in this order; `WEIR_GUEST_TOOLCHAIN` forces one of them by name:
//!
//! - `target`: the compiler in use has the target's libraries.
//! - `rustup`: rustup can add them.
//! - `distribution`: a Linux distribution's compiler in /usr/bin, whose package has no libraries for
//!   Wasm, builds them from the packaged library sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::program::{ProgramError, output_of, outside_cargo};

pub const TARGET: &str = "wasm32-unknown-unknown";
const FORCED: &str = "WEIR_GUEST_TOOLCHAIN";
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src lld-19";

/// Why there is no compiler.
#[derive(Debug, thiserror::Error)]
pub enum ToolchainError {
    #[error("{FORCED} is `{found}`; it can be `target`, `rustup` or `distribution`")]
    UnknownWay { found: String },
    #[error(
        "no Rust compiler here can build plugins for {TARGET}. Tried:{tried}\n\
         Do one of these:\n  \
         rustup target add {TARGET}\n  \
         apt-get install {DEBIAN_PACKAGES}        (Debian 12)"
    )]
    None { tried: String },
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("there is no {}", file.display())]
    Missing { file: PathBuf },
    #[error("{} has no libraries", folder.display())]
    NoLibraries { folder: PathBuf },
    #[error("{DISTRIBUTION_RUSTC} is {found}, older than {wanted}")]
    TooOld { found: String, wanted: &'static str },
}

type Result<T> = std::result::Result<T, ToolchainError>;

/// A compiler for guests and how to call it.
#[derive(Debug)]
pub struct Toolchain {
    /// For people.
    pub shown: String,
    /// Changes whenever the compiler does.
    pub identity: String,
    /// To be added to `cargo build`.
    pub extra_args: Vec<String>,
    program: PathBuf,
    variables: Vec<(String, String)>,
}

impl Toolchain {
    /// Its `cargo`, to be given arguments and a folder to run in.
    pub fn cargo(&self) -> Command {
        let mut command = outside_cargo(&self.program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The first of the three ways that works for what lies in `folder`, or what to install.
pub fn find(folder: &Path) -> Result<Toolchain> {
    match env::var(FORCED).as_deref() {
        Err(_) | Ok("") => any(folder),
        Ok("target") => installed_target(folder),
        Ok("rustup") => rustup(folder),
        Ok("distribution") => distribution(folder),
        Ok(found) => Err(ToolchainError::UnknownWay {
            found: found.to_owned(),
        }),
    }
}

fn any(folder: &Path) -> Result<Toolchain> {
    let mut tried = String::new();
    for (name, way) in WAYS {
        match way(folder) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => tried.push_str(&format!("\n  {name}: {error}")),
        }
    }
    Err(ToolchainError::None { tried })
}

type Way = fn(&Path) -> Result<Toolchain>;
const WAYS: [(&str, Way); 3] = [
    ("target", installed_target),
    ("rustup", rustup),
    ("distribution", distribution),
];

fn installed_target(folder: &Path) -> Result<Toolchain> {
    let libraries =
        output_of(rustc(folder).args(["--print", "target-libdir", "--target", TARGET]))?;
    if !has_core(Path::new(&libraries)) {
        return Err(ToolchainError::NoLibraries {
            folder: libraries.into(),
        });
    }
    let identity = output_of(rustc(folder).arg("-vV"))?;
    let shown = first_line(&identity);
    let program = env::var_os("CARGO")
        .unwrap_or_else(|| "cargo".into())
        .into();
    Ok(Toolchain {
        shown,
        identity,
        extra_args: Vec::new(),
        program,
        variables: same_toolchain(),
    })
}

fn rustup(folder: &Path) -> Result<Toolchain> {
    let mut rustup = outside_cargo("rustup");
    rustup
        .current_dir(folder)
        .envs(same_toolchain())
        .args(["target", "add", TARGET]);
    output_of(&mut rustup)?;
    installed_target(folder)
}

fn distribution(folder: &Path) -> Result<Toolchain> {
    for program in [DISTRIBUTION_CARGO, DISTRIBUTION_RUSTC] {
        exists(Path::new(program))?;
    }
    let rustc = || {
        let mut rustc = outside_cargo(DISTRIBUTION_RUSTC);
        rustc.current_dir(folder);
        rustc
    };
    let identity = output_of(rustc().arg("-vV"))?;
    let shown = first_line(&identity);
    if version(&identity) < minimum() {
        return Err(ToolchainError::TooOld {
            found: shown,
            wanted: rust_version(),
        });
    }
    let sysroot = output_of(rustc().args(["--print", "sysroot"]))?;
    // Packaged apart from the compiler.
    exists(&Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock"))?;
    let linker = newest_linker(Path::new("/usr/bin")).ok_or_else(|| ToolchainError::Missing {
        file: "/usr/bin/wasm-ld".into(),
    })?;
    let variables = [
        ("RUSTC", DISTRIBUTION_RUSTC),
        // Building the standard library is an unstable feature of cargo; the compiler is a stable one.
        ("RUSTC_BOOTSTRAP", "1"),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &linker),
    ];
    Ok(Toolchain {
        shown: format!("{shown} of the distribution, with its own standard library"),
        identity: format!("{identity}\n{linker}"),
        extra_args: vec!["-Zbuild-std=std,panic_abort".to_owned()],
        program: DISTRIBUTION_CARGO.into(),
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    })
}

fn exists(file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    Err(ToolchainError::Missing {
        file: file.to_owned(),
    })
}

fn rustc(folder: &Path) -> Command {
    let mut rustc = outside_cargo("rustc");
    rustc.envs(same_toolchain()).current_dir(folder);
    rustc
}

/// `cargo +nightly xtask build` is to use nightly for the guests too.
fn same_toolchain() -> Vec<(String, String)> {
    env::var("RUSTUP_TOOLCHAIN")
        .map(|name| ("RUSTUP_TOOLCHAIN".to_owned(), name))
        .into_iter()
        .collect()
}

fn has_core(libraries: &Path) -> bool {
    fs::read_dir(libraries)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore"))
}

/// `wasm-ld`, or Debian's `wasm-ld-19` with the highest number.
fn newest_linker(folder: &Path) -> Option<String> {
    let names = fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let rank = |name: &String| match name.strip_prefix("wasm-ld")? {
        "" => Some(u32::MAX),
        number => number.strip_prefix('-')?.parse().ok(),
    };
    let newest = names.filter_map(|name| Some((rank(&name)?, name))).max()?;
    Some(folder.join(newest.1).display().to_string())
}

fn rust_version() -> &'static str {
    env!("CARGO_PKG_RUST_VERSION")
}

fn minimum() -> Option<(u32, u32)> {
    major_minor(rust_version())
}

fn version(verbose: &str) -> Option<(u32, u32)> {
    major_minor(
        verbose
            .lines()
            .find_map(|line| line.strip_prefix("release: "))?,
    )
}

fn major_minor(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(
            version("rustc 1.96.0\nbinary: rustc\nrelease: 1.96.0-nightly\n"),
            Some((1, 96))
        );
        assert!(version("release: 1.63.0") < minimum());
        assert!(
            version("no such line") < minimum(),
            "an unknown version is too old"
        );
    }

    #[test]
    fn the_newest_linker_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_linker(folder.path()), None);
        for name in ["wasm-ld-9", "wasm-ld-19", "wasm-ldx", "ld"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(
            newest_linker(folder.path())
                .unwrap()
                .ends_with("/wasm-ld-19")
        );
        fs::write(folder.path().join("wasm-ld"), "").unwrap();
        assert!(newest_linker(folder.path()).unwrap().ends_with("/wasm-ld"));
    }
}
