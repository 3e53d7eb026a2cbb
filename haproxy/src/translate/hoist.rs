//! What all frontends or all backends say alike is said once, at the top.

use crate::weir::{Table, Weir};

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
        if tables.iter().all(|table| table.get(&key) == Some(&value)) {
            tables.iter_mut().for_each(|table| {
                table.remove(&key);
            });
            common.set(&key, value);
        }
    }
}
