//! What an operator is told about a wrong file, word for word: each `tests/golden/config/NAME.toml` at
//! the top of the repository against `NAME.err`. `BLESS=1 cargo test -p weir --test config_errors` writes the answers anew; read
//! the difference before committing it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder, relative to this package.
const FOLDER: &str = "../tests/golden/config";

/// What `weir check` says: the errors, or the warnings of a file that has none.
fn answer(file: &Path) -> String {
    let said = match weir::config::load(file) {
        Ok(config) => config.warnings.join("\n\n"),
        Err(errors) => errors.to_string(),
    };
    // Neither the machine's paths nor this test's folder belong into the files.
    let here = std::env::current_dir().unwrap();
    let said = said.replace(&format!("{}/", here.display()), "");
    format!("{}\n", said.replace(&format!("{FOLDER}/"), ""))
}

fn files_ending(ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    files.sort();
    files
}

#[test]
fn a_wrong_file_is_answered_word_for_word() {
    let bless = std::env::var_os("BLESS").is_some();
    let files = files_ending("toml");
    assert!(files.len() >= 40, "only {} files", files.len());
    let mut differing = Vec::new();
    for file in files {
        let expected_in = file.with_extension("err");
        let found = answer(&file);
        if bless {
            fs::write(&expected_in, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&expected_in).unwrap_or_default();
        if found != expected {
            differing.push(format!(
                "== {}\n-- expected\n{expected}\n-- found\n{found}",
                file.display()
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_answer_has_its_file_and_says_something() {
    for answer in files_ending("err") {
        assert!(
            answer.with_extension("toml").exists(),
            "{}",
            answer.display()
        );
        let text = fs::read_to_string(&answer).unwrap();
        assert!(text.trim().len() > 10, "{} is empty", answer.display());
    }
}

#[test]
fn every_error_names_its_place() {
    for file in files_ending("toml") {
        let Err(errors) = weir::config::load(&file) else {
            continue;
        };
        for error in errors.errors() {
            let whole = file.file_stem().is_some_and(|stem| stem == "not-utf8");
            assert!(
                error.place.is_some() || whole,
                "{}: {error}",
                file.display()
            );
        }
    }
}
