//! What an administrator can see of the tables of counters and do to them: list, show, set, clear.

use std::{fmt::Write as _, sync::Arc};

use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::admin::{Admin, Answer, json_answer, text, wrong_method};
use crate::plugin::counters::{CounterStore, Row, Table, clock};

/// Rows of one answer, unless it is asked for others.
const USUAL_ROWS: usize = 1_000;
const MOST_ROWS: usize = 1_000_000;

/// Answers about `path`, which is what follows `/counters`.
pub fn answer(admin: &Admin, method: &Method, path: &str, query: Option<&str>) -> Answer {
    let generation = admin.current.borrow();
    let store = &generation.counters;
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        (&Method::GET, [""] | ["", ""]) => list(store),
        (&Method::GET, ["", name]) => on_table(store, name, |table| show(table, query)),
        (&Method::POST, ["", name, "clear"]) => {
            on_table(store, name, |table| clear(admin, table, query))
        }
        (&Method::POST, ["", name, "set"]) => on_table(store, name, |table| set(table, query)),
        (_, [""] | ["", ""] | ["", _]) => wrong_method("GET"),
        (_, ["", _, "clear" | "set"]) => wrong_method("POST"),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are GET /counters, GET /counters/TABLE, POST /counters/TABLE/clear and POST \
             /counters/TABLE/set\n",
        ),
    }
}

fn on_table(
    store: &CounterStore,
    name: &str,
    act: impl FnOnce(&Arc<Table>) -> Result<Answer, String>,
) -> Answer {
    let Some(table) = store.get(name) else {
        let known: Vec<&str> = store.names().collect();
        let known = match known.as_slice() {
            [] => "there is none".to_owned(),
            known => format!("there is {}", known.join(", ")),
        };
        let message = format!("no table of counters named `{name}`; {known}\n");
        return text(StatusCode::NOT_FOUND, message);
    };
    act(table).unwrap_or_else(|why| text(StatusCode::BAD_REQUEST, format!("{why}\n")))
}

fn list(store: &CounterStore) -> Answer {
    let now = clock();
    let tables = store.tables().map(|table| {
        table.sweep(now);
        describe(table)
    });
    json_answer(&Value::Array(tables.collect()))
}

fn describe(table: &Table) -> Value {
    let counters = table
        .counters()
        .map(|(name, window)| json!({ "name": name, "window_ms": window }));
    json!({
        "name": table.name(),
        "size": table.declared().size,
        "keys": table.len(),
        "expire_ms": table.declared().expire.map(|expire| expire.as_millis() as u64),
        "evicted": table.evicted(),
        "refused": table.refused(),
        "counters": counters.collect::<Vec<_>>(),
    })
}

/// `?key=K` for one key, `?most=N` for so many rows.
fn show(table: &Table, query: Option<&str>) -> Result<Answer, String> {
    let now = clock();
    let asked = Asked::read(query, &["key", "most"])?;
    if let Some(key) = asked.get("key") {
        let row = table.row(key, now);
        return Ok(match row {
            Some(row) => json_answer(&shown(table, &row)),
            None => text(StatusCode::NOT_FOUND, format!("no key `{key}`\n")),
        });
    }
    let most = match asked.get("most") {
        Some(most) => most
            .parse()
            .ok()
            .filter(|most| (1..=MOST_ROWS).contains(most))
            .ok_or_else(|| format!("`most` is a number from 1 to {MOST_ROWS}"))?,
        None => USUAL_ROWS,
    };
    let mut rows = table.rows(now);
    let found: Vec<Value> = rows
        .by_ref()
        .take(most)
        .map(|row| shown(table, &row))
        .collect();
    let mut described = describe(table);
    described["complete"] = Value::Bool(rows.next().is_none());
    described["rows"] = Value::Array(found);
    Ok(json_answer(&described))
}

fn shown(table: &Table, row: &Row) -> Value {
    let names = table.counters().map(|(name, _)| name.to_owned());
    let counts: Map<String, Value> = names.zip(row.counts.iter().map(|n| json!(n))).collect();
    json!({
        "key": &*row.key,
        "expires_in_ms": row.expires_in.map(|left| left.as_millis() as u64),
        "value": row.value,
        "counters": counts,
    })
}

