//! The config as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::Input;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The table of `[[counters]]` to count in; it must be granted with `counters = [..]`.
    pub table: String,
    /// What is counted apart: all of these facts together make the key. What lacks one of them is not counted.
    /// An empty list counts everybody together.
    #[serde(default = "by_client")]
    pub by: Vec<Input>,
    /// How many bits of a client's IPv4 address count.
    #[serde(default = "whole_ipv4")]
    #[schemars(range(max = 32))]
    pub ipv4_prefix: u8,
    /// How many bits of a client's IPv6 address count. A subscriber usually has a whole /64.
    #[serde(default = "subscriber")]
    #[schemars(range(max = 128))]
    pub ipv6_prefix: u8,
    /// Only requests whose path begins with one of these are looked at; without it, all.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What is counted: requests, or connections.
    #[serde(default)]
    pub at: At,
    /// What is counted, and how much of it is too much.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub limit: Vec<Limit>,
    /// Whether what was turned away counts as well.
    #[serde(default)]
    pub counts: Counts,
    /// What a request too many is answered with.
    #[serde(default = "too_many")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// Whether that answer says in `Retry-After` when to come again.
    #[serde(default = "yes")]
    pub retry_after: bool,
    /// How a connection too many is ended.
    #[serde(default)]
    pub refuse: Refuse,
    /// Variables that are set to counters, as they are then, for those who are asked later.
    #[serde(default)]
    pub set_vars: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// A counter of the table; may be left out if that has one only.
    pub counter: Option<String>,
    /// The most that is let through within the counter's window, or at all if it is a total. Without it, there
    /// is no limit and it is only counted.
    pub most: Option<u64>,
    /// What adds to the counter.
    #[serde(default)]
    pub of: Of,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Of {
    /// Each request, or each connection.
    #[default]
    #[serde(rename = "all")]
    All,
    /// Each answer of a server that says the client was wrong.
    #[serde(rename = "4xx")]
    ClientErrors,
    /// Each answer of a server that says the server was wrong.
    #[serde(rename = "5xx")]
    ServerErrors,
    /// Nothing here: it is only read.
    #[serde(rename = "none")]
    Nothing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum At {
    #[default]
    Request,
    Connection,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Counts {
    /// Who goes on in spite of being turned away stays out.
    #[default]
    All,
    /// As many as allowed get through, however many are tried.
    Passed,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Refuse {
    #[default]
    Reset,
    Close,
}

fn by_client() -> Vec<Input> {
    vec![Input::ClientAddress]
}

fn whole_ipv4() -> u8 {
    32
}

fn subscriber() -> u8 {
    64
}

fn too_many() -> u16 {
    429
}

fn yes() -> bool {
    true
}
