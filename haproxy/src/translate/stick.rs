//! `stick on`, `stick match` and `stick store-…`: the plugin `stick`.

use crate::{
    file::Sample,
    problem::Problem,
    remark::Fate,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{
    draft::Draft,
    facts,
    tables::Tables,
    track,
    words::{Words, wrong},
};

/// The value of `persistence`, if there is one, and the fates of the lines.
pub type Sticks<'l> = (Option<Table>, Vec<(&'l Line, Fate)>);

/// The use of the plugin, if any line asks for it, and what became of each line.
///
/// # Errors
/// What HAProxy would not take either.
pub fn stick<'l>(draft: &Draft<'l>, tables: &Tables) -> Result<Sticks<'l>, Problem> {
    let mut lists: [(&str, Vec<Value>); 4] =
        ["on", "look_up", "keep", "keep_answer"].map(|name| (name, Vec::new()));
    let mut table: Option<String> = None;
    let mut fates = Vec::new();
    let has_cookie = draft.last("cookie").is_some();
    for line in draft.all("stick") {
        let rule = match read(line)? {
            Ok(rule) => rule,
            Err(why) => {
                fates.push((line, Fate::dropped(why)));
                continue;
            }
        };
        let named = rule.table.map(|word| word.text.as_str());
        let found = match tables.table(Some(named.unwrap_or(draft.name()))) {
            Ok(found) => found.name.clone(),
            Err(why) => {
                fates.push((line, Fate::dropped(why)));
                continue;
            }
        };
        if table.as_ref().is_some_and(|table| *table != found) {
            let why = "a backend's clients stick by one table";
            fates.push((line, Fate::dropped(why)));
            continue;
        }
        if has_cookie {
            let why = "a backend has one persistence, and the cookie is it";
            fates.push((line, Fate::dropped(why)));
            continue;
        }
        table = Some(found);
        let (_, list) = lists
            .iter_mut()
            .find(|(name, _)| *name == rule.list)
            .expect("all lists that rules name are there");
        if !list.contains(&rule.input) {
            list.push(rule.input);
        }
        fates.push((line, Fate::Same));
    }
    let Some(table) = table else {
        return Ok((None, fates));
    };
    // What is only kept is for other backends to look up, which no plugin of this one does.
    if lists[0].1.is_empty() && lists[1].1.is_empty() {
        let why = "nothing of it is looked up here";
        let fates = fates
            .into_iter()
            .map(|(line, _)| (line, Fate::dropped(why)));
        return Ok((None, fates.collect()));
    }
    let mut config = Table::of("table", table.as_str());
    let by_client = Value::from("client_address");
    let usual = lists[0].1 == [by_client] && lists[1..].iter().all(|(_, list)| list.is_empty());
    for (name, list) in lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty() && !usual)
    {
        config.set(name, list);
    }
    let used = Table::of("plugin", "stick")
        .with("counters", vec![Value::from(table.as_str())])
        .with("config", config);
    Ok((Some(used), fates))
}

struct Rule<'l> {
    list: &'static str,
    input: Value,
    table: Option<&'l Word>,
}

/// Reads a line. The inner error is why it has no equivalent.
fn read(line: &Line) -> Result<Result<Rule<'_>, String>, Problem> {
    let mut words = Words::of(line);
    let kind = words.need("`on`, `match`, `store-request` or `store-response`")?;
    let list = match kind.text.as_str() {
        "on" => "on",
        "match" => "look_up",
        "store-request" => "keep",
        "store-response" => "keep_answer",
        other => {
            let problem = wrong(kind, format!("`stick {other}` is nothing"));
            return Err(problem.hint("these are on, match, store-request and store-response"));
        }
    };
    let word = words.need("an expression")?;
    let sample = Sample::parse(&word.text).map_err(|what| wrong(word, what))?;
    facts::check_known(&sample.fetch.name).map_err(|what| wrong(word, what))?;
    let table = match words.take("table") {
        true => Some(words.need("the name of a table")?),
        false => None,
    };
    if matches!(words.peek(), Some("if" | "unless")) {
        return Ok(Err("who sticks cannot depend on a condition".to_owned()));
    }
    words.end()?;
    let input = match list {
        "keep_answer" => of_answer(&sample),
        _ => track::input(&sample),
    };
    Ok(match input {
        Some(input) => Ok(Rule { list, input, table }),
        None => Err(format!("clients cannot stick by `{sample}`")),
    })
}

fn of_answer(sample: &Sample) -> Option<Value> {
    let name = sample.fetch.argument(0)?;
    let kind = match sample.fetch.name.as_str() {
        _ if !sample.converters.is_empty() || sample.fetch.arguments.len() > 1 => return None,
        "res.cook" | "scook" | "set-cookie" => "cookie",
        "res.hdr" | "shdr" | "res.fhdr" => "header",
        _ => return None,
    };
    Some(Table::of(kind, name).into())
}
