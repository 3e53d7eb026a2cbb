//! Conditions: `if is_static !internal or { src 10.0.0.0/8 }` as a rule's `when`.

use std::collections::{HashMap, HashSet};

use crate::{
    file::{Condition, Term, Test, What},
    nearest::nearest,
    problem::Problem,
    text::Word,
    weir::{Table, Value},
};

use super::{
    draft::{Draft, predefined},
    facts::{Reason, Used},
    matcher::Matchers,
};

/// A condition as it is written in a rule, with the matchers that it names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// `None`: always.
    pub value: Option<Value>,
    pub matchers: Vec<(String, Value)>,
}

/// Checks that all names of a condition are known.
///
/// # Errors
/// The first that is not.
pub fn check_names(draft: &Draft<'_>, condition: &Condition) -> Result<(), Problem> {
    for term in condition.any.iter().flatten() {
        match &term.what {
            What::Named(name) => {
                tests_of(draft, name)?;
            }
            What::Anonymous(test) => check_fact(test)?,
        }
    }
    Ok(())
}

/// Whether HAProxy knows what a test looks at.
pub fn check_fact(test: &Test) -> Result<(), Problem> {
    super::facts::check_known(&test.sample.fetch.name)
        .map_err(|what| Problem::new(test.place, what))
}

fn tests_of(draft: &Draft<'_>, name: &Word) -> Result<Vec<Test>, Problem> {
    if let Some(acl) = draft.acls.get(&name.text) {
        return Ok(acl.tests.clone());
    }
    if let Some(test) = predefined(name) {
        return Ok(vec![test]);
    }
    let problem = Problem::new(name.place, format!("no ACL is called `{}`", name.text));
    let known = draft.acls.keys().map(String::as_str);
    Err(match nearest(&name.text, known) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => {
            problem.hint("define it with `acl`, or write the test in braces: `{ path_beg /x }`")
        }
    })
}

/// Translates a condition whose names are known.
///
/// # Errors
/// Why it has no equivalent.
pub fn when(
    draft: &Draft<'_>,
    condition: Option<&Condition>,
    matchers: &mut Matchers<'_>,
    used: &mut Used,
) -> Result<When, Reason> {
    let Some(condition) = condition else {
        return Ok(When::default());
    };
    let mut when = When::default();
    // A single test needs no name, unless the file gave it one.
    if let [all] = condition.any.as_slice()
        && let [
            Term {
                negated,
                what: What::Anonymous(test),
            },
        ] = all.as_slice()
    {
        let matcher = matchers.matcher(test, used)?;
        let negated = *negated != condition.unless;
        when.value = match (negated, is_always(&matcher)) {
            (false, Some(true)) | (true, Some(false)) => None,
            (true, _) => Some(negation(matcher)),
            (false, _) => Some(matcher),
        };
        return Ok(when);
    }
    let mut alternatives = Vec::new();
    for all in &condition.any {
        let mut names = Vec::new();
        for term in all {
            let name = term_name(draft, term, matchers, &mut when, used)?;
            names.push(if term.negated {
                format!("not {name}")
            } else {
                name
            });
        }
        alternatives.push(names.join(" and "));
    }
    let single =
        alternatives.len() == 1 && condition.any[0].len() == 1 && !condition.any[0][0].negated;
    let text = alternatives.join(" or ");
    let text = match (condition.unless, single) {
        (false, _) => text,
        (true, true) => format!("not {text}"),
        (true, false) => format!("not ({text})"),
    };
    when.value = Some(Value::Text(text));
    Ok(when)
}

fn term_name(
    draft: &Draft<'_>,
    term: &Term,
    matchers: &mut Matchers<'_>,
    when: &mut When,
    used: &mut Used,
) -> Result<String, Reason> {
    let (name, value) = match &term.what {
        What::Named(word) => {
            let tests = tests_of(draft, word).map_err(|problem| problem.message)?;
            let all: Result<Vec<Value>, Reason> = tests
                .iter()
                .map(|test| matchers.matcher(test, used))
                .collect();
            (matcher_name(&word.text), any_of(all?))
        }
        What::Anonymous(test) => {
            let value = matchers.matcher(test, used)?;
            let name = matchers.named.name_of(test, &value, draft);
            (name, value)
        }
    };
    if !when.matchers.iter().any(|(known, _)| *known == name) {
        when.matchers.push((name.clone(), value));
    }
    Ok(name)
}

