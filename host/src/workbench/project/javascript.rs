//! Sources in JavaScript or TypeScript: Node runs the SDK's build program, which bundles and componentizes.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use weir_plugin_build::{output_of, outside_cargo};

use super::{
    build::BuildError,
    fetch::{FetchError, told},
};
use crate::config::project::PluginProject;

/// Where npm puts the SDK that `weir plugin new` names in package.json.
const SDK: &str = "node_modules/weir-plugin";
const OLDEST_NODE: u32 = 20;

/// Leaves the component of a project in `folder` at `output`.
pub fn build(
    folder: &Path,
    project: &PluginProject,
    source: &Path,
    output: &Path,
) -> Result<(), BuildError> {
    check_node()?;
    let sdk = folder.join(project.sdk.as_deref().unwrap_or(Path::new(SDK)));
    let program = sdk.join("build.js");
    if !program.is_file() {
        npm_install(folder)?;
    }
    if !program.is_file() {
        return Err(BuildError::NoSdk {
            folder: sdk,
            file: "build.js",
        });
    }
    let mut node = in_folder("node", folder);
    node.arg(absolute(&program)).arg(source).arg("--quiet");
    for role in &project.roles {
        node.args(["--role", role]);
    }
    for import in &project.imports {
        node.args(["--import", import]);
    }
    node.arg("--output").arg(output);
    Ok(told(&mut node)?)
}

/// Relative names would be taken from the project's folder, where the program runs.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn in_folder(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = outside_cargo(program);
    command.current_dir(folder);
    command
}

fn check_node() -> Result<(), BuildError> {
    let missing = |found| BuildError::NoNode {
        found,
        wanted: OLDEST_NODE,
    };
    let version = output_of(outside_cargo("node").arg("--version"))
        .map_err(|_| missing("there is no `node` here".to_owned()))?;
    if major(&version).is_none_or(|major| major < OLDEST_NODE) {
        return Err(missing(format!("this one is {version}")));
    }
    Ok(())
}

/// `v20.11.1` → 20
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Fetches what package.json names; what is in npm's cache is taken from there.
fn npm_install(folder: &Path) -> Result<(), FetchError> {
    let mut npm = in_folder("npm", folder);
    npm.args(["install", "--no-audit", "--no-fund", "--prefer-offline"]);
    told(&mut npm).map_err(|source| FetchError {
        what: "the packages that package.json names",
        instead: "run `npm install` in the project's folder",
        source,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(super::major("v20.11.1"), Some(20));
        assert_eq!(super::major("20"), None);
    }
}
