//! `deny`, `tarpit` and `return`: answers that the proxy gives itself.

use std::path::Path;

use crate::{surroundings::Surroundings, weir::Table};

use super::{
    maps::Maps,
    rule::{Refused, Rule},
    template::{self, literal},
    words::{Words, number, wrong},
};

/// What an answer is made of.
#[derive(Default)]
struct Parts {
    status: Option<i64>,
    headers: Table,
    body: Option<String>,
    is_template: bool,
}

/// `deny [deny_status N] …` and `tarpit`.
pub fn deny(
    action: &str,
    words: &mut Words<'_>,
    maps: &mut Maps,
    around: &dyn Surroundings,
    rule: &mut Rule,
) -> Result<(), Refused> {
    let default = if action == "tarpit" { 500 } else { 403 };
    if action == "tarpit" {
        rule.body.set("set_var", Table::of("tarpit", "yes"));
    }
    let mut parts = Parts::default();
    while words.peek().is_some() {
        if !parts.read(words, maps, around, rule)? {
            let word = words.need("something")?;
            return Err(wrong(word, format!("`{}` has no meaning here", word.text)).into());
        }
    }
    let status = parts.status.unwrap_or(default);
    if (400..=599).contains(&status) && parts.body.is_none() && parts.headers.is_empty() {
        rule.body.set("deny", status);
    } else {
        parts.finish(status, rule);
    }
    Ok(())
}

/// `return [status N] [content-type T] [string S | lf-string S | file F | lf-file F] [hdr N V]…`.
pub fn reply(
    words: &mut Words<'_>,
    maps: &mut Maps,
    around: &dyn Surroundings,
    rule: &mut Rule,
) -> Result<(), Refused> {
    let mut parts = Parts::default();
    while words.peek().is_some() {
        if !parts.read(words, maps, around, rule)? {
            let word = words.need("something")?;
            return Err(wrong(word, format!("`{}` has no meaning here", word.text)).into());
        }
    }
    let status = parts.status.unwrap_or(200);
    parts.finish(status, rule);
    Ok(())
}

impl Parts {
    /// Reads one of the words that say how an answer looks; `false` if the next is none of them.
    fn read(
        &mut self,
        words: &mut Words<'_>,
        maps: &mut Maps,
        around: &dyn Surroundings,
        rule: &mut Rule,
    ) -> Result<bool, Refused> {
        match words.peek() {
            Some("status" | "deny_status") => {
                words.next();
                self.status = Some(number(words.need("a status")?, 200, 599)?);
            }
            Some("content-type") => {
                words.next();
                let kind = words.need("a media type")?.text.clone();
                self.headers.set("Content-Type", literal(&kind));
            }
            Some("hdr") => {
                words.next();
                let name = words.need("a name")?.text.clone();
                let value = &words.need("a value")?.text;
                self.headers
                    .set(&name, template::format(value, maps, &mut rule.used)?);
            }
            Some("string") => {
                words.next();
                self.body = Some(words.need("a text")?.text.clone());
            }
            Some("lf-string") => {
                words.next();
                let text = &words.need("a text")?.text;
                self.body = Some(template::format(text, maps, &mut rule.used)?);
                self.is_template = true;
            }
            Some("file" | "lf-file") => {
                let is_template = words.peek() == Some("lf-file");
                words.next();
                let file = &words.need("a file")?.text;
                let read = around.file(Path::new(file));
                let text =
                    read.map_err(|error| format!("its text in {file} cannot be read: {error}"))?;
                rule.used.notes.insert(format!(
                    "the text of {file} is read once, when it is imported"
                ));
                self.body = Some(if is_template {
                    template::format(&text, maps, &mut rule.used)?
                } else {
                    text
                });
                self.is_template = is_template;
            }
            Some("default-errorfiles") => {
                words.next();
            }
            Some("errorfile" | "errorfiles") => {
                return Err(Refused::Absent(
                    "a rule's own page; say it with `error_pages`".to_owned(),
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, status: i64, rule: &mut Rule) {
        let mut reply = Table::of("status", status);
        if !self.headers.is_empty() {
            reply.set("headers", self.headers);
        }
        if let Some(body) = self.body.filter(|body| !body.is_empty()) {
            reply.set(
                if self.is_template {
                    "body_template"
                } else {
                    "body"
                },
                body,
            );
        }
        rule.body.set("reply", reply);
    }
}
