//! `use_backend`.

use crate::{
    file::split_condition,
    text::Line,
    weir::{Table, Value},
};

use super::{Hook, Refused, RuleReader, Wanted};
use crate::translate::{
    condition::check_names,
    draft::{Backends, Mode},
    template,
    words::Words,
};

impl RuleReader<'_, '_> {
    /// `use_backend NAME|EXPRESSION [if …]`.
    pub fn use_backend(&mut self, line: &Line, backends: &Backends) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let name = words.need("the name of a backend")?;
        words.end()?;
        let mut rule = self.rule(line, condition.as_ref())?;
        if self.draft.mode == Mode::Tcp {
            rule.hook = Hook::Connection;
        }
        if !name.text.contains('%') {
            backends.named(name, self.draft.mode)?;
            rule.body.set("use", name.text.as_str());
            self.of_connection(&rule)?;
            return Ok(Wanted::Rule(rule));
        }
        let text = template::format(&name.text, &mut self.translator.maps, &mut rule.used)?;
        let backends: Vec<Value> = backends.of(self.draft.mode).map(Value::from).collect();
        rule.body.set(
            "use_one_of",
            Table::of("name", text).with("backends", backends),
        );
        self.of_connection(&rule)?;
        Ok(Wanted::Rule(rule))
    }
}
