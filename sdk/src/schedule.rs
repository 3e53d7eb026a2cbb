//! Orders in which weighted servers take turns. Worked out once per set of servers; a pick is a look-up.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::balancing::{Pick, Server};

/// One round of turns. Each server has as many as its weight, after dividing all weights by what they
/// have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    turns: Vec<u32>,
}

impl Schedule {
    /// Spreads each server's turns evenly and begins with the heaviest: weights 1, 2, 3 make `323132`. It is the
    /// order of HAProxy's `balance roundrobin`.
    ///
    /// Every server is due again (sum of weights / its weight) turns after its last, remainders
    /// carried over. Who is due and has waited longest goes first, the heavier one of two; while nobody is
    /// due, the heaviest of those that had no turn yet starts.
    pub fn smooth(servers: &[Server]) -> Self {
        let weights = reduced_weights(servers);
        let round: u64 = weights.iter().sum();

        let mut fresh: Vec<usize> = (0..weights.len()).collect();
        // Stable, so of equally heavy servers the last of this list is the first of the config.
        fresh.reverse();
        fresh.sort_by_key(|&server| weights[server]);

        let mut left = weights.clone();
        let mut waiting = BinaryHeap::new();
        let mut turns = Vec::with_capacity(round as usize);
        for now in 0..round {
            let is_due = |Reverse(waits): &Reverse<Waiting>| waits.due <= now;
            let mut server = match waiting.peek() {
                Some(first) if is_due(first) || fresh.is_empty() => {
                    waiting.pop().expect("it was just peeked at").0
                }
                _ => {
                    let server = fresh.pop().expect("a round has as many turns as weights");
                    Waiting::fresh(server, now, weights[server])
                }
            };
            turns.push(server.server as u32);
            left[server.server] -= 1;
            if left[server.server] > 0 {
                server.wait(now, round, weights[server.server]);
                waiting.push(Reverse(server));
            }
        }
        Self { turns }
    }

    /// HAProxy's map for `balance static-rr` and its map-based hashes, slot by slot: weights 1, 2, 3
    /// make `132323`.
    ///
    /// In each slot every server's score rises by its weight; whose score has passed the most multiples of
    /// the sum gets the slot, the first of several, and pays the sum.
    pub fn fixed(servers: &[Server]) -> Self {
        let weights = reduced_weights(servers);
        let round: u64 = weights.iter().sum();

        // How many multiples of the sum a score has passed changes only when the score crosses one,
        // which is known beforehand. So instead of comparing all scores in all slots, servers move
        // between levels.
        let mut crossings: Vec<(u32, u32)> = Vec::with_capacity(round as usize);
        for (server, &weight) in weights.iter().enumerate() {
            for nth in 1..=weight {
                let slot = (nth * round).div_ceil(weight) - 1;
                crossings.push((slot as u32, server as u32));
            }
        }
        crossings.sort_unstable();
        let mut crossings = crossings.into_iter().peekable();
        let mut levels = Levels::with_all_at_one(weights.len());
        let turns = (0..round as u32)
            .map(|now| {
                while let Some((_, server)) = crossings.next_if(|&(slot, _)| slot == now) {
                    levels.rise(server as usize);
                }
                levels.take_first_of_highest() as u32
            })
            .collect();
        Self { turns }
    }

    /// No server has a turn.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// How many turns a round has.
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whose turn it is, as a position in the list of servers; none if there are no servers.
    #[inline]
    pub fn at(&self, turn: u64) -> Option<usize> {
        let round = self.turns.len() as u64;
        let slot = turn.checked_rem(round)?;
        Some(self.turns[slot as usize] as usize)
    }

    /// Whose turn it is among those that the exchange has not failed on, or of all if it has failed on all.
    #[inline]
    pub fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        let first = self.at(pick.turn)?;
        if !pick.has_tried(first) {
            return Some(first);
        }
        (1..self.turns.len() as u64)
            .filter_map(|ahead| self.at(pick.turn.wrapping_add(ahead)))
            .find(|&server| !pick.has_tried(server))
            .or(Some(first))
    }
}

fn reduced_weights(servers: &[Server]) -> Vec<u64> {
    let common = servers
        .iter()
        .fold(0, |common, server| gcd(common, server.weight));
    servers
        .iter()
        .map(|server| u64::from(server.weight / common.max(1)))
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A server between two of its turns. Ordered by who goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due: u64,
    /// What was lost to rounding so far, less the weight: of two that are due at once, the heavier goes first.
    precedence: i64,
    /// When it was queued; the order of arrival decides the rest.
    since: u64,
    server: usize,
}

impl Waiting {
    fn fresh(server: usize, now: u64, weight: u64) -> Self {
        Self {
            due: now,
            precedence: -(weight as i64),
            since: now,
            server,
        }
    }

    fn wait(&mut self, now: u64, round: u64, weight: u64) {
        let mut remainder = (self.precedence + weight as i64) as u64 + round % weight;
        self.due += round / weight;
        if remainder >= weight {
            remainder -= weight;
            self.due += 1;
        }
        self.precedence = remainder as i64 - weight as i64;
        self.since = now;
    }
}

/// Servers by how many multiples of the sum their score has passed, as one set of bits per level.
struct Levels {
    of: Vec<usize>,
    sets: Vec<Vec<u64>>,
}

