//! How large a server's share of its backend's traffic is at the moment: its weight, as an operator or
//! its agent changed it, less what slow start holds back.

use std::sync::atomic::{AtomicU32, Ordering};

/// No operator has said anything.
const NOTHING_SAID: u32 = u32::MAX;
/// A server that has got its whole share.
const WARM: u32 = 1_000;
/// Heaviest a server can be.
const HEAVIEST: u32 = 256;
/// So many units make up a unit of weight where a share can be less than one.
const FINE: u32 = 16;

/// How finely weights are told to balancers. All servers of a backend have the same, since only the
/// proportions mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// As they stand in the file.
    Whole,
    /// In sixteenths, as HAProxy counts: for backends in which a share can shrink.
    Sixteenths,
}

#[derive(Debug)]
pub struct Share {
    operators: AtomicU32,
    /// Of the weight; 100 unless an agent says otherwise.
    agents_percent: AtomicU32,
    /// Thousandths.
    warmth: AtomicU32,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            operators: AtomicU32::new(NOTHING_SAID),
            agents_percent: AtomicU32::new(100),
            warmth: AtomicU32::new(WARM),
        }
    }
}

impl Share {
    /// What balancers are told of a server whose file says `configured`. A server that has any weight
    /// keeps at least the least there is.
    pub fn of(&self, configured: u32, grain: Grain) -> u32 {
        let weight = self.weight(configured);
        match grain {
            Grain::Whole => weight,
            Grain::Sixteenths => {
                let percent = self.agents_percent.load(Ordering::Relaxed);
                let warmth = self.warmth.load(Ordering::Relaxed);
                if weight == 0 || percent == 0 {
                    return 0;
                }
                let fine = u64::from(weight * FINE) * u64::from(percent) * u64::from(warmth);
                u32::try_from(fine / u64::from(100 * WARM))
                    .unwrap_or(u32::MAX)
                    .max(1)
            }
        }
    }

    /// The weight that the operator gave it, else the file.
    pub fn weight(&self, configured: u32) -> u32 {
        match self.operators.load(Ordering::Relaxed) {
            NOTHING_SAID => configured,
            weight => weight,
        }
    }

    pub fn set_operators(&self, weight: Option<u32>) -> bool {
        let weight = weight.map_or(NOTHING_SAID, |weight| weight.min(HEAVIEST));
        self.operators.swap(weight, Ordering::Relaxed) != weight
    }

    pub fn agents_percent(&self) -> u32 {
        self.agents_percent.load(Ordering::Relaxed)
    }

    pub fn set_agents_percent(&self, percent: u32) -> bool {
        self.agents_percent.swap(percent, Ordering::Relaxed) != percent
    }

    pub fn is_cold(&self) -> bool {
        self.warmth.load(Ordering::Relaxed) < WARM
    }

    /// From 0 to 1.
    pub fn warmth(&self) -> f64 {
        f64::from(self.warmth.load(Ordering::Relaxed)) / f64::from(WARM)
    }

    /// `part` of the whole, from 0 to 1.
    pub fn set_warmth(&self, part: f64) -> bool {
        let warmth = (part.clamp(0.0, 1.0) * f64::from(WARM)) as u32;
        self.warmth.swap(warmth, Ordering::Relaxed) != warmth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_shrinks_below_a_weight_of_one() {
        let share = Share::default();
        assert_eq!(share.of(1, Grain::Whole), 1);
        assert_eq!(share.of(1, Grain::Sixteenths), 16);
        share.set_warmth(0.5);
        assert_eq!(share.of(1, Grain::Sixteenths), 8);
        share.set_warmth(0.0);
        assert_eq!(share.of(1, Grain::Sixteenths), 1, "never nothing at all");
        share.set_warmth(1.0);
        share.set_agents_percent(25);
        assert_eq!(share.of(10, Grain::Sixteenths), 40);
        share.set_agents_percent(0);
        assert_eq!(share.of(10, Grain::Sixteenths), 0);
    }

    #[test]
    fn an_operators_weight_goes_before_the_files() {
        let share = Share::default();
        assert!(share.set_operators(Some(7)));
        assert_eq!(share.of(1, Grain::Whole), 7);
        share.set_operators(None);
        assert_eq!(share.of(1, Grain::Whole), 1);
    }
}
