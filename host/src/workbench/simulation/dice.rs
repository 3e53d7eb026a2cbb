//! Random numbers that are the same in each run.

use std::time::Duration;

use crate::config::scenario::Service;

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of the same seed and another `purpose` roll independently.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = Self(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let state = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    /// At least 0 and less than 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Less than `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.share() * count as f64) as usize).min(count - 1)
    }

    /// Exponentially distributed.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.share()).ln())
    }

    /// Of mean 0 and deviation 1.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (self.share() * std::f64::consts::TAU).cos()
    }

    /// How long a server works.
    pub fn service(&mut self, service: &Service) -> Duration {
        match *service {
            Service::Fixed { time } => time,
            Service::Exponential { mean } => self.exponential(mean),
            // The mean of exp(N(µ, σ²)) is exp(µ + σ²/2).
            Service::LogNormal { mean, sigma } => {
                let factor = (sigma * self.normal() - sigma * sigma / 2.0).exp();
                mean.mul_f64(factor.min(1e4))
            }
            Service::Bimodal { short, long, share } => match self.share() < share {
                true => long,
                false => short,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_millis(10);

    fn mean(service: Service) -> f64 {
        let mut dice = Dice::new(7, 0);
        let rolls = 200_000;
        let sum: Duration = (0..rolls).map(|_| dice.service(&service)).sum();
        sum.as_secs_f64() * 1e3 / f64::from(rolls)
    }

    #[test]
    fn service_times_have_the_mean_that_was_asked_for() {
        for (service, wanted) in [
            (Service::Fixed { time: TEN }, 10.0),
            (Service::Exponential { mean: TEN }, 10.0),
            (
                Service::LogNormal {
                    mean: TEN,
                    sigma: 1.0,
                },
                10.0,
            ),
            (
                Service::Bimodal {
                    short: TEN,
                    long: TEN * 10,
                    share: 0.1,
                },
                19.0,
            ),
        ] {
            let found = mean(service);
            assert!((found / wanted - 1.0).abs() < 0.02, "{service:?}: {found}");
        }
    }

    #[test]
    fn dice_for_other_purposes_roll_other_numbers() {
        let rolls = |purpose| {
            let mut dice = Dice::new(1, purpose);
            [dice.next(), dice.next()]
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }
}