/// Matchers of which one is enough. Those that look at the same thing in the same way become one.
fn any_of(mut all: Vec<Value>) -> Value {
    if all.len() == 1 {
        return all.remove(0);
    }
    let mut merged: Vec<Value> = Vec::new();
    for value in all {
        let taken = merged.last_mut().is_some_and(|last| absorb(last, &value));
        if !taken {
            merged.push(value);
        }
    }
    match merged.len() {
        1 => merged.remove(0),
        _ => Table::of("any", merged).into(),
    }
}

/// Adds the patterns of `other` to those of `value` if all else is equal.
fn absorb(value: &mut Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Table(table), Value::Table(other)) if table.len() == other.len() => {
            let keys: Vec<&str> = table.iter().map(|(key, _)| key).collect();
            let same_keys = other.iter().map(|(key, _)| key).eq(keys.iter().copied());
            let different: Vec<String> = table
                .iter()
                .filter(|(key, value)| other.get(key) != Some(*value))
                .map(|(key, _)| key.to_owned())
                .collect();
            let [key] = different.as_slice() else {
                return same_keys && different.is_empty();
            };
            let (true, Some(new)) = (same_keys, other.get(key)) else {
                return false;
            };
            match (key.as_str(), table.get_mut(key), new) {
                (
                    "exact" | "prefix" | "suffix" | "contains" | "regex" | "client" | "method"
                    | "network",
                    Some(list),
                    _,
                ) => {
                    let mut patterns = as_list(list.clone());
                    for pattern in as_list(new.clone()) {
                        if !patterns.contains(&pattern) {
                            patterns.push(pattern);
                        }
                    }
                    *list = Value::List(patterns);
                    true
                }
                (_, Some(inner @ Value::Table(_)), Value::Table(_)) => absorb(inner, new),
                _ => false,
            }
        }
        _ => false,
    }
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::List(list) => list,
        one => vec![one],
    }
}

fn is_always(matcher: &Value) -> Option<bool> {
    match matcher {
        Value::Table(table) => match table.get("always") {
            Some(Value::Bool(always)) => Some(*always),
            _ => None,
        },
        _ => None,
    }
}

fn negation(matcher: Value) -> Value {
    Table::of("not", matcher).into()
}

/// The name of a matcher: letters, digits, `_` and `-`.
pub fn matcher_name(acl: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let name: String = acl.chars().map(plain).collect();
    match name.as_str() {
        "and" | "or" | "not" => format!("{name}_"),
        _ if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => name,
        _ => format!("_{name}"),
    }
}

/// Names for tests that have none. Equal tests get one name.
#[derive(Debug, Default)]
pub struct Names {
    by_value: HashMap<String, String>,
    taken: HashSet<String>,
    /// The next number for each beginning.
    next: HashMap<String, usize>,
}

impl Names {
    /// A name from what the test looks at and its first pattern.
    fn name_of(&mut self, test: &Test, value: &Value, draft: &Draft<'_>) -> String {
        self.name_for(&base_name(test), value, draft)
    }

    /// A name that begins like `base`.
    pub fn name_for(&mut self, base: &str, value: &Value, draft: &Draft<'_>) -> String {
        let text = value.to_string();
        if let Some(known) = self.by_value.get(&text) {
            return known.clone();
        }
        let number = self.next.entry(base.to_owned()).or_insert(1);
        let name = loop {
            let name = match *number {
                1 => base.to_owned(),
                number => format!("{base}_{number}"),
            };
            *number += 1;
            if !draft.acls.contains_key(&name) && self.taken.insert(name.clone()) {
                break name;
            }
        };
        self.by_value.insert(text, name.clone());
        name
    }
}

fn base_name(test: &Test) -> String {
    let fetch = &test.sample.fetch;
    let fact = fetch.argument(0).unwrap_or(&fetch.name);
    let pattern = test.patterns.first().map_or("", String::as_str);
    // What is compared with a number is told by its name; the argument says of whom.
    let name = match ["eq", "ge", "gt", "le", "lt"].contains(&pattern) && fact != fetch.name {
        true => fetch.name.as_str(),
        false => "",
    };
    let words: Vec<&str> = [name, fact, pattern]
        .into_iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| !word.is_empty())
        .take(4)
        .collect();
    let base = matcher_name(&words.join("_").to_ascii_lowercase());
    if base == "_" { "test".to_owned() } else { base }
}
