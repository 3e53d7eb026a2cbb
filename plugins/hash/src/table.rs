//! Tables from a hash to a server. Expensive to make, cheap to ask.

use weir_sdk::{Schedule, Server};

use crate::{
    config::Method,
    key::{Key, avalanche, mixed},
};

/// Slots that belong to servers. A key has a slot, and after it come those that stand in for it.
#[derive(Debug)]
pub enum Table {
    Modulo(Schedule),
    Ring(Ring),
    Maglev(Maglev),
}

impl Table {
    pub fn new(method: Method, servers: &[Server]) -> Self {
        match method {
            Method::Modulo => Self::Modulo(Schedule::fixed(servers)),
            Method::Consistent => Self::Ring(Ring::new(servers)),
            Method::Maglev => Self::Maglev(Maglev::new(servers)),
        }
    }

    /// The servers of the key's slot and of all slots after it, round to where it began.
    pub fn servers_for(&self, key: Key<'_>) -> impl Iterator<Item = usize> + '_ {
        let slots = self.len();
        let first = match self {
            Self::Modulo(_) => (key.hash32() as usize).checked_rem(slots).unwrap_or(0),
            Self::Ring(ring) => ring.nearest(avalanche(key.hash32())),
            Self::Maglev(maglev) => maglev.slot(key.hash64()),
        };
        (0..slots).map(move |ahead| self.server((first + ahead) % slots))
    }

    fn len(&self) -> usize {
        match self {
            Self::Modulo(schedule) => schedule.len(),
            Self::Ring(ring) => ring.points.len(),
            Self::Maglev(maglev) => maglev.slots.len(),
        }
    }

    fn server(&self, slot: usize) -> usize {
        match self {
            Self::Modulo(schedule) => schedule
                .at(slot as u64)
                .expect("the slot is below the length"),
            Self::Ring(ring) => (ring.points[slot] & u64::from(u32::MAX)) as usize,
            Self::Maglev(maglev) => maglev.slots[slot] as usize,
        }
    }
}

/// HAProxy's ring for `hash-type consistent`: 16 points per server and unit of weight.
#[derive(Debug)]
pub struct Ring {
    /// Sorted; the place on the ring in the upper half, the server's position in the lower.
    points: Vec<u64>,
}

impl Ring {
    const POINTS_PER_WEIGHT: u32 = 16;
    /// More than a server can have, so that no two servers' points are made from the same number.
    const POINTS_PER_ID: u32 = 4096;

    fn new(servers: &[Server]) -> Self {
        let mut points: Vec<u64> = (0..)
            .zip(servers)
            .flat_map(|(position, server)| {
                let first = server.id.wrapping_mul(Self::POINTS_PER_ID);
                (0..server.weight * Self::POINTS_PER_WEIGHT)
                    .map(move |nth| u64::from(avalanche(first.wrapping_add(nth))) << 32 | position)
            })
            .collect();
        points.sort_unstable();
        Self { points }
    }

    /// The slot of the point that is nearest to the hash, before it or after it; of two the one before.
    fn nearest(&self, hash: u32) -> usize {
        let count = self.points.len();
        if count == 0 {
            return 0;
        }
        let place = |slot: usize| (self.points[slot] >> 32) as u32;
        let after = self
            .points
            .partition_point(|&point| ((point >> 32) as u32) < hash)
            % count;
        // A point right on the hash is before it too.
        let before = if place(after) == hash {
            after
        } else {
            (after + count - 1) % count
        };
        if hash.wrapping_sub(place(before)) <= place(after).wrapping_sub(hash) {
            before
        } else {
            after
        }
    }
}

/// The table of "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), §3.4.
#[derive(Debug)]
pub struct Maglev {
    slots: Vec<u32>,
}

impl Maglev {
    /// A prime, so that every step visits all slots.
    const SLOTS: u64 = 65_537;

    fn new(servers: &[Server]) -> Self {
        let heaviest = servers
            .iter()
            .map(|server| server.weight)
            .max()
            .unwrap_or(0);
        let mut walks: Vec<Walk> = servers.iter().map(Walk::new).collect();
        let mut slots = vec![
            None;
            if walks.is_empty() {
                0
            } else {
                Self::SLOTS as usize
            }
        ];
        let mut free = slots.len();
        // Servers claim one slot each in turn; a server of half the weight sits out every other round.
        while free > 0 {
            for (position, walk) in walks.iter_mut().enumerate() {
                if free > 0 && walk.has_turn(heaviest) {
                    let slot = walk.claim(&slots);
                    slots[slot] = Some(position as u32);
                    free -= 1;
                }
            }
        }
        Self {
            slots: slots.into_iter().flatten().collect(),
        }
    }

    fn slot(&self, hash: u64) -> usize {
        // Uniform below the number of slots; the bias is below 2⁻⁴⁷.
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }
}

/// One server's order of preference among the slots.
struct Walk {
    next: u64,
    step: u64,
    weight: u32,
    /// Turns saved up, in units of one per heaviest weight.
    credit: u32,
}

impl Walk {
    fn new(server: &Server) -> Self {
        let hash = mixed(server.id.into());
        Self {
            next: hash % Maglev::SLOTS,
            step: mixed(hash) % (Maglev::SLOTS - 1) + 1,
            weight: server.weight,
            credit: 0,
        }
    }

    fn has_turn(&mut self, heaviest: u32) -> bool {
        self.credit += self.weight;
        let has_turn = self.credit >= heaviest;
        if has_turn {
            self.credit -= heaviest;
        }
        has_turn
    }

    fn claim(&mut self, slots: &[Option<u32>]) -> usize {
        loop {
            let slot = self.next as usize;
            self.next += self.step;
            if self.next >= Maglev::SLOTS {
                self.next -= Maglev::SLOTS;
            }
            if slots[slot].is_none() {
                return slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::servers;

    use super::*;

    #[test]
    fn maglev_shares_as_the_weights_say() {
        let table = Maglev::new(&servers(&[("a", 1), ("b", 2), ("c", 5)]));
        let mut shares = [0; 3];
        for &server in &table.slots {
            shares[server as usize] += 1;
        }
        for (share, weight) in shares.iter().zip([1, 2, 5]) {
            let expected: i32 = 65_537 * weight / 8;
            assert!((share - expected).abs() < 5, "{shares:?}");
        }
    }

    #[test]
    fn the_ring_wraps_at_both_ends() {
        let ring = Ring {
            points: vec![10 << 32, 20 << 32, 0xffff_fff0 << 32],
        };
        let nearest = |hash: u32| ring.nearest(hash);
        assert_eq!(
            nearest(0),
            0,
            "10 before the first point, 16 after the last"
        );
        assert_eq!(
            nearest(u32::MAX),
            0,
            "15 after the last point, 11 before the first"
        );
        assert_eq!(nearest(15), 0, "of two the one before");
        assert_eq!(nearest(16), 1);
        assert_eq!(nearest(20), 1);
    }
}