/// `?key=K` for one key; without it, all.
fn clear(admin: &Admin, table: &Table, query: Option<&str>) -> Result<Answer, String> {
    let asked = Asked::read(query, &["key"])?;
    let cleared = match asked.get("key") {
        Some(key) => usize::from(table.remove(key, clock())),
        None => table.clear(),
    };
    let name = table.name();
    let said = format!("Table {name} was cleared of {cleared} keys by an administrator");
    admin.log.event(crate::config::LogLevel::Notice, said);
    Ok(json_answer(&json!({ "cleared": cleared })))
}

/// `?key=K&counter=C&count=N` and `?key=K&value=V`; several at once if need be.
fn set(table: &Table, query: Option<&str>) -> Result<Answer, String> {
    const HELP: &str = "write ?key=KEY&counter=NAME&count=NUMBER or ?key=KEY&value=TEXT";
    let asked = Asked::read(query, &["key", "counter", "count", "value"])?;
    let key = asked.get("key").ok_or(HELP)?;
    let now = clock();
    let kept = match (asked.get("counter"), asked.get("count"), asked.get("value")) {
        (Some(counter), Some(count), None) => {
            let counter = table.counter(counter).ok_or_else(|| {
                let names: Vec<&str> = table.counters().map(|(name, _)| name).collect();
                let names = names.join(", ");
                format!("no counter `{counter}`; the table has {names}")
            })?;
            let count = count.parse().map_err(|_| HELP)?;
            table.set(counter, key, count, now)
        }
        (None, None, Some(value)) => table.set_value(key, value, now),
        _ => return Err(HELP.to_owned()),
    };
    match (kept, table.row(key, now)) {
        (true, Some(row)) => Ok(json_answer(&shown(table, &row))),
        _ => Err("it finds no place: the table is full, or the value too long".to_owned()),
    }
}

/// The parameters of a query, decoded.
struct Asked(Vec<(String, String)>);

impl Asked {
    /// Refuses names that are not `known`, which would otherwise be typos without effect.
    fn read(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(format!(
                    "no parameter `{name}`; known: {}",
                    known.join(", ")
                ));
            }
            pairs.push((name.to_owned(), decoded(value)?));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str())
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is not percent-encoded text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// What the tables hold and what became of keys that found no room, for Prometheus.
pub fn write_metrics(store: &CounterStore, out: &mut String) -> std::fmt::Result {
    /// Name, kind, what it is, and how much a table has of it.
    type Family = (&'static str, &'static str, &'static str, fn(&Table) -> u64);
    let families: [Family; 3] = [
        (
            "counters_keys",
            "gauge",
            "Keys that a table of counters holds.",
            |table| table.len() as u64,
        ),
        (
            "counters_evicted_total",
            "counter",
            "Keys that left a full table for others.",
            Table::evicted,
        ),
        (
            "counters_refused_total",
            "counter",
            "Keys that found no place in a full table.",
            Table::refused,
        ),
    ];
    let now = clock();
    for table in store.tables() {
        table.sweep(now);
    }
    if store.tables().next().is_none() {
        return Ok(());
    }
    for (name, kind, help, value) in families {
        writeln!(out, "# HELP weir_{name} {help}\n# TYPE weir_{name} {kind}")?;
        for table in store.tables() {
            let label = table.name();
            writeln!(out, "weir_{name}{{table=\"{label}\"}} {}", value(table))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_typos_refused() {
        let asked = Asked::read(Some("key=a%2Fb%20%C3%A9&most=5"), &["key", "most"]).unwrap();
        assert_eq!(asked.get("key"), Some("a/b é"));
        assert_eq!(asked.get("most"), Some("5"));
        assert_eq!(asked.get("value"), None);
        for wrong in ["kye=a", "key=%2", "key=%zz", "key=%ff"] {
            assert!(Asked::read(Some(wrong), &["key"]).is_err(), "{wrong}");
        }
    }
}
