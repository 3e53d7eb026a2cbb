//! @summary@.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{Balancer, ConfigError, Needs, Pick, Plugin, Server};

/// What weir.toml says under `config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Servers whose names begin so are taken while all others are busier.
    prefer: Option<String>,
}

pub struct @Type@ {
    config: Config,
    preferred: Vec<bool>,
}

weir_sdk::export!(@Type@: Balancer);

impl Plugin for @Type@ {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        // Without this `loads` would be empty.
        needs.loads();
        let preferred = Vec::new();
        Ok(Self { config, preferred })
    }
}

impl Balancer for @Type@ {
    /// Called when a server comes or goes: the place for expensive preparation.
    fn update(&mut self, servers: &[Server]) {
        let prefer = self.config.prefer.as_deref();
        let preferred = |server: &Server| prefer.is_some_and(|it| server.name.starts_with(it));
        self.preferred = servers.iter().map(preferred).collect();
    }

    /// The server with the fewest exchanges; among equals a preferred one, else each in its turn. What this
    /// exchange has already failed on comes last.
    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let count = self.preferred.len();
        let first = usize::try_from(pick.turn % count.max(1) as u64).unwrap_or_default();
        let in_turn = (0..count).map(|n| (first + n) % count);
        in_turn.min_by_key(|&server| {
            (pick.has_tried(server), pick.load(server), !self.preferred[server])
        })
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn three(config: &str) -> Loaded<@Type@> {
        let mut plugin = Loaded::new(config).expect("a good config");
        plugin.update(&servers(&[("a", 1), ("b", 1), ("near-c", 1)]));
        plugin
    }

    #[test]
    fn the_least_loaded_is_picked_and_equals_take_turns() {
        let mut plugin = three("{}");
        assert_eq!(plugin.pick(0, &request(), &[2, 1, 2], &[]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[1, 1, 1], &[]), Some(0));
        assert_eq!(plugin.pick(1, &request(), &[1, 1, 1], &[]), Some(1));
    }

    #[test]
    fn among_equals_the_preferred_comes_first() {
        let mut plugin = three(r#"{ "prefer": "near-" }"#);
        assert_eq!(plugin.pick(0, &request(), &[1, 1, 1], &[]), Some(2));
        assert_eq!(plugin.pick(0, &request(), &[1, 1, 2], &[]), Some(0));
    }

    #[test]
    fn a_server_that_failed_comes_last() {
        let mut plugin = three("{}");
        assert_eq!(plugin.pick(0, &request(), &[0, 1, 1], &[0]), Some(1));
    }
}
