//! Small things that tests put into configurations.

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// Replaces each `@name@` in `text` by its value. Panics if a name does not occur, or if one is left
/// without a value: both are mistakes in the test.
#[track_caller]
pub fn fill(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut filled = text.to_owned();
    for (name, value) in values {
        let placeholder = format!("@{name}@");
        assert!(
            filled.contains(&placeholder),
            "the text has no {placeholder}"
        );
        filled = filled.replace(&placeholder, &value.to_string());
    }
    let left = filled.split('@').nth(1).filter(|word| is_name(word));
    assert_eq!(left, None, "this placeholder got no value");
    filled
}

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// An address at which connections are refused. It was free a moment ago and nobody who binds port 0
/// gets it again soon.
pub fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

/// The folder that holds the top `Cargo.toml`.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the repository")
}

/// The component that `cargo xtask build` made of a guest: a bundled plugin, a guest of the tests or
/// the plugin of an example.
///
/// Panics, saying what to do, if there is none.
#[track_caller]
pub fn component(name: &str) -> PathBuf {
    let guests = repository().join("target/guests");
    let places = ["components", "tests", "examples"]
        .map(|folder| guests.join(folder).join(format!("{name}.wasm")));
    let found = places.iter().find(|file| file.exists());
    found
        .unwrap_or_else(|| {
            panic!(
                "no component `{name}` in {}; run `cargo xtask build`",
                guests.display()
            )
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_get_their_values() {
        assert_eq!(
            fill("a = '@x@', b = '@y@@x@'", &[("x", &1), ("y", &"two")]),
            "a = '1', b = 'two1'"
        );
    }

    #[test]
    #[should_panic(expected = "the text has no @y@")]
    fn a_value_without_its_placeholder_is_a_mistake() {
        fill("@x@", &[("y", &1)]);
    }

    #[test]
    #[should_panic(expected = "got no value")]
    fn a_placeholder_without_its_value_is_a_mistake() {
        fill("@x@ @y@", &[("x", &1)]);
    }
}
