//! `compression algo`, `type` and `offload`.

use crate::{
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Table, Value},
};

use super::{
    draft::Draft,
    words::{Words, wrong},
};

/// All that the directives of a proxy say together.
#[derive(Default)]
struct Said {
    /// Something other than leaving answers as they are.
    compresses: bool,
    types: Vec<Value>,
    offload: bool,
}

/// Puts the key `compression` into `keys`, and says what becomes of this line of it.
pub(super) fn compression(
    draft: &Draft<'_>,
    line: &Line,
    keys: &mut Table,
) -> Result<Fate, Problem> {
    let mut said = Said::default();
    for other in draft.all("compression") {
        read(other, &mut said)?;
    }
    if said.compresses {
        if said.types.is_empty() {
            said.types.push(Value::from("*/*"));
        }
        let mut table = Table::of("algorithms", vec![Value::from("gzip")])
            .with("types", said.types)
            .with("min_size", "0B");
        if said.offload {
            table.set("hide_accept_encoding", true);
        }
        keys.set("compression", table);
    }
    read(line, &mut Said::default())
}

fn read(line: &Line, said: &mut Said) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let kind = words.need("`algo`, `type` or `offload`")?;
    match kind.text.as_str() {
        "algo" => {
            let mut fate =
                Fate::nearly("answers of any status are compressed, not of 200 to 203 alone");
            let mut any = false;
            while let Some(word) = words.next() {
                any = true;
                match word.text.as_str() {
                    "gzip" => said.compresses = true,
                    "deflate" | "raw-deflate" => {
                        said.compresses = true;
                        fate = fate.and(Fate::nearly(
                            "gzip takes the place of deflate, which clients read in two ways",
                        ));
                    }
                    "identity" => {}
                    other => {
                        return Err(wrong(word, format!("unknown algorithm `{other}`"))
                            .hint("these are `gzip`, `deflate`, `raw-deflate` and `identity`"));
                    }
                }
            }
            if !any {
                words.need("an algorithm")?;
            }
            Ok(fate)
        }
        "type" => {
            while let Some(word) = words.next() {
                said.types
                    .push(Value::from(media_type(&word.text).as_str()));
            }
            Ok(Fate::Same)
        }
        "offload" => {
            said.offload = true;
            Ok(Fate::Same)
        }
        other => Err(wrong(kind, format!("`compression {other}` is unknown"))
            .hint("these are `algo`, `type` and `offload`")),
    }
}

/// HAProxy compares the beginning of a type; what ends at the slash or before is all of that kind.
fn media_type(text: &str) -> String {
    match text.split_once('/') {
        Some((kind, "")) => format!("{kind}/*"),
        Some(_) => text.to_owned(),
        None => format!("{text}/*"),
    }
}
