//! `weir plugin check-compat`: whether one component can take another's place without a change of weir.toml.

use std::{collections::BTreeSet, fmt};

use serde_json::{Map, Value};

use crate::plugin::{Inspection, LoadError};

use super::Subject;

/// How two components differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// With any of these the new one can't take the place.
    pub breaking: Vec<String>,
    /// Worth knowing.
    pub others: Vec<String>,
}

/// Compares two components, both with this config (JSON text).
pub fn compare(old: &Subject, new: &Subject, config: &str) -> Result<Differences, LoadError> {
    let (old, new) = (old.inspect(config)?, new.inspect(config)?);
    let mut differences = Differences::default();
    differences.exports_and_imports(&old, &new);
    differences.asks(&old, &new);
    let schema = |shown: &Inspection| {
        let text = shown.info.as_ref().map(|info| info.config_schema.as_str());
        serde_json::from_str(text.unwrap_or_default()).unwrap_or(Value::Bool(true))
    };
    let (old_schema, new_schema) = (schema(&old), schema(&new));
    let mut walk = Walk {
        old: &old_schema,
        new: &new_schema,
        found: &mut differences.breaking,
        depth: 0,
    };
    walk.schemas(&old_schema, &new_schema, "");
    Ok(differences)
}

impl Differences {
    fn exports_and_imports(&mut self, old: &Inspection, new: &Inspection) {
        for role in old.roles.iter().filter(|role| !new.roles.contains(role)) {
            let role = role.as_str();
            self.breaking.push(format!("it no longer exports `{role}`"));
        }
        for role in new.roles.iter().filter(|role| !old.roles.contains(role)) {
            let role = role.as_str();
            self.others.push(format!("it also exports `{role}`"));
        }
        for import in new.imports.iter().filter(|it| !old.imports.contains(it)) {
            let name = import.as_str();
            match import.grant_line() {
                Some(line) => self.breaking.push(format!(
                    "it imports `{name}`, which is to be granted: {line}"
                )),
                None => self.others.push(format!("it also imports `{name}`")),
            }
        }
        for import in &new.foreign_imports {
            let text = format!("it imports `{import}`, which this Weir doesn't have");
            self.breaking.push(text);
        }
        if old.contract != new.contract {
            let text = format!(
                "it is written against {}, not {}",
                new.contract, old.contract
            );
            self.others.push(text);
        }
    }

    fn asks(&mut self, old: &Inspection, new: &Inspection) {
        let (old, new) = match (&old.asks, &new.asks) {
            (Ok(old), Ok(new)) => (old, new),
            (Ok(_), Err(fault)) => {
                let text = format!("it doesn't take the config that the old one takes: {fault}");
                return self.breaking.push(text);
            }
            (Err(_), Ok(_)) => {
                let text = "it takes a config that the old one doesn't".to_owned();
                return self.others.push(text);
            }
            (Err(_), Err(_)) => {
                let text = "neither takes this config, so what they ask for with one was not \
                            compared; give one with --config";
                return self.others.push(text.to_owned());
            }
        };
        for backend in new.backends.iter().filter(|it| !old.backends.contains(it)) {
            let text = format!("it routes to the backend `{backend}` too, which has to exist");
            self.breaking.push(text);
        }
        for (hook, inputs) in &new.inputs {
            let before = old.inputs.iter().find(|(known, _)| known == hook);
            let before = before.map(|(_, inputs)| inputs.as_slice());
            for input in inputs {
                if !before.unwrap_or_default().contains(input) {
                    self.others.push(format!("{hook} also asks for {input}"));
                }
            }
        }
        for feature in new.features.iter().filter(|it| !old.features.contains(it)) {
            self.others.push(format!("it also asks for {feature}"));
        }
    }
}

/// Beyond this a schema refers to itself.
const DEEPEST: usize = 32;

/// Walks two JSON Schemas side by side and finds where the new one takes less. What it can't see through
/// (combinations, patterns, ranges) it leaves to the config itself.
struct Walk<'a> {
    old: &'a Value,
    new: &'a Value,
    found: &'a mut Vec<String>,
    depth: usize,
}

