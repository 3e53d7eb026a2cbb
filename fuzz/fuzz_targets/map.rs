//! Any text is either a map or has bad lines, and a map that is written out again is the same map.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::plugin::maps::parse;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(entries) => {
            for (key, value) in &entries {
                assert!(!key.is_empty());
                assert!(!key.contains([' ', '\t', '\n', '\r']), "{key:?}");
                assert_eq!(value.trim_matches([' ', '\t', '\r', '\n']), &**value);
            }
            // Written out again it is the same map. The LF in front keeps a byte order mark in its key.
            let lines = entries
                .iter()
                .map(|(key, value)| format!("\n{key} {value}"));
            assert_eq!(parse(&lines.collect::<String>()), Ok(entries));
        }
        Err(bad) => assert!(!bad.is_empty()),
    }
});
