//! Rules about the source itself: what a reader can rely on everywhere.

#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/loops.rs"]
mod loops;
#[path = "tidy/source.rs"]
mod source;

use std::fs;

use weir_tests::repository;

use self::source::{Source, sources};

/// What the proxy's library may depend on, and for what. Deciding (matching, balancing, stickiness,
/// passwords) is for plugins: no library for any of it belongs here.
const HOST_DEPENDENCIES: &[(&str, &str)] = &[
    ("anyhow", "errors on their way out of main and cli"),
    ("base64", "signatures as they are written down"),
    (
        "docker_credential",
        "credentials of registries as docker keeps them",
    ),
    ("oci-client", "components in registries"),
    ("p256", "signatures of components"),
    ("arc-swap", "handing a new generation to the workers"),
    ("clap", "the command line"),
    ("flate2", "answers compressed with gzip"),
    (
        "getrandom",
        "the random numbers that plugins may be granted",
    ),
    ("brotli", "answers compressed with br"),
    ("bytes", "pieces of bodies, as the h2 library has them"),
    ("h2", "the frames of HTTP/2 to servers, and its error codes"),
    ("http", "heads, as the h2 library has them"),
    ("http-body-util", "probes and the admin listener"),
    ("httparse", "tokens of HTTP/1 heads"),
    ("hyper", "probes, the admin listener"),
    ("hyper-util", "hyper on tokio"),
    (
        "hickory-resolver",
        "following host names while the proxy runs",
    ),
    (
        "instant-acme",
        "certificates from authorities that issue them by themselves",
    ),
    ("jiff", "local time in log lines"),
    (
        "jsonschema",
        "plugin configs against the schema that the plugin gives",
    ),
    ("memchr", "finding line ends"),
    ("mimalloc", "memory for connections that come and go"),
    (
        "nix",
        "accounts, rights given away, the socket option that leaves a port open",
    ),
    ("notify", "watching files"),
    ("plotters", "the picture of a simulation"),
    ("rcgen", "answers to the challenges of those authorities"),
    (
        "rayon",
        "threads of low priority for wasmtime's compiler, which uses it anyway",
    ),
    (
        "rustix",
        "signals, limits, descriptors, system calls without detours",
    ),
    ("rustls", "TLS, with the cryptography of aws-lc-rs"),
    (
        "rustls-native-certs",
        "the authorities that the system believes",
    ),
    ("serde", "through toml and serde_json"),
    ("serde_json", "plugin configs and JSON logs"),
    ("sha2", "digests of plugins"),
    ("smallvec", "short lists without allocation"),
    ("socket2", "socket options"),
    ("thiserror", "error types"),
    (
        "tokio",
        "the control thread, channels and notices between tasks",
    ),
    ("toml", "the configuration file"),
    ("toml_parser", "all of its syntax errors at once"),
    ("tracing", "the proxy's own log"),
    ("tracing-subscriber", "where it goes"),
    ("weir-haproxy", "haproxy.cfg in the place of weir.toml"),
    ("wasmtime", "running plugins"),
    (
        "weir-plugin-build",
        "components of an author's sources, in `weir plugin build`",
    ),
    ("wide", "looking at sixteen bytes of a head at once"),
    ("x509-parser", "names and dates in certificates"),
    (
        "zstd",
        "answers compressed with zstd; wasmtime has it anyway",
    ),
];

/// Which folder or file alone may name a library.
const HOMES: &[(&str, &[&str])] = &[
    ("wasmtime", &["plugin"]),
    ("jsonschema", &["plugin"]),
    ("rayon", &["plugin"]),
    ("rustls", &["net/tls"]),
    ("rustls_native_certs", &["net/tls"]),
    ("x509_parser", &["net/tls"]),
    ("rcgen", &["net/tls"]),
    ("instant_acme", &["proxy/acme"]),
    ("httparse", &["http"]),
    ("wide", &["http"]),
    ("flate2", &["http/coding"]),
    ("brotli", &["http/coding"]),
    ("zstd", &["http/coding"]),
    ("h2", &["http", "frontend", "backend"]),
    ("hyper", &["http", "backend", "proxy/admin"]),
    ("hyper_util", &["http", "backend", "proxy/admin"]),
    ("toml", &["config"]),
    ("hickory_resolver", &["net/resolve"]),
    ("nix", &["net", "proxy/privileges", "proxy/notify"]),
    ("docker_credential", &["store/remote"]),
    ("oci_client", &["store/remote", "store/artifact"]),
    ("p256", &["store/signature"]),
    ("plotters", &["workbench/simulation"]),
    ("weir_plugin_build", &["workbench/project"]),
];

/// Lines that a head holds.
const LONGEST_FILE: usize = 650;
/// Tests are looked things up in rather than read.
const LONGEST_TEST: usize = 700;
/// What may be longer since it is one story, and how long.
const STORIES: &[(&str, usize)] = &[
    // Everything that a `server` line can say.
    ("haproxy/src/translate/server.rs", 700),
];

