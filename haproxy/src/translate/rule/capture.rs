//! Captures: what rules keep in variables for the log and for later rules.

use crate::{
    file::Sample,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{Hook, Refused, Rule, RuleReader, Wanted};
use crate::translate::{
    facts,
    log_format::{Captures, cookie_variable, variable},
    template,
    words::{Words, wrong},
};

impl RuleReader<'_, '_> {
    /// `http-request capture SAMPLE len N|id N`, and the same of responses.
    pub(super) fn capture(
        &mut self,
        line: &Line,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let is_response = rule.hook == Hook::Response;
        let word = words.need("an expression")?;
        let sample = Sample::parse(&word.text).map_err(|what| wrong(word, what))?;
        facts::check_known(&sample.fetch.name).map_err(|what| wrong(word, what))?;
        let kind = words.need("`len` or `id`")?;
        let number = words.number(0, i64::from(u16::MAX))?;
        words.end()?;
        let value = template::sample(&sample, &mut self.translator.maps, &mut rule.used)?;
        let (slot, value) = match kind.text.as_str() {
            "len" => {
                let slot = Captures::number_of(self.draft, line, is_response);
                (slot, cut(&value, number))
            }
            "id" => (usize::try_from(number).unwrap_or_default(), value),
            other => return Err(wrong(kind, format!("`{other}` has no meaning here")).into()),
        };
        keep(rule, &variable(is_response, slot), value);
        Ok(())
    }

    /// `capture response header NAME len N`.
    pub fn capture_response(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let mut words = Words::from(&line.words[0], &line.words[1..]);
        words.next();
        words.next();
        let name: &Word = words.need("the name of a field")?;
        let header = name.text.to_ascii_lowercase();
        if header.contains(['(', ')', '{', '}', '|', '"']) {
            return Err(wrong(name, format!("`{header}` is no name of a field")).into());
        }
        if words.need("`len`")?.text != "len" {
            return Err(wrong(name, "`len` and a number must follow".to_owned()).into());
        }
        let length = words.number(1, i64::from(u16::MAX))?;
        words.end()?;
        let mut rule = Rule {
            comments: line.comments.clone(),
            hook: Hook::Response,
            ..Rule::default()
        };
        rule.used.response = true;
        let slot = Captures::number_of(self.draft, line, true);
        let value = cut(&format!("{{response_header({header})}}"), length);
        keep(&mut rule, &variable(true, slot), value);
        Ok(Wanted::Rule(rule))
    }
}

impl RuleReader<'_, '_> {
    /// `capture cookie NAME len N`: a rule for the client's cookie, and one for the server's.
    pub fn capture_cookie(&mut self, line: &Line) -> Result<[Rule; 2], Refused> {
        let mut words = Words::from(&line.words[0], &line.words[1..]);
        words.next();
        let word = words.need("the name of a cookie")?;
        if words.need("`len`")?.text != "len" {
            return Err(wrong(word, "`len` and a number must follow".to_owned()).into());
        }
        let length = words.number(1, i64::from(u16::MAX))?;
        words.end()?;
        let name = word.text.trim_end_matches('=');
        if name.is_empty() || name.contains(['(', ')', '{', '}', '|', '"', '=']) {
            return Err(wrong(word, format!("`{}` is no name of a cookie", word.text)).into());
        }
        // The name counts among the bytes that are kept.
        let rest = length - i64::try_from(name.len() + 1).unwrap_or(length);
        let rule = |fact: String, is_response: bool| {
            let value: Value = Table::of("of", format!("{{{fact}}}"))
                .with("present", true)
                .into();
            let mut rule = Rule::default();
            rule.when.value = Some(Table::of("value", value).into());
            let kept = format!("{name}={}", cut(&format!("{{{fact}}}"), rest.max(0)));
            keep(&mut rule, cookie_variable(is_response), kept);
            rule
        };
        let mut request = rule(format!("cookie({name})"), false);
        request.comments.clone_from(&line.comments);
        request.used.reads.insert("header:cookie".to_owned());
        if !word.text.ends_with('=') {
            let note = format!("the cookie `{name}` is kept, and none whose name only begins so");
            request.used.notes.insert(note);
        }
        let mut response = rule(format!("response_cookie({name})"), true);
        response.hook = Hook::Response;
        response.used.response = true;
        Ok([request, response])
    }
}

/// The first bytes of what a template comes to.
fn cut(template: &str, length: i64) -> String {
    match template.strip_suffix('}') {
        Some(inside) => format!("{inside}|bytes(0,{length})}}"),
        None => template.to_owned(),
    }
}

fn keep(rule: &mut Rule, variable: &str, value: String) {
    rule.body.set("set_var", Table::of(variable, value));
    rule.writes.insert(format!("var:{variable}"));
}
