//! The plugin's config.

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What of the request decides.
    pub on: On,
    /// Of a path or URI, so many bytes from its beginning.
    #[schemars(range(min = 1))]
    pub length: Option<usize>,
    /// Of a path or URI, so many segments: 1 takes `/a` of `/a/b`.
    #[schemars(range(min = 1))]
    pub depth: Option<usize>,
    /// How the hash leads to a server.
    #[serde(default)]
    pub method: Method,
    /// A server takes no more than this many percent of the mean load; the next one gets what is beyond.
    /// More than 100.
    #[schemars(range(min = 101))]
    pub balance_factor: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The client's address.
    Source,
    /// The path without the query, as the client sent it.
    Path,
    /// The path with the query, as the client sent it.
    Uri,
    Header(String),
    Cookie(String),
    /// A parameter of the query.
    QueryParam(String),
    /// A variable that a filter has set.
    Var(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The remainder by the sum of weights: the cheapest, but when a server comes or goes most keys move.
    #[default]
    Modulo,
    /// A ring of points: when a server goes, only its keys move.
    Consistent,
    /// Google's Maglev table: as `consistent`, with more even shares.
    Maglev,
}
