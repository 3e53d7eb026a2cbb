//! Two conditions that must both hold.

use crate::weir::Value;

use super::RuleReader;
use crate::translate::condition::When;

impl RuleReader<'_, '_> {
    /// A condition that holds if a matcher, which is to be called `base`, does and another condition, which is to
    /// be called `second` if it has no name.
    pub(super) fn both(
        &mut self,
        (base, matcher): (&str, &Value),
        when: When,
        second: &str,
    ) -> When {
        let Some(value) = when.value else {
            return When {
                value: Some(matcher.clone()),
                matchers: Vec::new(),
            };
        };
        let name = self.named.name_for(base, matcher, self.draft);
        let mut matchers = vec![(name.clone(), matcher.clone())];
        matchers.extend(when.matchers);
        let text = match value {
            Value::Text(expression) if expression.contains(" or ") => {
                format!("{name} and ({expression})")
            }
            Value::Text(expression) => format!("{name} and {expression}"),
            other => {
                let second = self.named.name_for(second, &other, self.draft);
                matchers.push((second.clone(), other));
                format!("{name} and {second}")
            }
        };
        When {
            value: Some(Value::Text(text)),
            matchers,
        }
    }
}
