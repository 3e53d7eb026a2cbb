//! The road of somebody who writes a first plugin, from an empty folder on, in each language.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::Command;
use weir_tests::{
    Load, Origin, Registry, Reload, Script, Weir, WeirCommand, can_run, fill, has_program,
    repository,
};

const KINDS: [&str; 3] = ["filter", "balancer", "persistence"];

/// A language, and what its author does there.
struct Language {
    /// As `--language` has it.
    word: &'static str,
    /// Whether its tools are here; why not is printed.
    is_here: fn() -> bool,
    /// How a project's own tests are run in its folder.
    tests: &'static [&'static str],
    /// Where the balancer's decision is, and how the author changes their mind: what was preferred comes last.
    source: &'static str,
    changed: (&'static str, &'static str),
    /// What the language's own tools fetch into a project and need not fetch for each.
    fetched: Option<&'static str>,
}

const RUST: Language = Language {
    word: "rust",
    is_here: || true,
    tests: &["cargo", "test", "--quiet"],
    source: "src/lib.rs",
    changed: ("!self.preferred[server])", "self.preferred[server])"),
    fetched: None,
};

const JAVASCRIPT: Language = Language {
    word: "js",
    is_here: || has_program("node") && has_program("npm"),
    tests: &["npm", "test"],
    source: "plugin.js",
    changed: ("preferred[b] - preferred[a]", "preferred[a] - preferred[b]"),
    fetched: Some("node_modules"),
};

const PYTHON: Language = Language {
    word: "python",
    is_here: || {
        can_run(Script {
            file: "",
            modules: &["venv", "ensurepip"],
        })
    },
    tests: &["python3", "-B", "-m", "unittest", "--quiet"],
    source: "plugin.py",
    changed: ("not self.preferred[server])", "self.preferred[server])"),
    fetched: None,
};

const C: Language = Language {
    word: "c",
    is_here: || ["clang", "wasm-ld", "make"].into_iter().all(has_program),
    tests: &["make", "--silent", "test"],
    source: "plugin.c",
    changed: ("| !preferred[server]", "| preferred[server]"),
    fetched: None,
};

/// What projects in Rust depend on is compiled once for all of them.
fn target() -> PathBuf {
    repository().join("target/test-projects")
}

fn newcomer() -> WeirCommand {
    WeirCommand::default()
        .env("CARGO_TARGET_DIR", target())
        .env(
            "npm_config_cache",
            repository().join("target/languages/kept/npm"),
        )
}

async fn run_tests(folder: &Path, language: &Language) {
    let mut command = Command::new(language.tests[0]);
    // As if it had not been started by another cargo.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"))
        {
            command.env_remove(name);
        }
    }
    let output = command
        .args(&language.tests[1..])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the language's tools are here");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
}

