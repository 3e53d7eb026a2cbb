//! Any text is either a configuration or has errors with places within it; nothing else happens.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use weir_fuzz::config::parse;

fuzz_target!(|text: &str| {
    if let Err(errors) = parse(Path::new("/nowhere/weir.toml"), text) {
        assert!(!errors.errors().is_empty());
        assert!(!errors.to_string().is_empty());
    }
});
