//! Counters of what compression does, for each frontend or backend that asks for it.

use super::metrics::Counters;
use crate::model::{BackendName, FrontendName};

/// What became of answers to clients that take compressed ones.
#[derive(Debug, Default)]
pub struct CompressionMetrics(Counters<4>);

impl CompressionMetrics {
    const ANSWERS: usize = 0;
    const SKIPPED: usize = 1;
    const TAKEN: usize = 2;
    const GIVEN: usize = 3;

    /// An answer is compressed.
    pub fn began(&self) {
        self.0.add(Self::ANSWERS, 1);
    }

    /// An answer was passed on as it came although its client would take it compressed.
    pub fn skipped(&self) {
        self.0.add(Self::SKIPPED, 1);
    }

    /// Bytes that were compressed.
    pub fn took(&self, bytes: u64) {
        self.0.add(Self::TAKEN, bytes);
    }

    /// Bytes that came out.
    pub fn gave(&self, bytes: u64) {
        self.0.add(Self::GIVEN, bytes);
    }

    /// Each counter with its name after `weir_compression_…_total`, and what it counts.
    pub(super) fn families(&self) -> [(&'static str, &'static str, u64); 4] {
        [
            ("responses", "Answers that were compressed.", Self::ANSWERS),
            (
                "skipped",
                "Answers passed on as they came to clients that take compressed ones.",
                Self::SKIPPED,
            ),
            ("taken_bytes", "Bytes of bodies before.", Self::TAKEN),
            ("given_bytes", "Bytes of bodies after.", Self::GIVEN),
        ]
        .map(|(name, help, counter)| (name, help, self.0.sum(counter)))
    }
}

/// Who asks for compression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompressionPlace {
    Frontend(FrontendName),
    Backend(BackendName),
}
