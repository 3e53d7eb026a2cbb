//! `weir plugin new`: a folder that builds, tests and runs at once.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::kit;

/// What a new plugin is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Judges requests.
    Filter,
    /// Picks servers.
    Balancer,
    /// Remembers which server a client had.
    Persistence,
}

/// What a new plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
}

/// A plugin to be begun.
#[derive(Debug, Clone)]
pub struct Project<'a> {
    /// Where its folder is to be made.
    pub parent: &'a Path,
    /// Its own name, and its folder's.
    pub name: &'a str,
    pub kind: Kind,
    pub language: Language,
}

/// Why there is no new plugin.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error(
        "`{found}` can't be a plugin's name: it begins with a letter, then come small letters, digits and \
         single `-`, such as `gold-first`; at most 64 of them"
    )]
    BadName { found: String },
    #[error("{} is already there", folder.display())]
    Exists { folder: PathBuf },
    #[error("{} can't be written", file.display())]
    Unwritable { file: PathBuf, source: io::Error },
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Balancer => "balancer",
            Self::Persistence => "persistence",
        }
    }

    /// What the template's plugin does, in a sentence.
    fn summary(self) -> &'static str {
        match self {
            Self::Filter => "Sends each client to the backend that its tier has",
            Self::Balancer => "Picks the server with the fewest exchanges",
            Self::Persistence => "Binds a client to its server with a cookie",
        }
    }
}

impl Language {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes the folder with all its files, and hands back where it is.
///
/// A folder that is there already is left as it is. One whose files could not all be written stays
/// behind, and the error says which file it was.
pub fn create(project: &Project<'_>) -> Result<PathBuf, NewError> {
    check_name(project.name)?;
    let folder = project.parent.join(project.name);
    if folder.exists() {
        return Err(NewError::Exists { folder });
    }
    for (name, text) in files(project) {
        let file = folder.join(name);
        write(&file, &text).map_err(|source| NewError::Unwritable { file, source })?;
    }
    Ok(folder)
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)
}

fn check_name(name: &str) -> Result<(), NewError> {
    let sound = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if sound {
        return Ok(());
    }
    Err(NewError::BadName {
        found: name.to_owned(),
    })
}

/// Names, relative to the project's folder, and texts.
fn files(project: &Project<'_>) -> Vec<(String, String)> {
    let mut files = Vec::new();
    match project.language {
        Language::Rust => {
            files.extend(owned("vendor/", kit::below("vendor/")));
            files.extend(owned(
                "",
                kit::below("Cargo.lock").map(|(_, text)| ("Cargo.lock", text)),
            ));
            files.extend(filled(project, kit::below("templates/rust/common/")));
            files.extend(filled(
                project,
                match project.kind {
                    Kind::Filter => kit::below("templates/rust/filter/"),
                    Kind::Balancer => kit::below("templates/rust/balancer/"),
                    Kind::Persistence => kit::below("templates/rust/persistence/"),
                },
            ));
        }
    }
    files
}

type File = (&'static str, &'static str);

fn owned(folder: &str, files: impl Iterator<Item = File>) -> Vec<(String, String)> {
    let files = files.map(|(name, text)| (format!("{folder}{name}"), text.to_owned()));
    files.collect()
}

/// Templates with their placeholders filled in.
fn filled(project: &Project<'_>, files: impl Iterator<Item = File>) -> Vec<(String, String)> {
    let fill = |text: &str| {
        text.replace("@name@", project.name)
            .replace("@Type@", &type_name(project.name))
            .replace("@kind@", project.kind.as_str())
            .replace("@summary@", project.kind.summary())
    };
    let named = |name: &str| match name {
        // A file of that name would be obeyed in the repository, too.
        "gitignore" => ".gitignore".to_owned(),
        _ => name.to_owned(),
    };
    files
        .map(|(name, text)| (named(name), fill(text)))
        .collect()
}

/// `gold-first` → `GoldFirst`
fn type_name(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    let name: String = words.collect();
    // Names that are taken by what the templates import.
    match name.as_str() {
        "Balancer" | "Config" | "ConfigError" | "Decision" | "Found" | "Handle" | "Needs"
        | "OnAssigned" | "OnLookup" | "OnRequest" | "Persistence" | "Pick" | "Plugin"
        | "RequestEdits" | "RequestFilter" | "ResponseEdits" | "Self" | "Server" | "Values"
        | "BackendRef" | "Deserialize" | "JsonSchema" | "Option" | "Result" | "String" | "Vec"
        | "Some" | "None" | "Ok" | "Err" => format!("My{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &'static str, kind: Kind) -> Project<'static> {
        Project {
            parent: Path::new("."),
            name,
            kind,
            language: Language::Rust,
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        for kind in [Kind::Filter, Kind::Balancer, Kind::Persistence] {
            let files = files(&project("gold-first", kind));
            let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            for wanted in [
                "Cargo.toml",
                "Cargo.lock",
                "src/lib.rs",
                "cases.toml",
                "weir.toml",
                ".gitignore",
            ] {
                assert!(names.contains(&wanted), "{kind} has no {wanted}");
            }
            for (name, text) in files
                .iter()
                .filter(|(name, _)| !name.starts_with("vendor/"))
            {
                for placeholder in ["@name@", "@Type@", "@kind@", "@summary@"] {
                    assert!(
                        !text.contains(placeholder),
                        "{name} of {kind}: {placeholder}"
                    );
                }
            }
        }
    }

    #[test]
    fn names_that_no_crate_or_folder_can_have_are_refused() {
        for name in [
            "", "Gold", "1st", "-a", "a-", "a--b", "a/b", "..", "a b", "ä",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["a", "gold-first", "v2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_type_is_called_as_the_plugin_is() {
        assert_eq!(type_name("gold-first"), "GoldFirst");
        assert_eq!(type_name("v2"), "V2");
        assert_eq!(type_name("balancer"), "MyBalancer");
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("mine")).unwrap();
        let project = Project {
            parent: parent.path(),
            ..project("mine", Kind::Filter)
        };
        assert!(matches!(create(&project), Err(NewError::Exists { .. })));
        assert_eq!(fs::read_dir(parent.path().join("mine")).unwrap().count(), 0);
    }
}
