//! The least loaded of a few servers drawn by chance. Chance comes from the turn, so no grant is needed.

use std::num::NonZeroU8;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{Balancer, ConfigError, Needs, Pick, Plugin, Server};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many servers are drawn per request; the least loaded of them is used. 1 is pure chance.
    #[serde(default = "two")]
    draws: NonZeroU8,
    /// Gives another sequence of draws.
    #[serde(default)]
    seed: u64,
}

#[derive(Debug)]
pub struct Random {
    draws: u64,
    seed: u64,
    weights: Vec<u32>,
    /// Per server the sum of its weight and those before it.
    upto: Vec<u32>,
}

weir_sdk::export!(Random: Balancer);

impl Plugin for Random {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        if config.draws.get() > 1 {
            needs.loads();
        }
        Ok(Self {
            draws: config.draws.get().into(),
            seed: mixed(config.seed),
            weights: Vec::new(),
            upto: Vec::new(),
        })
    }
}

impl Balancer for Random {
    fn update(&mut self, servers: &[Server]) {
        self.weights = servers.iter().map(|server| server.weight).collect();
        self.upto = self
            .weights
            .iter()
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        if self.weights.is_empty() {
            return None;
        }
        let mut best = None;
        for nth in 0..self.draws {
            let drawn = self.draw(pick.turn, nth);
            let not_worse = best.is_none_or(|best| self.not_busier(drawn, best, pick));
            if not_worse && !pick.has_tried(drawn) {
                best = Some(drawn);
            }
        }
        best.or_else(|| self.next_untried(pick))
    }
}

impl Random {
    /// A server by chance, as likely as its weight says.
    #[inline]
    fn draw(&self, turn: u64, nth: u64) -> usize {
        let number = mixed(self.seed ^ mixed(turn).wrapping_add(nth));
        let sum = self.upto.last().copied().unwrap_or(0);
        // The upper half of number × sum is uniform below the sum, with a bias below 2⁻³² here.
        let below_sum = ((u128::from(number) * u128::from(sum)) >> 64) as u32;
        self.upto.partition_point(|&upto| upto <= below_sum)
    }

    /// Of two equally busy ones the later draw wins, as in HAProxy.
    #[inline]
    fn not_busier(&self, one: usize, other: usize, pick: &Pick<'_>) -> bool {
        let busy = |server, weighed_by: usize| {
            u64::from(pick.load(server)) * u64::from(self.weights[weighed_by])
        };
        busy(one, other) <= busy(other, one)
    }

    /// All that were drawn have failed this exchange: the next after the first drawn that hasn't, or that
    /// one if all have.
    fn next_untried(&self, pick: &Pick<'_>) -> Option<usize> {
        let first = self.draw(pick.turn, 0);
        let count = self.weights.len();
        (first..first + count)
            .map(|server| server % count)
            .find(|&server| !pick.has_tried(server))
            .or(Some(first))
    }
}

/// The output function of the generator splitmix64: every bit of the input moves half of the output's.
#[inline]
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const fn two() -> NonZeroU8 {
    NonZeroU8::new(2).expect("two is not zero")
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request, servers};

    use super::*;

    fn random(config: &str, weights: &[u32]) -> Loaded<Random> {
        let named: Vec<(&str, u32)> = weights.iter().map(|&weight| ("s", weight)).collect();
        let mut plugin = Loaded::new(config).expect("the config is sound");
        plugin.update(&servers(&named));
        plugin
    }

    /// How often each server is picked in 10,000 turns, all idle.
    fn shares(plugin: &mut Loaded<Random>, servers: usize) -> Vec<i32> {
        let mut shares = vec![0; servers];
        for turn in 0..10_000 {
            let picked = plugin.pick(turn, &request(), &vec![0; servers], &[]);
            shares[picked.expect("there are servers")] += 1;
        }
        shares
    }

    fn check_shares(config: &str, weights: &[u32], expected: &[i32]) {
        let shares = shares(&mut random(config, weights), weights.len());
        for (share, expected) in shares.iter().zip(expected) {
            assert!(
                (share - expected).abs() < 200,
                "{shares:?} instead of {expected:?}"
            );
        }
    }

    #[test]
    fn idle_servers_are_picked_as_often_as_their_weights_say() {
        check_shares("{}", &[1, 1, 1, 1], &[2500, 2500, 2500, 2500]);
        check_shares("{}", &[1, 1, 2], &[2500, 2500, 5000]);
        check_shares(r#"{"draws": 1}"#, &[3, 1], &[7500, 2500]);
    }

    #[test]
    fn the_least_loaded_of_two_draws_wins() {
        let mut plugin = random("{}", &[1, 1]);
        let busier = (0..10_000)
            .filter(|&turn| plugin.pick(turn, &request(), &[9, 1], &[]) == Some(0))
            .count();
        assert!(
            (2300..2700).contains(&busier),
            "only both draws in four pick it: {busier}"
        );
    }

    #[test]
    fn load_counts_per_weight() {
        let mut plugin = random(r#"{"draws": 50}"#, &[1, 10]);
        assert_eq!(plugin.pick(0, &request(), &[2, 19], &[]), Some(1));
        assert_eq!(plugin.pick(0, &request(), &[2, 21], &[]), Some(0));
    }

    #[test]
    fn one_draw_asks_for_no_loads() {
        let mut plugin = random(r#"{"draws": 1}"#, &[1, 1]);
        let all_loaded: Vec<_> = (0..50)
            .map(|turn| plugin.pick(turn, &request(), &[9, 0], &[]))
            .collect();
        assert!(all_loaded.contains(&Some(0)));
    }

    #[test]
    fn another_seed_gives_other_draws() {
        let sequence = |config| random(config, &[1, 1, 1, 1]).picks(40);
        assert_eq!(sequence("{}"), sequence("{}"));
        assert_ne!(sequence("{}"), sequence(r#"{"seed": 1}"#));
    }

    #[test]
    fn a_server_that_failed_is_picked_only_if_all_have() {
        let mut plugin = random("{}", &[1, 1, 1]);
        for turn in 0..100 {
            assert_eq!(plugin.pick(turn, &request(), &[0, 0, 0], &[0, 1]), Some(2));
            assert!(
                plugin
                    .pick(turn, &request(), &[0, 0, 0], &[0, 1, 2])
                    .is_some()
            );
        }
    }

    #[test]
    fn without_servers_there_is_none_to_pick() {
        assert_eq!(random("{}", &[]).picks(1), "-");
    }

    #[test]
    fn at_least_one_draw_is_needed() {
        let error = Loaded::<Random>::new(r#"{"draws": 0}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/draws: invalid value: integer `0`, expected a nonzero u8"
        );
    }
}
