//! Whatever a haproxy.cfg holds, it is translated or refused, quickly; what is refused says where; and
//! every directive of what is translated has a fate.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_haproxy::{Nothing, import};

fuzz_target!(|input: &[u8]| {
    match import("haproxy.cfg", input, &Nothing) {
        Ok(import) => {
            import
                .weir
                .parse::<toml::Table>()
                .expect("what is written is TOML");
            assert!(import.remarks.iter().next().is_some(), "something was read");
        }
        Err(problems) => {
            assert!(problems.to_string().starts_with("haproxy.cfg:"));
        }
    }
});
