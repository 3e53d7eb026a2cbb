//! The server with the fewest exchanges for its weight, in one pass over the loads.

use weir_sdk::{Balancer, ConfigError, Needs, NoConfig, Pick, Plugin, Server};

#[derive(Debug, Default)]
pub struct LeastConn {
    servers: Vec<Server>,
    /// Apart from the rest of the servers, so that the pass over them is tight.
    weights: Vec<u32>,
    some_have_a_limit: bool,
}

/// How busy a server would be with one more exchange: `load / weight`, compared without dividing.
#[derive(Debug, Clone, Copy)]
struct Busy {
    load: u32,
    weight: u32,
}

weir_sdk::export!(LeastConn: Balancer);

impl Plugin for LeastConn {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.loads();
        Ok(Self::default())
    }
}

impl Balancer for LeastConn {
    fn update(&mut self, servers: &[Server]) {
        self.servers = servers.to_vec();
        self.weights = servers.iter().map(|server| server.weight).collect();
        self.some_have_a_limit = servers.iter().any(|server| server.limit.is_some());
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        if pick.tried.is_empty() && !self.some_have_a_limit {
            return self.least(pick, |_| true);
        }
        let untried = |server| !pick.has_tried(server);
        let has_room = |server: usize| self.servers[server].has_room(pick.load(server));
        self.least(pick, |server| untried(server) && has_room(server))
            .or_else(|| self.least(pick, untried))
            .or_else(|| self.least(pick, |_| true))
    }
}

impl LeastConn {
    /// The least busy of the servers that may be used. The search starts at another server each turn, so that
    /// equals take turns.
    #[inline]
    fn least(&self, pick: &Pick<'_>, may_use: impl Fn(usize) -> bool) -> Option<usize> {
        let count = self.weights.len();
        let start = pick.turn.checked_rem(count as u64)? as usize;
        let mut best = None;
        for range in [start..count, 0..start] {
            for server in range {
                let busy = Busy {
                    load: pick.load(server),
                    weight: self.weights[server],
                };
                if best.is_some_and(|(_, least)| !busy.less_than(least)) || !may_use(server) {
                    continue;
                }
                if busy.load == 0 {
                    return Some(server);
                }
                best = Some((server, busy));
            }
        }
        best.map(|(server, _)| server)
    }
}

impl Busy {
    /// An idle server is never busier than another, whatever their weights, as in HAProxy.
    #[inline]
    fn less_than(self, other: Self) -> bool {
        if self.load == 0 || other.load == 0 {
            return self.load < other.load;
        }
        let with_one_more = |busy: Self| u64::from(busy.load) + 1;
        with_one_more(self) * u64::from(other.weight)
            < with_one_more(other) * u64::from(self.weight)
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn least_conn(servers: &[Server]) -> Loaded<LeastConn> {
        let mut plugin = Loaded::new("{}").expect("there is nothing to configure");
        plugin.update(servers);
        plugin
    }

    /// The picks of exchanges that never end.
    fn held(weights: &[(&str, u32)], count: u64) -> String {
        let mut plugin = least_conn(&servers(weights));
        let mut loads = vec![0; weights.len()];
        (0..count)
            .map(|turn| {
                let server = plugin
                    .pick(turn, &request(), &loads, &[])
                    .expect("there are servers");
                loads[server] += 1;
                weights[server].0
            })
            .collect()
    }

    #[test]
    fn idle_servers_take_turns_whatever_their_weights() {
        assert_eq!(
            least_conn(&servers(&[("a", 1), ("b", 2), ("c", 3)])).picks(6),
            "123123"
        );
    }

    #[test]
    fn the_server_with_the_fewest_exchanges_is_picked() {
        let mut plugin = least_conn(&servers(&[("a", 1), ("b", 1), ("c", 1)]));
        for turn in 0..3 {
            assert_eq!(plugin.pick(turn, &request(), &[4, 2, 3], &[]), Some(1));
        }
    }

    #[test]
    fn exchanges_that_are_held_are_shared_by_weight() {
        let picks = held(&[("a", 1), ("b", 2), ("c", 4)], 14);
        let count = |server| picks.matches(server).count();
        assert_eq!((count("a"), count("b"), count("c")), (2, 4, 8), "{picks}");
        assert!(
            picks.starts_with("abccc"),
            "an idle server comes before a heavier one: {picks}"
        );
    }

    #[test]
    fn an_idle_server_is_picked_before_a_heavier_busy_one() {
        let mut plugin = least_conn(&servers(&[("a", 256), ("b", 1)]));
        assert_eq!(plugin.pick(0, &request(), &[1, 0], &[]), Some(1));
    }

    #[test]
    fn a_full_server_is_picked_only_if_all_are_full() {
        let all = servers(&[("a", 100), ("b", 1)]);
        let limited: Vec<Server> = all.into_iter().map(|server| server.with_limit(2)).collect();
        let mut plugin = least_conn(&limited);
        assert_eq!(plugin.pick(0, &request(), &[2, 1], &[]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[2, 2], &[]), Some(0));
    }

    #[test]
    fn a_server_that_failed_is_picked_only_if_all_have() {
        let mut plugin = least_conn(&servers(&[("a", 1), ("b", 1)]));
        assert_eq!(plugin.pick(0, &request(), &[0, 9], &[0]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[0, 9], &[0, 1]), Some(0));
    }

    #[test]
    fn loads_near_the_top_of_their_range_do_not_wrap() {
        let mut plugin = least_conn(&servers(&[("a", 256), ("b", 256)]));
        assert_eq!(
            plugin.pick(0, &request(), &[u32::MAX, u32::MAX - 1], &[]),
            Some(1)
        );
    }

    #[test]
    fn without_servers_there_is_none_to_pick() {
        assert_eq!(least_conn(&[]).picks(1), "-");
    }
}
