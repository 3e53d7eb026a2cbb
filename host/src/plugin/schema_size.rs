//! Refuses config schemas that a checker could choke on. A few hundred bytes of references to
//! references can stand for more work than the universe has time for, and a schema comes from the
//! plugin.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// Parts of a schema with all references written out. Schemas of real plugins have some hundreds.
const PARTS_LIMIT: u64 = 100_000;

/// How deep parts lie within each other, references followed.
const DEPTH_LIMIT: usize = 256;

/// Keywords whose meaning depends on how a checker got there, so that nothing can be said beforehand.
const UNSUPPORTED: [&str; 3] = ["$dynamicRef", "$recursiveRef", "$anchor"];

/// Says what is wrong with a schema that is larger than it looks, or refers to anything but its own
/// parts.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut survey = Survey {
        schema,
        known: HashMap::new(),
        under_way: HashSet::new(),
    };
    let size = survey.measure(schema, 0)?;
    if size.parts > PARTS_LIMIT {
        return Err(format!(
            "with its references written out it has more than {PARTS_LIMIT} parts"
        ));
    }
    Ok(())
}

struct Survey<'a> {
    schema: &'a Value,
    /// Parts that were measured, by their address within `schema`.
    known: HashMap<*const Value, Size>,
    /// Parts that are being measured. A reference back to one of them goes round in a circle, which
    /// checkers cut.
    under_way: HashSet<*const Value>,
}

/// Of a part with its references written out.
#[derive(Debug, Clone, Copy)]
struct Size {
    parts: u64,
    /// Levels below it.
    height: usize,
}

impl Size {
    fn take_in(&mut self, inner: Self) {
        self.parts = self.parts.saturating_add(inner.parts);
        self.height = self.height.max(inner.height + 1);
    }
}

impl<'a> Survey<'a> {
    fn measure(&mut self, part: &'a Value, depth: usize) -> Result<Size, String> {
        let address: *const Value = part;
        let known = self.known.get(&address).copied();
        let height = known.map_or(0, |size| size.height);
        if depth + height > DEPTH_LIMIT {
            return Err(format!("it is more than {DEPTH_LIMIT} parts deep"));
        }
        if let Some(size) = known {
            return Ok(size);
        }
        let mut size = Size {
            parts: 1,
            height: 0,
        };
        if !self.under_way.insert(address) {
            return Ok(size);
        }
        match part {
            Value::Array(items) => {
                for item in items {
                    size.take_in(self.measure(item, depth + 1)?);
                }
            }
            Value::Object(fields) => {
                for field in fields.values() {
                    size.take_in(self.measure(field, depth + 1)?);
                }
                if let Some(target) = self.reference(fields, depth)? {
                    size.take_in(self.measure(target, depth + 1)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.under_way.remove(&address);
        self.known.insert(address, size);
        Ok(size)
    }

    fn reference(
        &self,
        fields: &Map<String, Value>,
        depth: usize,
    ) -> Result<Option<&'a Value>, String> {
        let text = |keyword: &str| fields.get(keyword).and_then(Value::as_str);
        if let Some(keyword) = UNSUPPORTED
            .into_iter()
            .find(|keyword| text(keyword).is_some())
        {
            return Err(format!("`{keyword}` isn't supported"));
        }
        if depth > 0 && text("$id").is_some() {
            return Err("only the whole schema can have an `$id`".to_owned());
        }
        let Some(reference) = text("$ref") else {
            return Ok(None);
        };
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.schema.pointer(pointer));
        match target {
            Some(target) => Ok(Some(target)),
            None => Err(format!("`{reference}` refers to no part of it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `d0` refers twice to `d1`, that twice to `d2`, and so on.
    fn doubling(levels: usize) -> Value {
        let mut parts = Map::new();
        for level in 0..levels {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            parts.insert(format!("d{level}"), json!({ "allOf": [next, next] }));
        }
        parts.insert(format!("d{levels}"), json!({ "type": "integer" }));
        json!({ "$defs": parts, "$ref": "#/$defs/d0" })
    }

    #[test]
    fn references_may_be_shared_and_go_round_in_circles() {
        assert_eq!(check(&doubling(5)), Ok(()));
        let condition = json!({
            "$defs": { "condition": { "anyOf": [
                { "type": "string" },
                { "properties": { "all": { "items": { "$ref": "#/$defs/condition" } } } },
                { "properties": { "not": { "$ref": "#/$defs/condition" } } },
            ] } },
            "properties": { "when": { "$ref": "#/$defs/condition" } },
        });
        assert_eq!(check(&condition), Ok(()));
        assert_eq!(check(&json!({ "$ref": "#" })), Ok(()));
    }

    #[test]
    fn a_small_text_that_stands_for_a_huge_schema_is_refused() {
        let error = check(&doubling(60)).unwrap_err();
        assert!(error.contains("parts"), "{error}");
    }

    #[test]
    fn a_chain_of_references_has_an_end_whichever_end_is_seen_first() {
        let last = 5_000;
        let name = |level: usize| format!("d{level:04}");
        for forward in [true, false] {
            let mut parts = Map::new();
            for level in 0..last {
                let (from, to) = if forward {
                    (level, level + 1)
                } else {
                    (level + 1, level)
                };
                let next = json!({ "$ref": format!("#/$defs/{}", name(to)) });
                parts.insert(name(from), next);
            }
            parts.insert(name(if forward { last } else { 0 }), json!(true));
            let error = check(&json!({ "$defs": parts })).unwrap_err();
            assert!(error.contains("deep"), "{error}");
        }
    }

    #[test]
    fn a_reference_that_leaves_the_schema_is_refused() {
        for schema in [
            json!({ "$ref": "https://example.com/schema" }),
            json!({ "$ref": "#/$defs/nothing" }),
            json!({ "$ref": "#anchor" }),
            json!({ "$dynamicRef": "#node" }),
            json!({ "properties": { "a": { "$id": "x", "$ref": "#" } } }),
        ] {
            assert!(check(&schema).is_err(), "{schema}");
        }
    }

    #[test]
    fn a_property_may_be_called_like_a_keyword() {
        let schema = json!({ "properties": { "$ref": { "type": "string" } } });
        assert_eq!(check(&schema), Ok(()));
    }
}