impl Walk<'_> {
    fn schemas(&mut self, old: &Value, new: &Value, at: &str) {
        if self.depth == DEEPEST {
            return;
        }
        self.depth += 1;
        let (old, new) = (
            resolved(self.old, old).clone(),
            resolved(self.new, new).clone(),
        );
        self.types(&old, &new, at);
        self.properties(&old, &new, at);
        if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
            self.schemas(&old.clone(), &new.clone(), &format!("{at}/*"));
        }
        self.depth -= 1;
    }

    fn types(&mut self, old: &Value, new: &Value, at: &str) {
        let (before, now) = (texts(&old["type"]), texts(&new["type"]));
        let widened = |kind: &String| kind == "integer" && now.contains("number");
        if !now.is_empty() && !before.is_empty() {
            for kind in before.difference(&now).filter(|kind| !widened(kind)) {
                self.found.push(format!(
                    "the config's {} can no longer be of the type {kind}",
                    shown(at)
                ));
            }
        }
        let (before, now) = (choices(old), choices(new));
        if let (Some(before), Some(now)) = (before, now) {
            for value in before.iter().filter(|value| !now.contains(value)) {
                self.found.push(format!(
                    "the config's {} can no longer be {value}",
                    shown(at)
                ));
            }
        }
    }

    fn properties(&mut self, old: &Value, new: &Value, at: &str) {
        let required = texts(&new["required"]);
        for name in required.difference(&texts(&old["required"])) {
            self.found.push(format!(
                "the config needs {}",
                shown(&format!("{at}/{name}"))
            ));
        }
        let none = Map::new();
        let before = old["properties"].as_object().unwrap_or(&none);
        let now = new["properties"].as_object().unwrap_or(&none);
        for (name, old_part) in before {
            let at = format!("{at}/{name}");
            match now.get(name) {
                Some(new_part) => self.schemas(old_part, new_part, &at),
                None if new["additionalProperties"] == Value::Bool(false) => {
                    self.found
                        .push(format!("the config can no longer have {}", shown(&at)));
                }
                None => {}
            }
        }
    }
}

/// What a reference into the same schema leads to.
fn resolved<'a>(whole: &'a Value, part: &'a Value) -> &'a Value {
    let pointer = part["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix('#'));
    pointer
        .and_then(|pointer| whole.pointer(pointer))
        .unwrap_or(part)
}

/// A text or a list of texts.
fn texts(value: &Value) -> BTreeSet<String> {
    let many = value.as_array().into_iter().flatten();
    let texts = many.chain([value]).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// The values that an enum allows, however it is written.
fn choices(schema: &Value) -> Option<Vec<Value>> {
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.clone());
    }
    let constants = schema["oneOf"].as_array()?.iter();
    constants.map(|one| one.get("const").cloned()).collect()
}

fn shown(pointer: &str) -> String {
    match pointer.trim_start_matches('/') {
        "" => "whole".to_owned(),
        name => format!("`{}`", name.replace('/', ".")),
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in &self.breaking {
            writeln!(f, "breaks  {text}")?;
        }
        for text in &self.others {
            writeln!(f, "note    {text}")?;
        }
        match self.breaking.is_empty() {
            true => writeln!(f, "the new one can take the place of the old one"),
            false => writeln!(
                f,
                "the new one can't take the place of the old one as it is"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(old: Value, new: Value) -> Vec<String> {
        let mut found = Vec::new();
        let mut walk = Walk {
            old: &old,
            new: &new,
            found: &mut found,
            depth: 0,
        };
        walk.schemas(&old, &new, "");
        found
    }

    #[test]
    fn a_schema_that_takes_more_breaks_nothing() {
        let old = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"], "additionalProperties": false });
        let new = json!({ "type": "object", "properties": { "a": { "type": ["number", "null"] }, "b": { "type": "string" } }, "additionalProperties": false });
        assert_eq!(found(old, new), [""; 0]);
    }

    #[test]
    fn what_a_schema_takes_no_longer_is_named() {
        let old = json!({
            "properties": {
                "gone": {}, "kind": { "$ref": "#/$defs/Kind" }, "rule": { "type": "array", "items": { "type": "object", "properties": { "when": { "type": "string" } } } },
            },
            "$defs": { "Kind": { "enum": ["a", "b"] } },
        });
        let new = json!({
            "properties": {
                "kind": { "oneOf": [{ "const": "a" }] }, "rule": { "type": "array", "items": { "type": "object", "properties": { "when": { "type": "integer" } } } }, "more": {},
            },
            "required": ["more"],
            "additionalProperties": false,
        });
        assert_eq!(
            found(old, new),
            [
                "the config needs `more`",
                "the config can no longer have `gone`",
                "the config's `kind` can no longer be \"b\"",
                "the config's `rule.*.when` can no longer be of the type string",
            ]
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let loops = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "properties": { "a": { "$ref": "#/$defs/A" } } } } });
        assert_eq!(found(loops.clone(), loops), [""; 0]);
    }
}
