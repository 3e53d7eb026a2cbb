//! Ordered rules with conditions, compiled so that what a request costs depends on how many rules
//! are about it and not on how many there are.
//!
//! Every condition is made of *tests*, each of which looks at one fact. For each rule a *guard* is
//! chosen: a set of tests of which at least one must hold for the rule to apply. A request's facts are
//! put to the indexes, which yield the tests that hold; only the rules that these guard, and the few
//! that nothing guards, are looked at, in their order. Facts that no guard needs are looked at when a
//! condition comes to them.

mod guard;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, ops::ControlFlow};

use self::guard::{costs, guard};
use crate::{
    index::{BadPattern, Family, Index, Technique, Test},
    inputs::{Facts, Slot},
    sample::Sample,
};

/// A condition over tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Always,
    Test(TestId),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TestId(u32);

/// What a test looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    Input(Slot),
    /// A value that is also a comma-separated list: the whole or any part may pass the test.
    List(Slot),
    /// What a map says about an input.
    Map {
        map: String,
        key: Slot,
    },
    /// What converters make of facts: the position among the values of [`Tests`].
    Value(usize),
}

/// Holds if any of `patterns` fits the fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TestSpec {
    pub source: Source,
    pub technique: Technique,
    pub ignore_case: bool,
    pub patterns: Vec<String>,
}

impl TestId {
    /// How many tests were added before.
    pub fn position(self) -> usize {
        self.0 as usize
    }
}

/// Collects tests; equal ones become one.
#[derive(Debug, Default)]
pub struct Tests {
    specs: Vec<TestSpec>,
    known: HashMap<TestSpec, TestId>,
    /// With the texts that they were read from.
    values: Vec<(String, Sample)>,
}

impl Tests {
    /// The source for a sample that was read from `text`; equal texts become one.
    pub fn value(&mut self, text: &str, sample: Sample) -> Source {
        let known = self.values.iter().position(|(known, _)| known == text);
        Source::Value(known.unwrap_or_else(|| {
            self.values.push((text.to_owned(), sample));
            self.values.len() - 1
        }))
    }

    pub fn add(&mut self, spec: TestSpec) -> TestId {
        *self.known.entry(spec).or_insert_with_key(|spec| {
            self.specs.push(spec.clone());
            TestId(number(self.specs.len() - 1))
        })
    }
}

/// The compiled rules, known by their positions.
#[derive(Debug)]
pub struct Ruleset {
    conditions: Vec<Condition>,
    probes: Vec<Probe>,
    values: Vec<Sample>,
    /// The probe that decides each test.
    probe_of: Vec<u32>,
    /// The probes that guards rely on.
    eager: Vec<u32>,
    /// The rules that each test guards, ascending.
    guarded: Vec<Vec<u32>>,
    /// The rules without a guard, ascending.
    unguarded: Vec<u32>,
    /// Made once, since a request should not allocate.
    scratch: Scratch,
}

/// An index and the fact it is for.
#[derive(Debug)]
struct Probe {
    source: Source,
    index: Index,
}

/// What is known about the request at hand. Empty between requests.
#[derive(Debug, Default)]
struct Scratch {
    /// By test.
    holds: Vec<bool>,
    held: Vec<u32>,
    /// By probe.
    probed: Vec<bool>,
    candidates: Vec<u32>,
}

impl Ruleset {
    /// Compiles the rules that have these conditions.
    pub fn new(tests: &Tests, conditions: Vec<Condition>) -> Result<Self, BadPattern> {
        let (probes, probe_of) = probes(&tests.specs)?;
        let mut guarded = vec![Vec::new(); tests.specs.len()];
        let mut unguarded = Vec::new();
        let costs = costs(&tests.specs, &conditions);
        for (rule, condition) in (0..).zip(&conditions) {
            match guard(condition, true, &costs) {
                Some(guard) => guard
                    .tests
                    .iter()
                    .for_each(|test| guarded[test.0 as usize].push(rule)),
                None => unguarded.push(rule),
            }
        }
        let mut eager: Vec<u32> = (0..guarded.len())
            .filter(|test| !guarded[*test].is_empty())
            .map(|test| probe_of[test])
            .collect();
        eager.sort_unstable();
        eager.dedup();
        Ok(Self {
            scratch: Scratch {
                holds: vec![false; tests.specs.len()],
                probed: vec![false; probes.len()],
                ..Scratch::default()
            },
            conditions,
            probes,
            values: tests
                .values
                .iter()
                .map(|(_, sample)| sample.clone())
                .collect(),
            probe_of,
            eager,
            guarded,
            unguarded,
        })
    }

