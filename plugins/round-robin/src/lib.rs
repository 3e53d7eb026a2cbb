//! Servers take turns, as often as their weights say and evenly spread. Knows nothing of loads.

use weir_sdk::{
    AheadBalancer, Balancer, ConfigError, Needs, NoConfig, Pick, Plugin, Schedule, Server,
};

#[derive(Debug)]
pub struct RoundRobin {
    schedule: Schedule,
}

weir_sdk::export!(RoundRobin: Balancer + AheadBalancer);

impl Plugin for RoundRobin {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig, _: &mut Needs) -> Result<Self, ConfigError> {
        Ok(Self {
            schedule: Schedule::default(),
        })
    }
}

impl Balancer for RoundRobin {
    fn update(&mut self, servers: &[Server]) {
        self.schedule = Schedule::smooth(servers);
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        self.schedule.pick(pick)
    }
}

impl AheadBalancer for RoundRobin {}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn round_robin(weights: &[u32]) -> Loaded<RoundRobin> {
        let named: Vec<(&str, u32)> = weights.iter().map(|&weight| ("s", weight)).collect();
        let mut plugin = Loaded::new("{}").expect("there is nothing to configure");
        plugin.update(&servers(&named));
        plugin
    }

    #[test]
    fn equal_servers_take_turns_from_the_first() {
        assert_eq!(round_robin(&[1, 1, 1]).picks(7), "1231231");
    }

    #[test]
    fn heavier_servers_have_more_turns_but_not_in_a_row() {
        assert_eq!(round_robin(&[1, 2, 3]).picks(12), "323132323132");
        assert_eq!(round_robin(&[5, 1, 1]).picks(7), "1112113");
    }

    #[test]
    fn the_turn_decides_and_not_what_this_instance_has_seen() {
        let mut plugin = round_robin(&[1, 1, 1]);
        assert_eq!(plugin.pick(u64::MAX, &request(), &[], &[]), Some(0));
        assert_eq!(plugin.pick(4, &request(), &[], &[]), Some(1));
        assert_eq!(plugin.pick(4, &request(), &[], &[]), Some(1));
    }

    #[test]
    fn a_server_that_failed_gives_its_turn_to_the_next() {
        let mut plugin = round_robin(&[1, 1, 1]);
        assert_eq!(plugin.pick(1, &request(), &[], &[1]), Some(2));
        assert_eq!(plugin.pick(1, &request(), &[], &[1, 2]), Some(0));
    }

    #[test]
    fn when_all_have_failed_the_turn_stands() {
        let mut plugin = round_robin(&[1, 1]);
        assert_eq!(plugin.pick(1, &request(), &[], &[0, 1]), Some(1));
    }

    #[test]
    fn without_servers_there_is_none_to_pick() {
        assert_eq!(round_robin(&[]).picks(2), "--");
    }

    #[test]
    fn a_changed_set_changes_the_order_at_once() {
        let mut plugin = round_robin(&[1, 1, 1]);
        plugin.update(&servers(&[("a", 1), ("c", 1)]));
        assert_eq!(plugin.picks(4), "1212");
    }

    #[test]
    fn there_is_nothing_to_configure() {
        let error = Loaded::<RoundRobin>::new(r#"{"weight": 3}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/weight: unknown field `weight`, there are no fields"
        );
    }
}
