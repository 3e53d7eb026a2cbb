//! Ordered rules with conditions, compiled so that what a request costs depends on how many rules
//! are about it and not on how many there are.
//!
//! Every condition is made of *tests*, each of which looks at one fact. For each rule a *guard* is
//! chosen: a set of tests of which at least one must hold for the rule to apply. A request's facts are
//! put to the indexes, which yield the tests that hold; only the rules that these guard, and the few
//! that nothing guards, are looked at, in their order. Facts that no guard needs are looked at when a
//! condition comes to them.

use std::{collections::HashMap, ops::ControlFlow};

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

/// What it costs to rely on each test: how many rules would be looked at when it holds, then how dear
/// it is to find out. A test that all rules share, such as the host of a site, narrows nothing down.
fn costs(specs: &[TestSpec], conditions: &[Condition]) -> Vec<u64> {
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
struct Guard {
    cost: u64,
    /// Without duplicates. Empty if the condition cannot hold.
    tests: Vec<TestId>,
}

/// The cheapest set of tests one of which must hold whenever `condition` comes out as `outcome`.
/// `None` if it can come out so with all tests failing.
fn guard(condition: &Condition, outcome: bool, costs: &[u64]) -> Option<Guard> {
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Facts by slot; counts how often one is asked for.
    struct Values {
        values: Vec<Option<&'static str>>,
        asked: Cell<usize>,
        looked_up: Cell<usize>,
    }

    impl Values {
        fn new(values: &[Option<&'static str>]) -> Self {
            Self {
                values: values.to_vec(),
                asked: Cell::new(0),
                looked_up: Cell::new(0),
            }
        }
    }

    impl Facts for Values {
        fn value(&self, slot: Slot) -> Option<&str> {
            self.asked.set(self.asked.get() + 1);
            self.values[slot.0]
        }

        fn lookup(&self, map: &str, key: &str) -> Option<String> {
            self.looked_up.set(self.looked_up.get() + 1);
            (map == "tiers" && key == "ann").then(|| "gold".to_owned())
        }
    }

    fn test(tests: &mut Tests, slot: usize, technique: Technique, pattern: &str) -> Condition {
        on(tests, Source::Input(Slot(slot)), technique, pattern)
    }

    fn on(tests: &mut Tests, source: Source, technique: Technique, pattern: &str) -> Condition {
        Condition::Test(tests.add(TestSpec {
            source,
            technique,
            ignore_case: false,
            patterns: vec![pattern.to_owned()],
        }))
    }

    fn not(inner: Condition) -> Condition {
        Condition::Not(Box::new(inner))
    }

    fn matching(rules: &mut Ruleset, facts: &Values) -> Vec<usize> {
        let mut matches = Vec::new();
        rules.each_match(facts, |rule| {
            matches.push(rule);
            ControlFlow::Continue(())
        });
        matches
    }

    #[test]
    fn rules_come_in_order_with_and_without_guards() {
        let mut tests = Tests::default();
        let a = test(&mut tests, 0, Technique::Prefix, "/a");
        let b = test(&mut tests, 0, Technique::Prefix, "/a/b");
        let host = test(&mut tests, 1, Technique::Exact, "h");
        let conditions = vec![
            b.clone(),
            Condition::Always,
            a.clone(),
            not(a.clone()),
            Condition::All(vec![a.clone(), host.clone()]),
            Condition::Any(vec![b.clone(), host.clone()]),
            Condition::All(vec![]),
            Condition::Any(vec![]),
            not(Condition::All(vec![not(a), not(host)])),
        ];
        let mut rules = Ruleset::new(&tests, conditions).unwrap();
        assert_eq!(rules.unguarded, [1, 3, 6]);
        for _ in 0..2 {
            assert_eq!(
                matching(&mut rules, &Values::new(&[Some("/a/b"), None])),
                [0, 1, 2, 5, 6, 8]
            );
            assert_eq!(
                matching(&mut rules, &Values::new(&[Some("/x"), Some("h")])),
                [1, 3, 5, 6, 8]
            );
            assert_eq!(
                matching(&mut rules, &Values::new(&[Some("/a"), Some("h")])),
                [1, 2, 4, 5, 6, 8]
            );
            assert_eq!(matching(&mut rules, &Values::new(&[None, None])), [1, 3, 6]);
        }
    }

    #[test]
    fn a_break_ends_the_search_and_leaves_nothing_for_the_next_request() {
        let mut tests = Tests::default();
        let a = test(&mut tests, 0, Technique::Exact, "a");
        let mut rules = Ruleset::new(&tests, vec![a.clone(), a.clone(), not(a)]).unwrap();
        let mut seen = Vec::new();
        rules.each_match(&Values::new(&[Some("a")]), |rule| {
            seen.push(rule);
            ControlFlow::Break(())
        });
        assert_eq!(seen, [0]);
        assert_eq!(matching(&mut rules, &Values::new(&[Some("b")])), [2]);
    }

    #[test]
    fn the_test_that_few_rules_share_is_the_guard() {
        let mut tests = Tests::default();
        let site = test(&mut tests, 1, Technique::Exact, "site");
        let conditions: Vec<Condition> = (0..50)
            .map(|n| {
                let path = test(&mut tests, 0, Technique::Prefix, &format!("/p{n:02}"));
                Condition::All(vec![site.clone(), path])
            })
            .collect();
        let mut rules = Ruleset::new(&tests, conditions).unwrap();
        assert_eq!(
            rules.eager.len(),
            1,
            "only the paths are put to an index beforehand"
        );
        let elsewhere = Values::new(&[Some("/nothing"), Some("site")]);
        assert_eq!(matching(&mut rules, &elsewhere), [] as [usize; 0]);
        assert_eq!(
            elsewhere.asked.get(),
            1,
            "no rule came far enough to ask for the host"
        );
        assert_eq!(
            matching(&mut rules, &Values::new(&[Some("/p49"), Some("site")])),
            [49]
        );
        assert_eq!(
            matching(&mut rules, &Values::new(&[Some("/p49"), Some("other")])),
            [] as [usize; 0]
        );
    }

    #[test]
    fn a_map_is_asked_once_and_only_when_it_matters() {
        let mut tests = Tests::default();
        let source = || Source::Map {
            map: "tiers".to_owned(),
            key: Slot(1),
        };
        let path = test(&mut tests, 0, Technique::Exact, "/vip");
        let gold = on(&mut tests, source(), Technique::Exact, "gold");
        let silver = on(&mut tests, source(), Technique::Exact, "silver");
        let conditions = vec![
            Condition::All(vec![silver.clone(), path.clone()]),
            Condition::All(vec![gold, path.clone()]),
            Condition::All(vec![not(silver), path]),
        ];
        let mut rules = Ruleset::new(&tests, conditions).unwrap();
        let elsewhere = Values::new(&[Some("/"), Some("ann")]);
        assert_eq!(matching(&mut rules, &elsewhere), [] as [usize; 0]);
        assert_eq!(elsewhere.looked_up.get(), 0);
        let vip = Values::new(&[Some("/vip"), Some("ann")]);
        assert_eq!(matching(&mut rules, &vip), [1, 2]);
        assert_eq!(vip.looked_up.get(), 1);
        assert_eq!(
            matching(&mut rules, &Values::new(&[Some("/vip"), Some("bob")])),
            [2]
        );
    }

    #[test]
    fn a_list_passes_as_a_whole_or_by_any_part() {
        let mut tests = Tests::default();
        let list = || Source::List(Slot(0));
        let yes = on(&mut tests, list(), Technique::Exact, "yes");
        let pair = on(&mut tests, list(), Technique::Exact, "no, yes");
        let mut rules = Ruleset::new(&tests, vec![yes, pair]).unwrap();
        assert_eq!(matching(&mut rules, &Values::new(&[Some("yes")])), [0]);
        assert_eq!(
            matching(&mut rules, &Values::new(&[Some("no, yes")])),
            [0, 1]
        );
        assert_eq!(matching(&mut rules, &Values::new(&[Some("yes,no")])), [0]);
        assert_eq!(
            matching(&mut rules, &Values::new(&[Some("yesno")])),
            [] as [usize; 0]
        );
    }

    /// Whether the condition holds, worked out without indexes or guards.
    fn plainly(condition: &Condition, truth: &[bool]) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Test(test) => truth[test.0 as usize],
            Condition::Not(inner) => !plainly(inner, truth),
            Condition::All(parts) => parts.iter().all(|part| plainly(part, truth)),
            Condition::Any(parts) => parts.iter().any(|part| plainly(part, truth)),
        }
    }

    #[test]
    fn guards_never_hide_a_rule_that_applies() {
        // A small deterministic generator: conditions of every shape over five tests.
        let mut seed = 1_u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        fn make(depth: u32, tests: &[Condition], random: &mut impl FnMut(u64) -> u64) -> Condition {
            match if depth == 0 { random(2) } else { random(6) } {
                0 => tests[random(5) as usize].clone(),
                1 if random(4) == 0 => Condition::Always,
                1 => tests[random(5) as usize].clone(),
                2 => not(make(depth - 1, tests, random)),
                n => {
                    let list = (0..=random(3))
                        .map(|_| make(depth - 1, tests, random))
                        .collect();
                    if n == 3 {
                        Condition::All(list)
                    } else {
                        Condition::Any(list)
                    }
                }
            }
        }
        let mut tests = Tests::default();
        let leaves: Vec<Condition> = (0..5)
            .map(|slot| test(&mut tests, slot, Technique::Exact, "1"))
            .collect();
        let conditions: Vec<Condition> =
            (0..2_000).map(|_| make(4, &leaves, &mut random)).collect();
        let mut rules = Ruleset::new(&tests, conditions.clone()).unwrap();
        for bits in 0..32 {
            let truth: Vec<bool> = (0..5).map(|slot| bits >> slot & 1 == 1).collect();
            let values: Vec<Option<&str>> = truth
                .iter()
                .map(|holds| Some(if *holds { "1" } else { "0" }))
                .collect();
            let expected: Vec<usize> = (0..conditions.len())
                .filter(|rule| plainly(&conditions[*rule], &truth))
                .collect();
            assert_eq!(matching(&mut rules, &Values::new(&values)), expected);
        }
    }
}
