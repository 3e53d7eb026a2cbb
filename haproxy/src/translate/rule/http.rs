//! `http-request`, `http-response`, `http-after-response` and `redirect`.

use crate::{
    file::split_condition,
    text::{Line, Word},
    weir::Table,
};

use super::{Hook, Refused, Rule, RuleReader, Wanted, absent::absent};
use crate::translate::{condition::check_names, redirect, reply, template, words::Words};

impl RuleReader<'_, '_> {
    /// A directive whose first word is `http-request`, `http-response` or `http-after-response`.
    pub fn http(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let action = words.need("an action")?;
        let kind = line.words[0].text.as_str();
        if kind == "http-request" && action.text == "auth" {
            return self.login(line, &mut words, condition.as_ref());
        }
        if kind == "http-request" && action.text.starts_with("track-sc") {
            return self.track(line, action, &mut words, condition.as_ref());
        }
        if kind == "http-request" && action.text.starts_with("sc-inc-gpc") {
            return self.count_up(line, action, &words, condition.as_ref());
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        if kind == "http-response" {
            rule.hook = Hook::Response;
        }
        match (kind, action.text.as_str()) {
            ("http-response", "set-status") => {
                let status = words.number(200, 599)?;
                rule.body.set("set_status", status);
            }
            (
                "http-response" | "http-after-response",
                "set-header" | "add-header" | "del-header" | "replace-header" | "replace-value",
            ) => {
                self.header(action, &mut words, &mut rule)?;
            }
            ("http-request", "cache-use") => {
                words.need("the name of a cache")?;
                words.end()?;
                // Without a condition the section's key `cache` says it all.
                if condition.is_none() {
                    return Ok(Wanted::Nothing);
                }
                rule.body.set("set_var", Table::of("cache", "yes"));
                rule.writes.insert("var:cache".to_owned());
            }
            // What may be kept is kept wherever it is looked for.
            ("http-response", "cache-store") => {
                words.need("the name of a cache")?;
                words.end()?;
                return match condition {
                    None => Ok(Wanted::Nothing),
                    Some(_) => Err(Refused::Absent(
                        "answers are kept wherever the cache is used; a filter can set the variable `cache` to `no`"
                            .to_owned(),
                    )),
                };
            }
            ("http-response", "set-var" | "set-var-fmt")
            | ("http-request", "set-var" | "set-var-fmt") => {
                self.var(action, &mut words, &mut rule)?;
            }
            ("http-request" | "http-response", "capture") => {
                self.capture(line, &mut words, &mut rule)?;
            }
            (_, name) if name.starts_with("set-var(") || name.starts_with("set-var-fmt(") => {
                self.var(action, &mut words, &mut rule)?;
            }
            ("http-request", name) => match self.request(name, action, &mut words, &mut rule)? {
                true => {}
                false => return Ok(Wanted::Nothing),
            },
            ("http-response" | "http-after-response", "allow") => {
                return Err(Refused::Absent(
                    "response rules cannot be left early".to_owned(),
                ));
            }
            (_, name) => return Err(absent(action, name)),
        }
        if kind == "http-after-response" {
            self.after_response(&mut rule)?;
        }
        if rule.used.response && rule.hook != Hook::Response {
            return Err(Refused::Absent(
                "it depends on the response, which is not there yet".to_owned(),
            ));
        }
        rule.limit = self.limit(&rule, condition.as_ref());
        Ok(Wanted::Rule(rule))
    }

    /// Edits of whatever answer the client gets; they are decided when the request comes.
    fn after_response(&mut self, rule: &mut Rule) -> Result<(), Refused> {
        if rule.used.response {
            return Err(Refused::Absent(
                "it depends on the response; only `http-response` can".to_owned(),
            ));
        }
        let mut body = Table::new();
        for (key, value) in rule.body.iter() {
            match key {
                "set_header" | "add_header" | "remove_header" => {
                    body.set(&key.replace("_header", "_response_header"), value.clone())
                }
                "set_var" => body.set(key, value.clone()),
                _ => {
                    return Err(Refused::Absent(
                        "only `http-response` can do that".to_owned(),
                    ));
                }
            }
        }
        rule.body = body;
        rule.writes.clear();
        Ok(())
    }

    /// Whether the request action became something to do; `false` is what Weir does by itself.
    fn request(
        &mut self,
        name: &str,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<bool, Refused> {
        match name {
            "deny" | "tarpit" => {
                reply::deny(
                    name,
                    words,
                    &mut self.translator.maps,
                    self.translator.around,
                    rule,
                )?;
                return Ok(true);
            }
            "return" => {
                reply::reply(
                    words,
                    &mut self.translator.maps,
                    self.translator.around,
                    rule,
                )?;
                return Ok(true);
            }
            "redirect" => {
                redirect::redirect(words, &mut self.translator.maps, rule)?;
                return Ok(true);
            }
            "reject" | "silent-drop" => {
                rule.body.set("deny", 403_i64);
                rule.used
                    .notes
                    .insert("the client gets 403; HAProxy closes without a word".to_owned());
                while words.next().is_some() {}
            }
            "allow" => rule.body.set("stop", true),
            "set-header" | "add-header" | "del-header" | "replace-header" | "replace-value" => {
                self.header(action, words, rule)?;
                return Ok(true);
            }
            "set-method" => {
                let method = words.need("a method")?;
                if method.text.contains('%') {
                    return Err(Refused::Absent(
                        "a method cannot be made of facts".to_owned(),
                    ));
                }
                rule.body.set("set_method", method.text.as_str());
                rule.writes.insert("method".to_owned());
            }
            "set-path" | "set-query" | "set-pathq" | "set-uri" => self.url(name, words, rule)?,
            "replace-path" | "replace-pathq" | "replace-uri" => {
                let pattern = words.need("a regular expression")?.text.as_str();
                template::regular(pattern, false)?;
                let with = words.need("a replacement")?;
                let with = self.replacement(&with.text, rule)?;
                if name != "replace-path" && (pattern.contains('?') && pattern.contains("\\?")) {
                    return Err(Refused::Absent(
                        "path and query can only be replaced apart".to_owned(),
                    ));
                }
                if name != "replace-path" {
                    rule.used.notes.insert(
                        "only the path is compared and replaced; the query stays".to_owned(),
                    );
                }
                rule.body.set(
                    "replace_path",
                    Table::of("regex", pattern).with("with", with),
                );
                rule.used.reads.insert("path".to_owned());
                rule.writes.insert("path".to_owned());
            }
            "normalize-uri" => {
                rule.body.set("set_path", "{path}");
                rule.used.reads.insert("path".to_owned());
                rule.writes.insert("path".to_owned());
                rule.used.notes.insert(
                    "Weir's normal form has unreserved characters decoded, dot segments removed and slashes merged".to_owned(),
                );
                return Ok(true);
            }
            // Weir keeps what it needs for another try by itself, and reads bodies as they come.
            "set-nice"
            | "set-log-level"
            | "wait-for-body"
            | "strict-mode"
            | "set-priority-class"
            | "set-priority-offset" => {
                return Err(absent(action, name));
            }
            _ => return Err(absent(action, name)),
        }
        words.end()?;
        Ok(true)
    }

    /// `redirect …` as a directive of its own.
    pub fn redirect(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        let mut words = Words::from(&words[0], &words[1..]);
        redirect::redirect(&mut words, &mut self.translator.maps, &mut rule)?;
        Ok(Wanted::Rule(rule))
    }
}
