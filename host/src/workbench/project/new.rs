//! `weir plugin new`: a folder that builds, tests and runs at once.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use weir_plugin_build::c::{CError, write_bindings};

use super::{c, kit};

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
    /// JavaScript; TypeScript works the same.
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    Python,
    C,
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
    #[error(transparent)]
    Bindings(#[from] CError),
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Balancer => "balancer",
            Self::Persistence => "persistence",
        }
    }

    /// The interface that the template's plugin exports.
    fn role(self) -> &'static str {
        match self {
            Self::Filter => "request-filter",
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
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        }
    }

    /// How the tests of a new project are run in its folder.
    pub fn test_command(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::JavaScript => "npm install && npm test",
            Self::Python => "python3 -m unittest",
            Self::C => "make test",
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
    if project.language == Language::C {
        // So that an editor finds them before the first build.
        let bindings = folder.join(c::BINDINGS);
        write_bindings(kit::contract(), &[project.kind.role()], &[], &bindings)?;
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
            let lock = kit::below("Cargo.lock").map(|(_, text)| ("Cargo.lock", text));
            files.extend(owned("", lock));
        }
        Language::JavaScript => {
            files.extend(owned("vendor/weir-plugin/", kit::below("sdk/javascript/")));
            files.push(contract_in("vendor/weir-plugin/wit"));
        }
        Language::Python => {
            files.extend(owned("weir_plugin/", kit::below("sdk/python/weir_plugin/")));
            files.push(contract_in("weir_plugin/wit"));
        }
        // Its bindings say all that the contract does.
        Language::C => files.extend(owned("vendor/weir-c/", kit::below("sdk/c/"))),
    }
    let (common, of_kind) = templates(project.language, project.kind);
    for folder in [common, of_kind, project.kind.any_language()] {
        files.extend(filled(project, kit::below(folder)));
    }
    files
}

impl Kind {
    /// The templates' folder with what is the same in every language: the same plugin is tried and run alike.
    fn any_language(self) -> &'static str {
        match self {
            Self::Filter => "templates/any/filter/",
            Self::Balancer => "templates/any/balancer/",
            Self::Persistence => "templates/any/persistence/",
        }
    }
}

/// The folders of the templates of a language: for all kinds, and for one.
fn templates(language: Language, kind: Kind) -> (&'static str, &'static str) {
    macro_rules! of {
        ($language:literal) => {
            (
                concat!("templates/", $language, "/common/"),
                match kind {
                    Kind::Filter => concat!("templates/", $language, "/filter/"),
                    Kind::Balancer => concat!("templates/", $language, "/balancer/"),
                    Kind::Persistence => concat!("templates/", $language, "/persistence/"),
                },
            )
        };
    }
    match language {
        Language::Rust => of!("rust"),
        Language::JavaScript => of!("javascript"),
        Language::Python => of!("python"),
        Language::C => of!("c"),
    }
}

fn contract_in(folder: &str) -> (String, String) {
    let name = format!("{folder}/weir-plugin.wit");
    (name, kit::contract().to_owned())
}

type File = (&'static str, &'static str);

fn owned(folder: &str, files: impl Iterator<Item = File>) -> Vec<(String, String)> {
    let files = files.map(|(name, text)| (format!("{folder}{name}"), text.to_owned()));
    files.collect()
}

