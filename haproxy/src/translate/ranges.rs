//! Numbers that HAProxy compares with (`ge 500`, `1:10`) as ranges, and ranges as the plugin `rules` has them.

use crate::weir::Value;

use super::facts::Reason;

/// The least and the most, if there are such.
pub type Range = (Option<i64>, Option<i64>);

/// The least and the most of each range.
pub fn ranges(patterns: &[String]) -> Result<Vec<Range>, Reason> {
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|_| format!("`{text}` is no number"))
    };
    let mut operator = "eq";
    let mut ranges = Vec::new();
    for pattern in patterns {
        if matches!(pattern.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
            operator = pattern;
            continue;
        }
        ranges.push(match (operator, pattern.split_once(':')) {
            ("eq", Some((least, most))) => {
                let bound = |text: &str| {
                    if text.is_empty() {
                        Ok(None)
                    } else {
                        number(text).map(Some)
                    }
                };
                (bound(least)?, bound(most)?)
            }
            (_, Some(_)) => {
                return Err(format!("`{operator} {pattern}`: a range with a comparison"));
            }
            ("ge", None) => (Some(number(pattern)?), None),
            ("gt", None) => (Some(number(pattern)?.saturating_add(1)), None),
            ("le", None) => (None, Some(number(pattern)?)),
            ("lt", None) => (None, Some(number(pattern)?.saturating_sub(1))),
            (_, None) => {
                let number = number(pattern)?;
                (Some(number), Some(number))
            }
        });
    }
    if ranges.is_empty() {
        Err("a number is missing".to_owned())
    } else {
        Ok(ranges)
    }
}

/// Ranges of statuses as codes and classes, if they are such.
pub fn statuses(ranges: &[Range]) -> Option<Value> {
    let mut all = Vec::new();
    for (least, most) in ranges {
        let (least, most) = (least.unwrap_or(100), most.unwrap_or(599));
        if least == most {
            all.push(Value::Number(least));
        } else if least % 100 == 0
            && most % 100 == 99
            && (100..=500).contains(&least)
            && most <= 599
        {
            all.extend((least / 100..=most / 100).map(|class| Value::from(format!("{class}xx"))));
        } else {
            return None;
        }
    }
    Some(if all.len() == 1 {
        all.remove(0)
    } else {
        Value::List(all)
    })
}

/// One number, or a list of them.
pub fn numbers_of(numbers: &[i64]) -> Value {
    match numbers {
        [one] => Value::Number(*one),
        many => Value::List(many.iter().copied().map(Value::Number).collect()),
    }
}
