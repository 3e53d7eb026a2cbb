//! A hello is known by its first bytes: more of them never change what was understood, fewer never are enough
//! where all of them were not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::net::client_hello::read_client_hello;

fuzz_target!(|input: &[u8]| {
    let whole = read_client_hello(input);
    for end in 0..input.len().min(600) {
        match read_client_hello(&input[..end]) {
            Ok(None) => {}
            // A verdict stands, whatever follows.
            early => assert_eq!(early, whole, "after {end} bytes"),
        }
    }
    if let Ok(Some(hello)) = whole
        && let Some(name) = hello.server_name
    {
        assert!((1..=255).contains(&name.len()) && name.is_ascii());
        assert_eq!(name, name.to_ascii_lowercase());
    }
});
