//! Random numbers. A plugin that calls this needs the grant `random` in weir.toml.

/// 64 random bits, good enough for keys.
pub fn u64() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::contract::imports::weir::plugin::random::get_u64();
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::host::random()
}
