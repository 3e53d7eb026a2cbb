//! `cache` sections, and the rules that use them.

use crate::{
    file::Section,
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Table, Value},
};

use super::{
    Translator,
    draft::{Draft, keyword},
    server::only_number,
    words::wrong,
};

impl Translator<'_> {
    pub(super) fn cache(&mut self, section: &Section) {
        let mut table = Table::of("name", section.name.as_str());
        for line in &section.directives {
            let fate = directive(line, &mut table);
            self.settle(line, fate);
        }
        self.weir.caches.push(table);
    }
}

fn directive(line: &Line, table: &mut Table) -> Result<Fate, Problem> {
    Ok(match keyword(line) {
        ["total-max-size", ..] => {
            let megabytes = only_number(line, 1, 4095)?;
            table.set("max_size", format!("{megabytes}MiB"));
            Fate::Same
        }
        ["max-object-size", ..] => {
            let bytes = only_number(line, 1, i64::from(u32::MAX))?;
            table.set("max_object", format!("{}B", bytes.max(1024)));
            Fate::Same
        }
        ["max-age", ..] => {
            let seconds = only_number(line, 1, 365 * 86_400)?;
            table.set("max_age", format!("{seconds}s"));
            Fate::Same
        }
        ["process-vary", "on", ..] => {
            Fate::nearly("every field that `Vary` names counts, not three of them alone")
        }
        ["process-vary", ..] => {
            Fate::nearly("answers with `Vary` are kept, by the fields that it names")
        }
        ["max-secondary-entries", ..] => Fate::nearly("16 answers are kept of one URI"),
        _ => {
            let word = &line.words[0];
            return Err(wrong(
                word,
                format!("`{}` has no meaning in a cache", word.text),
            ));
        }
    })
}

/// What the key `cache` of a frontend or backend is to be, by its rules with `cache-use`.
pub(super) fn used(draft: &Draft<'_>) -> Option<Value> {
    let mut uses = draft
        .all("http-request")
        .filter(|line| keyword(line)[1] == "cache-use");
    let first = uses.next()?;
    let name = first.words.get(2)?.text.as_str();
    let always = first.words.len() == 3;
    Some(match always {
        true => Value::from(name),
        false => Table::of("name", name).with("when", "asked").into(),
    })
}