async fn new(command: &WeirCommand, kind: &str, language: &Language, name: &str) {
    let words = ["plugin", "new", "--kind", kind, "--language", language.word];
    let made = command.run(&[&words[..], &[name]].concat()).await;
    assert!(made.succeeded().contains("weir plugin build"));
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

async fn test(command: &WeirCommand, name: &str) {
    let (component, cases) = (format!("{name}/{name}.wasm"), format!("{name}/cases.toml"));
    let ran = command
        .run(&["plugin", "test", &component, "--case", &cases])
        .await;
    let shown = ran.succeeded();
    assert!(shown.contains("all as expected"), "{shown}");
}

/// A new plugin of each kind builds, does what its cases say, and is taken by the proxy. False, with the reason
/// printed, where what the language builds with can't be fetched.
async fn begin(command: &WeirCommand, language: &Language) -> bool {
    let mut first: Option<PathBuf> = None;
    for kind in KINDS {
        let name = format!("my-{kind}");
        new(command, kind, language, &name).await;
        let folder = command.folder().join(&name);
        if let (Some(first), Some(fetched)) = (&first, language.fetched) {
            symlink(first.join(fetched), folder.join(fetched)).expect("the folder is new");
        }
        let ran = command.run_long(&["plugin", "build", &name]).await;
        if first.is_none() && ran.stderr.contains("can't be fetched") {
            eprintln!("skipped: {}", ran.stderr);
            return false;
        }
        ran.succeeded();
        test(command, &name).await;
        let config = format!("{name}/weir.toml");
        command
            .run_long(&["check", "-c", &config])
            .await
            .succeeded();
        run_tests(&folder, language).await;
        first.get_or_insert(folder);
    }
    true
}

/// The balancer of [`begin`] is run, changed under load and shared.
async fn go_on(command: &WeirCommand, language: &Language) {
    let file = command.folder().join("my-balancer/my-balancer.wasm");
    let component = fs::read(&file).expect("it was built");
    let (a, b) = tokio::join!(Origin::start("a"), Origin::start("near-b"));
    let config = fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }, { name = "near-b", address = "@b@" }]

        [backend.balance]
        plugin = "./mine.wasm"
        memory = "64MiB"
        deadline = "5s"
        config = { prefer = "near-" }
        "#,
        &[("a", &a.address()), ("b", &b.address())],
    );
    let weir = Weir::builder()
        .file("mine.wasm", component.clone())
        .start(&config)
        .await;
    assert_eq!(weir.get("/").await.origin(), "near-b");

    // The author changes their mind.
    let source = format!("my-balancer/{}", language.source);
    let (before, after) = language.changed;
    let text = command.read(&source);
    assert!(
        text.contains(before),
        "the template still has the line that is changed"
    );
    command.write(&source, text.replace(before, after));
    let changed = build(command, "my-balancer").await;
    assert_ne!(component, changed);

    let load = Load::start(weir.address("web"), 4, &["/"], Duration::from_millis(2));
    load.another(50).await;
    let mark = weir.log_length();
    weir.write_file("mine.wasm", changed);
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    load.another(50).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{:?}", report.failures);
    assert_eq!(weir.get("/").await.origin(), "a");
    drop(weir);

    // And shares it with another team, which runs it by its digest.
    let Some(registry) = Registry::start().await else {
        return;
    };
    let there = registry.reference("team/mine:0.1.0");
    let file = file.display().to_string();
    let push = ["plugin", "push", &file, &there, "--plain-http"];
    let pinned = command.run(&push).await.succeeded();
    let pinned = pinned.trim();
    let others = tempfile::tempdir().expect("there is room for temporary files");
    let pull = [
        "plugin",
        "pull",
        pinned,
        "--plain-http",
        "-o",
        "theirs.wasm",
    ];
    let other_team = WeirCommand::default();
    other_team.run(&pull).await.succeeded();
    let theirs = fs::read(other_team.folder().join("theirs.wasm")).expect("it was pulled");
    let ours = fs::read(&file).expect("it is still there");
    assert!(theirs == ours, "what was pulled is what was pushed");
    let config = config.replace("./mine.wasm", pinned);
    let weir = Weir::builder()
        .start(&format!(
            "component_cache = \"{}\"\n{}\n{config}",
            others.path().display(),
            registry.access()
        ))
        .await;
    assert_eq!(weir.get("/").await.origin(), "a");
}

/// All of it; nothing where the language's tools are missing, or can't be fetched for want of a network.
async fn walk(language: &Language) {
    if !(language.is_here)() {
        return;
    }
    let command = newcomer();
    if begin(&command, language).await {
        go_on(&command, language).await;
    }
}

#[tokio::test]
async fn a_plugin_in_rust_is_begun_tried_run_changed_under_load_and_shared() {
    walk(&RUST).await;
}

#[tokio::test]
async fn a_plugin_in_javascript_is_begun_tried_run_changed_under_load_and_shared() {
    walk(&JAVASCRIPT).await;
}

#[tokio::test]
async fn a_plugin_in_python_is_begun_tried_run_changed_under_load_and_shared() {
    walk(&PYTHON).await;
}

#[tokio::test]
async fn a_plugin_in_c_is_begun_tried_run_changed_under_load_and_shared() {
    walk(&C).await;
}

