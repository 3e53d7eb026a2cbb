//! The example plugins in languages other than Rust, and the tests' own: tested in their language, built by its
//! own tools.
//!
//! A language whose tools are missing is left out with a word about what to install; the components of the
//! others land in `target/languages`. Sources are copied there first, so that what their tools leave
//! behind is not in the tree.

mod c;
mod javascript;
mod manifest;
mod python;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};

use self::manifest::Manifest;
use crate::{guests::stamp, process, workspace};

#[derive(clap::Args)]
pub struct Options {
    /// `javascript`, `python` or `c`; all if none is named
    languages: Vec<String>,
}

/// A language and what is done for it.
struct Language {
    name: &'static str,
    /// What is missing to build it here, in words that say what to install.
    missing: fn() -> Option<String>,
    /// Fetches the tools that are the language's own packages, into the copy or what is kept.
    fetch: fn(&Work) -> Result<()>,
    /// Tests the examples in their language and makes their components, in the copy.
    build: fn(&Work) -> Result<()>,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "javascript",
        missing: javascript::missing,
        fetch: javascript::fetch,
        build: javascript::build,
    },
    Language {
        name: "python",
        missing: python::missing,
        fetch: python::fetch,
        build: python::build,
    },
    Language {
        name: "c",
        missing: c::missing,
        fetch: |_| Ok(()),
        build: c::build,
    },
];

/// Where a language's examples are built.
pub struct Work {
    language: &'static str,
}

impl Work {
    /// The copy of the repository's part that examples need, laid out as it is there.
    fn copy(&self) -> PathBuf {
        folder().join("copy")
    }

    /// The copy of `examples/plugins/LANGUAGE`.
    pub fn examples(&self) -> PathBuf {
        self.copy().join("examples/plugins").join(self.language)
    }

    /// What is built: each plugin with the folder of its source.
    pub fn plugins(&self) -> Result<Vec<(PathBuf, Manifest)>> {
        let mut plugins = Vec::new();
        for folder in [self.examples(), self.tests()] {
            let found = manifest::all(&folder)?;
            plugins.extend(found.into_iter().map(|plugin| (folder.clone(), plugin)));
        }
        Ok(plugins)
    }

    /// The copy of `tests/sdk/LANGUAGE`, which not every language has.
    fn tests(&self) -> PathBuf {
        self.copy().join("tests/sdk").join(self.language)
    }

    /// The copy of `sdk/LANGUAGE`.
    pub fn sdk(&self) -> PathBuf {
        self.copy().join("sdk").join(self.language)
    }

    /// A folder for what is worth keeping between two runs.
    pub fn kept(&self, name: &str) -> PathBuf {
        folder().join("kept").join(name)
    }

    /// Where a finished component goes.
    pub fn component(&self, name: &str) -> PathBuf {
        folder().join(format!("{}-{name}.wasm", self.language))
    }
}

/// Builds the languages that were asked for; fails if the tools of one are missing.
pub fn run(options: &Options) -> Result<()> {
    for name in &options.languages {
        ensure!(
            LANGUAGES.iter().any(|language| language.name == name),
            "no language `{name}`; there are {}",
            LANGUAGES.map(|language| language.name).join(", ")
        );
    }
    let all = options.languages.is_empty();
    for language in &LANGUAGES {
        if !all && !options.languages.iter().any(|name| name == language.name) {
            continue;
        }
        if let Some(missing) = (language.missing)() {
            bail!("{}: {missing}", language.name);
        }
        make_current(language)?;
    }
    Ok(())
}

/// Builds what can be built here, and says what is left out and why.
pub fn build_what_can_be() -> Result<()> {
    for language in &LANGUAGES {
        if let Some(missing) = (language.missing)() {
            eprintln!("languages: {} is left out: {missing}", language.name);
            remove_components(language.name)?;
            continue;
        }
        match make_current(language) {
            Ok(()) => {}
            // A machine without a network is as good as one without the tools.
            Err(error) if error.is::<NotFetched>() => {
                eprintln!("languages: {} is left out: {error:#}", language.name);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The tools that are a language's own packages could not be had.
#[derive(Debug)]
struct NotFetched;

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its tools could not be fetched")
    }
}

/// Fetches, tests and builds, unless nothing has changed since that was last done.
fn make_current(language: &Language) -> Result<()> {
    let root = workspace::root();
    let sources = [
        format!("examples/plugins/{}", language.name),
        format!("sdk/{}", language.name),
        "wit".to_owned(),
        format!("tests/sdk/{}", language.name),
        "xtask/src/languages".to_owned(),
    ];
    let digest = stamp::digest_files(root, &sources, language.name)?;
    let stamp = folder().join(format!("{}.stamp", language.name));
    if fs::read_to_string(&stamp).is_ok_and(|last| last == digest) {
        return Ok(());
    }
    eprintln!("languages: building {}", language.name);
    let work = Work {
        language: language.name,
    };
    remove_components(language.name)?;
    for source in &sources[..4] {
        let copy = work.copy().join(source);
        if copy.exists() {
            fs::remove_dir_all(&copy)
                .with_context(|| format!("cannot remove {}", copy.display()))?;
        }
        if root.join(source).exists() {
            copy_folder(&root.join(source), &copy)?;
        }
    }
    (language.fetch)(&work).context(NotFetched)?;
    (language.build)(&work).with_context(|| format!("the examples in {}", language.name))?;
    fs::write(&stamp, digest).with_context(|| format!("cannot write {}", stamp.display()))
}

/// So that a test does not take an old component for that of the sources.
fn remove_components(language: &str) -> Result<()> {
    let prefix = format!("{language}-");
    for entry in fs::read_dir(folder()).into_iter().flatten() {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&prefix) || name == format!("{language}.stamp") {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    const NOT_SOURCES: [&str; 5] = ["node_modules", "__pycache__", "target", "bindings", ".venv"];
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if NOT_SOURCES.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::copy(&source, &target)
                .with_context(|| format!("cannot copy {}", source.display()))?;
        }
    }
    Ok(())
}

fn folder() -> PathBuf {
    workspace::root().join("target/languages")
}

/// Whether a program can be started; `version` is how it is asked for its own.
fn is_there(program: &str, version: &str) -> bool {
    let mut command = process::outside_cargo(program);
    command
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
