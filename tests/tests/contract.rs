//! What was promised to plugins stays: the contract only grows, and components that were built against it
//! keep loading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use weir_tests::{WeirCommand, component, repository};

/// The contract as it was when its version was last released, or, before the first release, when it was
/// last agreed upon. Setting `WEIR_RECORD_CONTRACT` replaces it by what there is now, which is to be done
/// when a version is released and at no other time.
fn recorded() -> PathBuf {
    repository().join("tests/data/contract-0.1.0.wit")
}

/// Interfaces that plugins import; those may get further functions.
const IMPORTED: [&str; 5] = ["log", "clock", "random", "maps", "counters"];

/// The definitions of each interface, with blanks and comments taken out.
type Contract = BTreeMap<String, BTreeSet<String>>;

fn contract(text: &str) -> Contract {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join(" ");
    let mut contract = Contract::new();
    for part in code.split("interface ").skip(1) {
        let (name, rest) = part.split_once('{').expect("an interface has a body");
        contract.insert(name.trim().to_owned(), definitions(rest));
    }
    contract
}

/// The definitions up to the brace that ends the body.
fn definitions(body: &str) -> BTreeSet<String> {
    let mut definitions = BTreeSet::new();
    let (mut depth, mut current) = (0, String::new());
    for c in body.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
        current.push(c);
        if depth == 0 && (c == ';' || c == '}') {
            let words: Vec<&str> = current.split_whitespace().collect();
            // `use types.{header};` has its semicolon after the brace.
            if words != [";"] {
                definitions.insert(words.join(" ").trim_end_matches(';').to_owned());
            }
            current.clear();
        }
    }
    definitions
}

/// How `now` breaks what `then` promised.
fn broken(then: &Contract, now: &Contract) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, definitions) in then {
        let Some(current) = now.get(name) else {
            broken.push(format!("the interface {name} is gone"));
            continue;
        };
        for definition in definitions.difference(current) {
            broken.push(format!("{name} no longer has: {definition}"));
        }
        if !IMPORTED.contains(&name.as_str()) && name != "types" {
            let is_function = |text: &&String| text.contains(": func(");
            for function in current.difference(definitions).filter(is_function) {
                broken.push(format!(
                    "{name} wants a function that older components lack: {function}"
                ));
            }
        }
    }
    broken
}

#[test]
fn the_contract_only_grew() {
    let current = repository().join("wit/v0.1/weir-plugin.wit");
    let current = fs::read_to_string(current).expect("the contract is there");
    if std::env::var_os("WEIR_RECORD_CONTRACT").is_some() {
        fs::write(recorded(), &current).expect("the record can be written");
    }
    let then = fs::read_to_string(recorded()).expect("the record is there");
    let broken = broken(&contract(&then), &contract(&current));
    assert!(
        broken.is_empty(),
        "what wit/README.md forbids within 0.1:\n{}",
        broken.join("\n")
    );
}

#[test]
fn a_change_that_breaks_is_seen_and_growth_is_not() {
    let then = contract(
        "interface a { record r { x: u32, } f: func(r: r) -> u32; } interface log { write: func(); }",
    );
    let check = |now: &str| broken(&then, &contract(now));
    let grown = "interface a { record r { x: u32, } f: func(r: r) -> u32; record s { y: u8, } }
        interface log { write: func(); flush: func(); } interface b { g: func(); }";
    assert_eq!(check(grown), [""; 0]);
    for (now, wanted) in [
        (
            "interface log { write: func(); }",
            "the interface a is gone",
        ),
        (
            "interface a { record r { x: u32, z: u32, } f: func(r: r) -> u32; } interface log { write: func(); }",
            "a no longer has: record r { x: u32, }",
        ),
        (
            "interface a { record r { x: u32, } f: func(r: r) -> u64; } interface log { write: func(); }",
            "a no longer has: f: func(r: r) -> u32",
        ),
        (
            "interface a { record r { x: u32, } f: func(r: r) -> u32; g: func(); } interface log { write: func(); }",
            "a wants a function that older components lack: g: func()",
        ),
    ] {
        let found = check(now);
        assert!(found.iter().any(|text| text == wanted), "{found:?}");
    }
}

#[tokio::test]
async fn a_component_can_take_the_place_of_one_that_asks_for_as_much() {
    let command = WeirCommand::default();
    let compat = async |words: &[&str]| {
        let words = [&["plugin", "check-compat"], words].concat();
        command.run(&words).await
    };
    let same = compat(&["least-conn", "least-conn"]).await.succeeded();
    assert!(same.contains("can take the place"), "{same}");

    let config = r#"{"site": "a-", "busy_at": 2}"#;
    let nearest = component("nearest-first").display().to_string();
    let other = compat(&[&nearest, "round-robin", "--config", config])
        .await
        .failed();
    for text in [
        "breaks  it doesn't take the config that the old one takes",
        "breaks  the config can no longer have `site`",
    ] {
        assert!(other.contains(text), "no {text:?} in\n{other}");
    }

    let role = compat(&["round-robin", "cookie"]).await.failed();
    assert!(
        role.contains("breaks  it no longer exports `balancer`"),
        "{role}"
    );
    assert!(
        role.contains("breaks  it imports `clock`, which is to be granted: grant = [\"clock\"]"),
        "{role}"
    );
}