#[test]
fn a_file_of_the_host_imports_from_floors_below_its_own() {
    let wrong: Vec<String> = sources("host/src")
        .iter()
        .flat_map(floors::wrong_imports)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_runs_on_workers_waits_for_their_own_event_loop() {
    let of_workers: Vec<_> = sources("host/src")
        .into_iter()
        .filter(loops::is_of_workers)
        .collect();
    assert!(of_workers.len() > 50, "hardly any file runs on workers");
    let wrong: Vec<String> = of_workers
        .iter()
        .flat_map(|source| {
            let words = loops::words_of_tokios_runtime(source);
            words
                .into_iter()
                .map(|word| format!("{}: tokio's `{word}`; event_loop has its own", source.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_library_stays_in_its_home() {
    let mut wrong = Vec::new();
    for source in sources("host/src") {
        let place = source
            .name
            .strip_prefix("host/src/")
            .expect("that is where we looked");
        for (library, homes) in HOMES {
            let at_home = homes.iter().any(|home| place.starts_with(home));
            if !at_home && let Some(line) = source.first_line_naming(library) {
                wrong.push(format!(
                    "{}:{line}: {library} belongs in {}",
                    source.name,
                    homes.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_host_depends_on_mechanism_only() {
    let wanted: Vec<&str> = HOST_DEPENDENCIES.iter().map(|(name, _)| *name).collect();
    let found = dependencies("host/Cargo.toml");
    let strangers: Vec<_> = found
        .iter()
        .filter(|name| !wanted.contains(&name.as_str()))
        .collect();
    assert!(
        strangers.is_empty(),
        "{strangers:?}: say in tidy.rs what for, if it is no decision of a plugin's"
    );
    let gone: Vec<_> = wanted
        .iter()
        .filter(|name| !found.iter().any(|f| f == *name))
        .collect();
    assert!(
        gone.is_empty(),
        "{gone:?} are listed in tidy.rs but not used any more"
    );
}

#[test]
fn the_host_is_written_without_unsafe() {
    let manifest = manifest("Cargo.toml");
    assert_eq!(
        manifest["workspace"]["lints"]["rust"]["unsafe_code"].as_str(),
        Some("deny")
    );
    for member in ["host", "xtask", "tests"] {
        for source in sources(member) {
            let excuse = ["allow", "expect"].map(|word| format!("{word}(unsafe_code"));
            assert!(
                !excuse.iter().any(|text| source.text.contains(text)),
                "{} allows itself unsafe code",
                source.name
            );
        }
    }
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let tables = source::files("", &["toml"]);
    let manifests = tables
        .iter()
        .filter(|file| file.name.ends_with("/Cargo.toml"));
    for file in manifests {
        // Projects that authors begin with are theirs, the fuzzers are a workspace of their own, and hostile
        // guests do what nobody else should.
        let apart = ["sdk/templates/", "fuzz/", "tests/guests/"];
        if apart.iter().any(|folder| file.name.starts_with(folder)) {
            continue;
        }
        let lints = manifest(&file.name).get("lints").cloned();
        let taken = lints.and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(
            taken,
            Some(true),
            "{}: no `[lints] workspace = true`",
            file.name
        );
    }
}

#[test]
fn nothing_is_left_to_be_done() {
    let macros = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let mut wrong = Vec::new();
    for source in sources("") {
        wrong.extend(
            macros
                .iter()
                .filter(|word| source.text.contains(*word))
                .map(|word| format!("{}: {word}", source.name)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_of_a_length_that_can_be_read() {
    let mut wrong = Vec::new();
    for source in sources("") {
        let most = longest(&source.name);
        let lines = source.text.lines().count();
        if lines > most {
            wrong.push(format!(
                "{}: {lines} lines, {most} at the most",
                source.name
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "split these where they have seams:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_file_of_the_host_says_what_it_is_for() {
    let silent = |source: &Source| !source.text.starts_with("//!");
    let wrong: Vec<String> = sources("host/src")
        .into_iter()
        .filter(silent)
        .map(|source| source.name)
        .collect();
    assert!(
        wrong.is_empty(),
        "these begin without a `//!` line: {}",
        wrong.join(", ")
    );
}

#[test]
fn every_plugin_has_a_page_with_a_config_and_what_it_does_when_unsure() {
    for entry in fs::read_dir(repository().join("plugins")).expect("plugins is a folder") {
        let folder = entry.expect("it stays readable").path();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if !manifest.contains("cdylib") {
            continue;
        }
        let page = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(
            page.contains("```toml"),
            "{}/README.md shows no config",
            folder.display()
        );
        let unsure = page
            .lines()
            .any(|line| line.starts_with('#') && line.to_lowercase().contains("unsure"));
        assert!(
            unsure,
            "{}/README.md has no heading about being unsure",
            folder.display()
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in source::files("", &["md"]) {
        let folder = repository().join(&page.name);
        let folder = folder.parent().expect("a file lies in a folder");
        for target in links(&page.text) {
            if !folder.join(target).exists() {
                wrong.push(format!("{}: {target}", page.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these links lead nowhere:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // In pieces, since this file is looked at too.
    let paths = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/tmp/", "wt/"],
        ["/Use", "rs/"],
    ]
    .map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for file in source::files(
        "",
        &[
            "rs",
            "toml",
            "md",
            "wit",
            "sh",
            "py",
            "run",
            "yml",
            "service",
            "Dockerfile",
        ],
    ) {
        wrong.extend(
            paths
                .iter()
                .filter(|path| file.text.contains(*path))
                .map(|path| format!("{}: {path}", file.name)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn longest(file: &str) -> usize {
    let story = STORIES.iter().find(|(name, _)| *name == file);
    match story {
        Some((_, most)) => *most,
        None if file.contains("tests") => LONGEST_TEST,
        None => LONGEST_FILE,
    }
}

/// Relative link targets outside code blocks, without fragments.
fn links(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    let targets = prose
        .flat_map(|text| text.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.contains(' ')
        })
        .filter_map(|target| target.split('#').next())
        .collect()
}

fn dependencies(file: &str) -> Vec<String> {
    let manifest = manifest(file);
    let table = manifest["dependencies"]
        .as_table()
        .expect("dependencies are a table");
    table.keys().cloned().collect()
}

fn manifest(file: &str) -> toml::Value {
    let text = fs::read_to_string(repository().join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    toml::Value::Table(
        text.parse()
            .unwrap_or_else(|error| panic!("{file}: {error}")),
    )
}
