//! Remembers what the guests were built from.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What may change a guest: its own sources, the SDK, the contract, the versions of what it depends
/// on and the profile it is built with.
const SOURCES: [&str; 7] = [
    "plugins",
    "tests/guests",
    "examples",
    "sdk",
    "wit",
    "Cargo.lock",
    "Cargo.toml",
];

/// One line each: `sources DIGEST`, then `NAME DIGEST` for the compiled module of each guest.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub sources: String,
    pub modules: BTreeMap<String, String>,
}

impl Stamp {
    /// A file that is missing or damaged is an empty stamp: everything gets built.
    pub fn read(file: &Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut modules: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Self {
            sources: modules.remove("sources").unwrap_or_default(),
            modules,
        }
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        let mut text = format!("sources {}\n", self.sources);
        for (name, digest) in &self.modules {
            writeln!(text, "{name} {digest}").expect("writing to a string works");
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// A digest of all sources under `root` and of the toolchain that is to build them.
pub fn digest_sources(root: &Path, toolchain: &str) -> Result<String> {
    digest_files(root, &SOURCES, toolchain)
}

/// A digest of these files and folders under `root`, with names and contents, and of `identity`.
pub fn digest_files(root: &Path, sources: &[impl AsRef<Path>], identity: &str) -> Result<String> {
    let mut files = Vec::new();
    for source in sources {
        collect(&root.join(source), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    hash.update(identity);
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(root).expect("sources lie under the root");
        hash.update(name.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hex(&hash.finalize()))
}

pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() && !is_left_by_tools(path) {
        for entry in
            fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?
        {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

fn is_left_by_tools(folder: &Path) -> bool {
    const NAMES: [&str; 3] = ["target", "node_modules", "__pycache__"];
    let name = folder.file_name();
    name.is_some_and(|name| NAMES.iter().any(|left| name == *left))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string works");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("plugins/a/src")).unwrap();
        fs::write(root.path().join("plugins/a/src/lib.rs"), "fn a() {}").unwrap();
        root
    }

    #[test]
    fn a_changed_source_file_name_or_toolchain_changes_the_digest() {
        let root = tree();
        let first = digest_sources(root.path(), "rustc 1").unwrap();
        assert_eq!(first, digest_sources(root.path(), "rustc 1").unwrap());
        assert_ne!(first, digest_sources(root.path(), "rustc 2").unwrap());

        fs::write(root.path().join("plugins/a/src/lib.rs"), "fn b() {}").unwrap();
        let second = digest_sources(root.path(), "rustc 1").unwrap();
        assert_ne!(first, second);
        fs::rename(
            root.path().join("plugins/a/src/lib.rs"),
            root.path().join("plugins/a/src/b.rs"),
        )
        .unwrap();
        assert_ne!(second, digest_sources(root.path(), "rustc 1").unwrap());
    }

    #[test]
    fn the_rest_of_the_tree_does_not_count() {
        let root = tree();
        let before = digest_sources(root.path(), "").unwrap();
        fs::create_dir_all(root.path().join("host/src")).unwrap();
        fs::write(root.path().join("host/src/lib.rs"), "").unwrap();
        assert_eq!(before, digest_sources(root.path(), "").unwrap());
    }

    #[test]
    fn what_was_written_is_read_again_and_no_file_is_an_empty_stamp() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("stamp");
        assert_eq!(Stamp::read(&file), Stamp::default());
        let stamp = Stamp {
            sources: "ab".into(),
            modules: [("rules".into(), "cd".into())].into(),
        };
        stamp.write(&file).unwrap();
        assert_eq!(Stamp::read(&file), stamp);
    }
}
