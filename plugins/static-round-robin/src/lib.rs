//! Servers take turns in a fixed map of slots. A server keeps the weight with which it was first seen.

use std::collections::BTreeMap;

use weir_sdk::{
    AheadBalancer, Balancer, ConfigError, Needs, NoConfig, Pick, Plugin, Schedule, Server,
};

#[derive(Debug)]
pub struct StaticRoundRobin {
    schedule: Schedule,
    /// By server id.
    first_weights: BTreeMap<u32, u32>,
}

weir_sdk::export!(StaticRoundRobin: Balancer + AheadBalancer);

impl Plugin for StaticRoundRobin {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig, _: &mut Needs) -> Result<Self, ConfigError> {
        Ok(Self {
            schedule: Schedule::default(),
            first_weights: BTreeMap::new(),
        })
    }
}

impl Balancer for StaticRoundRobin {
    fn update(&mut self, servers: &[Server]) {
        let as_first_seen: Vec<Server> = servers
            .iter()
            .map(|server| Server {
                weight: *self.first_weights.entry(server.id).or_insert(server.weight),
                ..server.clone()
            })
            .collect();
        self.schedule = Schedule::fixed(&as_first_seen);
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        self.schedule.pick(pick)
    }
}

impl AheadBalancer for StaticRoundRobin {}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn static_round_robin() -> Loaded<StaticRoundRobin> {
        Loaded::new("{}").expect("there is nothing to configure")
    }

    #[test]
    fn the_slots_are_those_of_haproxys_map() {
        let mut plugin = static_round_robin();
        plugin.update(&servers(&[("a", 1), ("b", 2), ("c", 3)]));
        assert_eq!(plugin.picks(12), "132323132323");
    }

    #[test]
    fn a_weight_changed_at_run_time_changes_nothing() {
        let mut plugin = static_round_robin();
        plugin.update(&servers(&[("a", 1), ("b", 1)]));
        plugin.update(&servers(&[("a", 1), ("b", 100)]));
        assert_eq!(plugin.picks(4), "1212");
    }

    #[test]
    fn a_server_that_leaves_and_returns_has_its_old_slots() {
        let mut plugin = static_round_robin();
        plugin.update(&servers(&[("a", 1), ("b", 2)]));
        let before = plugin.picks(6);
        plugin.update(&servers(&[("a", 1)]));
        assert_eq!(plugin.picks(3), "111");
        plugin.update(&servers(&[("a", 1), ("b", 7)]));
        assert_eq!(plugin.picks(6), before);
    }

    #[test]
    fn a_server_that_failed_gives_its_turn_to_the_next() {
        let mut plugin = static_round_robin();
        plugin.update(&servers(&[("a", 1), ("b", 1)]));
        assert_eq!(plugin.pick(0, &request(), &[], &[0]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[], &[0, 1]), Some(0));
    }

    #[test]
    fn without_servers_there_is_none_to_pick() {
        let mut plugin = static_round_robin();
        plugin.update(&[]);
        assert_eq!(plugin.picks(2), "--");
    }
}
