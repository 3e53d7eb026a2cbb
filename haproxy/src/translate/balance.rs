//! `balance` and `hash-type`: which plugin picks a server, and its configuration.

use crate::{
    problem::Problem,
    remark::Fate,
    text::Line,
    weir::{Table, Value},
};

use super::{
    draft::{Draft, Mode, keyword},
    words::{Words, number, wrong},
};

/// The value of `balance`, if it is not the default, and what becomes of the lines.
pub type Balance<'f> = (Option<Value>, Vec<(&'f Line, Fate)>);

/// Reads all that a backend says about balancing.
pub fn balance<'f>(draft: &Draft<'f>) -> Result<Balance<'f>, Problem> {
    let mut fates = Vec::new();
    let mut value = None;
    let mut hashes = false;
    if let Some(line) = draft.last("balance") {
        let (found, fate) = match (draft.mode, keyword(line)[1]) {
            (Mode::Tcp, word) if is_of_requests(word) => {
                let note = format!("`{word}` looks at requests; servers take turns, as in HAProxy");
                (None, Fate::nearly(note))
            }
            _ => algorithm(line)?,
        };
        hashes = matches!(&found, Some(Value::Table(table)) if table.get("plugin") == Some(&Value::from("hash")));
        value = found;
        fates.push((line, fate));
    }
    if let Some(line) = draft.last("hash-type") {
        let fate = hash_type(line, value.as_mut().filter(|_| hashes))?;
        fates.push((line, fate));
    }
    if let Some(line) = draft.last("hash-balance-factor") {
        let mut words = Words::of(line);
        let factor = words.number(0, 65_535)?;
        if let Some(Value::Table(table)) = value.as_mut().filter(|_| hashes && factor > 100)
            && let Some(Value::Table(config)) = table.get_mut("config")
            && config.get("method").is_some()
        {
            config.set("balance_factor", factor);
        }
        fates.push((line, Fate::Same));
    }
    Ok((value, fates))
}

/// Whether an algorithm needs a request.
fn is_of_requests(word: &str) -> bool {
    let name = word.split('(').next().unwrap_or(word);
    matches!(name, "uri" | "url_param" | "hdr")
}

