//! Telling the log which new versions begin to be tried out, and how tries end, when generations change.

use std::sync::Arc;

use tracing::info;

use crate::frontend::{Generation, NextUse, Rollout, Standing};

/// Tells what `now` begins and ends, compared to what served before.
pub fn tell(before: Option<&Generation>, now: &Generation) {
    let former: Vec<_> = before.into_iter().flat_map(tries).collect();
    let current: Vec<_> = tries(now).collect();
    let has = |tries: &[&NextUse], rollout: &Arc<Rollout>| {
        tries.iter().any(|next| Arc::ptr_eq(&next.rollout, rollout))
    };
    for next in &former {
        if !has(&current, &next.rollout) {
            tell_end(&next.rollout, now);
        }
    }
    for next in &current {
        let rollout = &next.rollout;
        match rollout.standing() {
            Standing::Running if has(&former, rollout) => {}
            Standing::Running => {
                let share = rollout.share();
                rollout.say(&format!("new version is tried out on {share} of clients"));
            }
            Standing::GivenUp(_) | Standing::Stopped => {
                rollout.say("new version still has no clients, as nothing about it changed");
            }
        }
    }
}

fn tell_end(rollout: &Rollout, now: &Generation) {
    let terms = rollout.terms();
    let successor = now.uses().find(|used| used.place == rollout.place);
    let next = successor.and_then(|used| used.next.as_ref());
    if next.is_some_and(|next| next.rollout.terms().is_of_same_next(terms)) {
        // It goes on beside another current version.
        return;
    }
    match successor {
        Some(used) if terms.next.is_of(&used.plugin) => info!(
            "use" = %rollout.place,
            next = %terms.next.digest,
            current = %terms.current.digest,
            "new version has taken the place of the current one"
        ),
        Some(_) | None => rollout.say("new version is no longer tried out"),
    }
}

fn tries(generation: &Generation) -> impl Iterator<Item = &NextUse> {
    generation.uses().filter_map(|used| used.next.as_deref())
}
