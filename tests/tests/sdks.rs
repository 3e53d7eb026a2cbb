//! The SDKs of languages other than Rust: whatever role they offer is played in the real proxy. The components are
//! those of `tests/sdk`, as `cargo xtask languages` has built them.

use weir_tests::{Origin, Weir, WeirCommand, fill, repository};

const CONFIG: &str = r#"
    workers = 1

    [[map]]
    name = "tiers"
    file = "tiers.map"

    [[counters]]
    name = "seen"
    totals = ["outcomes"]

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[frontend.filter]]
    plugin = "./roles.wasm"
    memory = "64MiB"
    deadline = "5s"
    grant = ["clock", "random"]
    maps = ["tiers"]
    counters = ["seen"]

    [[backend]]
    name = "apps"
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]

    [backend.balance]
    plugin = "./roles.wasm"
    memory = "64MiB"
    deadline = "5s"
    grant = ["clock", "random"]
    maps = ["tiers"]
    counters = ["seen"]

    [backend.persistence]
    plugin = "./roles.wasm"
    memory = "64MiB"
    deadline = "5s"
    grant = ["clock", "random"]
    maps = ["tiers"]
    counters = ["seen"]
"#;

/// The proxy with a language's component in all places; none if its tools were missing when it should be built.
async fn started(language: &str, servers: &[Origin; 2]) -> Option<Weir> {
    let file = repository().join(format!("target/languages/{language}-roles.wasm"));
    let Ok(component) = std::fs::read(&file) else {
        eprintln!(
            "skipped: no {}; `cargo xtask languages` says why",
            file.display()
        );
        return None;
    };
    // So that nobody waits for the compiler later.
    let shown = file.display().to_string();
    let command = WeirCommand::default();
    let said = command.run_long(&["plugin", "inspect", &shown]).await;
    said.succeeded();
    let [a, b] = servers.each_ref().map(Origin::address);
    let weir = Weir::builder()
        .file("roles.wasm", component)
        .file("tiers.map", "/gold fast\n")
        .start(&fill(CONFIG, &[("a", &a), ("b", &b)]))
        .await;
    Some(weir)
}

async fn plays_every_role(language: &str) {
    let servers = [Origin::start("a").await, Origin::start("b").await];
    let Some(weir) = started(language, &servers).await else {
        return;
    };
    let mut client = weir.client().await;
    let mut origins = String::new();
    for _ in 0..40 {
        let answer = client.get("/gold").await;
        assert_eq!(answer.status(), 200, "{language}");
        assert_eq!(answer.header("x-status"), Some("200"), "{language}");
        assert_eq!(
            answer.header("x-assigned"),
            Some(answer.origin()),
            "{language}"
        );
        origins += answer.origin();
    }
    assert!(
        origins == "ab".repeat(20) || origins == "ba".repeat(20),
        "{language}: {origins}"
    );

    let requests: Vec<_> = servers
        .iter()
        .flat_map(|server| server.requests())
        .collect();
    for request in &requests {
        assert_eq!(request.header("x-from"), Some("127.0.0.1"), "{language}");
        assert_eq!(request.header("x-tier"), Some("fast"), "{language}");
        assert_eq!(request.header("x-time"), Some("true"), "{language}");
    }
    // It counts its calls, and promised that answers follow from the values: most were given again.
    let mut calls: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header("x-calls"))
        .collect();
    calls.sort_unstable();
    calls.dedup();
    assert!((1..=3).contains(&calls.len()), "{language}: {calls:?}");

    // What the client had is used, and nobody is told.
    for name in ["a", "b", "a"] {
        let answer = weir.get_with("/gold", &[("X-Server", name)]).await;
        assert_eq!(answer.origin(), name, "{language}");
        assert_eq!(answer.header("x-assigned"), None, "{language}");
    }
    // How picks turned out was told, and counted.
    weir.log_line(": success, 2 so far").await;
}

#[tokio::test]
async fn javascript_plays_every_role() {
    plays_every_role("javascript").await;
}

#[tokio::test]
async fn python_plays_every_role() {
    plays_every_role("python").await;
}

#[tokio::test]
async fn c_plays_every_role() {
    plays_every_role("c").await;
}
