//! The PROXY header that a server is sent first.

use crate::weir::{Table, Value};

/// The PROXY header that a server is sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// With what is added to it.
#[derive(Debug, Clone)]
pub struct SendProxy {
    pub version: Version,
    pub add: Vec<&'static str>,
}

impl SendProxy {
    pub fn of(version: Version) -> Self {
        Self {
            version,
            add: Vec::new(),
        }
    }

    pub fn add(&mut self, what: &'static str) {
        if !self.add.contains(&what) {
            self.add.push(what);
        }
    }

    pub fn value(&self) -> Value {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V2 => "v2",
        };
        if self.add.is_empty() || self.version == Version::V1 {
            return version.into();
        }
        let add: Vec<Value> = self.add.iter().map(|what| Value::from(*what)).collect();
        Table::of("version", version).with("add", add).into()
    }
}
