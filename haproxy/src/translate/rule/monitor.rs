//! `monitor fail if …`: when whoever watches the proxy is told that it fails.

use crate::{file::split_condition, text::Line, weir::Value};

use super::{Refused, RuleReader, Wanted};
use crate::translate::{
    condition::check_names,
    words::{Words, wrong},
};

impl RuleReader<'_, '_> {
    /// The rule that turns `asked`, the monitor's question, down with 503.
    pub fn monitor_fails(&mut self, line: &Line, asked: &Value) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        let mut words = Words::from(&words[0], &words[1..]);
        let word = words.need("`fail`")?;
        if word.text != "fail" {
            return Err(wrong(word, format!("`monitor {}` has no meaning", word.text)).into());
        }
        words.end()?;
        let Some(condition) = condition else {
            let problem = wrong(word, "`monitor fail` without a condition".to_owned());
            return Err(problem.hint("write `monitor fail if …`").into());
        };
        check_names(self.draft, &condition)?;
        let mut rule = self.rule(line, Some(&condition))?;
        rule.when = self.both(
            ("monitor", asked),
            std::mem::take(&mut rule.when),
            "monitor_fails",
        );
        rule.used.reads.insert("path".to_owned());
        rule.body.set("deny", 503_i64);
        Ok(Wanted::Rule(rule))
    }
}
