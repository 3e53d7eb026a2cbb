//! `http-request auth`: who must log in.

use crate::{
    file::{Condition, What},
    text::Line,
    weir::Table,
};

use super::{Refused, RuleReader, Wanted};
use crate::translate::{
    template::literal,
    words::{Words, wrong},
};

impl RuleReader<'_, '_> {
    /// `http-request auth [realm R] [if …]`.
    pub(super) fn login(
        &mut self,
        line: &Line,
        words: &mut Words<'_>,
        condition: Option<&Condition>,
    ) -> Result<Wanted, Refused> {
        let mut realm = None;
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "realm" => realm = Some(words.need("a realm")?.text.clone()),
                other => return Err(wrong(word, format!("`{other}` has no meaning here")).into()),
            }
        }
        // Everybody must log in: that is what the plugin basic-auth does by itself.
        if let Some(list) = condition.and_then(|condition| self.whom_to_ask(condition)) {
            return Ok(Wanted::Login { list, realm });
        }
        let mut rule = self.rule(line, condition)?;
        let realm = realm.unwrap_or_else(|| self.draft.name().to_owned());
        let realm = literal(&realm.replace(['"', '\\'], ""));
        rule.body.set("deny", 401_i64);
        rule.body.set(
            "set_response_header",
            Table::of("WWW-Authenticate", format!("Basic realm=\"{realm}\"")),
        );
        Ok(Wanted::Rule(rule))
    }

    /// The list, if the condition is `unless { http_auth(LIST) }`.
    fn whom_to_ask(&self, condition: &Condition) -> Option<String> {
        let [all] = condition.any.as_slice() else {
            return None;
        };
        let [term] = all.as_slice() else { return None };
        let test = match &term.what {
            What::Anonymous(test) => test,
            What::Named(name) => match self.draft.acls.get(&name.text)?.tests.as_slice() {
                [test] => test,
                _ => return None,
            },
        };
        let asks = test.sample.fetch.name == "http_auth"
            && test.sample.converters.is_empty()
            && test.patterns.is_empty();
        let list = test
            .sample
            .fetch
            .argument(0)
            .filter(|_| asks && term.negated != condition.unless)?;
        Some(list.to_owned())
    }
}
