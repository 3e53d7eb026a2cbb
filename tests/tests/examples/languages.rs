//! `examples/plugins/*`: a balancer, a filter and a persistence in each language, as its own tools built them.

use std::{fs, path::PathBuf};

use weir_tests::{Origin, Weir, WeirCommand, component, repository};

use crate::set_up::{Example, origins};

const LANGUAGES: [&str; 4] = ["rust", "javascript", "python", "c"];

/// A plugin in a language, compiled before anybody waits for it. None if the tools for it were missing
/// when the examples were built.
async fn built(language: &str, name: &str) -> Option<PathBuf> {
    let file = match language {
        "rust" => component(name),
        _ => repository().join(format!("target/languages/{language}-{name}.wasm")),
    };
    if !file.exists() {
        eprintln!(
            "skipped: no {}; `cargo xtask languages` says why",
            file.display()
        );
        return None;
    }
    let shown = file.display().to_string();
    // It fails for want of a config, and has compiled it by then: what a JavaScript engine or Python is made
    // of takes a while, and later comes from the cache.
    let command = WeirCommand::default();
    command.run_long(&["plugin", "inspect", &shown]).await;
    Some(file)
}

/// The example of a language, with its two plugins where they were built and these servers.
async fn started(
    language: &str,
    plugins: [(&str, &str); 3],
    servers: &[Origin; 4],
) -> Option<Weir> {
    let mut example = Example::named(&format!("plugins/{language}")).listening("*:8080");
    for (written, name) in plugins {
        example = example.with(written, built(language, name).await?.display());
    }
    let addresses = [
        "127.0.0.1:5001",
        "127.0.0.1:5002",
        "127.0.0.1:5003",
        "127.0.0.1:5004",
    ];
    Some(example.with_servers(&addresses, servers).start().await)
}

async fn four() -> [Origin; 4] {
    origins(["a", "b", "c", "d"]).await
}

/// A tenant reaches two of the four servers, and always the same.
async fn tenants_have_hands(weir: &Weir, target: &str) {
    for tenant in ["acme", "globex"] {
        let mut reached = Vec::new();
        for _ in 0..8 {
            let answer = weir.get_with(target, &[("X-Tenant", tenant)]).await;
            assert_eq!(answer.status(), 200);
            reached.push(answer.origin().to_owned());
        }
        reached.sort();
        reached.dedup();
        assert_eq!(reached.len(), 2, "{tenant}: {reached:?}");
    }
}

/// A session goes on where its cookie says that it is.
async fn sessions_are_followed(weir: &Weir) {
    for name in ["a", "d", "b", "c"] {
        let cookie = format!("JSESSIONID=8C2F.{name}");
        let answer = weir.get_with("/", &[("Cookie", &cookie)]).await;
        assert_eq!(answer.origin(), name);
    }
}

#[tokio::test]
async fn the_balancers_of_all_languages_give_the_same_picks_on_a_recorded_trace() {
    let trace = fs::read(repository().join("tests/golden/shuffle-shard.toml"))
        .expect("the trace can be read");
    for language in LANGUAGES {
        let Some(file) = built(language, "shuffle-shard").await else {
            continue;
        };
        let command = WeirCommand::default().file("trace.toml", &trace);
        let file = file.display().to_string();
        let ran = command
            .run_long(&["plugin", "test", &file, "--case", "trace.toml"])
            .await;
        let said = ran.succeeded();
        assert!(
            said.contains("1 case, all as expected"),
            "{language}: {said}"
        );
    }
}

