//! Checks a plugin's config against the JSON Schema that the plugin describes, before the plugin sees it.

use jsonschema::{PatternOptions, ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use super::{
    error::{LoadFault, Violation},
    schema_size,
};

/// Past this many the first ones are enough to start with.
const VIOLATIONS_LIMIT: usize = 50;

/// A plugin's schema. Nothing is fetched for it: references leave the schema only in error.
pub(super) struct ConfigSchema(jsonschema::Validator);

impl ConfigSchema {
    /// `None` if the plugin describes no schema.
    pub fn parse(text: &str) -> Result<Option<Self>, LoadFault> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let bad = |message: String| LoadFault::BadSchema { message };
        let schema: Value =
            serde_json::from_str(text).map_err(|error| bad(format!("no JSON: {error}")))?;
        schema_size::check(&schema).map_err(bad)?;
        let validator = jsonschema::options()
            .offline()
            // Linear in the text, whatever the pattern.
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| bad(error.to_string()))?;
        Ok(Some(Self(validator)))
    }

    pub fn check(&self, config: &Value) -> Result<(), LoadFault> {
        let violations: Vec<Violation> = self
            .0
            .iter_errors(config)
            .take(VIOLATIONS_LIMIT)
            .map(|error| violation(&error, config))
            .collect();
        if violations.is_empty() {
            Ok(())
        } else {
            Err(LoadFault::Config { violations })
        }
    }
}

/// What is wrong and where. A key that nothing allows is named: the library speaks of its value, and of the
/// schema.
fn violation(error: &ValidationError<'_>, config: &Value) -> Violation {
    let pointer = error.instance_path().to_string();
    let around = config.pointer(&pointer).and_then(Value::as_object);
    let is_it = |value: &Value| std::ptr::eq(value, &**error.instance());
    let key = around
        .filter(|_| matches!(error.kind(), ValidationErrorKind::FalseSchema))
        .and_then(|around| around.iter().find(|(_, value)| is_it(value)));
    match key {
        Some((key, _)) => Violation {
            pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
            message: format!("it has no key `{key}`"),
        },
        None => Violation {
            pointer,
            message: error.to_string(),
        },
    }
}

/// Sorts out an error text of `configure`. A line such as `/rule/0/when: no matcher of that name` begins
/// with a JSON pointer into the config and belongs to that place, as do the lines after it.
pub(super) fn refusal(message: &str, config: &Value) -> LoadFault {
    let mut violations: Vec<Violation> = Vec::new();
    for line in message.trim().lines() {
        match (pointed(line, config), violations.last_mut()) {
            (Some(violation), _) => violations.push(violation),
            (None, Some(last)) => {
                last.message.push('\n');
                last.message.push_str(line);
            }
            (None, None) => {
                return LoadFault::Refused {
                    message: message.trim().to_owned(),
                };
            }
        }
    }
    if violations.is_empty() {
        return LoadFault::Refused {
            message: "without saying why".to_owned(),
        };
    }
    LoadFault::Config { violations }
}

/// A pointer to a key that should be there and isn't leads to the table that lacks it.
fn pointed(line: &str, config: &Value) -> Option<Violation> {
    let (mut pointer, message) = line.split_once(": ")?;
    let mut message = message.to_owned();
    while config.pointer(pointer).is_none() {
        let (parent, missing) = pointer.rsplit_once('/')?;
        message = format!("{missing}: {message}");
        pointer = parent;
    }
    (!pointer.is_empty()).then(|| Violation {
        pointer: pointer.to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations(schema: &Value, config: &Value) -> Vec<(String, String)> {
        let schema = ConfigSchema::parse(&schema.to_string()).unwrap().unwrap();
        match schema.check(config) {
            Ok(()) => Vec::new(),
            Err(LoadFault::Config { violations }) => violations
                .into_iter()
                .map(|violation| (violation.pointer, violation.message))
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_violation_is_reported_with_its_pointer() {
        let schema = json!({
            "type": "object",
            "properties": {
                "draws": { "type": "integer", "minimum": 1 },
                "rule": { "type": "array", "items": { "required": ["when"] } },
            },
            "additionalProperties": false,
        });
        assert_eq!(violations(&schema, &json!({ "draws": 2 })), []);
        let found = violations(&schema, &json!({ "draws": 0, "rule": [{}], "x": 1 }));
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        for pointer in ["/draws", "/rule/0", ""] {
            assert!(pointers.contains(&pointer), "{found:?}");
        }
    }

    #[test]
    fn a_key_that_a_plugin_does_not_have_is_told_by_its_name() {
        let schema = json!({ "type": "object", "additionalProperties": false });
        let found = violations(&schema, &json!({ "a/b": 1 }));
        let expected = ("/a~1b".to_owned(), "it has no key `a/b`".to_owned());
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_schema_that_refers_to_itself_comes_to_an_end() {
        let schema = json!({ "$defs": {
            "a": { "anyOf": [{ "$ref": "#/$defs/b" }] },
            "b": { "not": { "$ref": "#/$defs/a" } },
        }, "$ref": "#/$defs/a" });
        for schema in [
            schema,
            json!({ "$ref": "#" }),
            json!({ "allOf": [{ "$ref": "#" }] }),
        ] {
            violations(&schema, &json!({ "a": 1 }));
        }
    }

    #[test]
    fn a_schema_as_deep_as_it_may_be_can_be_checked() {
        let mut schema = json!({ "type": "integer" });
        for _ in 0..60 {
            schema = json!({ "allOf": [schema] });
        }
        assert_eq!(violations(&schema, &json!("x")).len(), 1);
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        for text in [
            "{",
            "{\"type\": 7}",
            "{\"$ref\": \"https://example.com/x\"}",
        ] {
            assert!(
                matches!(ConfigSchema::parse(text), Err(LoadFault::BadSchema { .. })),
                "{text}"
            );
        }
        assert!(ConfigSchema::parse(" ").unwrap().is_none());
    }

    #[test]
    fn lines_that_point_into_the_config_become_places() {
        let config = json!({ "rule": [{ "when": "x" }] });
        let message = "/rule/0/when: no matcher `x`\n  known: a, b\n/rule/0/use: is missing\n";
        let LoadFault::Config { violations } = refusal(message, &config) else {
            panic!("not pointed");
        };
        let violation = |pointer: &str, message: &str| Violation {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(
            violations,
            [
                violation("/rule/0/when", "no matcher `x`\n  known: a, b"),
                violation("/rule/0", "use: is missing"),
            ]
        );
    }

    #[test]
    fn a_text_that_points_nowhere_is_shown_as_it_is() {
        let config = json!({ "rule": [] });
        for text in ["/etc/users: not there", "no users: none", "why not"] {
            let LoadFault::Refused { message } = refusal(text, &config) else {
                panic!("pointed: {text}");
            };
            assert_eq!(message, text);
        }
        assert!(matches!(refusal("", &config), LoadFault::Refused { .. }));
    }
}
