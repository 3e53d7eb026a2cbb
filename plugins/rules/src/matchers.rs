//! From matchers as written to conditions over tests. Whatever cannot hold, or says nothing, is a
//! problem: a rule that never applies is found when it is loaded and not when it was needed.

mod facts;

use std::collections::{BTreeMap, HashMap};

use crate::{
    config::{self, Matcher},
    expression::{self, Expression},
    index::{BadPattern, Technique},
    inputs::{BadInput, Fact, Hook, Inputs, Slot},
    patterns::Patterns,
    problem::{Place, Problem, Problems},
    ruleset::{Condition, Ruleset, Source, TestSpec, Tests},
    suggest::nearest,
};

/// How many operators and tests one condition may come to once all names are replaced by what they
/// stand for; a few lines of names that refer to each other could make billions.
const MAX_SIZE: usize = 10_000;

/// The matchers of a config, and the tests and inputs that the conditions asked for so far need.
pub struct Matchers<'c> {
    matchers: &'c BTreeMap<String, Matcher>,
    /// What each name stands for; `None` if that has a problem, which is then already noted.
    known: HashMap<&'c str, Option<Condition>>,
    /// The names being worked out, outermost first.
    open: Vec<&'c str>,
    /// The part of the config that asked.
    asker: Place,
    tests: Tests,
    /// Where each test stands in the config, by its number.
    places: Vec<Place>,
    inputs: Inputs,
    problems: Problems,
}

impl<'c> Matchers<'c> {
    pub fn new(matchers: &'c BTreeMap<String, Matcher>, hook: Hook) -> Self {
        Self {
            matchers,
            known: HashMap::new(),
            open: Vec::new(),
            asker: Place::root(),
            tests: Tests::default(),
            places: Vec::new(),
            inputs: Inputs::new(hook),
            problems: Problems::default(),
        }
    }

    /// The condition of a rule; `None` if it has a problem, which is noted.
    pub fn rule(
        &mut self,
        when: Option<&'c config::Condition>,
        place: &Place,
    ) -> Option<Condition> {
        self.asker = place.clone();
        let condition = match when {
            None => return Some(Condition::Always),
            Some(when) => self.condition(when, place)?,
        };
        self.bounded(condition, place)
    }

    /// Works out a matcher for the sake of its problems.
    pub fn check(&mut self, name: &str) {
        self.asker = Place::root().key("match").key(name);
        self.named(name, &self.asker.clone());
    }

