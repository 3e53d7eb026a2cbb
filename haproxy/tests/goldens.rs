//! Every haproxy.cfg under `configs` and what becomes of it: a weir.toml beside it, and a table of all
//! that is different; or why it is refused. `WEIR_BLESS=1` writes them anew; then read the difference.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use weir_haproxy::{Fate, Remarks, Surroundings, import};

/// No variables, and the files of `configs/files` by their last names.
struct Shelf;

impl Surroundings for Shelf {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let name = path.file_name().ok_or(io::ErrorKind::NotFound)?;
        fs::read_to_string(folder().join("files").join(name))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/configs")
}

fn configs(under: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder().join(under)).expect("the folder is there");
    let files = entries.map(|entry| entry.expect("it stays readable").path());
    let mut configs: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|ending| ending == "cfg"))
        .collect();
    configs.sort();
    configs
}

/// What the golden files hold, by their endings.
fn outcome(config: &Path) -> Vec<(&'static str, String)> {
    let text = fs::read(config).expect("a config can be read");
    let name = config.file_name().expect("it has a name").to_string_lossy();
    match import(&name, &text, &Shelf) {
        Ok(import) => {
            let remarks = format!("{}\n", import.remarks);
            vec![("toml", import.weir), ("remarks", remarks)]
        }
        Err(problems) => vec![("err", format!("{problems}\n"))],
    }
}

fn compare(under: &str) {
    let bless = std::env::var_os("WEIR_BLESS").is_some();
    let mut wrong = Vec::new();
    for config in configs(under) {
        let outcome = outcome(&config);
        for ending in ["toml", "remarks", "err"] {
            let golden = config.with_extension(ending);
            let text = outcome.iter().find(|(known, _)| *known == ending);
            match (text, bless) {
                (Some((_, text)), true) => {
                    fs::write(&golden, text).expect("goldens can be written")
                }
                (None, true) => {
                    let _ = fs::remove_file(&golden);
                }
                (Some((_, text)), false) => {
                    let known = fs::read_to_string(&golden).unwrap_or_default();
                    if known != *text {
                        wrong.push(format!("{}:\n{text}", golden.display()));
                    }
                }
                (None, false) if golden.exists() => {
                    wrong.push(format!("{} should be gone", golden.display()));
                }
                (None, false) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn real_configs_become_what_their_golden_files_hold() {
    compare("shared");
}

#[test]
fn real_configs_as_they_are_printed_are_taken_or_refused_as_by_haproxy() {
    compare("verbatim");
}

#[test]
fn configs_of_the_common_kinds_become_what_their_golden_files_hold() {
    assert!(configs("common").len() >= 30);
    compare("common");
}

#[test]
fn every_directive_has_exactly_one_fate() {
    for config in ["shared", "verbatim", "common"]
        .into_iter()
        .flat_map(configs)
    {
        let text = fs::read_to_string(&config).expect("a config can be read");
        let Ok(import) = import("test", text.as_bytes(), &Shelf) else {
            continue;
        };
        let is_directive = |line: &&str| {
            let line = line.trim_start();
            let section = [
                "global",
                "defaults",
                "frontend",
                "backend",
                "listen",
                "userlist",
                "resolvers",
                "cache",
                "peers",
                "http-errors",
            ];
            let first = line.split_whitespace().next().unwrap_or_default();
            !(first.is_empty() || first.starts_with(['#', '.']) || section.contains(&first))
        };
        let skipped = text.contains(".if");
        for (number, line) in (1..).zip(text.lines()) {
            let has_fate = import.remarks.has(number);
            let wanted = is_directive(&line) && !skipped;
            assert!(has_fate || !wanted, "{}:{number}: {line}", config.display());
        }
    }
}

#[test]
fn remarks_say_why() {
    for config in ["shared", "common"].into_iter().flat_map(configs) {
        let text = fs::read(&config).expect("a config can be read");
        let Ok(import) = import("test", &text, &Shelf) else {
            continue;
        };
        for remark in import.remarks.different() {
            let why = match &remark.fate {
                Fate::Same => "",
                Fate::Nearly(why) | Fate::Dropped(why) => why.as_str(),
            };
            assert!(
                why.len() > 5,
                "{}: {}",
                config.display(),
                Remarks::table(std::iter::once(remark))
            );
        }
    }
}
