//! Making machine code, and keeping it.

use std::{fs, path::Path};

use weir_wat_guests::{Guest, Kind};

use super::*;

fn runtime(code_cache: Option<&Path>, compile_deadline: Duration) -> Arc<Runtime> {
    let options = RuntimeOptions {
        code_cache: code_cache.map(Path::to_owned),
        max_instances: 10,
        compile_deadline,
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

fn files_with_code(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.join("code")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).unwrap().len() > 1_000 {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_compiler_that_takes_too_long_is_an_error_and_not_a_wait() {
    let fault = used(&Guest::new(Kind::Balancer), Place::Balancer)
        .load_in(&runtime(None, Duration::ZERO))
        .map(drop)
        .unwrap_err();
    assert!(matches!(fault, LoadFault::CompileTime { .. }), "{fault}");
}

#[test]
fn kept_code_is_used_again_and_made_anew_when_a_byte_of_it_was_altered() {
    let folder = tempfile::tempdir().unwrap();
    let used = used(&Guest::new(Kind::RequestFilter), Place::Filter);
    let load = || {
        let plugin = used
            .load_in(&runtime(Some(folder.path()), PATIENT))
            .unwrap();
        plugin.instantiate().unwrap().on_request(&[]).unwrap();
    };
    load();
    let [file] = &files_with_code(folder.path())[..] else {
        panic!("one file of code");
    };
    let written = (
        fs::read(file).unwrap(),
        fs::metadata(file).unwrap().modified().unwrap(),
    );

    load();
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(modified, written.1, "it was taken from there");

    let mut altered = written.0.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(file, &altered).unwrap();
    load();
    assert_ne!(fs::read(file).unwrap(), altered);
}
