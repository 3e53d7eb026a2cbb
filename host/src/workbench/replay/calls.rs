//! The calls of a recording that belong to one use of a plugin, in the order in which they were made.

use std::collections::BTreeMap;

use crate::{
    plugin::Place,
    telemetry::story::{Asked, Step, Story},
};

/// Something that the plugin of the recording was told.
#[derive(Debug)]
pub enum Told<'a> {
    Asked(&'a Asked),
    Observed {
        server: &'a str,
        outcome: &'a str,
        microseconds: u64,
    },
}

/// One of them, and when.
#[derive(Debug)]
pub struct Call<'a> {
    /// Of the exchange.
    pub id: &'a str,
    pub worker: usize,
    /// Microseconds since 1970.
    pub at: u64,
    pub told: Told<'a>,
}

/// It is not clear which use is meant.
#[derive(Debug, thiserror::Error)]
pub enum NoUse {
    #[error("nothing was recorded of `{wanted}`; there is {}", list(known))]
    Unknown { wanted: String, known: Vec<String> },
    #[error(
        "nothing that was recorded was asked of a plugin like this one; there is {}",
        list(known)
    )]
    NoneSuits { known: Vec<String> },
    #[error("it could stand in several places of the recording: choose one with --use {}", known.join(", --use "))]
    Several { known: Vec<String> },
}

fn list(known: &[String]) -> String {
    match known.is_empty() {
        true => "nothing at all".to_owned(),
        false => known.join(", "),
    }
}

/// Where the plugin of a use stands, as its name says.
pub fn place_of(used: &str) -> Option<Place> {
    // What was there before, or is tried out beside it, stands in the same place.
    let last = used.split(',').next().unwrap_or(used);
    let last = last.strip_suffix(".next").unwrap_or(last);
    if last.ends_with(".balance") {
        return Some(Place::Balancer);
    }
    if last.ends_with(".persistence") {
        return Some(Place::Persistence);
    }
    last.contains(".filter.").then_some(Place::Filter)
}

/// The use that is replayed: the one that is wanted, else the only one that `suits`.
pub fn choose_use(
    exchanges: &[Story],
    wanted: Option<&str>,
    suits: impl Fn(Place) -> bool,
) -> Result<String, NoUse> {
    let mut known: BTreeMap<&str, u64> = BTreeMap::new();
    for step in exchanges.iter().flat_map(|story| &story.steps) {
        if let Step::Asked(asked) = step {
            *known.entry(&asked.place).or_default() += 1;
        }
    }
    let all = || known.keys().map(|&place| place.to_owned()).collect();
    if let Some(wanted) = wanted {
        return match known.contains_key(wanted) {
            true => Ok(wanted.to_owned()),
            false => Err(NoUse::Unknown {
                wanted: wanted.to_owned(),
                known: all(),
            }),
        };
    }
    let suiting: Vec<String> = known
        .keys()
        .filter(|used| place_of(used).is_some_and(&suits))
        .map(|&used| used.to_owned())
        .collect();
    match &suiting[..] {
        [] => Err(NoUse::NoneSuits { known: all() }),
        [only] => Ok(only.clone()),
        _ => Err(NoUse::Several { known: suiting }),
    }
}

/// What the plugin at `used` was told. Exchanges are recorded when they end, so their calls are sorted.
pub fn calls_of<'a>(exchanges: &'a [Story], used: &str) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    for story in exchanges {
        for step in &story.steps {
            let (at, told) = match step {
                Step::Asked(asked) if asked.place == used => (asked.at, Told::Asked(asked)),
                Step::Observed {
                    place,
                    at,
                    server,
                    outcome,
                    microseconds,
                } if place == used => {
                    let microseconds = *microseconds;
                    (
                        *at,
                        Told::Observed {
                            server,
                            outcome,
                            microseconds,
                        },
                    )
                }
                Step::Asked(_) | Step::Observed { .. } | Step::NoConnection { .. } => continue,
            };
            calls.push(Call {
                id: &story.id,
                worker: story.worker,
                at: at.unwrap_or(story.at),
                told,
            });
        }
    }
    calls.sort_by_key(|call| call.at);
    calls
}
