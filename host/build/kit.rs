//! What `weir plugin new` unpacks: the SDK and the contract as they are here, made to stand alone, and the
//! templates of projects. Written as a table of names and texts for `workbench::project`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write,
    fs, io,
    path::Path,
};

/// The table. Tells cargo what it was made from.
pub fn table(repository: &Path) -> io::Result<String> {
    let mut files = BTreeMap::new();
    collect(repository, "sdk/src", "vendor/weir-sdk/src", &mut files)?;
    collect(repository, "wit/v0.1", "vendor/wit/v0.1", &mut files)?;
    for folder in ["sdk/javascript", "sdk/python/weir_plugin", "sdk/c"] {
        collect(repository, folder, folder, &mut files)?;
    }
    collect(repository, "sdk/templates", "templates", &mut files)?;
    let read = |name: &str| {
        println!(
            "cargo::rerun-if-changed={}",
            repository.join(name).display()
        );
        fs::read_to_string(repository.join(name))
    };
    let manifest = alone(&read("sdk/Cargo.toml")?, &read("Cargo.toml")?);
    files.insert("vendor/weir-sdk/Cargo.toml".to_owned(), manifest);
    let lock = reachable_from("weir-sdk", &read("Cargo.lock")?);
    files.insert("Cargo.lock".to_owned(), lock);

    let mut table = String::from("static KIT: &[(&str, &str)] = &[\n");
    for (name, text) in files {
        writeln!(table, "    ({name:?}, {text:?}),").expect("a String takes all");
    }
    table.push_str("];\n");
    Ok(table)
}

/// What an SDK has for itself, and what its language's tools leave beside it.
const LEFT_OUT: [&str; 5] = [
    "test",
    "tests",
    "node_modules",
    "__pycache__",
    "package-lock.json",
];

/// All files below `repository/from`, named as if they lay in `to`.
fn collect(
    repository: &Path,
    from: &str,
    to: &str,
    files: &mut BTreeMap<String, String>,
) -> io::Result<()> {
    let folder = repository.join(from);
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A crate's `src/test` is part of it; the templates' tests are what makes them good to begin with.
        let is_sdk = from.starts_with("sdk/")
            && !from.starts_with("sdk/src")
            && !from.starts_with("sdk/templates");
        if is_sdk && LEFT_OUT.contains(&name.as_ref()) {
            continue;
        }
        let (from, to) = (format!("{from}/{name}"), format!("{to}/{name}"));
        if entry.file_type()?.is_dir() {
            collect(repository, &from, &to, files)?;
        } else {
            files.insert(to, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// A manifest with what it takes from its workspace written out. How its own code is looked at is the workspace's
/// business, and left out.
fn alone(manifest: &str, workspace: &str) -> String {
    let mut section = "";
    let mut alone = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        if section == "lints" {
            continue;
        }
        let inherited = line
            .split_once(".workspace = true")
            .filter(|(key, rest)| !key.contains(['.', ' ']) && rest.is_empty());
        match inherited {
            Some((key, _)) => {
                alone.push_str(definition(
                    workspace,
                    &format!("[workspace.{section}]"),
                    key,
                ));
            }
            None => alone.push_str(line),
        }
        alone.push('\n');
    }
    alone
}

/// The line that gives `key` in a section.
fn definition<'a>(workspace: &'a str, section: &str, key: &str) -> &'a str {
    let lines = workspace
        .lines()
        .skip_while(|line| *line != section)
        .skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    let of_key = |line: &&str| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(" = "))
    };
    lines
        .find(of_key)
        .unwrap_or_else(|| panic!("{section} of the workspace has no line for `{key}`"))
}

/// A lock file with a package and all that it needs, so that a new project gets the very versions that the
/// SDK was tested with, from cargo's cache if they are there.
fn reachable_from(package: &str, lock: &str) -> String {
    let (head, packages) = lock
        .split_once("[[package]]\n")
        .expect("a lock file has packages");
    let packages: Vec<&str> = packages.split("[[package]]\n").collect();
    let mut wanted = BTreeSet::new();
    let mut next = VecDeque::from([package.to_owned()]);
    while let Some(want) = next.pop_front() {
        let mut words = want.split(' ');
        let (name, version) = (words.next(), words.next());
        let found = packages.iter().enumerate().filter(|(_, text)| {
            quoted(text, "name = ") == name
                && version.is_none_or(|version| quoted(text, "version = ") == Some(version))
        });
        for (index, text) in found {
            if wanted.insert(index) {
                let dependencies = text.lines().filter_map(|line| line.strip_prefix(" \""));
                next.extend(dependencies.map(|line| line.trim_end_matches("\",").to_owned()));
            }
        }
    }
    let kept = wanted.iter().map(|&index| packages[index]);
    kept.fold(head.to_owned(), |lock, text| {
        format!("{lock}[[package]]\n{}\n\n", text.trim_end())
    })
}

/// The text in quotes on the line that begins with `key`.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim_matches('"'))
}
