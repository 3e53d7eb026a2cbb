//! Sources in C: bindings of the contract, made here, and clang with lld.

use std::path::Path;

use weir_plugin_build::{
    c::{CModule, compile, find_clang, write_bindings},
    from_module,
};

use super::{build::BuildError, kit};
use crate::config::project::PluginProject;

/// The folder of the bindings in a project's own.
pub const BINDINGS: &str = "bindings";
/// Where `weir plugin new` puts the SDK.
const SDK: &str = "vendor/weir-c";

/// The component of a project in `folder`. One with a `plugin.toml` of its own has the bindings for itself;
/// several that share a folder have a folder of bindings each.
pub fn build(
    folder: &Path,
    manifest: &Path,
    project: &PluginProject,
    source: &Path,
) -> Result<Vec<u8>, BuildError> {
    let mut bindings = folder.join(BINDINGS);
    if !manifest.ends_with("plugin.toml") {
        bindings.push(&project.name);
    }
    find_clang()?;
    write_bindings(kit::contract(), &project.roles, &project.imports, &bindings)?;
    let source = folder.join(source);
    let sdk = folder.join(project.sdk.as_deref().unwrap_or(Path::new(SDK)));
    if !sdk.join("weir.h").is_file() {
        return Err(BuildError::NoSdk {
            folder: sdk,
            file: "weir.h",
        });
    }
    let module = compile(&CModule {
        source: &source,
        sdk: &sdk,
        bindings: &bindings,
    })?;
    from_module(&module).map_err(|error| BuildError::Component {
        file: source,
        source: error,
    })
}
