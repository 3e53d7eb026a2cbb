//! A weir.toml, and how a person would lay it out. Knows nothing of HAProxy.

mod print;
mod value;

pub use value::{Table, Value};

/// A configuration. It prints itself with `Display`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weir {
    /// Above everything.
    pub comments: Vec<String>,
    /// Keys that stand above the first heading.
    pub top: Table,
    pub timeouts: Table,
    /// `None` leaves the log as it is by default.
    pub logs: Option<Vec<Table>>,
    pub runtime_sockets: Vec<Table>,
    pub maps: Vec<Table>,
    pub counters: Vec<Table>,
    pub resolvers: Vec<Table>,
    pub caches: Vec<Table>,
    pub frontends: Vec<Frontend>,
    pub backends: Vec<Backend>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frontend {
    pub comments: Vec<String>,
    pub keys: Table,
    pub timeouts: Table,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backend {
    pub comments: Vec<String>,
    pub keys: Table,
    pub timeouts: Table,
    pub servers: Vec<Commented>,
    pub filters: Vec<Filter>,
}

/// A use of a plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub plugin: String,
    pub keys: Table,
    pub config: Table,
    /// Printed as `match.NAME = …`.
    pub matchers: Vec<(String, Value)>,
    pub connection_rules: Vec<Commented>,
    pub rules: Vec<Commented>,
    pub response_rules: Vec<Commented>,
}

/// A table in a list, with what the source said about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commented {
    pub comments: Vec<String>,
    pub table: Table,
}
