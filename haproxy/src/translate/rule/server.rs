//! `use-server`: a server that a rule names.

use crate::{
    file::{Call, split_condition},
    text::Line,
    weir::{Table, Value},
};

use super::{Hook, Refused, RuleReader, Wanted};
use crate::translate::{
    condition::{check_names, matcher_name},
    draft::Mode,
    words::{Words, wrong},
};

/// The variable that holds the server's name.
pub const USE_SERVER: &str = "use-server";

impl RuleReader<'_, '_> {
    /// `use-server NAME [if …]`. A server that is down is not named, so that the next rule counts.
    pub fn use_server(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let name = words.need("the name of a server")?;
        words.end()?;
        if name.text.contains('%') {
            let why = "a server is named by its name, and not by what an expression comes to";
            return Err(Refused::Absent(why.to_owned()));
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        if self.draft.mode == Mode::Tcp {
            rule.hook = Hook::Connection;
        }
        let is_up = Call {
            name: "srv_is_up".to_owned(),
            arguments: vec![name.text.clone()],
        };
        let is_up = self
            .translator
            .maps
            .proxies
            .fact(&is_up, &mut rule.used)
            .expect("it is a fact of the proxy's state")
            .map_err(|what| wrong(name, what))?;
        let up = matcher_name(&format!("{}_is_up", name.text));
        let to = matcher_name(&format!("to_{}", name.text));
        let is_up: Value = Table::of(
            "value",
            Table::of("of", format!("{{{is_up}}}")).with("exact", "true"),
        )
        .into();
        rule.when = self.both((&up, &is_up), std::mem::take(&mut rule.when), &to);
        rule.body
            .set("set_var", Table::of(USE_SERVER, name.text.as_str()));
        rule.writes.insert(format!("var:{USE_SERVER}"));
        self.of_connection(&rule)?;
        Ok(Wanted::Rule(rule))
    }
}
