//! Rules that change a request or a response: fields, path and query, variables.

use crate::{file::Sample, text::Word, weir::Table};

use super::{Hook, Refused, Rule, RuleReader};
use crate::translate::{
    facts::{self, Reason},
    template,
    words::{Words, wrong},
};

/// Fields that say how a message is framed; Weir's plugins may not touch them.
const OF_THE_PROXY: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl RuleReader<'_, '_> {
    pub(super) fn header(
        &mut self,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let name = words.need("the name of a header")?;
        if OF_THE_PROXY
            .iter()
            .any(|own| name.text.eq_ignore_ascii_case(own))
        {
            return Err(Refused::Absent(format!(
                "`{}` says how the message is framed, which is the proxy's business",
                name.text
            )));
        }
        let name = name.text.as_str();
        match action.text.as_str() {
            "del-header" => {
                if words.take("-m") {
                    let how = words.need("a way to match")?;
                    if how.text != "str" {
                        return Err(Refused::Absent(
                            "fields are removed by their whole names".to_owned(),
                        ));
                    }
                }
                rule.body.set("remove_header", name);
            }
            "replace-header" | "replace-value" => {
                let pattern = words.need("a regular expression")?.text.as_str();
                template::regular(pattern, false)?;
                let with = words.need("a replacement")?;
                let with = self.replacement(&with.text, rule)?;
                if action.text == "replace-value" {
                    rule.used.notes.insert(
                        "the field is compared as a whole, not each of its comma-separated parts"
                            .to_owned(),
                    );
                }
                rule.body.set(
                    "replace_header",
                    Table::of(name, Table::of("regex", pattern).with("with", with)),
                );
                if rule.hook == Hook::Request {
                    rule.used
                        .reads
                        .insert(format!("header:{}", name.to_ascii_lowercase()));
                }
            }
            set => {
                let value = self.text(words, rule)?;
                let key = if set == "set-header" {
                    "set_header"
                } else {
                    "add_header"
                };
                rule.body.set(key, Table::of(name, value));
            }
        }
        let name = name.to_ascii_lowercase();
        let fact = if rule.hook == Hook::Response {
            format!("response_header:{name}")
        } else {
            format!("header:{name}")
        };
        rule.writes.insert(fact);
        Ok(words.end()?)
    }

    /// A log-format text, which may have been written as several words.
    pub(super) fn text(
        &mut self,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<String, Refused> {
        words.need("a value")?;
        let text = words.joined_from_last();
        while words.next().is_some() {}
        Ok(template::format(
            &text,
            &mut self.translator.maps,
            &mut rule.used,
        )?)
    }

    /// What takes the place of what a regular expression matched: `\1` stands for its first group.
    pub(super) fn replacement(&mut self, text: &str, rule: &mut Rule) -> Result<String, Reason> {
        template::format(text, &mut self.translator.maps, &mut rule.used)
    }

    pub(super) fn var(
        &mut self,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let inside = action
            .text
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        let name = inside.map(|inside| inside.split(',').next().unwrap_or(inside));
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| wrong(action, "write `set-var(txn.NAME) EXPRESSION`"))?;
        if inside.is_some_and(|inside| inside.contains(',')) {
            return Err(Refused::Absent(
                "a variable is set whether or not it is there already".to_owned(),
            ));
        }
        let value = if action.text.starts_with("set-var-fmt") {
            self.text(words, rule)?
        } else {
            let word = words.need("an expression")?;
            let sample = Sample::parse(&word.text).map_err(|what| wrong(word, what))?;
            facts::check_known(&sample.fetch.name).map_err(|what| wrong(word, what))?;
            words.end()?;
            template::sample(&sample, &mut self.translator.maps, &mut rule.used)?
        };
        rule.body.set("set_var", Table::of(name, value));
        rule.writes.insert(format!("var:{name}"));
        Ok(())
    }

    pub(super) fn url(
        &mut self,
        name: &str,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let text = self.text(words, rule)?;
        let (path, query) = match name {
            "set-path" => (Some(text), None),
            "set-query" => (None, Some(text.trim_start_matches('?').to_owned())),
            _ => match text.split_once('?') {
                // The query with its own question mark.
                Some((path, query)) if !path.ends_with('{') => {
                    (Some(path.to_owned()), Some(query.to_owned()))
                }
                _ if text.ends_with("{?query}") => {
                    (Some(text.trim_end_matches("{?query}").to_owned()), None)
                }
                _ => (Some(text), Some(String::new())),
            },
        };
        if let Some(path) = path {
            if !path.starts_with('/')
                && !path.starts_with("{raw_path")
                && !path.starts_with("{path")
            {
                return Err(Refused::Absent(
                    "a path that does not surely begin with `/`".to_owned(),
                ));
            }
            rule.body.set("set_path", path);
            rule.writes.insert("path".to_owned());
        }
        if let Some(query) = query {
            rule.body.set("set_query", query);
            rule.writes.insert("query".to_owned());
        }
        Ok(())
    }
}
