//! Tables in which plugins count by key, shared by all workers of the proxy. Which ones a plugin sees
//! (`counters = ["clients"]`), and what they count over which time, is said in weir.toml.
//!
//! A key is any text. It is there once something was added to it or kept with it, and goes when it was not
//! used for as long as the table says, or when a full table needs its place. While a plugin is being loaded,
//! nothing that it adds, keeps or removes lasts.

use std::time::Duration;

use crate::config::ConfigError;

/// A table of counters that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: String,
    /// Names and windows in milliseconds; 0 is a total.
    counters: Vec<(String, u64)>,
}

/// A counter of a table: what it holds of each key is a rate or a total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    table: String,
    name: String,
    window: Option<Duration>,
}

impl Table {
    /// The table of that name in weir.toml.
    ///
    /// # Errors
    /// If it was not granted; says how it is.
    pub fn granted(name: &str) -> Result<Self, ConfigError> {
        match host::declared(name) {
            Some(counters) => Ok(Self {
                name: name.to_owned(),
                counters,
            }),
            None => Err(ConfigError::new(format_args!(
                "no table of counters `{name}` is granted; add `counters = [\"{name}\"]` beside `plugin`"
            ))),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of its counters.
    ///
    /// # Errors
    /// If it has none of that name; says which it has.
    pub fn counter(&self, name: &str) -> Result<Counter, ConfigError> {
        let mut counters = self.counters.iter();
        match counters.find(|(known, _)| known == name) {
            Some((name, window)) => Ok(self.made(name, *window)),
            None => Err(ConfigError::new(format_args!(
                "the table `{}` has no counter `{name}`; {}",
                self.name,
                self.counters_in_words()
            ))),
        }
    }

    /// The counter of a table that has no other.
    ///
    /// # Errors
    /// If it has none or several; says which.
    pub fn only_counter(&self) -> Result<Counter, ConfigError> {
        match self.counters.as_slice() {
            [(name, window)] => Ok(self.made(name, *window)),
            _ => Err(ConfigError::new(format_args!(
                "say which counter of the table `{}` is meant; {}",
                self.name,
                self.counters_in_words()
            ))),
        }
    }

    /// The text that is kept with a key. Asking uses the key.
    pub fn value(&self, key: &str) -> Option<String> {
        host::value(&self.name, key)
    }

    /// Keeps a text of up to 256 bytes with a key. False if it is longer, or if the table is full and takes
    /// no new keys.
    pub fn set_value(&self, key: &str, value: &str) -> bool {
        host::set_value(&self.name, key, value)
    }

    /// Forgets a key with all that was counted and kept. False if there was none.
    pub fn remove(&self, key: &str) -> bool {
        host::remove(&self.name, key)
    }

    fn made(&self, name: &str, window: u64) -> Counter {
        Counter {
            table: self.name.clone(),
            name: name.to_owned(),
            window: (window > 0).then(|| Duration::from_millis(window)),
        }
    }

    fn counters_in_words(&self) -> String {
        let names: Vec<&str> = self
            .counters
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        match names.as_slice() {
            [] => {
                "it has none: add `rates = { requests = \"10s\" }` to its [[counters]]".to_owned()
            }
            names => format!("it has `{}`", names.join("`, `")),
        }
    }
}

impl Counter {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time that a rate looks back over; none for a total.
    pub fn window(&self) -> Option<Duration> {
        self.window
    }

    /// Adds for a key and answers with what the counter then is: the rate or the total. Adding 0 does no
    /// more than to use the key. None if the table is full and takes no new keys.
    pub fn add(&self, key: &str, amount: u64) -> Option<u64> {
        host::add(&self.table, &self.name, key, amount)
    }

    /// What the counter is for a key; 0 if there is no such key. That it was read is no use of a key.
    pub fn read(&self, key: &str) -> u64 {
        host::read(&self.table, &self.name, key).unwrap_or(0)
    }

    /// When the counter will be at most `most` for a key if nothing is added until then; none if it never
    /// will.
    pub fn falls_to(&self, key: &str, most: u64) -> Option<Duration> {
        host::falls_to(&self.table, &self.name, key, most).map(Duration::from_millis)
    }
}

#[cfg(target_arch = "wasm32")]
use crate::contract::imports::weir::plugin::counters as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::test::counters as host;
