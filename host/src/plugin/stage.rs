//! A clock and dice that a tool holds in its hand, so that plugins do the same in each run of a test or a
//! simulation. The proxy itself never has one.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::counters::{Consulted, Prompter, Question, Told};

/// Takes the place of the system's clock and random numbers for all plugins of a
/// [`Runtime`](super::Runtime).
#[derive(Debug, Default)]
pub struct Stage {
    /// In milliseconds since 1970.
    now: AtomicU64,
    dice: AtomicU64,
    /// What they show before all else.
    loaded: Mutex<VecDeque<u64>>,
    prompter: Mutex<Prompter>,
}

impl Stage {
    /// Sets the clock to `now`, in milliseconds since 1970, and the dice to the beginning of the sequence
    /// that `seed` stands for.
    pub fn set(&self, now: u64, seed: u64) {
        self.now.store(now, Ordering::Relaxed);
        self.dice.store(seed, Ordering::Relaxed);
    }

    /// Moves the clock on. Parts of a millisecond are dropped.
    pub fn wait(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.now.fetch_add(time, Ordering::Relaxed);
    }

    /// Sets the clock alone.
    pub fn set_clock(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Has the dice show these numbers next, in place of any that were to come before.
    pub fn load_dice(&self, rolls: &[u64]) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        *loaded = rolls.iter().copied().collect();
    }

    /// Has counters answer as they did when this was recorded, in place of what they would answer; `None`: as they
    /// would.
    pub fn load_counters(&self, recorded: Option<Vec<Consulted>>) {
        self.prompter().load(recorded);
    }

    /// Questions about counters so far that were not in what was loaded.
    pub fn unknown_questions(&self) -> u64 {
        self.prompter().unknown()
    }

    pub(super) fn told(&self, question: &Question) -> Option<Told> {
        self.prompter().told(question)
    }

    fn prompter(&self) -> MutexGuard<'_, Prompter> {
        self.prompter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn roll(&self) -> u64 {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.pop_front().unwrap_or_else(|| self.next())
    }

    /// SplitMix64: each number of the sequence once in 2⁶⁴.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self
            .dice
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same_numbers() {
        let rolls = |seed| {
            let stage = Stage::default();
            stage.set(0, seed);
            [stage.roll(), stage.roll(), stage.roll()]
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }

    #[test]
    fn loaded_dice_show_what_they_were_loaded_with_and_then_go_on() {
        let (fair, loaded) = (Stage::default(), Stage::default());
        loaded.load_dice(&[6, 6]);
        assert_eq!([loaded.roll(), loaded.roll()], [6, 6]);
        assert_eq!(loaded.roll(), fair.roll());
    }

    #[test]
    fn the_clock_goes_only_when_it_is_moved() {
        let stage = Stage::default();
        stage.set(1_000, 0);
        assert_eq!(stage.now(), 1_000);
        stage.wait(Duration::from_millis(1_500));
        assert_eq!(stage.now(), 2_500);
    }
}
