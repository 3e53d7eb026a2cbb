//! Counters of what a cache does.

use super::metrics::Counters;

/// What became of lookups and answers.
#[derive(Debug, Default)]
pub struct CacheMetrics(Counters<5>);

impl CacheMetrics {
    const LOOKUPS: usize = 0;
    const HITS: usize = 1;
    const STORED: usize = 2;
    const EVICTED: usize = 3;
    const INVALIDATED: usize = 4;

    /// An answer was looked for.
    pub fn looked_up(&self) {
        self.0.add(Self::LOOKUPS, 1);
    }

    /// It was there.
    pub fn hit(&self) {
        self.0.add(Self::HITS, 1);
    }

    /// An answer was put in.
    pub fn stored(&self) {
        self.0.add(Self::STORED, 1);
    }

    /// So many made way for another.
    pub fn evicted(&self, count: usize) {
        self.0.add(Self::EVICTED, count as u64);
    }

    /// Something was forgotten since what it is about has changed.
    pub fn invalidated(&self) {
        self.0.add(Self::INVALIDATED, 1);
    }

    /// Each counter with its name after `weir_cache_…_total`, and what it counts.
    pub(super) fn families(&self) -> [(&'static str, &'static str, u64); 5] {
        [
            ("lookups", "Answers looked for.", Self::LOOKUPS),
            ("hits", "Answers found and given.", Self::HITS),
            ("stored", "Answers put in.", Self::STORED),
            (
                "evicted",
                "Answers that made way for others.",
                Self::EVICTED,
            ),
            (
                "invalidated",
                "Answers forgotten since what they are about has changed.",
                Self::INVALIDATED,
            ),
        ]
        .map(|(name, help, counter)| (name, help, self.0.sum(counter)))
    }
}
