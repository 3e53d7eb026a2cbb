//! Sources in Rust: a compiler that can make Wasm, and nothing else, makes a component of them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use weir_plugin_build::{TARGET, Toolchain, find, from_module, output_of, run};

use super::build::BuildError;

/// The plugin's name and its component.
pub fn build(folder: &Path) -> Result<(String, Vec<u8>), BuildError> {
    let toolchain = find(folder)?;
    let package = Package::read(folder, &toolchain)?;
    let mut cargo = cargo_in(folder, &toolchain);
    cargo.args(["build", "--release", "--target", TARGET, "--package"]);
    cargo.arg(&package.name).args(&toolchain.extra_args);
    run(&mut cargo)?;
    let file = package.module;
    let module = fs::read(&file).map_err(|source| BuildError::File {
        file: file.clone(),
        source,
    })?;
    let component =
        from_module(&module).map_err(|source| BuildError::Component { file, source })?;
    Ok((package.name, component))
}

fn cargo_in(folder: &Path, toolchain: &Toolchain) -> Command {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(folder);
    // Where an author wants the compiler's files is no choice of a compiler.
    const TARGET_DIR: &str = "CARGO_TARGET_DIR";
    cargo.envs(env::var_os(TARGET_DIR).map(|folder| (TARGET_DIR, folder)));
    cargo
}

struct Package {
    name: String,
    /// Where the compiler leaves the module.
    module: PathBuf,
}

impl Package {
    fn read(folder: &Path, toolchain: &Toolchain) -> Result<Self, BuildError> {
        let manifest = folder.join("Cargo.toml");
        let mut cargo = cargo_in(folder, toolchain);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let text = output_of(&mut cargo)?;
        let metadata: Value = serde_json::from_str(&text).unwrap_or_default();
        let unclear = || BuildError::Metadata {
            manifest: manifest.clone(),
        };
        let target = metadata["target_directory"].as_str().ok_or_else(unclear)?;
        let packages = metadata["packages"].as_array().ok_or_else(unclear)?;
        let here = fs::canonicalize(&manifest).map_err(|source| BuildError::File {
            file: manifest.clone(),
            source,
        })?;
        let is_here = |package: &&Value| {
            let path = package["manifest_path"].as_str().map(fs::canonicalize);
            matches!(path, Some(Ok(path)) if path == here)
        };
        let package = packages.iter().find(is_here).ok_or_else(unclear)?;
        let targets = package["targets"].as_array().ok_or_else(unclear)?;
        let makes_module = |target: &&Value| {
            let kinds = target["crate_types"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
        };
        let Some(library) = targets.iter().find(makes_module) else {
            return Err(BuildError::NoModule { manifest });
        };
        let library = library["name"].as_str().ok_or_else(unclear)?;
        Ok(Self {
            name: package["name"].as_str().ok_or_else(unclear)?.to_owned(),
            module: Path::new(target)
                .join(TARGET)
                .join("release")
                .join(format!("{}.wasm", library.replace('-', "_"))),
        })
    }
}
