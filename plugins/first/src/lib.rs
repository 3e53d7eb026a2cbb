//! The first server that has room, so that the last ones can sleep.

use weir_sdk::{Balancer, ConfigError, Needs, NoConfig, Pick, Plugin, Server};

#[derive(Debug, Default)]
pub struct First {
    /// Positions in the last `update`, lowest id first.
    order: Vec<usize>,
    servers: Vec<Server>,
}

weir_sdk::export!(First: Balancer);

impl Plugin for First {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.loads();
        Ok(Self::default())
    }
}

impl Balancer for First {
    fn update(&mut self, servers: &[Server]) {
        self.servers = servers.to_vec();
        self.order = (0..servers.len()).collect();
        self.order.sort_by_key(|&server| servers[server].id);
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let mut untried = self
            .order
            .iter()
            .copied()
            .filter(|&server| !pick.has_tried(server));
        untried
            .clone()
            .find(|&server| self.servers[server].has_room(pick.load(server)))
            .or_else(|| {
                untried
                    .by_ref()
                    .min_by_key(|&server| self.waiting(server, pick))
            })
            .or_else(|| self.order.first().copied())
    }
}

impl First {
    /// How many exchanges a full server has beyond its limit.
    fn waiting(&self, server: usize, pick: &Pick<'_>) -> u32 {
        let limit = self.servers[server].limit.map_or(0, |limit| limit.get());
        pick.load(server).saturating_sub(limit)
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn first(servers: &[Server]) -> Loaded<First> {
        let mut plugin = Loaded::new("{}").expect("there is nothing to configure");
        plugin.update(servers);
        plugin
    }

    fn with_limits(limits: &[u32]) -> Vec<Server> {
        let all = servers(&vec![("s", 1); limits.len()]);
        let limited = all.into_iter().zip(limits);
        limited
            .map(|(server, &limit)| server.with_limit(limit))
            .collect()
    }

    #[test]
    fn a_server_without_limit_takes_everything() {
        let mut plugin = first(&with_limits(&[0, 0]));
        assert_eq!(plugin.pick(7, &request(), &[1000, 0], &[]), Some(0));
    }

    #[test]
    fn the_next_one_is_used_once_the_first_is_full() {
        let mut plugin = first(&with_limits(&[2, 2, 2]));
        assert_eq!(plugin.pick(0, &request(), &[1, 0, 0], &[]), Some(0));
        assert_eq!(plugin.pick(1, &request(), &[2, 0, 0], &[]), Some(1));
        assert_eq!(plugin.pick(2, &request(), &[2, 2, 1], &[]), Some(2));
    }

    #[test]
    fn the_id_says_who_is_first_and_not_the_position() {
        let mut swapped = with_limits(&[1, 1]);
        swapped[0].id = 20;
        swapped[1].id = 10;
        let mut plugin = first(&swapped);
        assert_eq!(plugin.pick(0, &request(), &[0, 0], &[]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[0, 1], &[]), Some(0));
    }

    #[test]
    fn when_all_are_full_the_shortest_queue_is_joined() {
        let mut plugin = first(&with_limits(&[2, 5, 2]));
        assert_eq!(plugin.pick(0, &request(), &[5, 7, 3], &[]), Some(2));
    }

    #[test]
    fn a_server_that_failed_is_picked_only_if_all_have() {
        let mut plugin = first(&with_limits(&[0, 1]));
        assert_eq!(plugin.pick(0, &request(), &[0, 1], &[0]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[0, 1], &[0, 1]), Some(0));
    }

    #[test]
    fn without_servers_there_is_none_to_pick() {
        assert_eq!(first(&[]).picks(1), "-");
    }
}