    /// Whether a rule needed the matcher, directly or through another.
    pub fn has_used(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// The inputs so far, for a rule's templates to add theirs, and where to note their problems.
    pub fn templates(&mut self) -> (&mut Inputs, &mut Problems) {
        (&mut self.inputs, &mut self.problems)
    }

    /// Compiles the rules that have these conditions, and hands over all problems found so far.
    pub fn compile(
        self,
        conditions: Vec<Condition>,
        problems: &mut Problems,
    ) -> Option<(Ruleset, Inputs)> {
        problems.append(self.problems);
        let ruleset = Ruleset::new(&self.tests, conditions)
            .map_err(|BadPattern { id, problem }| self.places[id as usize].problem(problem));
        Some((problems.note(ruleset)?, self.inputs))
    }

    fn condition(&mut self, condition: &'c config::Condition, place: &Place) -> Option<Condition> {
        match condition {
            config::Condition::Matcher(matcher) => self.matcher(matcher, place),
            config::Condition::Expression(text) => {
                let parsed = expression::parse(text).map_err(|error| place.problem(error));
                let expression = self.problems.note(parsed)?;
                self.expression(&expression, place)
            }
        }
    }

    fn expression(&mut self, expression: &Expression, place: &Place) -> Option<Condition> {
        Some(match expression {
            Expression::Name(name) => self.named(name, place)?,
            Expression::Not(inner) => Condition::Not(Box::new(self.expression(inner, place)?)),
            Expression::All(parts) => Condition::All(self.expressions(parts, place)?),
            Expression::Any(parts) => Condition::Any(self.expressions(parts, place)?),
        })
    }

    fn expressions(&mut self, parts: &[Expression], place: &Place) -> Option<Vec<Condition>> {
        // Collected first, so that a problem in one part does not hide those of the next.
        let parts: Vec<_> = parts
            .iter()
            .map(|part| self.expression(part, place))
            .collect();
        parts.into_iter().collect()
    }

    fn named(&mut self, name: &str, place: &Place) -> Option<Condition> {
        let Some((name, matcher)) = self.matchers.get_key_value(name) else {
            let mut what = format!("no matcher named `{name}`");
            if let Some(meant) = nearest(name, self.matchers.keys().map(String::as_str)) {
                what.push_str(&format!("; did you mean `{meant}`?"));
            }
            self.problems.add(place.problem(what));
            return None;
        };
        if let Some(known) = self.known.get(name.as_str()) {
            return known.clone();
        }
        let own_place = Place::root().key("match").key(name);
        if let Some(first) = self.open.iter().position(|open| open == name) {
            let round = self.open[first..].join("` needs `");
            self.problems.add(own_place.problem(format!(
                "`{round}` needs `{name}`: a matcher cannot need itself"
            )));
            return None;
        }
        self.open.push(name);
        let condition = self.matcher(matcher, &own_place);
        self.open.pop();
        let condition = condition.and_then(|condition| self.bounded(condition, &own_place));
        self.known.insert(name, condition.clone());
        condition
    }

    fn bounded(&mut self, condition: Condition, place: &Place) -> Option<Condition> {
        if size(&condition) <= MAX_SIZE {
            return Some(condition);
        }
        let what = format!(
            "comes to more than {MAX_SIZE} tests once all names are replaced by what they stand for"
        );
        self.problems.add(place.problem(what));
        None
    }

    fn matcher(&mut self, matcher: &'c Matcher, place: &Place) -> Option<Condition> {
        let facts = self.facts(matcher, place);
        let combined = [
            ("any", matcher.any.is_some()),
            ("all", matcher.all.is_some()),
            ("not", matcher.not.is_some()),
        ];
        let mut combined = combined
            .into_iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(key, _)| key);
        let (Some(key), second) = (combined.next(), combined.next()) else {
            if facts.is_empty() {
                self.problems.add(place.problem("an empty matcher; say what it should look at, such as `path = { prefix = \"/static\" }`"));
                return None;
            }
            return facts
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(one_or_all);
        };
        if second.is_some() || !facts.is_empty() {
            let what = format!(
                "`{key}` stands alone; put what is beside it into a matcher of its own inside `all`"
            );
            self.problems.add(place.problem(what));
            return None;
        }
        let place = place.key(key);
        if let Some(inner) = &matcher.not {
            return self
                .condition(inner, &place)
                .map(|inner| Condition::Not(Box::new(inner)));
        }
        let parts = matcher.any.as_ref().or(matcher.all.as_ref())?;
        if parts.is_empty() {
            self.problems
                .add(place.problem("an empty list; put conditions into it"));
            return None;
        }
        let parts: Vec<_> = (0..)
            .zip(parts)
            .map(|(position, part)| self.condition(part, &place.index(position)))
            .collect();
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if matcher.any.is_some() {
            Condition::Any(parts)
        } else {
            Condition::All(parts)
        })
    }

    fn patterns(
        &mut self,
        source: Source,
        patterns: &Patterns<'_>,
        place: &Place,
    ) -> Option<Condition> {
        self.problems
            .note(patterns.sensible().map_err(|what| place.problem(what)))?;
        if let Some(present) = patterns.present {
            let test = self.test(
                source,
                Technique::Present,
                false,
                vec![String::new()],
                place,
            )?;
            return Some(if present {
                test
            } else {
                Condition::Not(Box::new(test))
            });
        }
        let tests: Vec<_> = patterns
            .lists
            .iter()
            .map(|(key, technique, list)| {
                let place = place.key(key);
                for pattern in list.as_slice() {
                    let checked =
                        (patterns.check)(*technique, pattern).map_err(|what| place.problem(what));
                    self.problems.note(checked)?;
                }
                let ignore_case = patterns.ignore_case;
                self.test(
                    source.clone(),
                    *technique,
                    ignore_case,
                    list.as_slice().to_vec(),
                    &place,
                )
            })
            .collect();
        tests
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(one_or_all)
    }

    fn test(
        &mut self,
        source: Source,
        technique: Technique,
        ignore_case: bool,
        mut patterns: Vec<String>,
        place: &Place,
    ) -> Option<Condition> {
        if patterns.is_empty() {
            self.problems
                .add(place.problem("an empty list, which nothing can match"));
            return None;
        }
        patterns.sort_unstable();
        patterns.dedup();
        let id = self.tests.add(TestSpec {
            source,
            technique,
            ignore_case,
            patterns,
        });
        if id.position() == self.places.len() {
            self.places.push(place.clone());
        }
        Some(Condition::Test(id))
    }

    fn source(&mut self, fact: Fact, place: &Place) -> Option<Source> {
        self.slot(fact, place).map(Source::Input)
    }

    fn slot(&mut self, fact: Fact, place: &Place) -> Option<Slot> {
        let slot = self.inputs.add(fact);
        let slot = slot.map_err(|bad| self.bad_input(bad, place));
        self.problems.note(slot)
    }

    fn bad_input(&self, bad: BadInput, place: &Place) -> Problem {
        match bad {
            // The matcher is right; it is the rule that cannot use it.
            BadInput::OfResponse { name } => self.asker.problem(format!(
                "looks at `{name}`, which only a response has; move the rule to `response_rule`"
            )),
            BadInput::OfRequest { name } => self.asker.problem(format!(
                "looks at `{name}`, which only a request has; move the rule to `rule`"
            )),
            unknown @ BadInput::Unknown { .. } => place.problem(unknown),
        }
    }
}

fn one_or_all(mut parts: Vec<Condition>) -> Condition {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Condition::All(parts)
    }
}

fn size(condition: &Condition) -> usize {
    1 + match condition {
        Condition::Always | Condition::Test(_) => 0,
        Condition::Not(inner) => size(inner),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(size).sum(),
    }
}
