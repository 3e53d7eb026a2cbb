//! The SDK, the contract and the templates, as they were when this Weir was built. Made by `build/kit.rs`.

include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// Name and text of each file whose name begins with `prefix`, named without it.
pub fn below(prefix: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    KIT.iter()
        .filter_map(move |(name, text)| Some((name.strip_prefix(prefix)?, *text)))
}

/// The contract, which every language's tools read.
pub fn contract() -> &'static str {
    below("vendor/wit/v0.1/weir-plugin.wit")
        .map(|(_, text)| text)
        .next()
        .expect("the contract is part of every kit")
}

#[cfg(test)]
mod tests {
    use weir_plugin_build::c::contract_version;

    use super::*;
    use crate::{
        config::project::{IMPORTS, ROLES},
        workbench::project::python::TOOL,
    };

    fn text(name: &'static str) -> &'static str {
        let mut found = below(name).filter(|(rest, _)| rest.is_empty());
        found.next().unwrap_or_else(|| panic!("no {name}")).1
    }

    #[test]
    fn the_sdk_stands_alone() {
        let manifest = text("vendor/weir-sdk/Cargo.toml");
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("\nedition = \"2024\"\n"), "{manifest}");
        assert!(manifest.contains("\nwit-bindgen = {"), "{manifest}");
        assert!(text("vendor/weir-sdk/src/lib.rs").starts_with("//!"));
        assert!(text("vendor/wit/v0.1/weir-plugin.wit").contains("package weir:plugin@"));
    }

    #[test]
    fn the_lock_file_has_what_the_sdk_needs_and_no_more() {
        let lock = text("Cargo.lock");
        for name in ["weir-sdk", "serde", "wit-bindgen", "unicode-ident"] {
            assert!(lock.contains(&format!("name = \"{name}\"\n")), "{name}");
        }
        for name in ["wasmtime", "tokio", "weir"] {
            assert!(!lock.contains(&format!("name = \"{name}\"\n")), "{name}");
        }
    }

    #[test]
    fn what_a_project_can_export_and_import_is_in_the_contract() {
        assert!(contract_version(contract()).is_some());
        for name in ROLES.iter().chain(&IMPORTS) {
            let begins = format!("\ninterface {name} {{");
            assert!(contract().contains(&begins), "{name}");
        }
    }

    #[test]
    fn the_tool_for_python_is_the_one_that_its_sdk_is_tested_with() {
        assert!(text("sdk/python/weir_plugin/build.py").contains(&format!("\"{TOOL}\"")));
    }
}
