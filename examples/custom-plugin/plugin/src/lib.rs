//! Servers of one's own site, and the others only while those are busy.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{Balancer, ConfigError, Needs, Pick, Plugin, Server};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the names of the near servers begin with.
    site: String,
    /// A near server that has so many exchanges is busy.
    busy_at: u32,
}

#[derive(Debug)]
pub struct NearestFirst {
    config: Config,
    near: Vec<bool>,
}

weir_sdk::export!(NearestFirst: Balancer);

impl Plugin for NearestFirst {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.loads();
        let near = Vec::new();
        Ok(Self { config, near })
    }
}

impl Balancer for NearestFirst {
    fn update(&mut self, servers: &[Server]) {
        let is_near = |server: &Server| server.name.starts_with(&self.config.site);
        self.near = servers.iter().map(is_near).collect();
    }

    /// The least loaded of the best class: near and free, then far, then near and busy, and last what
    /// this exchange has already failed on.
    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let class = |server: usize| match (self.near[server], pick.load(server)) {
            _ if pick.has_tried(server) => 3,
            (true, load) if load >= self.config.busy_at => 2,
            (true, _) => 0,
            (false, _) => 1,
        };
        (0..self.near.len()).min_by_key(|&server| (class(server), pick.load(server)))
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn three_servers() -> Loaded<NearestFirst> {
        let mut plugin = Loaded::new(r#"{ "site": "a-", "busy_at": 2 }"#).expect("a good config");
        plugin.update(&servers(&[("b-1", 1), ("a-1", 1), ("a-2", 1)]));
        plugin
    }

    #[test]
    fn the_less_loaded_near_server_is_picked_while_one_is_free() {
        let mut plugin = three_servers();
        assert_eq!(plugin.pick(0, &request(), &[0, 0, 0], &[]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[0, 1, 0], &[]), Some(2));
    }

    #[test]
    fn a_far_server_takes_what_busy_ones_would_have_to() {
        let mut plugin = three_servers();
        assert_eq!(plugin.pick(0, &request(), &[9, 2, 2], &[]), Some(0));
        assert_eq!(plugin.pick(0, &request(), &[9, 2, 1], &[]), Some(2));
    }

    #[test]
    fn a_server_that_failed_comes_last() {
        let mut plugin = three_servers();
        assert_eq!(plugin.pick(0, &request(), &[0, 0, 0], &[1, 2]), Some(0));
        assert_eq!(plugin.pick(0, &request(), &[0, 2, 0], &[0, 2]), Some(1));
    }
}
