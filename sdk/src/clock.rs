//! The time of day. A plugin that calls this needs the grant `clock` in weir.toml.

use std::time::SystemTime;

/// Now, in whole milliseconds.
pub fn now() -> SystemTime {
    #[cfg(target_arch = "wasm32")]
    {
        let milliseconds = crate::contract::imports::weir::plugin::clock::now();
        SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(milliseconds)
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::host::now()
}
