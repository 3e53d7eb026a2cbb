//! Bounded load: nobody takes much more than the mean, however popular a key is.

use weir_sdk::{Pick, Server};

/// HAProxy's `hash-balance-factor`.
#[derive(Debug)]
pub struct Bound {
    /// Percent of the mean load.
    factor: u64,
    /// Per server the weights before it, and its own.
    weights: Vec<(u64, u64)>,
    sum: u64,
}

/// The bound at the moment of one pick.
#[derive(Debug, Clone, Copy)]
pub struct Room<'a> {
    bound: &'a Bound,
    pick: &'a Pick<'a>,
    per_weight: u64,
    remainder: u64,
}

impl Bound {
    pub fn new(factor: u32) -> Self {
        Self {
            factor: factor.into(),
            weights: Vec::new(),
            sum: 0,
        }
    }

    pub fn update(&mut self, servers: &[Server]) {
        self.sum = 0;
        self.weights.clear();
        for server in servers {
            // In HAProxy's units, so that the same remainders fall to the same servers.
            let weight = u64::from(server.weight) * 16;
            self.weights.push((self.sum, weight));
            self.sum += weight;
        }
    }

    pub fn at<'a>(&'a self, pick: &'a Pick<'a>) -> Room<'a> {
        let running: u64 = pick.loads.iter().map(|&load| u64::from(load)).sum();
        let places = ((running + 1) * self.factor).div_ceil(100);
        Room {
            bound: self,
            pick,
            per_weight: places / self.sum.max(1),
            remainder: places % self.sum.max(1),
        }
    }
}

impl Room<'_> {
    /// Whether the server has a place left of its share. Everybody has at least one place.
    pub fn is_left_on(&self, server: usize) -> bool {
        let (before, weight) = self.bound.weights[server];
        let of_remainder = |weights: u64| weights * self.remainder / self.bound.sum;
        let places =
            weight * self.per_weight + of_remainder(before + weight) - of_remainder(before);
        u64::from(self.pick.load(server)) < places.max(1)
    }
}
