//! Which tests to rely on: the cheapest set of which one must hold for a rule to apply.

use super::{Condition, Source, TestId, TestSpec};

/// What it costs to rely on each test: how many rules would be looked at when it holds, then how dear
/// it is to find out. A test that all rules share, such as the host of a site, narrows nothing down.
pub(super) fn costs(specs: &[TestSpec], conditions: &[Condition]) -> Vec<u64> {
    let mut uses = vec![0_u64; specs.len()];
    for condition in conditions {
        let mut tests = Vec::new();
        collect(condition, &mut tests);
        tests.sort_unstable();
        tests.dedup();
        tests
            .into_iter()
            .for_each(|test| uses[test.0 as usize] += 1);
    }
    uses.into_iter()
        .zip(specs)
        .map(|(uses, spec)| {
            let map = u64::from(matches!(spec.source, Source::Map { .. } | Source::Value(_)));
            uses * 16 + spec.technique.family() as u64 + map * 64
        })
        .collect()
}

fn collect(condition: &Condition, tests: &mut Vec<TestId>) {
    match condition {
        Condition::Always => {}
        Condition::Test(test) => tests.push(*test),
        Condition::Not(inner) => collect(inner, tests),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| collect(part, tests));
        }
    }
}

#[derive(Debug)]
pub(super) struct Guard {
    pub(super) cost: u64,
    /// Without duplicates. Empty if the condition cannot hold.
    pub(super) tests: Vec<TestId>,
}

/// The cheapest set of tests one of which must hold whenever `condition` comes out as `outcome`.
/// `None` if it can come out so with all tests failing.
pub(super) fn guard(condition: &Condition, outcome: bool, costs: &[u64]) -> Option<Guard> {
    match (condition, outcome) {
        (Condition::Always, true) | (Condition::Test(_), false) => None,
        (Condition::Always, false) => Some(Guard {
            cost: 0,
            tests: Vec::new(),
        }),
        (Condition::Test(test), true) => Some(Guard {
            cost: costs[test.0 as usize],
            tests: vec![*test],
        }),
        (Condition::Not(inner), _) => guard(inner, !outcome, costs),
        // All parts must hold, so the guard of any one of them will do.
        (Condition::All(parts), true) | (Condition::Any(parts), false) => parts
            .iter()
            .filter_map(|part| guard(part, outcome, costs))
            .min_by_key(|guard| guard.cost),
        // Any part may be the one, so every part needs its guard.
        (Condition::Any(parts), true) | (Condition::All(parts), false) => {
            let guards: Option<Vec<Guard>> = parts
                .iter()
                .map(|part| guard(part, outcome, costs))
                .collect();
            let mut tests: Vec<TestId> =
                guards?.into_iter().flat_map(|guard| guard.tests).collect();
            tests.sort_unstable();
            tests.dedup();
            Some(Guard {
                cost: tests.iter().map(|test| costs[test.0 as usize]).sum(),
                tests,
            })
        }
    }
}