/// Templates with their placeholders filled in.
fn filled(project: &Project<'_>, files: impl Iterator<Item = File>) -> Vec<(String, String)> {
    // What the engines of these languages need beside what the decision does.
    let (memory, memory_line) = match project.language {
        Language::Rust | Language::C => ("", ""),
        Language::JavaScript | Language::Python => (" memory = \"64MiB\",", "\nmemory = \"64MiB\""),
    };
    let fill = |text: &str| {
        text.replace("@name@", project.name)
            .replace("@Type@", &type_name(project.name))
            .replace("@kind@", project.kind.as_str())
            .replace("@memory@", memory)
            .replace("@memory_line@", memory_line)
            .replace("@summary@", project.kind.summary())
    };
    let named = |name: &str| match name {
        // Files of these names would be obeyed in the repository, too.
        "gitignore" => ".gitignore".to_owned(),
        "npmrc" => ".npmrc".to_owned(),
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
        | "Some" | "None" | "Ok" | "Err" | "True" | "False" | "Loaded" => format!("My{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::project as manifest;

    const LANGUAGES: [Language; 4] = [
        Language::Rust,
        Language::JavaScript,
        Language::Python,
        Language::C,
    ];

    fn project(name: &'static str, kind: Kind, language: Language) -> Project<'static> {
        Project {
            parent: Path::new("."),
            name,
            kind,
            language,
        }
    }

    /// What a project of each language has beside what all have.
    fn own_files(language: Language) -> &'static [&'static str] {
        match language {
            Language::Rust => &[
                "Cargo.toml",
                "Cargo.lock",
                "src/lib.rs",
                "vendor/weir-sdk/src/lib.rs",
            ],
            Language::JavaScript => &[
                "package.json",
                ".npmrc",
                "plugin.js",
                "plugin.test.js",
                "plugin.toml",
                "vendor/weir-plugin/build.js",
                "vendor/weir-plugin/wit/weir-plugin.wit",
            ],
            Language::Python => &[
                "plugin.py",
                "test_plugin.py",
                "plugin.toml",
                "weir_plugin/build.py",
                "weir_plugin/wit/weir-plugin.wit",
            ],
            Language::C => &[
                "Makefile",
                "plugin.c",
                "tests/plugin.c",
                "plugin.toml",
                "vendor/weir-c/weir.c",
                "vendor/weir-c/include/stdlib.h",
            ],
        }
    }

    #[test]
    fn every_placeholder_is_filled() {
        for language in LANGUAGES {
            for kind in [Kind::Filter, Kind::Balancer, Kind::Persistence] {
                let files = files(&project("gold-first", kind, language));
                let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
                for wanted in ["README.md", "cases.toml", "weir.toml", ".gitignore"]
                    .iter()
                    .chain(own_files(language))
                {
                    assert!(
                        names.contains(wanted),
                        "a {kind} in {} has no {wanted}",
                        language.as_str()
                    );
                }
                for (name, text) in &files {
                    let placeholder = ["name", "Type", "kind", "summary", "memory", "memory_line"]
                        .map(|word| format!("@{word}@"))
                        .into_iter()
                        .find(|placeholder| text.contains(placeholder));
                    assert_eq!(placeholder, None, "{name} of {kind}");
                }
            }
        }
    }

    #[test]
    fn what_an_sdk_has_for_its_own_tests_stays_at_home() {
        for language in [Language::JavaScript, Language::Python, Language::C] {
            for (name, _) in files(&project("mine", Kind::Filter, language)) {
                let foreign = [
                    "sdk.test.js",
                    "test_sdk.py",
                    "tests/json.c",
                    "node_modules/",
                ];
                assert!(!foreign.iter().any(|end| name.contains(end)), "{name}");
            }
        }
    }

    #[test]
    fn what_a_new_project_says_of_itself_can_be_read() {
        for language in [Language::JavaScript, Language::Python, Language::C] {
            for kind in [Kind::Filter, Kind::Balancer, Kind::Persistence] {
                let files = files(&project("gold-first", kind, language));
                let (_, text) = files
                    .iter()
                    .find(|(name, _)| name == "plugin.toml")
                    .unwrap();
                let read = manifest::parse(Path::new("plugin.toml"), text).unwrap();
                assert_eq!(read.name, "gold-first");
                assert_eq!(read.roles, [kind.role()]);
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
            ..project("mine", Kind::Filter, Language::Rust)
        };
        assert!(matches!(create(&project), Err(NewError::Exists { .. })));
        assert_eq!(fs::read_dir(parent.path().join("mine")).unwrap().count(), 0);
    }
}