#[tokio::test]
async fn what_cannot_be_built_says_why_and_leaves_the_last_component() {
    let command = newcomer();
    let shown = command.run(&["plugin", "build", "."]).await.failed();
    assert!(
        shown.contains("there is no Cargo.toml and no plugin.toml in it"),
        "{shown}"
    );

    let again = command
        .run(&["plugin", "new", "--kind", "filter", "Bad_Name"])
        .await;
    assert!(
        again
            .failed()
            .contains("`Bad_Name` can't be a plugin's name")
    );

    new(&command, "filter", &RUST, "broken").await;
    let component = build(&command, "broken").await;
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

#[tokio::test]
async fn a_plugin_toml_that_is_wrong_is_shown_with_its_place() {
    let command = newcomer();
    new(&command, "filter", &C, "mine").await;
    let manifest = command.read("mine/plugin.toml");
    for (before, after, wanted) in [
        (
            "\"request-filter\"",
            "\"request-filtr\"",
            "plugin.toml:4:10: `roles` entry 1 cannot be `request-filtr`",
        ),
        (
            "plugin.c\"",
            "other.c\"",
            "there is no mine/other.c, which mine/plugin.toml names as the source",
        ),
    ] {
        let wrong = manifest.replace(before, after);
        assert_ne!(wrong, manifest);
        command.write("mine/plugin.toml", wrong);
        let shown = command.run(&["plugin", "build", "mine"]).await.failed();
        assert!(shown.contains(wanted), "{shown}");
    }
}

#[tokio::test]
async fn a_language_whose_tools_are_missing_says_what_to_install() {
    let command = newcomer().env("PATH", "/nowhere");
    for (language, wanted) in [
        (
            &JAVASCRIPT,
            "need Node 20 or later with npm, and there is no `node` here",
        ),
        (
            &PYTHON,
            "need Python 3.10 or later with venv and pip, and there is no `python3` here",
        ),
        (&C, "need clang and lld, and there is no `clang` here"),
    ] {
        new(&command, "balancer", language, language.word).await;
        let shown = command
            .run(&["plugin", "build", language.word])
            .await
            .failed();
        assert!(shown.contains(wanted), "{shown}");
        assert!(shown.contains("apt-get install"), "{shown}");
    }
}

/// Runs npm in a project, or a program that it has installed; false, with the reason printed, if it can't fetch.
async fn npm(folder: &Path, program: &str, words: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(words)
        .current_dir(folder)
        .env(
            "npm_config_cache",
            repository().join("target/languages/kept/npm"),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("npm is here, which was looked at");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = said(&output.stdout) + &said(&output.stderr);
    (output.status.success(), said)
}

/// What tsc says of the project in `folder`; empty if it has nothing to say.
async fn tsc(folder: &Path) -> String {
    let (accepted, said) = npm(folder, "node_modules/.bin/tsc", &[]).await;
    assert_eq!(accepted, said.is_empty(), "{said}");
    said
}

#[tokio::test]
async fn tsc_checks_plugins_against_the_sdks_types_and_typescript_becomes_a_component() {
    if !(JAVASCRIPT.is_here)() {
        return;
    }
    let command = newcomer();
    for kind in KINDS {
        new(&command, kind, &JAVASCRIPT, kind).await;
    }
    let folder = command.folder().join("filter");
    let install = [
        "install",
        "--no-audit",
        "--no-fund",
        "--save-dev",
        "typescript@5",
    ];
    let (fetched, said) = npm(&folder, "npm", &install).await;
    if !fetched {
        eprintln!("skipped: {said}");
        return;
    }
    for kind in KINDS {
        let project = command.folder().join(kind);
        if kind != "filter" {
            symlink(folder.join("node_modules"), project.join("node_modules")).unwrap();
        }
        assert_eq!(tsc(&project).await, "", "{kind} as it is in JavaScript");
    }

    // The same with types of its own.
    let text = command.read("filter/plugin.js");
    let typed = text
        .replace("import { ", "import { type Needs, ")
        .replace(
            "configure(config, needs)",
            "configure(config: Config, needs: Needs)",
        )
        .replace(
            "export const",
            "interface Config {\n  header: string;\n  gold: string;\n}\n\nexport const",
        );
    fs::remove_file(folder.join("plugin.js")).unwrap();
    command.write("filter/plugin.ts", &typed);
    assert_eq!(tsc(&folder).await, "");
    for (right, wrong, error) in [
        (
            "values[tier] ===",
            "values[tier].trim() ===",
            "possibly 'undefined'",
        ),
        (
            "config.header)",
            "config.haeder)",
            "Property 'haeder' does not exist",
        ),
        (
            "useBackend(gold)",
            "useBackend('gold')",
            "is not assignable to parameter of type 'number'",
        ),
        (
            "needs.backend(",
            "needs.backends(",
            "Property 'backends' does not exist",
        ),
    ] {
        assert!(typed.contains(right), "{right}");
        command.write("filter/plugin.ts", typed.replace(right, wrong));
        let said = tsc(&folder).await;
        assert!(said.contains("plugin.ts") && said.contains(error), "{said}");
    }

    command.write("filter/plugin.ts", &typed);
    let manifest = command.read("filter/plugin.toml");
    command.write(
        "filter/plugin.toml",
        manifest.replace("plugin.js", "plugin.ts"),
    );
    build(&command, "filter").await;
    test(&command, "filter").await;
}