    /// Calls `apply` with the position of each rule whose condition holds, in order, until it breaks.
    pub fn each_match(
        &mut self,
        facts: &impl Facts,
        mut apply: impl FnMut(usize) -> ControlFlow<()>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        for probe in &self.eager {
            self.probe(*probe, facts, &mut scratch);
        }
        let mut candidates = std::mem::take(&mut scratch.candidates);
        for test in &scratch.held {
            candidates.extend_from_slice(&self.guarded[*test as usize]);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for rule in merged(&candidates, &self.unguarded) {
            let holds = self.holds(&self.conditions[rule as usize], facts, &mut scratch);
            if holds && apply(rule as usize).is_break() {
                break;
            }
        }
        candidates.clear();
        scratch.candidates = candidates;
        scratch.clear();
        self.scratch = scratch;
    }

    fn holds(&self, condition: &Condition, facts: &impl Facts, scratch: &mut Scratch) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Test(test) => {
                self.probe(self.probe_of[test.0 as usize], facts, scratch);
                scratch.holds[test.0 as usize]
            }
            Condition::Not(inner) => !self.holds(inner, facts, scratch),
            Condition::All(parts) => parts.iter().all(|part| self.holds(part, facts, scratch)),
            Condition::Any(parts) => parts.iter().any(|part| self.holds(part, facts, scratch)),
        }
    }

    /// Finds the tests of one probe that hold, unless that is done.
    fn probe(&self, probe: u32, facts: &impl Facts, scratch: &mut Scratch) {
        if std::mem::replace(&mut scratch.probed[probe as usize], true) {
            return;
        }
        let Probe { source, index } = &self.probes[probe as usize];
        let mut found = |test: u32| {
            if !std::mem::replace(&mut scratch.holds[test as usize], true) {
                scratch.held.push(test);
            }
        };
        match source {
            Source::Input(slot) => {
                if let Some(value) = facts.value(*slot) {
                    index.find(value, found);
                }
            }
            Source::List(slot) => {
                if let Some(value) = facts.value(*slot) {
                    index.find(value, &mut found);
                    if value.contains(',') {
                        value
                            .split(',')
                            .for_each(|part| index.find(part.trim(), &mut found));
                    }
                }
            }
            Source::Value(position) => {
                if let Some(value) = self.values[*position].value(facts) {
                    index.find(&value, found);
                }
            }
            Source::Map { map, key } => {
                let value = facts.value(*key).and_then(|key| facts.lookup(map, key));
                if let Some(value) = value {
                    index.find(&value, found);
                }
            }
        }
    }
}

impl Scratch {
    fn clear(&mut self) {
        for test in self.held.drain(..) {
            self.holds[test as usize] = false;
        }
        self.probed.fill(false);
    }
}

/// Makes one probe for all tests of a family on the same fact, and says which probe decides each test.
fn probes(specs: &[TestSpec]) -> Result<(Vec<Probe>, Vec<u32>), BadPattern> {
    type Key<'s> = (&'s Source, Family, bool);
    let mut groups: Vec<(Key<'_>, Vec<Test<'_>>)> = Vec::new();
    let mut known: HashMap<Key<'_>, usize> = HashMap::new();
    let mut probe_of = Vec::with_capacity(specs.len());
    for (id, spec) in (0..).zip(specs) {
        let key = (&spec.source, spec.technique.family(), spec.ignore_case);
        let group = *known.entry(key).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        probe_of.push(number(group));
        groups[group]
            .1
            .extend(spec.patterns.iter().map(|pattern| Test {
                id,
                technique: spec.technique,
                pattern,
            }));
    }
    let probes: Result<Vec<Probe>, BadPattern> = groups
        .into_iter()
        .map(|((source, family, ignore_case), tests)| {
            Ok(Probe {
                source: source.clone(),
                index: Index::new(family, ignore_case, &tests)?,
            })
        })
        .collect();
    Ok((probes?, probe_of))
}

/// Two ascending lists without common members as one.
fn merged<'m>(mut a: &'m [u32], mut b: &'m [u32]) -> impl Iterator<Item = u32> + 'm {
    std::iter::from_fn(move || {
        let list = match (a.first(), b.first()) {
            (Some(first), Some(second)) if first > second => &mut b,
            (Some(_), _) => &mut a,
            (None, _) => &mut b,
        };
        let (first, rest) = list.split_first()?;
        *list = rest;
        Some(*first)
    })
}

fn number(position: usize) -> u32 {
    u32::try_from(position).expect("a config of 4 GiB does not fit into a plugin's memory")
}