#[tokio::test]
async fn rust_shards_tenants_and_splits_clients() {
    let servers = four().await;
    let next = Origin::start("new").await;
    let plugins = [
        ("../../../target/guests/examples/split.wasm", "split"),
        (
            "../../../target/guests/examples/shuffle-shard.wasm",
            "shuffle-shard",
        ),
        (
            "../../../target/guests/examples/session-route.wasm",
            "session-route",
        ),
    ];
    let mut example = Example::named("plugins/rust").listening("*:8080");
    for (written, name) in plugins {
        example = example.with(written, component(name).display());
    }
    let weir = example
        .with("127.0.0.1:5009", next.address())
        .with_servers(
            &[
                "127.0.0.1:5001",
                "127.0.0.1:5002",
                "127.0.0.1:5003",
                "127.0.0.1:5004",
            ],
            &servers,
        )
        .start()
        .await;
    sessions_are_followed(&weir).await;
    let mut of_the_next = 0;
    for client in 0..100 {
        let cookie = format!("client=c{client}");
        let first = weir.get_with("/", &[("Cookie", &cookie)]).await;
        let again = weir.get_with("/", &[("Cookie", &cookie)]).await;
        let is_next = first.origin() == "new";
        assert_eq!(again.origin() == "new", is_next);
        of_the_next += usize::from(is_next);
    }
    assert!((8..35).contains(&of_the_next), "{of_the_next} of 100");
}

#[tokio::test]
async fn javascript_shards_tenants_and_redirects_old_addresses() {
    let servers = four().await;
    let plugins = [
        ("./redirects.wasm", "redirects"),
        ("./shuffle-shard.wasm", "shuffle-shard"),
        ("./session-route.wasm", "session-route"),
    ];
    let Some(weir) = started("javascript", plugins, &servers).await else {
        return;
    };
    tenants_have_hands(&weir, "/").await;
    sessions_are_followed(&weir).await;
    let moved = weir.get("/blog/2019/on-proxies?page=2").await;
    assert_eq!(moved.status(), 308);
    assert_eq!(
        moved.header("location"),
        Some("/archive/2019/on-proxies?page=2")
    );
    assert_eq!(weir.get("/blog/19/x").await.status(), 200);
}

#[tokio::test]
async fn python_shards_tenants_and_wants_signed_links() {
    let servers = four().await;
    let plugins = [
        ("./signed-urls.wasm", "signed-urls"),
        ("./shuffle-shard.wasm", "shuffle-shard"),
        ("./session-route.wasm", "session-route"),
    ];
    let Some(weir) = started("python", plugins, &servers).await else {
        return;
    };
    tenants_have_hands(&weir, "/").await;
    sessions_are_followed(&weir).await;
    assert_eq!(weir.get("/private/a").await.status(), 403);
    // HMAC-SHA256 of "/private/a\n99999999999" under `s3cret`, by openssl.
    let signature = "2986edebe651dfbc32cf6490c5be81828573fafd7df479931075c2bb3ee44e93";
    let link = format!("/private/a?page=2&expires=99999999999&key=web&signature={signature}");
    assert_eq!(weir.get(&link).await.status(), 200);
    let seen: Vec<String> = servers
        .iter()
        .flat_map(|server| server.requests())
        .map(|request| request.target.clone())
        .filter(|target| target.starts_with("/private"))
        .collect();
    assert_eq!(seen, ["/private/a?page=2"], "without the signature");
    let other = link.replace("/private/a", "/private/b");
    assert_eq!(weir.get(&other).await.status(), 403);
}

#[tokio::test]
async fn c_shards_tenants_and_reads_them_from_the_host() {
    let servers = four().await;
    let plugins = [
        ("./tenant.wasm", "tenant"),
        ("./shuffle-shard.wasm", "shuffle-shard"),
        ("./session-route.wasm", "session-route"),
    ];
    let Some(weir) = started("c", plugins, &servers).await else {
        return;
    };
    let mut reached = Vec::new();
    for _ in 0..8 {
        let answer = weir
            .get_with("/", &[("Host", "acme.example.com"), ("X-Tenant", "forged")])
            .await;
        assert_eq!(answer.status(), 200);
        reached.push(answer.origin().to_owned());
    }
    reached.sort();
    reached.dedup();
    assert_eq!(reached.len(), 2, "{reached:?}");
    for server in &servers {
        for request in server.requests() {
            assert_eq!(request.header("x-tenant"), Some("acme"));
        }
    }
    sessions_are_followed(&weir).await;
    assert_eq!(
        weir.get_with("/", &[("Host", "-.example.com")])
            .await
            .status(),
        404
    );
}
