//! The traits that a plugin implements: `Plugin`, and one per role it can play.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    balancing::{Outcome, Pick, Server},
    config::ConfigError,
    connection::ConnectionDecision,
    decision::Decision,
    edits::{RequestEdits, ResponseEdits},
    hook::{OnAssigned, OnConnection, OnLookup, OnRequest, OnResponse},
    needs::Needs,
    values::Values,
};

/// What every plugin is: something made from a config.
///
/// Each worker of the proxy has an instance of its own, which is configured once and then called by one
/// thread. Its name, version and summary are those of the crate's Cargo.toml.
pub trait Plugin: Sized + 'static {
    /// Read from the plugin's config in weir.toml. Its JSON Schema is what the proxy checks the config
    /// against first. Use [`NoConfig`](crate::NoConfig) if there is none.
    type Config: DeserializeOwned + JsonSchema;

    /// Makes the plugin, and asks in `needs` for what its hooks will be called with. An error keeps the
    /// plugin from being loaded.
    fn configure(config: Self::Config, needs: &mut Needs) -> Result<Self, ConfigError>;
}

/// Judges a connection before anything is made of its bytes, in front of TCP and of HTTP.
pub trait ConnectionFilter: Plugin {
    fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision;
}

/// Judges a request before a server is chosen.
pub trait RequestFilter: Plugin {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision;
}

/// Looks at a server's response before it goes to the client.
pub trait ResponseFilter: Plugin {
    fn on_response(&mut self, values: &Values<'_, OnResponse>) -> ResponseEdits;
}

/// Picks a server of a backend.
pub trait Balancer: Plugin {
    /// The servers that may be picked now, in the order of the config. Called before the first `pick` and
    /// whenever the set or a weight changes, so this is the place for expensive preparation. May be empty.
    fn update(&mut self, servers: &[Server]);

    /// The position in the last `update` of the server to use, or none if no server should be.
    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize>;
}

/// A balancer whose picks follow from the turn and the last `update` alone, as long as nothing was tried.
///
/// The proxy then asks for many turns in one call, for each of which `pick` is called with the turn and
/// nothing else, and has the answers ready when requests come. It is passed over if `configure` asked
/// for inputs of `pick` or for loads.
pub trait AheadBalancer: Balancer {}

/// A balancer that learns how its picks turned out.
pub trait FeedbackBalancer: Balancer {
    /// Called when an exchange ends. `server` is a position in the last `update`; `took` is the time from
    /// sending the request to the end of the response's head.
    fn observe(&mut self, server: usize, outcome: Outcome, took: Duration);
}

/// Remembers which server a client had.
pub trait Persistence: Plugin {
    fn lookup(&mut self, values: &Values<'_, OnLookup>) -> Found;

    /// The exchange went to the server with this persistence key. Called when `lookup` found another
    /// server or none, or for all responses after [`Needs::always_assigned`].
    fn assigned(&mut self, server: &str, values: &Values<'_, OnAssigned>) -> ResponseEdits;
}

/// What a persistence plugin knows of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The persistence key of the server that the client had (in weir.toml: `persistence_key`, by default
    /// the server's name). The proxy uses it if that server can be used.
    pub server: Option<String>,
    /// Changes to the request, whether or not the server can be used.
    pub edits: RequestEdits,
}
