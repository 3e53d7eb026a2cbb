//! `[[counters]]`: tables in which plugins count by key, and what each counter of a table measures. The
//! counting itself is the plugin runtime's.

use std::time::Duration;

use super::{
    Counter, CounterTable, WhenFull,
    name::{Unique, read_name},
    read::Fields,
    value::{Node, shorten},
};

const WHEN_FULL: &[(&str, WhenFull)] = &[("evict", WhenFull::Evict), ("refuse", WhenFull::Refuse)];
/// Of one table.
const MOST_KEYS: u64 = 100_000_000;
const MOST_COUNTERS: usize = 16;
const LONGEST_NAME: usize = 64;

pub(super) fn read_counters(top: &mut Fields<'_>) -> Vec<CounterTable> {
    let mut names = Unique::new("table of counters");
    top.tables("counters", "[[counters]]")
        .into_iter()
        .filter_map(|fields| read_table(fields, &mut names))
        .collect()
}

fn read_table(mut fields: Fields<'_>, names: &mut Unique) -> Option<CounterTable> {
    let name = read_name(&mut fields, "table of counters", names);
    let size = fields.get("size").map(|node| node.index(1..=MOST_KEYS));
    let expire = fields.get("expire").map(|node| node.duration());
    let when_full = fields.get("when_full").map(|node| node.choice(WHEN_FULL));
    let mut counters = Vec::new();
    if let Some(node) = fields.get("rates") {
        read_rates(&node, &mut counters);
    }
    if let Some(node) = fields.get("totals") {
        read_totals(&node, Lasting::Always, &mut counters);
    }
    if let Some(node) = fields.get("held") {
        read_totals(&node, Lasting::Connection, &mut counters);
    }
    fields.finish(&[
        (
            "window",
            "each rate has its own: `rates = { requests = \"10s\" }`",
        ),
        ("type", "keys are texts, whatever they stand for"),
        (
            "store",
            "write `rates = { requests = \"10s\" }`, `totals = [\"strikes\"]` or `held = [\"connections\"]`",
        ),
    ]);
    Some(CounterTable {
        name: name?,
        size: size.unwrap_or(Some(100_000))?,
        expire: match expire {
            Some(expire) => Some(expire?),
            None => None,
        },
        counters,
        when_full: when_full.unwrap_or(Some(WhenFull::Evict))?,
    })
}

/// `rates = { NAME = "WINDOW" }`.
fn read_rates(node: &Node<'_>, counters: &mut Vec<Counter>) {
    const SHORTEST: Duration = Duration::from_millis(1);
    let Some(mut rates) = node.fields("rates") else {
        return;
    };
    for (_, name, window) in rates.entries() {
        let read = window.duration();
        if read.is_some_and(|window| window < SHORTEST) {
            window.wrong("is too short", "windows are milliseconds or longer");
        }
        let counter = Counter {
            name,
            window: read,
            held: false,
        };
        add(&window, counter, counters);
    }
}

/// For how long something counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Always,
    Connection,
}

/// `totals = ["NAME"]`, `held = ["NAME"]`.
fn read_totals(node: &Node<'_>, lasting: Lasting, counters: &mut Vec<Counter>) {
    for item in node.list("names").into_iter().flatten() {
        if let Some(name) = item.plain_text("strikes") {
            let counter = Counter {
                name: name.to_owned(),
                window: None,
                held: lasting == Lasting::Connection,
            };
            add(&item, counter, counters);
        }
    }
}

fn add(node: &Node<'_>, new: Counter, counters: &mut Vec<Counter>) {
    let name = new.name.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        node.complain(
            format!("a counter cannot be called `{}`", shorten(name)),
            format!("up to {LONGEST_NAME} letters, digits, `-`, `_` and `.`"),
        );
        return;
    }
    if counters.iter().any(|counter| counter.name == name) {
        node.complain(
            format!("another counter of the table is already called `{name}`"),
            "choose another name",
        );
        return;
    }
    if counters.len() == MOST_COUNTERS {
        node.complain(
            format!("a table has at most {MOST_COUNTERS} counters"),
            "spread them over several tables",
        );
        return;
    }
    counters.push(new);
}
