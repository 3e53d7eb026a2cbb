//! A model as weir.toml.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use crate::model::{Backend, Balance, Model};

const GROUPS_MAP: &str = "groups.map";

/// Writes weir.toml and, beside it, the map file that it names, if any.
pub fn write(model: &Model, file: &Path) -> Result<()> {
    ensure!(
        matches!(model.mode.as_str(), "http" | "tcp"),
        "mode `{}` is not one that Weir has",
        model.mode
    );
    ensure!(
        !model.tls || model.cert.is_some() && model.key.is_some(),
        "a model with TLS names its files in `cert` and `key`"
    );
    let save = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if !model.groups.is_empty() {
        save(&file.with_file_name(GROUPS_MAP), &groups_map(model))?;
    }
    save(file, &text(model))
}

fn text(model: &Model) -> String {
    let mut frontend = table([
        ("name", "web".into()),
        ("mode", model.mode.as_str().into()),
        ("bind", Value::Array(vec![bind(model).into()])),
        ("default_backend", model.default.as_str().into()),
    ]);
    if model.xff {
        frontend.insert("forwarded_for".into(), true.into());
    }
    let filters = filters(model);
    if !filters.is_empty() {
        frontend.insert("filter".into(), tables(filters));
    }
    let workers = i64::try_from(model.threads).expect("a machine has fewer CPUs than that");
    let mut top = table([
        ("workers", workers.into()),
        ("watch", false.into()),
        // Neither proxy writes an access log.
        ("log", Value::Array(Vec::new())),
        ("max_connections", 20_000.into()),
    ]);
    // A client that is idle on purpose isn't to be sent away while its memory is measured.
    let timeouts = ["client", "server", "http_keep_alive"].map(|name| (name, Value::from("120s")));
    top.insert("timeouts".into(), table(timeouts).into());
    top.insert("frontend".into(), tables(vec![frontend]));
    top.insert(
        "backend".into(),
        tables(
            model
                .backends
                .iter()
                .map(|item| backend(model, item))
                .collect(),
        ),
    );
    if !model.groups.is_empty() {
        let map = table([
            ("name", "groups".into()),
            ("file", GROUPS_MAP.into()),
            ("match", "exact".into()),
        ]);
        top.insert("map".into(), tables(vec![map]));
    }
    top.to_string()
}

fn bind(model: &Model) -> Table {
    let address = format!("{}:{}", model.listen.host, model.listen.port);
    let mut bind = table([("address", address.into())]);
    if let (true, Some(certificate), Some(key)) = (model.tls, &model.cert, &model.key) {
        let files = table([
            ("file", certificate.as_str().into()),
            ("key", key.as_str().into()),
        ]);
        let tls = table([("certificate", files.into())]);
        bind.insert("tls".into(), tls.into());
    }
    let spoken: &[&str] = match model.h2 {
        true => &["h2", "http/1.1"],
        false => &["http/1.1"],
    };
    let spoken = spoken.iter().map(|name| Value::from(*name)).collect();
    bind.insert("protocols".into(), Value::Array(spoken));
    bind
}

fn filters(model: &Model) -> Vec<Table> {
    let mut filters = Vec::new();
    if !model.users.is_empty() {
        filters.push(filter(
            "basic-auth",
            table([("user", tables(users(model)))]),
        ));
    }
    if !model.groups.is_empty() {
        let backends: Vec<Value> = model
            .groups
            .values()
            .map(|backend| backend.as_str().into())
            .collect();
        let config = table([
            ("input", table([("var", "groups".into())]).into()),
            ("map", "groups".into()),
            ("backends", backends.into()),
        ]);
        let mut filter = filter("group-map", config);
        filter.insert("maps".into(), Value::Array(vec!["groups".into()]));
        filters.push(filter);
    }
    if !model.rules.is_empty() {
        filters.push(filter("rules", rules(model)));
    }
    filters
}

