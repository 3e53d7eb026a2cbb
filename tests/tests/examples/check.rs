//! What holds for all examples.

use std::{
    fs,
    path::{Path, PathBuf},
};

use weir_tests::{TestNamespace, Weir, component, repository};

use crate::set_up::certificates_of;

fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("examples")).expect("there are examples");
    let paths = entries.map(|entry| entry.expect("the folder stays readable").path());
    // `plugins` has a folder per language, which `languages.rs` starts where they were built.
    paths
        .filter(|path| path.is_dir() && !path.ends_with("plugins"))
        .collect()
}

fn configs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("an example can be read");
    let paths = entries.map(|entry| entry.expect("the folder stays readable").path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect()
}

#[tokio::test]
async fn every_configuration_passes_weir_check_without_a_warning() {
    // Where the custom plugin lies, seen from its folder.
    let (built_at, built) = (
        "../../target/guests/examples/nearest-first.wasm",
        component("nearest-first"),
    );
    let namespace = TestNamespace::make();
    for folder in folders() {
        for file in configs_in(&folder) {
            let config = fs::read_to_string(&file).expect("an example can be read");
            let config = match &namespace {
                Some(namespace) => config.replace("my-new-namespace", namespace.name()),
                None if config.contains("my-new-namespace") => continue,
                None => config,
            };
            let config = config.replace(built_at, &built.display().to_string());
            let mut builder = Weir::builder().copy_of(&folder);
            for (name, content) in certificates_of(&folder).await {
                builder = builder.file(name, content);
            }
            let outcome = builder.check(&config).await;
            let said = format!("{}: {}{}", file.display(), outcome.stdout, outcome.stderr);
            assert!(outcome.status.success(), "{said}");
            assert!(!said.contains("warning"), "{said}");
        }
    }
}

#[test]
fn every_folder_has_a_configuration_and_a_page_that_shows_how_to_run_it() {
    for folder in folders() {
        assert!(folder.join("weir.toml").exists(), "{}", folder.display());
        let page = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(
            page.contains("weir run -c weir.toml"),
            "{}",
            folder.display()
        );
    }
}

#[test]
fn the_front_page_names_every_folder() {
    let page = fs::read_to_string(repository().join("examples/README.md")).unwrap_or_default();
    for folder in folders() {
        let name = folder.file_name().expect("a folder has a name");
        let link = format!("]({}/)", name.to_string_lossy());
        assert!(page.contains(&link), "no {link}");
    }
}
