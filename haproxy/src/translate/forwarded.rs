//! `option forwardfor` and `option originalto`: telling servers whom a request came from, and where it went to.

use crate::{
    problem::Problem,
    text::Line,
    weir::{Table, Value},
};

use super::{
    rule::Rule,
    template,
    words::{Words, wrong},
};

/// What `option forwardfor` says.
pub struct ForwardedFor {
    header: Option<String>,
    except: Option<String>,
    /// A field that the client sent is enough.
    pub if_none: bool,
}

impl ForwardedFor {
    /// Reads `option forwardfor [except NET] [header NAME] [if-none]`.
    ///
    /// # Errors
    /// What HAProxy would not take either.
    pub fn read(line: &Line) -> Result<Self, Problem> {
        let mut words = Words::from(&line.words[1], &line.words[2..]);
        let mut said = Self {
            header: None,
            except: None,
            if_none: false,
        };
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "except" => said.except = Some(words.need("a network")?.text.clone()),
                "header" => said.header = Some(words.need("a name")?.text.clone()),
                "if-none" => said.if_none = true,
                other => return Err(wrong(word, format!("`{other}` has no meaning here"))),
            }
        }
        Ok(said)
    }

    /// The value of a frontend's `forwarded_for`.
    pub fn value(&self) -> Value {
        let mut table = Table::new();
        if let Some(except) = &self.except {
            table.set("except", vec![Value::from(except.as_str())]);
        }
        if let Some(header) = &self.header {
            table.set("header", header.as_str());
        }
        match table.is_empty() {
            true => Value::Bool(true),
            false => table.into(),
        }
    }

    /// The same as a rule, for where there is no such key.
    pub fn rule(&self) -> Rule {
        let header = self.header.as_deref().unwrap_or("X-Forwarded-For");
        let mut rule = Rule::default();
        let mut all: Vec<Value> = Vec::new();
        if self.if_none {
            let absent = Table::of("name", header).with("present", false);
            all.push(Table::of("header", absent).into());
        }
        if let Some(except) = &self.except {
            all.push(Table::of("not", Table::of("client", except.as_str())).into());
        }
        rule.when.value = match all.len() {
            0 => None,
            1 => Some(all.remove(0)),
            _ => Some(Table::of("all", all).into()),
        };
        rule.body
            .set("add_header", Table::of(header, "{client_address}"));
        rule
    }
}

/// `option originalto [header NAME]`.
pub fn original_to(line: &Line) -> Rule {
    let header = line
        .words
        .iter()
        .position(|word| word.text == "header")
        .and_then(|at| line.words.get(at + 1));
    let header = header.map_or("X-Original-To", |word| word.text.as_str());
    let mut rule = Rule::default();
    rule.body
        .set("add_header", Table::of(header, template::LISTENER_ADDRESS));
    rule.writes
        .insert(format!("header:{}", header.to_ascii_lowercase()));
    rule
}
