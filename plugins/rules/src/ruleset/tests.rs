//! Whether every rule that applies is found, in its order, and no fact looked at that does not matter.

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
    let conditions: Vec<Condition> = (0..2_000).map(|_| make(4, &leaves, &mut random)).collect();
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
