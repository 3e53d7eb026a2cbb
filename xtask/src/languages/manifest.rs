//! What the example plugins say of themselves: files in the form of `plugin.toml`, which the proxy's own
//! command builds too. Checking them thoroughly is that command's work.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// What a plugin's component is made of.
pub struct Manifest {
    pub name: String,
    pub source: String,
    /// In Python.
    pub class: Option<String>,
    pub roles: Vec<String>,
    pub imports: Vec<String>,
}

/// Those in `folder`, in the order of their files' names; none if there is no such folder.
pub fn all(folder: &Path) -> Result<Vec<Manifest>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<_> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let is_toml = file
            .extension()
            .is_some_and(|extension| extension == "toml");
        if is_toml && let Some(manifest) = read(&file)? {
            found.push(manifest);
        }
    }
    Ok(found)
}

/// None if the file is of another kind, such as a weir.toml.
fn read(file: &Path) -> Result<Option<Manifest>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let table: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", file.display()))?;
    let text = |key: &str| table.get(key)?.as_str().map(str::to_owned);
    let texts = |key: &str| {
        let list = table.get(key).and_then(toml::Value::as_array);
        let texts = list.into_iter().flatten().filter_map(toml::Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let Some(source) = text("source") else {
        return Ok(None);
    };
    Ok(Some(Manifest {
        name: text("name").with_context(|| format!("{} has no name", file.display()))?,
        source,
        class: text("class"),
        roles: texts("roles"),
        imports: texts("imports"),
    }))
}

impl Manifest {
    /// Roles and imports as the SDKs' build programs take them.
    pub fn options(&self) -> Vec<String> {
        let roles = self.roles.iter().map(|role| format!("--role={role}"));
        let imports = self.imports.iter().map(|name| format!("--import={name}"));
        roles.chain(imports).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("weir.toml", "[[frontend]]\nname = \"web\"\n");
        assert!(all(folder.path()).unwrap().is_empty());
        write(
            "a.toml",
            "name = \"a\"\nsource = \"a.py\"\nclass = \"A\"\nroles = [\"balancer\"]\nimports = [\"clock\"]\n",
        );
        let [a] = &all(folder.path()).unwrap()[..] else {
            panic!("there is one");
        };
        assert_eq!(a.class.as_deref(), Some("A"));
        assert_eq!(a.options(), ["--role=balancer", "--import=clock"]);
    }
}
