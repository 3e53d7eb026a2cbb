//! @summary@.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    BackendRef, ConfigError, Decision, Handle, Needs, OnRequest, Plugin, RequestFilter, Values,
};

/// What weir.toml says under `config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header that names the tier.
    header: String,
    /// The backend of those whose tier is `gold`.
    gold: String,
}

pub struct @Type@ {
    tier: Handle<OnRequest>,
    gold: BackendRef,
}

weir_sdk::export!(@Type@: RequestFilter);

impl Plugin for @Type@ {
    type Config = Config;

    /// Says once what the decision will need: the inputs it is called with, the backends it may choose.
    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        Ok(Self {
            tier: needs.header(&config.header),
            gold: needs.backend(&config.gold),
        })
    }
}

impl RequestFilter for @Type@ {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        match values.get(self.tier) {
            Some("gold") => Decision::use_backend(self.gold),
            _ => Decision::pass(),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request};

    use super::*;

    #[test]
    fn gold_goes_to_its_own_backend_and_others_pass() {
        let mut plugin = Loaded::<@Type@>::new(r#"{ "header": "x-tier", "gold": "fast" }"#).unwrap();
        let decision = plugin.on_request(&request().header("X-Tier", "gold"));
        assert_eq!(plugin.backend_of(&decision), Some("fast"));
        assert_eq!(plugin.on_request(&request()), Decision::pass());
    }
}
