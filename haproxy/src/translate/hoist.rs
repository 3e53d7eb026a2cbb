//! What all frontends or all backends say alike is said once, at the top.

use crate::weir::{Table, Value, Weir};

/// Weir's own defaults, which need not be said.
const DEFAULTS: [(&str, &str); 6] = [
    ("client", "50s"),
    ("http_request", "10s"),
    ("http_keep_alive", "30s"),
    ("connect", "5s"),
    ("server", "50s"),
    ("tunnel", "1h"),
];

/// Moves timeouts that are the same everywhere to `[timeouts]`, and drops those that are the defaults.
pub fn hoist(weir: &mut Weir) {
    let mut common = Table::new();
    let mut frontends: Vec<&mut Table> = weir
        .frontends
        .iter_mut()
        .map(|frontend| &mut frontend.timeouts)
        .collect();
    lift(&mut frontends, &mut common);
    let mut backends: Vec<&mut Table> = weir
        .backends
        .iter_mut()
        .map(|backend| &mut backend.timeouts)
        .collect();
    lift(&mut backends, &mut common);
    for (key, value) in DEFAULTS {
        if common.get(key) == Some(&value.into()) {
            common.remove(key);
        }
    }
    weir.timeouts = common;
}

fn lift(tables: &mut [&mut Table], common: &mut Table) {
    let Some(first) = tables.first() else { return };
    let all: Vec<(String, _)> = first
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    for (key, value) in all {
        // Where all say something, the most common is said once; where one says nothing, it means the default.
        let Some(said) = tables
            .iter()
            .map(|table| table.get(&key))
            .collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let count = |wanted: &Value| said.iter().filter(|value| **value == wanted).count();
        let most = said
            .iter()
            .map(|value| count(value))
            .max()
            .unwrap_or_default();
        let usual = if count(&value) == most {
            value
        } else {
            said.iter()
                .find(|value| count(value) == most)
                .map_or(value, |value| (*value).clone())
        };
        for table in tables
            .iter_mut()
            .filter(|table| table.get(&key) == Some(&usual))
        {
            table.remove(&key);
        }
        common.set(&key, usual);
    }
}