fn filter(plugin: &str, config: Table) -> Table {
    table([("plugin", plugin.into()), ("config", config.into())])
}

fn users(model: &Model) -> Vec<Table> {
    let user = |(name, password, group): &(String, String, String)| {
        table([
            ("name", name.as_str().into()),
            ("insecure_password", password.as_str().into()),
            ("groups", Value::Array(vec![group.as_str().into()])),
        ])
    };
    model.users.iter().map(user).collect()
}

/// One matcher and one rule for each, as people write them.
fn rules(model: &Model) -> Table {
    let mut matchers = Table::new();
    let mut rules = Vec::new();
    for (n, (prefix, backend)) in model.rules.iter().enumerate() {
        let name = format!("r{n}");
        let path = table([("prefix", prefix.as_str().into())]);
        matchers.insert(name.clone(), table([("path", path.into())]).into());
        rules.push(table([
            ("when", name.into()),
            ("use", backend.as_str().into()),
        ]));
    }
    table([("match", matchers.into()), ("rule", tables(rules))])
}

fn backend(model: &Model, backend: &Backend) -> Table {
    let balance = match backend.balance {
        Balance::RoundRobin => "round-robin".into(),
        Balance::LeastConn => "least-conn".into(),
        Balance::Hash => {
            let config = table([("on", "uri".into()), ("method", "consistent".into())]);
            table([("plugin", "hash".into()), ("config", config.into())]).into()
        }
    };
    let servers = backend.servers.iter().map(|server| {
        let address = format!("127.0.0.1:{}", server.port);
        table([
            ("name", server.name.as_str().into()),
            ("address", address.into()),
        ])
    });
    let mut table = table([
        ("name", backend.name.as_str().into()),
        ("mode", model.mode.as_str().into()),
        ("balance", balance),
    ]);
    if let Some(cookie) = &model.cookie {
        let config = self::table([("name", cookie.as_str().into()), ("indirect", true.into())]);
        let persistence = self::table([("plugin", "cookie".into()), ("config", config.into())]);
        table.insert("persistence".into(), persistence.into());
    }
    table.insert("server".into(), tables(servers.collect()));
    table
}

fn groups_map(model: &Model) -> String {
    model
        .groups
        .iter()
        .fold(String::new(), |mut text, (group, backend)| {
            writeln!(text, "{group} {backend}").expect("writing to a string works");
            text
        })
}

fn table<const N: usize>(pairs: [(&str, Value); N]) -> Table {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn tables(tables: Vec<Table>) -> Value {
    Value::Array(tables.into_iter().map(Value::Table).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::{CASES, ORIGINS},
        tls::Files,
    };

    #[test]
    fn every_case_has_a_configuration_that_weir_accepts() {
        let ports: Vec<u16> = (1..=ORIGINS as u16).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        for case in CASES {
            let mut model = case.model(8080, &ports);
            if model.tls {
                Files::make(folder.path()).unwrap().name_in(&mut model);
            }
            write(&model, &file).unwrap();
            let config = weir::config::load(&file)
                .unwrap_or_else(|errors| panic!("{}: {errors}", case.name));
            assert_eq!(config.backends.len(), model.backends.len(), "{}", case.name);
            assert!(
                config.warnings.is_empty(),
                "{}: {:?}",
                case.name,
                config.warnings
            );
        }
    }

    #[test]
    fn a_model_with_tls_is_one_that_weir_accepts() {
        let mut model = CASES[0].model(8080, &(1..=3).collect::<Vec<u16>>());
        (model.tls, model.h2) = (true, true);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        let refused = write(&model, &file).unwrap_err().to_string();
        assert!(refused.contains("`cert`"), "{refused}");
        model.cert = Some("cert.pem".to_owned());
        model.key = Some("key.pem".to_owned());
        write(&model, &file).unwrap();
        let config = weir::config::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
        let bind = &config.frontends[0].bind[0];
        assert!(bind.tls.is_some() && bind.protocols().has_http2());
    }
}
