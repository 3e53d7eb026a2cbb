//! The reader as a whole: what a sound file becomes, that the manual is true, and that no input does
//! harm. What a wrong file is told is in `tests/golden/config`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Address, CheckKind, ClientCertificates, Config, LogSink, OnFailure, PluginSource, Redispatch,
    ServerCertificates, UnknownName, load,
    load::{parse, read_for_keys},
};

const MANUAL: &str = include_str!("../../../docs/configuration.md");

/// The manual's example, in a folder with the files it names.
fn example() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let text = MANUAL
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    fs::create_dir(folder.path().join("errors")).unwrap();
    fs::write(folder.path().join("errors/503.html"), "<h1>later</h1>").unwrap();
    fs::write(folder.path().join("tiers.map"), "vip deluxe\n").unwrap();
    let key = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n";
    fs::write(folder.path().join("team.pub"), key).unwrap();
    let file = folder.path().join("weir.toml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn sound(text: &str) -> Config {
    parse(Path::new("/etc/weir/weir.toml"), text).unwrap_or_else(|errors| panic!("{errors}"))
}

const SMALL: &str = r#"
    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:8080"]
    default_backend = "api"
    [[backend]]
    name = "api"
    [[backend.server]]
    name = "a"
    address = "127.0.0.1:1"
"#;

#[test]
fn the_manuals_example_is_sound_and_means_what_it_says() {
    let (_folder, file) = example();
    let config = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.process.workers, Some(2));
    assert_eq!(config.logs.len(), 2);

    let web = &config.frontends[0];
    assert_eq!(web.bind.len(), 6, "a range is an address for each port");
    assert_eq!(web.timeouts.client, Duration::from_secs(20));
    assert_eq!(web.timeouts.http_request, Duration::from_secs(10));
    assert_eq!(web.limits.body, Some(10 << 20));
    assert_eq!(web.limits.header_bytes, 15_360);
    assert_eq!(web.error_pages.0[&503].body, b"<h1>later</h1>");

    let rules = &web.filters[0];
    assert_eq!(rules.source, PluginSource::Bundled("rules".to_owned()));
    assert_eq!(
        rules.config,
        r#"{"match":{"is_static":{"path":{"prefix":"/static"}}},"rule":[{"use":"files","when":"is_static"}]}"#
    );
    assert!(rules.grants.clock && rules.grants.random);
    assert_eq!(rules.grants.maps, ["tiers"]);
    assert_eq!(rules.deadline, Duration::from_millis(20));

    let api = &config.backends[0];
    assert_eq!(api.timeouts.server, Duration::from_secs(120));
    assert_eq!(api.redispatch, Redispatch::LastRetry);
    assert_eq!(api.servers[0].persistence_key, "a");
    assert_eq!(api.servers[0].check, api.check);
    assert_eq!(api.servers[1].persistence_key, "api2");
    let own = api.servers[1].check.as_ref().unwrap();
    assert_eq!(own.kind, CheckKind::Tcp);
    assert!(!own.tls && api.check.as_ref().unwrap().tls);
    assert_eq!((own.fall, own.rise), (1, 5), "the rest is the backend's");
    assert_eq!(config.backends[1].servers[0].check, None);
}

#[test]
fn tls_of_the_manual_is_read_as_it_says() {
    let (_folder, file) = example();
    let config = load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    let tls = config.frontends[1].bind[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates.len(), 2);
    let names = tls.acme.as_ref().unwrap();
    assert_eq!(names.names, ["www.example.com", "example.com"]);
    assert_eq!(
        names.file,
        Path::new("/var/lib/weir/acme/www.example.com.pem")
    );
    assert_eq!(tls.unknown_name, UnknownName::Refused);
    assert_eq!(tls.ciphers.as_ref().unwrap().len(), 3);
    assert!(matches!(tls.clients, ClientCertificates::Optional(_)));
    assert_eq!(tls.handshake_timeout, Duration::from_secs(5));
    let api = &config.backends[0];
    assert_eq!(api.servers[0].tls, None);
    let tls = api.servers[1].tls.as_ref().unwrap();
    assert_eq!(tls.sni.as_deref(), Some("api2.internal"));
    assert!(matches!(tls.verify, ServerCertificates::Issued(_)));
}

