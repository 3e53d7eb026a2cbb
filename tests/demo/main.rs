//! `cargo xtask demo`: what Weir does, shown with real servers and real requests.
//!
//! Ends by itself, with an error if anything went wrong; `--stay` keeps all of it running to be played with.

use std::{process::ExitCode, time::Duration};

use weir_tests::{Answer, Load, LoadReport, Origin, Reload, Response, Weir, fill};

const CONFIG: &str = include_str!("weir.toml");
/// What an operator changes: the balancer, and a rule more.
const CHANGES: [(&str, &str); 2] = [
    (r#"balance = "round-robin""#, r#"balance = "least-conn""#),
    (
        "rule = [\n",
        "match.is_admin = { path = { segment = \"/admin\" } }\nrule = [\n  { when = \"is_admin\", deny = 403 },\n",
    ),
];
const CLIENTS: usize = 16;
const REQUESTS: usize = 2000;

/// The servers that the demo starts.
struct Servers {
    fixed: Origin,
    quick: Origin,
    slow: Origin,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let stay = std::env::args().any(|arg| arg == "--stay");
    let servers = Servers::start().await;
    let config = fill(
        CONFIG,
        &[
            ("static-1", &servers.fixed.address()),
            ("app-1", &servers.quick.address()),
            ("app-2", &servers.slow.address()),
        ],
    );
    title(
        "Three servers are running: static-1, app-1, and app-2, which is slow. This is weir.toml",
    );
    println!("{config}");
    let weir = Weir::start(&config).await;

    show_routing(&weir).await;
    let report = swap_under_load(&weir, &servers, &config).await;

    if stay {
        title("Still running; Ctrl-C ends it");
        println!("  curl -i http://{}/", weir.address("web"));
        println!(
            "  edit {}/weir.toml: it is loaded when you save it",
            weir.folder().display()
        );
        // Fails only where there are no signals; then there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    }
    if report.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Servers {
    async fn start() -> Self {
        let (fixed, quick, slow) = tokio::join!(
            Origin::start("static-1"),
            Origin::start("app-1"),
            Origin::start("app-2")
        );
        slow.answer_with(|_| Answer::echo().after(Duration::from_millis(20)));
        for origin in [&fixed, &quick, &slow] {
            origin.forget_requests();
        }
        Self { fixed, quick, slow }
    }

    /// Requests that each of the applications has answered.
    fn answered(&self) -> (usize, usize) {
        (self.quick.answered(), self.slow.answered())
    }
}

async fn show_routing(weir: &Weir) {
    title("Each decision below is taken by a Wasm component: rules, balancer, persistence");
    show(
        weir,
        "the rule is_static names the backend",
        "/static/logo.png",
        &[],
    )
    .await;
    show(
        weir,
        "no rule fits: default_backend, first of the rotation",
        "/one",
        &[],
    )
    .await;
    let response = show(
        weir,
        "next of the rotation; a cookie binds the client to it",
        "/two",
        &[],
    )
    .await;
    let cookie = response
        .header("set-cookie")
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .to_owned();
    println!("    the answer sets the cookie {cookie}");
    for path in ["/three", "/four"] {
        show(
            weir,
            "the client brings the cookie: same server, no turn taken",
            path,
            &[("Cookie", &cookie)],
        )
        .await;
    }
}

/// Sends a request; prints who answered, why, and the proxy's own line about it.
async fn show(weir: &Weir, why: &str, target: &str, fields: &[(&str, &str)]) -> Response {
    let response = weir.get_with(target, fields).await;
    let line = weir.stdout_line(&format!("GET {target} ")).await;
    println!(
        "GET {target} -> {} from {}: {why}",
        response.status(),
        response.header("x-origin").unwrap_or("Weir itself")
    );
    println!("    log: {line}");
    response
}

async fn swap_under_load(weir: &Weir, servers: &Servers, config: &str) -> LoadReport {
    title(&format!(
        "{CLIENTS} clients keep asking while weir.toml is changed: another balancer and a rule more"
    ));
    let load = Load::start(weir.address("web"), CLIENTS, &["/"], Duration::ZERO);
    let before = servers.answered();
    load.another(REQUESTS).await;
    let swapped = servers.answered();
    println!("round-robin: {}", shares(before, swapped));

    let mark = weir.log_length();
    weir.write_config(&changed(config));
    let outcome = weir.next_generation(mark).await;
    assert_eq!(
        outcome,
        Reload::Loaded,
        "the changed configuration is sound"
    );
    for (old, new) in CHANGES {
        println!(
            "    - {}\n    + {}",
            old.trim(),
            new.trim().replace('\n', "\n    + ")
        );
    }

    let swapped = servers.answered();
    load.another(REQUESTS).await;
    println!("least-conn:  {}", shares(swapped, servers.answered()));
    show(weir, "the new rule", "/admin", &[]).await;

    let report = load.stop().await;
    println!(
        "\n{} requests were answered, {} failed; the slowest took {:?} (app-2 takes 20 ms)",
        report.ok,
        report.failed(),
        report.slowest
    );
    for (what, count) in &report.failures {
        println!("    failed {count} times: {what}");
    }
    report
}

fn changed(config: &str) -> String {
    CHANGES.iter().fold(config.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "the demo's weir.toml has `{old}`");
        text.replacen(old, new, 1)
    })
}

fn shares(from: (usize, usize), to: (usize, usize)) -> String {
    let (quick, slow) = (to.0 - from.0, to.1 - from.1);
    format!("app-1 answered {quick}, app-2 {slow}")
}

fn title(text: &str) {
    println!("\n== {text}\n");
}
