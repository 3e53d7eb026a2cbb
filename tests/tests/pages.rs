//! What the pages show is what the proxy takes.

use std::fs;

use weir_tests::{Weir, repository};

#[tokio::test]
async fn every_whole_configuration_on_the_pages_is_accepted() {
    for page in [
        "README.md",
        "packaging/compose/weir.toml",
        "tests/demo/weir.toml",
    ] {
        let text = fs::read_to_string(repository().join(page)).expect("the page is there");
        for config in configurations(page, &text) {
            let checked = Weir::check(&config).await;
            assert!(
                checked.status.success(),
                "{page}:\n{config}\n{}{}",
                checked.stdout,
                checked.stderr
            );
        }
    }
}

/// The TOML blocks of a page, or all of a TOML file with addresses in place of its placeholders.
fn configurations(page: &str, text: &str) -> Vec<String> {
    if page.ends_with(".md") {
        let blocks = text
            .split("```toml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next());
        let blocks: Vec<String> = blocks.map(str::to_owned).collect();
        assert!(!blocks.is_empty(), "{page} shows a configuration");
        return blocks;
    }
    let mut port = 5000;
    let addresses = text.split('"').map(|word| {
        let placeholder = word.starts_with('@') || word.ends_with(":80");
        port += 1;
        if placeholder {
            format!("127.0.0.1:{port}")
        } else {
            word.to_owned()
        }
    });
    vec![addresses.collect::<Vec<_>>().join("\"")]
}

#[tokio::test]
async fn a_mistake_is_shown_with_its_place() {
    let checked = Weir::check("[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:0\"]\ndefault_backend = \"appz\"\n\n[[backend]]\nname = \"apps\"\nserver = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n").await;
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        checked.stderr.contains("weir.toml:4:") && checked.stderr.contains("apps"),
        "{}",
        checked.stderr
    );
}
