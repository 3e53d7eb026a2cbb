//! The filter `rules`: named matchers and ordered rules that use a backend, refuse, deny, reply, redirect or
//! edit. How a config is written is in README.md.
//!
//! A config goes through these hands: `config` (its shape), `matchers`, `patterns`, `checks` and `expression` (conditions),
//! `actions` and `template` (what to do), `ruleset` and `index` (finding the rules that apply without
//! trying them all). Requests meet only `ruleset` and `actions`.

mod actions;
mod checks;
mod config;
mod expression;
mod index;
mod inputs;
mod matchers;
mod patterns;
mod problem;
mod rules;
mod ruleset;
mod sample;
mod suggest;
mod template;

use weir_sdk::{
    ConfigError, ConnectionDecision, ConnectionFilter, Decision, Needs, OnConnection, OnRequest,
    OnResponse, Plugin, RequestFilter, ResponseEdits, ResponseFilter, Values,
};

pub use config::Config;
pub use rules::Rules;

impl Plugin for Rules {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.repeatable();
        Self::new(&config, needs).map_err(ConfigError::new)
    }
}

impl ConnectionFilter for Rules {
    fn on_connection(&mut self, values: &Values<'_, OnConnection>) -> ConnectionDecision {
        Self::on_connection(self, values)
    }
}

impl RequestFilter for Rules {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        Self::on_request(self, values)
    }
}

impl ResponseFilter for Rules {
    fn on_response(&mut self, values: &Values<'_, OnResponse>) -> ResponseEdits {
        Self::on_response(self, values)
    }
}

weir_sdk::export!(Rules: ConnectionFilter + RequestFilter + ResponseFilter);