impl Levels {
    fn with_all_at_one(servers: usize) -> Self {
        let mut levels = Self {
            of: vec![1; servers],
            sets: vec![vec![0; servers.div_ceil(64)]; 4],
        };
        for server in 0..servers {
            levels.flip(server);
        }
        levels
    }

    fn rise(&mut self, server: usize) {
        self.flip(server);
        self.of[server] += 1;
        if self.of[server] == self.sets.len() {
            self.sets.push(vec![0; self.sets[0].len()]);
        }
        self.flip(server);
    }

    fn take_first_of_highest(&mut self) -> usize {
        let server = self
            .sets
            .iter()
            .rev()
            .find_map(|set| first_bit(set))
            .expect("a slot exists only if there are servers");
        self.flip(server);
        self.of[server] = self.of[server].saturating_sub(1);
        self.flip(server);
        server
    }

    /// Puts the server into its level's set, or takes it out.
    fn flip(&mut self, server: usize) {
        self.sets[self.of[server]][server / 64] ^= 1 << (server % 64);
    }
}

fn first_bit(set: &[u64]) -> Option<usize> {
    let word = set.iter().position(|&word| word != 0)?;
    Some(word * 64 + set[word].trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::servers;

    fn weighted(weights: &[u32]) -> Vec<Server> {
        let named: Vec<(&str, u32)> = weights.iter().map(|&weight| ("s", weight)).collect();
        servers(&named)
    }

    fn text(schedule: &Schedule) -> String {
        schedule
            .turns
            .iter()
            .map(|turn| char::from(b'1' + *turn as u8))
            .collect()
    }

    fn check_smooth(weights: &[u32], expected: &str) {
        assert_eq!(
            text(&Schedule::smooth(&weighted(weights))),
            expected,
            "{weights:?}"
        );
    }

    fn check_fixed(weights: &[u32], expected: &str) {
        assert_eq!(
            text(&Schedule::fixed(&weighted(weights))),
            expected,
            "{weights:?}"
        );
    }

    /// The definition, slot by slot and server by server.
    fn fixed_by_definition(weights: &[u32]) -> Vec<u32> {
        let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut scores = vec![0; weights.len()];
        (0..sum)
            .map(|_| {
                let mut best = (0, i64::MIN);
                for (server, score) in scores.iter_mut().enumerate() {
                    *score += i64::from(weights[server]);
                    let passed = (*score + sum) / sum;
                    if passed > best.1 {
                        best = (server, passed);
                    }
                }
                scores[best.0] -= sum;
                best.0 as u32
            })
            .collect()
    }

    #[test]
    fn the_smooth_order_is_haproxys() {
        check_smooth(&[1, 1, 1], "123");
        check_smooth(&[1, 2, 3], "323132");
        check_smooth(&[5, 1, 1], "1112113");
        check_smooth(&[1, 3], "2221");
        check_smooth(&[4, 3, 3, 1], "12132134123");
        check_smooth(&[10, 9, 8], "121321321321231213123123123");
        check_smooth(&[3, 7, 2, 9], "424124342421424243142");
        check_smooth(&[7, 5, 3, 2, 1], "121321412312151324");
        check_smooth(
            &[13, 8, 21, 34, 11],
            "434154342314543413425434143541234434514324341543413452434143542314435413424534143451342",
        );
        check_smooth(&[7], "1");
        check_smooth(&[], "");
    }

    #[test]
    fn the_fixed_order_is_haproxys() {
        check_fixed(&[1, 1, 1], "123");
        check_fixed(&[1, 2, 3], "132323");
        check_fixed(&[5, 1, 1], "1112113");
        check_fixed(&[1, 3], "1222");
        check_fixed(&[10, 9, 8], "121321321231231231123123123");
        check_fixed(&[3, 7, 2, 9], "124242412434241242434");
        check_fixed(
            &[13, 8, 21, 34, 11],
            "124334145342413454341234541343452414334541342345413441254343143452413434514342345413445",
        );
        check_fixed(&[7], "1");
        check_fixed(&[], "");
    }

    #[test]
    fn what_weights_have_in_common_does_not_lengthen_the_round() {
        check_smooth(&[100, 200, 300], "323132");
        check_fixed(&[100, 200, 300], "132323");
    }

    #[test]
    fn moving_between_levels_gives_what_comparing_scores_gives() {
        for weights in [
            &[3, 7, 2, 9][..],
            &[256, 1, 255],
            &[13, 8, 21, 34, 55],
            &[1, 1, 250],
        ] {
            let by_levels = Schedule::fixed(&weighted(weights));
            assert_eq!(by_levels.turns, fixed_by_definition(weights), "{weights:?}");
        }
    }

    #[test]
    fn a_round_gives_each_server_its_weight() {
        let weights: Vec<u32> = (0..300).map(|n| 1 + n * 37 % 256).collect();
        for schedule in [
            Schedule::smooth(&weighted(&weights)),
            Schedule::fixed(&weighted(&weights)),
        ] {
            let mut counted = vec![0; weights.len()];
            for turn in &schedule.turns {
                counted[*turn as usize] += 1;
            }
            assert_eq!(counted, weights);
        }
    }
}