fn algorithm(line: &Line) -> Result<(Option<Value>, Fate), Problem> {
    let mut words = Words::of(line);
    let word = words.need("the name of an algorithm")?;
    let (name, argument) = match word.text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')')),
        None => (word.text.as_str(), None),
    };
    let hash =
        |on: Value| Value::from(Table::of("plugin", "hash").with("config", Table::of("on", on)));
    let named = |kind: &str, name: &str| hash(Table::of(kind, name).into());
    let mut fate = Fate::Same;
    let value = match name {
        "roundrobin" => None,
        "static-rr" => Some("static-round-robin".into()),
        "leastconn" => Some("least-conn".into()),
        "first" => Some("first".into()),
        "random" => match argument {
            None | Some("2") => Some("random".into()),
            Some(draws) => {
                let draws: Option<i64> = draws.parse().ok().filter(|draws| *draws >= 1);
                let draws =
                    draws.ok_or_else(|| wrong(word, "the number of draws is at least 1"))?;
                Some(
                    Table::of("plugin", "random")
                        .with("config", Table::of("draws", draws))
                        .into(),
                )
            }
        },
        "source" => Some(hash("source".into())),
        "uri" => {
            let mut on = "path";
            let mut extent = Table::new();
            while let Some(option) = words.next() {
                match option.text.as_str() {
                    "whole" => on = "uri",
                    "path-only" => {}
                    key @ ("len" | "depth") => {
                        let number = number(words.need("a number")?, 0, 65_535)?;
                        let key = if key == "len" { "length" } else { key };
                        if number > 0 {
                            extent.set(key, number);
                        }
                    }
                    other => {
                        return Err(wrong(
                            option,
                            format!("unknown option `{other}` of `balance uri`"),
                        ));
                    }
                }
            }
            let mut config = Table::of("on", on);
            for (key, value) in extent.iter() {
                config.set(key, value.clone());
            }
            Some(Table::of("plugin", "hash").with("config", config).into())
        }
        "url_param" => {
            let name = words.need("the name of a parameter")?.text.as_str();
            if words.take("check_post") {
                fate = fate.and(Fate::nearly("bodies are not searched for the parameter"));
                words.next();
            }
            Some(named("query_param", name))
        }
        "hdr" => {
            let header = argument.filter(|name| !name.is_empty());
            let header = header.ok_or_else(|| wrong(word, "write `balance hdr(NAME)`"))?;
            if words.take("use_domain_only") {
                fate = fate.and(Fate::nearly(
                    "the whole value is hashed, not the domain alone",
                ));
            }
            Some(named("header", header))
        }
        "hash" => match words.need("an expression")?.text.as_str() {
            "src" => Some(hash("source".into())),
            "path" => Some(hash("path".into())),
            "url" | "pathq" => Some(hash("uri".into())),
            other => {
                let simple = crate::file::Sample::parse(other)
                    .ok()
                    .filter(|sample| sample.converters.is_empty());
                let kind = simple.as_ref().and_then(|sample| {
                    let kind = match sample.fetch.name.as_str() {
                        "hdr" | "req.hdr" => "header",
                        "cook" | "req.cook" => "cookie",
                        "url_param" | "urlp" => "query_param",
                        "var" => "var",
                        _ => return None,
                    };
                    Some(named(kind, sample.fetch.argument(0)?))
                });
                if kind.is_none() {
                    fate =
                        Fate::dropped(format!("`{other}` cannot be hashed by; servers take turns"));
                }
                kind
            }
        },
        "rdp-cookie" => {
            fate = Fate::dropped("Weir does not read RDP; servers take turns");
            None
        }
        other => {
            const KNOWN: [&str; 11] = [
                "roundrobin",
                "static-rr",
                "leastconn",
                "first",
                "random",
                "source",
                "uri",
                "url_param",
                "hdr",
                "hash",
                "rdp-cookie",
            ];
            let problem = wrong(word, format!("unknown algorithm `{other}`"));
            return Err(match crate::nearest::nearest(other, KNOWN) {
                Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                None => problem.hint(format!("these are {}", KNOWN.join(", "))),
            });
        }
    };
    if words.rest().first().is_some_and(|word| word.text == "draw") {
        return Err(
            wrong(&words.rest()[0], "`draw` has no meaning here").hint("write `balance random(2)`")
        );
    }
    words.end()?;
    Ok((value, fate))
}

fn hash_type(line: &Line, balance: Option<&mut Value>) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    let method = words.need("`map-based` or `consistent`")?;
    let function = words.next();
    let modifier = words.next();
    let consistent = match method.text.as_str() {
        "consistent" => true,
        "map-based" => false,
        other => {
            return Err(wrong(method, format!("unknown method `{other}`"))
                .hint("these are `map-based` and `consistent`"));
        }
    };
    let mut fate = Fate::Same;
    if let Some(function) = function.filter(|function| function.text != "sdbm") {
        if !matches!(function.text.as_str(), "djb2" | "wt6" | "crc32" | "none") {
            return Err(wrong(
                function,
                format!("unknown function `{}`", function.text),
            ));
        }
        fate = fate.and(Fate::nearly(format!(
            "keys are hashed with sdbm, not {}: they go to other servers",
            function.text
        )));
    }
    // HAProxy stirs by itself unless a function is named; then it wants to be told.
    if let Some(function) = function.filter(|_| consistent && modifier.is_none()) {
        fate = fate.and(Fate::nearly(format!(
            "keys are stirred as if `{} avalanche` stood here",
            function.text
        )));
    }
    if let Some(modifier) = modifier.filter(|modifier| modifier.text != "avalanche") {
        return Err(wrong(
            modifier,
            format!("unknown modifier `{}`", modifier.text),
        ));
    }
    match balance {
        Some(Value::Table(table)) if consistent => {
            if let Some(Value::Table(config)) = table.get_mut("config") {
                config.set("method", "consistent");
            }
        }
        _ => {}
    }
    Ok(fate)
}
