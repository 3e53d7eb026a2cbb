//! Which crates are guests: those in the known folders whose library is a `cdylib`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// A crate that becomes a component.
#[derive(Debug, PartialEq, Eq)]
pub struct Guest {
    /// The component's file name and, for bundled plugins, its name in weir.toml.
    pub name: String,
    pub package: String,
    pub home: Home,
}

/// Where a guest was found says what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// `plugins/*`: shipped in the proxy.
    Plugins,
    /// `tests/guests`: only for the tests.
    Tests,
    /// `examples/*/plugin`, `examples/plugins/rust/*`: loaded from its file by the example's weir.toml.
    Examples,
}

impl Home {
    pub const ALL: [Self; 3] = [Self::Plugins, Self::Tests, Self::Examples];
}

impl Guest {
    /// The file that the compiler leaves.
    pub fn module_name(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }
}

/// All guests under `root`, in the order of their names within each home.
pub fn find(root: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for folder in folders_in(&root.join("plugins"))? {
        guests.extend(read(&folder, Home::Plugins)?);
    }
    guests.extend(read(&root.join("tests/guests"), Home::Tests)?);
    for folder in folders_in(&root.join("examples"))? {
        guests.extend(read(&folder.join("plugin"), Home::Examples)?);
    }
    for folder in folders_in(&root.join("examples/plugins/rust"))? {
        guests.extend(read(&folder, Home::Examples)?);
    }
    ensure!(
        !guests.is_empty(),
        "no guests under {}: is this the repository?",
        root.display()
    );
    Ok(guests)
}

fn folders_in(parent: &Path) -> Result<Vec<PathBuf>> {
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(parent).with_context(|| format!("cannot list {}", parent.display()))?;
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

/// None if the folder holds no crate, or one that guests share and that isn't one itself.
fn read(folder: &Path, home: Home) -> Result<Option<Guest>> {
    let file = folder.join("Cargo.toml");
    if !file.exists() {
        return Ok(None);
    }
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let manifest: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", file.display()))?;
    if !makes_module(&manifest) {
        return Ok(None);
    }
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str);
    let package = package.with_context(|| format!("{} names no package", file.display()))?;
    Ok(Some(Guest {
        name: package.to_owned(),
        package: package.to_owned(),
        home,
    }))
}

fn makes_module(manifest: &toml::Table) -> bool {
    let types = manifest
        .get("lib")
        .and_then(|lib| lib.get("crate-type"))
        .and_then(toml::Value::as_array);
    types.is_some_and(|types| types.iter().any(|kind| kind.as_str() == Some("cdylib")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_crate(root: &Path, folder: &str, manifest: &str) {
        fs::create_dir_all(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("Cargo.toml"), manifest).unwrap();
    }

    #[test]
    fn guests_are_the_cdylibs_of_the_known_folders() {
        let root = tempfile::tempdir().unwrap();
        let cdylib = |name| {
            format!("[package]\nname = \"{name}\"\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n")
        };
        write_crate(root.path(), "plugins/least-conn", &cdylib("least-conn"));
        write_crate(
            root.path(),
            "plugins/common",
            "[package]\nname = \"common\"\n",
        );
        write_crate(root.path(), "examples/own-plugin/plugin", &cdylib("shy"));
        write_crate(root.path(), "sdk", &cdylib("sdk"));
        fs::create_dir_all(root.path().join("examples/plain")).unwrap();

        let found: Vec<_> = find(root.path())
            .unwrap()
            .into_iter()
            .map(|g| (g.module_name(), g.home))
            .collect();
        let wanted = [
            ("least_conn.wasm".to_owned(), Home::Plugins),
            ("shy.wasm".to_owned(), Home::Examples),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_tree_without_guests_is_refused() {
        let root = tempfile::tempdir().unwrap();
        assert!(
            find(root.path())
                .unwrap_err()
                .to_string()
                .contains("no guests")
        );
    }
}
