//! `tcp-request`: what is decided about a connection.

use crate::{file::split_condition, text::Line};

use super::{Hook, Refused, Rule, RuleReader, Wanted, absent::absent};
use crate::translate::{
    condition::check_names,
    draft::Mode,
    words::{Words, wrong},
};

/// The moments that `tcp-request` knows, in the order in which they come.
pub const MOMENTS: [&str; 3] = ["connection", "session", "content"];

impl RuleReader<'_, '_> {
    /// `tcp-request connection|session|content …`. In front of HTTP, what is said of the content is looked at
    /// for each request, as HAProxy does.
    pub fn tcp(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let moment = words.need("`connection`, `content` or `inspect-delay`")?;
        if moment.text == "inspect-delay" {
            words.time()?;
            return Ok(Wanted::Nothing);
        }
        if !MOMENTS.contains(&moment.text.as_str()) {
            let problem = wrong(
                moment,
                format!("`{}` is no moment of a connection", moment.text),
            );
            return Err(problem
                .hint("these are connection, session, content and inspect-delay")
                .into());
        }
        let action = words.need("an action")?;
        if action.text.starts_with("track-sc") {
            return self.track(line, action, &mut words, condition.as_ref());
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        if self.draft.mode == Mode::Tcp || moment.text != "content" {
            rule.hook = Hook::Connection;
        }
        match (action.text.as_str(), rule.hook) {
            // Later rules of the same moment are skipped.
            ("accept", Hook::Connection) => rule.body.set("stop", true),
            ("accept", _) => return Ok(Wanted::Nothing),
            ("reject", Hook::Connection) => {
                let how = match moment.text.as_str() {
                    "content" => "close",
                    _ => "reset",
                };
                rule.body.set("refuse", how);
            }
            ("silent-drop", Hook::Connection) => {
                rule.body.set("refuse", "reset");
                let note = "the connection is reset; HAProxy leaves the client waiting";
                rule.used.notes.insert(note.to_owned());
            }
            ("reject" | "silent-drop", _) => {
                rule.body.set("deny", 403_i64);
                let note = "the request gets 403; HAProxy closes the connection";
                rule.used.notes.insert(note.to_owned());
            }
            (name, _) if name.starts_with("set-var(") || name.starts_with("set-var-fmt(") => {
                self.var(action, &mut words, &mut rule)?;
            }
            (name, _) => return Err(absent(action, name)),
        }
        self.of_connection(&rule)?;
        rule.limit = self.limit(&rule, condition.as_ref());
        Ok(Wanted::Rule(rule))
    }

    /// Refuses rules about connections that look at more than a connection.
    pub(in crate::translate) fn of_connection(&self, rule: &Rule) -> Result<(), Refused> {
        if rule.hook != Hook::Connection {
            return Ok(());
        }
        if !rule.used.is_of_connection() {
            let why = "it looks at a request, and there is only a connection";
            return Err(Refused::Absent(why.to_owned()));
        }
        Ok(())
    }
}
