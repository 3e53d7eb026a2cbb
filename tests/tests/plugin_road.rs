//! The road of somebody who writes a first plugin, from an empty folder on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;
use weir_tests::{Load, Origin, Registry, Reload, Weir, WeirCommand, fill, repository};

/// What projects depend on is compiled once for all of them.
fn target() -> PathBuf {
    repository().join("target/test-projects")
}

fn newcomer() -> WeirCommand {
    WeirCommand::default().env("CARGO_TARGET_DIR", target())
}

async fn cargo_test(folder: &Path) {
    let mut cargo = Command::new("cargo");
    // As if it had not been started by another cargo.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"))
        {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .args(["test", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("cargo can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

/// A project that was begun and built, and its component.
async fn built(command: &WeirCommand, kind: &str, name: &str) -> Vec<u8> {
    let made = command
        .run(&["plugin", "new", "--kind", kind, "--language", "rust", name])
        .await;
    assert!(made.succeeded().contains("weir plugin build"));
    build(command, name).await
}

async fn build(command: &WeirCommand, name: &str) -> Vec<u8> {
    let ran = command.run_long(&["plugin", "build", name]).await;
    let shown = ran.succeeded();
    let file = format!("{name}/{name}.wasm");
    assert!(
        shown.contains(&file) && shown.contains("sha256:"),
        "{shown}"
    );
    fs::read(command.folder().join(file)).expect("that is where it lies")
}

async fn test(command: &WeirCommand, name: &str) -> String {
    let (component, cases) = (format!("{name}/{name}.wasm"), format!("{name}/cases.toml"));
    let ran = command
        .run(&["plugin", "test", &component, "--case", &cases])
        .await;
    ran.succeeded()
}

#[tokio::test]
async fn a_new_plugin_of_each_kind_is_sound_as_it_comes() {
    let command = newcomer();
    for kind in ["filter", "balancer", "persistence"] {
        let name = format!("my-{kind}");
        built(&command, kind, &name).await;
        let shown = test(&command, &name).await;
        assert!(shown.contains("all as expected"), "{shown}");
        let config = format!("{name}/weir.toml");
        command.run(&["check", "-c", &config]).await.succeeded();
        cargo_test(&command.folder().join(&name)).await;
    }
}

#[tokio::test]
async fn a_plugin_is_begun_tried_run_changed_under_load_and_shared() {
    let command = newcomer();
    let component = built(&command, "balancer", "mine").await;
    test(&command, "mine").await;

    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("near-b"));
    let config = fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        balance = { plugin = "./mine.wasm", config = { prefer = "near-" } }
        server = [{ name = "a", address = "@a@" }, { name = "near-b", address = "@b@" }]
        "#,
        &[("a", &a.address()), ("b", &b.address())],
    );
    let weir = Weir::builder()
        .file("mine.wasm", component)
        .start(&config)
        .await;
    assert_eq!(weir.get("/").await.origin(), "near-b");

    // The author changes their mind.
    let source = command.read("mine/src/lib.rs");
    let changed = source.replace("!self.preferred[server])", "self.preferred[server])");
    assert_ne!(
        source, changed,
        "the template still has the line that is changed"
    );
    command.write("mine/src/lib.rs", changed);
    let component = build(&command, "mine").await;

    let load = Load::start(weir.address("web"), 4, &["/"], Duration::from_millis(2));
    load.another(50).await;
    let mark = weir.log_length();
    weir.write_file("mine.wasm", component);
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    load.another(50).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
    assert_eq!(weir.get("/").await.origin(), "a");

    // And shares it with another team, which runs it by its digest.
    let Some(registry) = Registry::start().await else {
        return;
    };
    let there = registry.reference("team/mine:0.1.0");
    let push = ["plugin", "push", "mine/mine.wasm", &there, "--plain-http"];
    let pinned = command.run(&push).await.succeeded();
    let pinned = pinned.trim();
    let others = tempfile::tempdir().expect("there is room for temporary files");
    let other_team = WeirCommand::default().env("XDG_CACHE_HOME", others.path());
    let pull = [
        "plugin",
        "pull",
        pinned,
        "--plain-http",
        "-o",
        "theirs.wasm",
    ];
    other_team.run(&pull).await.succeeded();
    let config = config.replace("./mine.wasm", pinned);
    let weir = Weir::builder()
        .env("XDG_CACHE_HOME", others.path())
        .start(&format!("{}\n{config}", registry.access()))
        .await;
    assert_eq!(weir.get("/").await.origin(), "a");
}

#[tokio::test]
async fn what_cannot_be_built_says_why_and_leaves_the_last_component() {
    let command = newcomer();
    let shown = command.run(&["plugin", "build", "."]).await.failed();
    assert!(shown.contains("there is no Cargo.toml in it"), "{shown}");

    let again = command
        .run(&["plugin", "new", "--kind", "filter", "Bad_Name"])
        .await;
    assert!(
        again
            .failed()
            .contains("`Bad_Name` can't be a plugin's name")
    );

    let component = built(&command, "filter", "broken").await;
    let source = command.read("broken/src/lib.rs");
    command.write(
        "broken/src/lib.rs",
        source.replace("weir_sdk::export!", "// export!"),
    );
    let shown = command
        .run_long(&["plugin", "build", "broken"])
        .await
        .failed();
    assert!(
        shown.contains("it doesn't export `weir:plugin/lifecycle`"),
        "{shown}"
    );
    let file = command.folder().join("broken/broken.wasm");
    assert_eq!(fs::read(file).expect("it is still there"), component);
}
