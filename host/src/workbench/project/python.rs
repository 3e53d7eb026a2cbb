//! Sources in Python: the SDK's build program, run by a Python that has componentize-py.

use std::{
    env, fs,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use weir_plugin_build::{output_of, outside_cargo};

use super::{
    build::BuildError,
    fetch::{FetchError, told},
};
use crate::{config::project::PluginProject, plugin::user_code_cache};

/// What pip is asked for.
pub const TOOL: &str = "componentize-py==0.25.1";
const PROGRAM: &str = "componentize-py";

/// Leaves the component of a project in `folder` at `output`.
pub fn build(
    folder: &Path,
    project: &PluginProject,
    (source, class): (&Path, &str),
    output: &Path,
) -> Result<(), BuildError> {
    let sdk = project.sdk.as_deref().map(|sdk| folder.join(sdk));
    let sdk = sdk.unwrap_or_else(|| folder.to_owned());
    if !sdk.join("weir_plugin/build.py").is_file() {
        return Err(BuildError::NoSdk {
            folder: sdk,
            file: "weir_plugin/build.py",
        });
    }
    let mut python = with_tool(folder)?;
    python.current_dir(folder);
    python.env("PYTHONPATH", absolute(&sdk));
    // Nothing is to be left in the project but the component.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.args(["-m", "weir_plugin.build", "--quiet"]);
    python.arg(format!("{}:{class}", source.display()));
    for role in &project.roles {
        python.args(["--role", role]);
    }
    for import in &project.imports {
        python.args(["--import", import]);
    }
    python.arg("--output").arg(output);
    Ok(told(&mut python)?)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A Python with componentize-py: that of the project's environment, the one on the path, or one that Weir
/// keeps for this, made if need be.
fn with_tool(folder: &Path) -> Result<Command, BuildError> {
    let own = absolute(&folder.join(".venv/bin"));
    if own.join(PROGRAM).exists() {
        return Ok(outside_cargo(own.join("python")));
    }
    let version = output_of(outside_cargo("python3").args(["-c", ASK_VERSION]));
    let version = version.map_err(|_| BuildError::NoPython {
        found: "there is no `python3` here".to_owned(),
    })?;
    if !is_recent(&version) {
        return Err(BuildError::NoPython {
            found: format!("this one is {version}"),
        });
    }
    if on_path(PROGRAM) {
        return Ok(outside_cargo("python3"));
    }
    let kept = kept(folder);
    make(&kept)?;
    Ok(outside_cargo(kept.join("bin/python")))
}

const ASK_VERSION: &str = "import platform; print(platform.python_version())";

/// `3.10.12` and later
fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (3, 10)
}

fn on_path(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// In the user's cache, one for all projects; without such a folder the project's own environment.
fn kept(folder: &Path) -> PathBuf {
    match user_code_cache() {
        Some(cache) => cache.join("tools").join(TOOL.replace("==", "-")),
        None => absolute(&folder.join(".venv")),
    }
}

/// Makes an environment with componentize-py, unless it is there. Several builds may want it at once.
fn make(environment: &Path) -> Result<(), BuildError> {
    let failed = |source: io::Error| BuildError::File {
        file: environment.to_owned(),
        source,
    };
    fs::create_dir_all(environment).map_err(failed)?;
    let lock = File::create(environment.join(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if environment.join("bin").join(PROGRAM).exists() {
        return Ok(());
    }
    let fetched = |source| FetchError {
        what: TOOL,
        instead: "install it into `.venv` of the project's folder",
        source,
    };
    let mut venv = outside_cargo("python3");
    venv.args(["-m", "venv"]).arg(environment);
    told(&mut venv).map_err(fetched)?;
    let mut pip = outside_cargo(environment.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        TOOL,
    ]);
    told(&mut pip).map_err(fetched)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn python_is_new_enough_from_3_10_on() {
        for version in ["3.10.0", "3.11.7", "4.0"] {
            assert!(super::is_recent(version), "{version}");
        }
        for version in ["3.9.2", "2.7.18", ""] {
            assert!(!super::is_recent(version), "{version}");
        }
    }
}
