//! The floors of `host/src`: who may import from whom.

use crate::source::Source;

/// A folder or file of `host/src` and its floor. All that main does is to start cli.
const FLOORS: [(&str, u8); 15] = [
    ("main", 7),
    ("cli", 6),
    ("proxy", 5),
    ("workbench", 5),
    ("frontend", 4),
    ("backend", 3),
    ("cache", 3),
    ("plugin", 3),
    ("store", 3),
    ("net", 2),
    ("http", 2),
    ("telemetry", 2),
    ("config", 1),
    ("model", 0),
    ("event_loop", 0),
];

/// The imports of a file that go sideways or up, each with its line.
pub fn wrong_imports(source: &Source) -> Vec<String> {
    let place = source
        .name
        .strip_prefix("host/src/")
        .unwrap_or(&source.name);
    let own = place.split(['/', '.']).next().unwrap_or_default();
    if own == "lib" {
        return Vec::new();
    }
    let Some(floor) = floor(own) else {
        return vec![format!(
            "{}: `{own}` has no floor; give it one in tidy/floors.rs",
            source.name
        )];
    };
    let code = source.code_lines().collect::<Vec<_>>().join("\n");
    imports(&code)
        .into_iter()
        .filter(|(module, _)| {
            module != own && self::floor(module).is_some_and(|other| other >= floor)
        })
        .map(|(module, line)| format!("{}:{line}: `{own}` must not know `{module}`", source.name))
        .collect()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

/// The modules named right after each `crate::` (or `weir::` in main), with line numbers.
fn imports(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for root in ["crate::", "weir::"] {
        for (at, _) in code.match_indices(root) {
            let line = code[..at].matches('\n').count() + 1;
            found.extend(
                heads(&code[at + root.len()..])
                    .into_iter()
                    .map(|module| (module, line)),
            );
        }
    }
    found
}

/// `a::b` → a; `{a::{b, c}, d}` → a, d.
fn heads(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !c.is_whitespace() => {
                heads.push(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn imports_are_found_in_all_their_forms() {
    let code = "use crate::{\n    model::{Input, Hook},\n    config::Config,\n};\nlet x = crate::net::Socket::new();";
    let modules: Vec<String> = imports(code)
        .into_iter()
        .map(|(module, _)| module)
        .collect();
    assert_eq!(modules, ["model", "config", "net"]);
}

#[test]
fn sideways_and_upwards_is_wrong() {
    let source = |text: &str| Source {
        name: "host/src/backend/pool.rs".into(),
        text: text.into(),
    };
    assert_eq!(
        wrong_imports(&source(
            "use crate::{net::Socket, backend::Server}; // crate::frontend"
        )),
        [""; 0]
    );
    assert_eq!(
        wrong_imports(&source("use crate::plugin::Plugin;")).len(),
        1,
        "neighbours do not know each other"
    );
    assert_eq!(
        wrong_imports(&source("\nuse crate::frontend;"))[0],
        "host/src/backend/pool.rs:2: `backend` must not know `frontend`"
    );
}
