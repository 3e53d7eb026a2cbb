//! Files of key and value that the proxy loads and watches. Which ones a plugin sees (`maps = ["tiers"]`),
//! and how their keys are matched, is said in weir.toml.

/// A map, by its name in weir.toml. One that was not granted looks empty and has version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    name: String,
}

impl Map {
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of the exact key, the longest prefix, or the smallest network that contains `key`,
    /// as the map is matched.
    pub fn lookup(&self, key: &str) -> Option<String> {
        host::lookup(&self.name, key)
    }

    /// A number that changes whenever the contents do.
    pub fn version(&self) -> u64 {
        host::version(&self.name)
    }

    /// All pairs in the order of the file, for plugins that compile a map into something of their own.
    pub fn entries(&self) -> Vec<(String, String)> {
        host::entries(&self.name)
    }
}

#[cfg(target_arch = "wasm32")]
use crate::contract::imports::weir::plugin::maps as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::test::host::maps as host;
