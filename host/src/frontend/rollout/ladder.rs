//! How a canary's share grows by itself: a step lasts its time, and until the new version has answered often
//! enough in it to be judged.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Rollout, Standing, Version};
use crate::config::CanaryStep;

/// Where on its steps a try is.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    position: usize,
    began: Instant,
    /// Answers of the new version before this step.
    answered: u64,
}

impl Ladder {
    pub fn begin(now: Instant) -> Self {
        Self {
            position: 0,
            began: now,
            answered: 0,
        }
    }

    pub fn begin_step(&mut self, now: Instant, answered: u64) {
        (self.began, self.answered) = (now, answered);
    }
}

/// What is to be done about the growth of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Nothing any more.
    Over,
    /// To look again, after so long at most.
    Later(Duration),
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// From 1.
    pub number: usize,
    pub of: usize,
    pub since: Duration,
    /// None for the last one, which stays.
    pub lasts: Option<Duration>,
    /// Answers of the new version in this step.
    pub answers: u64,
    /// Answers without which the step does not end.
    pub at_least: u64,
}

impl Rollout {
    /// Gives the new version its next step's share if this one is over.
    pub fn grow(&self, now: Instant) -> Growth {
        let answers = self.figures(Version::Next).answers();
        let mut wanted = self.lock();
        let wanted = &mut *wanted;
        let Some(ladder) = &mut wanted.ladder else {
            return Growth::Over;
        };
        let steps = &self.terms.steps;
        let Some(lasts) = steps[ladder.position].lasts else {
            return Growth::Over;
        };
        let passed = now.saturating_duration_since(ladder.began);
        let in_step = answers.saturating_sub(ladder.answered);
        let is_running = wanted.standing == Standing::Running;
        if is_running && passed < lasts {
            return Growth::Later(lasts - passed);
        }
        if !is_running || in_step < self.terms.give_up.at_least {
            // Nothing says when it is resumed, or is asked often enough.
            return Growth::Later(LOOK_AGAIN);
        }
        ladder.position += 1;
        ladder.begin_step(now, answers);
        let number = ladder.position + 1;
        let CanaryStep { share, lasts } = steps[ladder.position];
        wanted.share = share;
        self.below.store(share.of_numbers(), Ordering::Relaxed);
        self.say(&format!(
            "new version set to {share}, step {number} of {}: it stayed within its limits for {passed:.0?} and {in_step} answers",
            steps.len()
        ));
        match lasts {
            Some(lasts) => Growth::Later(lasts),
            None => Growth::Over,
        }
    }

    /// Where it is on its steps; none if it has none, or an operator took it off them.
    pub fn progress(&self) -> Option<Progress> {
        let wanted = self.lock();
        let ladder = wanted.ladder.as_ref()?;
        let step = self.terms.steps[ladder.position];
        let answers = self.figures(Version::Next).answers();
        Some(Progress {
            number: ladder.position + 1,
            of: self.terms.steps.len(),
            since: ladder.began.elapsed(),
            lasts: step.lasts,
            answers: answers.saturating_sub(ladder.answered),
            at_least: self.terms.give_up.at_least,
        })
    }
}

/// How often one looks at a try that waits for what has no time.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
