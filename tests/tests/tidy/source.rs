//! The repository's own files, as text.

use std::{fs, path::Path};

use weir_tests::repository;

const NOT_OURS: [&str; 5] = ["target", ".git", "__pycache__", "corpus", "artifacts"];

pub struct Source {
    /// Relative to the repository, with `/`.
    pub name: String,
    pub text: String,
}

impl Source {
    /// The text without `//` comments, line for line.
    pub fn code_lines(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default())
    }

    /// Number of the first line whose code has the library's name at the start of a path.
    pub fn first_line_naming(&self, library: &str) -> Option<usize> {
        let path = format!("{library}::");
        let named = |line: &str| {
            line.match_indices(&path).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
            })
        };
        self.code_lines().position(named).map(|index| index + 1)
    }
}

/// All Rust files below a folder of the repository; `""` is the whole of it.
pub fn sources(below: &str) -> Vec<Source> {
    files(below, &["rs"])
}

/// All files below a folder whose name ends in one of these, after a dot or as the whole name.
pub fn files(below: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&repository().join(below), endings, &mut found);
    assert!(!found.is_empty(), "no {endings:?} below `{below}`");
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("the folder stays readable").path();
        let name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            collect(&path, endings, found);
        } else if path.is_file() && endings.contains(&name.rsplit('.').next().unwrap_or_default()) {
            let bytes =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            // Some test data is broken on purpose.
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let name = path
                .strip_prefix(repository())
                .expect("it lies below")
                .to_string_lossy()
                .into_owned();
            found.push(Source { name, text });
        }
    }
}
