//! What was promised to plugins stays: the contract only grows, and components that were built against it
//! keep loading.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use weir_tests::{Origin, Weir, WeirCommand, component, fill, repository};
use weir_wat_guests::{Guest, Kind};

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

const KINDS: [&str; 3] = ["filter", "balancer", "persistence"];

/// A component that was built when the contract was 0.1.0, or what it answered then.
fn built_then(file: &str) -> Vec<u8> {
    let file = repository()
        .join("tests/data/built-against-0.1.0")
        .join(file);
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[tokio::test]
async fn components_of_the_first_contract_answer_as_they_did() {
    for kind in KINDS {
        let component = format!("{kind}.wasm");
        let command = WeirCommand::default()
            .file(&component, built_then(&component))
            .file("cases.toml", built_then(&format!("{kind}.toml")));
        let ran = command
            .run(&["plugin", "test", &component, "--case", "cases.toml"])
            .await;
        let shown = ran.succeeded();
        assert!(shown.contains("all as expected"), "{kind}: {shown}");
    }
}

#[tokio::test]
async fn components_of_the_first_contract_serve() {
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("b"));
    let config = r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[frontend.filter]]
        plugin = "./filter.wasm"
        config = { domain = "example.com", header = "X-Tenant" }

        [[backend]]
        name = "apps"
        balance = { plugin = "./balancer.wasm", config = { tenant = "X-Tenant", hand = 1 } }
        persistence = { plugin = "./persistence.wasm", config = { cookie = "JSESSIONID" } }
        server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
    "#;
    let mut weir = Weir::builder();
    for kind in KINDS {
        let file = format!("{kind}.wasm");
        let component = built_then(&file);
        weir = weir.file(file, component);
    }
    let config = fill(config, &[("a", &a.address()), ("b", &b.address())]);
    let weir = weir.start(&config).await;
    let acme = [("Host", "acme.example.com")];
    let first = weir.get_with("/", &acme).await;
    for _ in 0..4 {
        let again = weir.get_with("/", &acme).await;
        assert_eq!(again.origin(), first.origin(), "a hand of one server");
    }
    for (cookie, server) in [("JSESSIONID=1.a", "a"), ("JSESSIONID=1.b", "b")] {
        let fields = [("Host", "acme.example.com"), ("Cookie", cookie)];
        let answer = weir.get_with("/", &fields).await;
        assert_eq!(answer.origin(), server, "{cookie}");
    }
    let none = weir.get_with("/", &[("Host", "-.example.com")]).await;
    assert_eq!(none.status(), 404);
}

#[tokio::test]
async fn a_component_of_another_contract_is_told_with_both_versions() {
    for version in ["0.2.0", "1.0.0", "0.0.9", "0.1.0-draft"] {
        let guest = Guest::new(Kind::RequestFilter).version(version).build();
        let command = WeirCommand::default().file("other.wasm", guest);
        let shown = command
            .run(&["plugin", "inspect", "other.wasm"])
            .await
            .failed();
        let found = format!("it is written against weir:plugin@{version}");
        assert!(shown.contains(&found), "{shown}");
        assert!(
            shown.contains("this Weir speaks weir:plugin@0.1."),
            "{shown}"
        );
    }
}