#[test]
fn a_server_changes_what_its_backend_says_about_tls() {
    let backend = "name = \"api\"\ntls = { ca = \"ca.pem\", sni = \"a.internal\" }";
    let with = |server: &str| {
        let text = SMALL.replace("name = \"api\"", backend);
        let config = sound(&format!("{}\n{server}\n", text.trim_end()));
        config.backends[0].servers[0].tls.clone()
    };
    let usual = with("").unwrap();
    assert!(matches!(usual.verify, ServerCertificates::Issued(_)));
    assert_eq!(with("tls = true").unwrap(), usual);
    assert_eq!(with("tls = false"), None);
    let other = with("tls = { sni = \"b.internal\" }").unwrap();
    assert_eq!(other.sni.as_deref(), Some("b.internal"));
    assert_eq!(other.verify, usual.verify);
    let other = with("tls = { verify = \"none\" }").unwrap();
    assert_eq!(other.verify, ServerCertificates::Unchecked);
    assert_eq!(other.sni.as_deref(), Some("a.internal"));
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config = sound(SMALL);
    assert_eq!(config.process.max_connections, 10_000);
    assert!(config.process.watch);
    assert_eq!(config.logs[0].to, LogSink::Stdout);

    let web = &config.frontends[0];
    assert!(web.log_empty_connections);
    assert_eq!(web.forwarded_for, None);
    assert_eq!((web.limits.header_count, web.limits.body), (100, None));

    let api = &config.backends[0];
    assert_eq!(
        api.balancer.source,
        PluginSource::Bundled("round-robin".to_owned())
    );
    assert_eq!(api.balancer.on_failure, OnFailure::Deny);
    assert_eq!(api.timeouts.queue, api.timeouts.connect);
    assert_eq!((api.retries, api.redispatch), (3, Redispatch::Never));
    let server = &api.servers[0];
    assert_eq!((server.id, server.weight), (1, 1));
    assert_eq!(server.check, None);
}

#[test]
fn check_true_is_a_tcp_check_with_haproxys_numbers() {
    let config = sound(&SMALL.replace("name = \"api\"", "name = \"api\"\ncheck = true"));
    let check = config.backends[0].servers[0].check.clone().unwrap();
    assert_eq!(check.kind, CheckKind::Tcp);
    assert_eq!(check.interval, Duration::from_secs(2));
    assert_eq!(check.timeout, Duration::from_secs(2));
    assert_eq!((check.fall, check.rise), (3, 2));
}

#[test]
fn an_address_says_the_same_in_a_table() {
    let table = sound(&SMALL.replace("[\"127.0.0.1:8080\"]", "[{ address = \"127.0.0.1:8080\" }]"));
    assert_eq!(table.frontends[0].bind, sound(SMALL).frontends[0].bind);
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let config = sound(&SMALL.replace("127.0.0.1:1", "unix:run/a.sock"));
    assert_eq!(
        config.backends[0].servers[0].address,
        Address::Unix("/etc/weir/run/a.sock".into())
    );
}

#[test]
fn an_empty_list_of_logs_is_silence() {
    assert!(sound(&format!("log = []\n{SMALL}")).logs.is_empty());
}

/// Rows of the manual's tables: the headings they stand under and their first cell.
fn rows_of_manual() -> BTreeSet<(String, String)> {
    let mut heading = String::new();
    let mut rows = BTreeSet::new();
    for line in MANUAL.lines() {
        if let Some(title) = line.strip_prefix("##") {
            heading = title.trim_start_matches('#').trim().to_lowercase();
        }
        let cell = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        if let Some(key) = cell.filter(|key| !key.starts_with('"')) {
            rows.insert((heading.clone(), key.to_owned()));
        }
    }
    rows
}

#[test]
fn the_manual_has_every_key_and_no_other() {
    let (_folder, file) = example();
    let asked = read_for_keys(&file, &fs::read_to_string(&file).unwrap());
    let rows = rows_of_manual();
    for (section, key) in &asked {
        let named = if section == "top level" {
            section.clone()
        } else {
            format!("`{section}`")
        };
        let tables = section == "top level" && is_a_section(key);
        let found = rows
            .iter()
            .any(|(heading, row)| heading.contains(&named) && row == key);
        assert!(found || tables, "{section}: `{key}` is not in the manual");
    }
    for (heading, row) in &rows {
        let known = asked.iter().any(|(section, key)| {
            let named = format!("`{section}`");
            (heading == section || heading.contains(&named)) && row == key
        });
        assert!(known, "{heading}: nobody reads `{row}`");
    }
}

/// Whether a top-level key has a heading of its own in the manual.
fn is_a_section(key: &str) -> bool {
    [format!("[{key}]"), format!("[[{key}]]")]
        .iter()
        .any(|section| MANUAL.contains(&format!("## `{section}`")))
}

