//! The plugins that come inside the binary. `build.rs` collects whatever `cargo xtask build` has made;
//! a build without them has an empty table and can only load plugins from files.

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// A bundled plugin's component by its bare name.
pub fn get(name: &str) -> Option<&'static [u8]> {
    let index = BUNDLED
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    Some(BUNDLED[index].1)
}

/// Their names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_plugin_is_found_by_its_name() {
        for name in names() {
            assert!(
                get(name).is_some_and(|bytes| bytes.starts_with(b"\0asm")),
                "{name}"
            );
        }
        assert_eq!(get("no such plugin"), None);
    }
}