#[test]
fn errors_in_a_plugins_config_point_into_the_file() {
    let text = format!(
        "{}[[frontend]]\nname = \"x\"\nbind = [\"*:1\"]\n[[frontend.filter]]\nplugin = \"rules\"\n\
         [frontend.filter.config]\nrule = [{{ when = \"a\" }}, {{ \"o/~x\" = 5 }}]\n",
        SMALL.trim_start()
    );
    let config = sound(&text);
    let places = &config.frontends[1].filters[0].places;
    let shown = |error: super::ConfigError| error.to_string();

    let line = "rule = [{ when = \"a\" }, { \"o/~x\" = 5 }]";
    let at = |what: &str| line.find(what).unwrap() + 1;
    let carets = |error: super::ConfigError| {
        let place = error.place.clone().unwrap();
        let text = shown(error);
        assert!(text.contains(line), "{text}");
        (place.column, text.matches('^').count())
    };
    assert_eq!(carets(places.error("/rule/0/when", "m")), (at("\"a\""), 3));
    assert_eq!(carets(places.error("/rule/1/o~1~0x", "m")), (at("5"), 1));
    assert_eq!(
        carets(places.key_error("/rule/1/o~1~0x", "m")),
        (at("\"o/~x\""), 6)
    );
    // What is missing is shown where it should be.
    assert_eq!(carets(places.error("/rule/0/use", "m")), (at("{ when"), 14));
    let plugin = shown(places.plugin_error("no plugin named `rules`"));
    assert!(plugin.contains("plugin = \"rules\""), "{plugin}");
    assert!(shown(places.error("", "m")).contains("[frontend.filter.config]"));
}

#[test]
fn a_plugin_that_is_named_alone_is_pointed_at_whatever_is_wrong_with_it() {
    let config = sound(&SMALL.replace("name = \"api\"", "name = \"api\"\nbalance = \"first\""));
    let error = config.backends[0].balancer.places.error("/draws", "m");
    assert!(error.to_string().contains("balance = \"first\""), "{error}");
}

/// Parses what nobody should have written. It must end soon, one way or the other.
fn survives(what: &str, text: &str) {
    let begun = Instant::now();
    if let Err(errors) = parse(Path::new("garbage.toml"), text) {
        assert!(errors.to_string().len() < 200_000, "{what}");
    }
    // Unoptimised, on a busy machine.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{what} took {:?}",
        begun.elapsed()
    );
}

#[test]
fn garbage_is_refused_soon() {
    const MANY: usize = 1 << 20;
    survives("equals", &"=\n".repeat(MANY));
    survives("brackets", &"[".repeat(MANY));
    survives("braces", &format!("a = {}", "{a=".repeat(MANY / 4)));
    survives("headings", &"[[a.b.c]]\n".repeat(MANY / 16));
    survives("quotes", &"\"".repeat(MANY));
    survives("one line", &"a".repeat(MANY));
    survives("newlines", &"\n".repeat(MANY));
    survives("control", &"\0\u{1b}\u{7f}".repeat(MANY / 4));
    survives("wide", &"ä= \"ü\"\n".repeat(MANY / 16));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    survives("dotted key", &format!("{}a = 1", "a.".repeat(1 << 18)));
    survives("dotted heading", &format!("[{}a]", "a.".repeat(1 << 18)));
    survives("spaced", &format!("{}a = 1", "a . ".repeat(1 << 16)));
    survives("quoted", &format!("{}a = 1", "\"a\".".repeat(1 << 16)));
    survives("inline", &"a = { ".repeat(1 << 14));
    let inline = format!("a = {}", "{ a.a.a.a = ".repeat(1 << 12));
    survives("dotted inline", &inline);
    let closed = format!("a = {}{}", "[".repeat(1 << 14), "]".repeat(1 << 14));
    survives("arrays", &closed);
}

#[test]
fn large_files_are_read_in_good_time() {
    let servers: String = (0..5_000)
        .map(|n| format!("[[backend.server]]\nname = \"s{n}\"\naddress = \"10.0.0.1:80\"\n"))
        .collect();
    survives("servers", &format!("{SMALL}{servers}"));
    let unknown: String = (0..20_000).map(|n| format!("key_{n} = {n}\n")).collect();
    survives("unknown keys", &unknown);
    let rules = "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n";
    let values = "1,".repeat(500_000);
    let list = format!("[[frontend]]\nname = \"w\"\nbind = [\"*:1\"]\n{rules}a = [{values}]\n");
    survives("values", &list);
    let binds = "\"*:1-1000\",".repeat(20_000);
    survives(
        "binds",
        &format!("[[frontend]]\nname = \"w\"\nbind = [{binds}]\n"),
    );
}

#[test]
fn a_file_that_is_no_configuration_is_not_even_read() {
    survives("17 MiB", &" ".repeat(17 << 20));
    let error = load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(error, "/dev/zero: is not a regular file");
    let error = load(Path::new("/no/such.toml")).unwrap_err().to_string();
    assert!(
        error.starts_with("/no/such.toml: cannot be read: "),
        "{error}"
    );
}

/// Every prefix of a sound file, and the file with any one line gone, is read or refused.
#[test]
fn a_file_cut_anywhere_does_no_harm() {
    let (_folder, file) = example();
    let text = fs::read_to_string(&file).unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        survives("cut", &text[..end]);
    }
    let lines: Vec<&str> = text.lines().collect();
    for without in 0..lines.len() {
        let rest = [&lines[..without], &lines[without + 1..]].concat();
        survives("without a line", &rest.join("\n"));
    }
}
