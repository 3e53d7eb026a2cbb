//! A model as haproxy.cfg.

use std::fmt::Write as _;

use crate::model::{Backend, Balance, Model};

/// The text of the configuration. Connections to servers are reused as freely as HAProxy can.
pub fn text(model: &Model) -> String {
    let mut text = format!(
        "global\n  nbthread {}\n  maxconn 8000\n\
         defaults\n  mode {}\n  timeout client 120s\n  timeout server 120s\n  timeout connect 5s\n  \
         timeout http-keep-alive 120s\n  http-reuse always\n",
        model.threads, model.mode
    );
    userlist(&mut text, model);
    frontend(&mut text, model);
    for item in &model.backends {
        backend(&mut text, model, item);
    }
    text
}

fn userlist(text: &mut String, model: &Model) {
    if model.users.is_empty() {
        return;
    }
    text.push_str("userlist people\n");
    for group in model.groups.keys() {
        line(text, format_args!("group {group}"));
    }
    for (name, password, group) in &model.users {
        line(
            text,
            format_args!("user {name} insecure-password {password} groups {group}"),
        );
    }
}

fn frontend(text: &mut String, model: &Model) {
    text.push_str("frontend web\n");
    let mut bind = format!("bind {}:{}", model.listen.host, model.listen.port);
    if let Some(both) = &model.cert_and_key {
        bind.push_str(&format!(" ssl crt {both}"));
    }
    // In clear text HAProxy knows HTTP/2 by its first bytes without being told; Weir is told.
    match (model.h2, model.cert_and_key.is_some()) {
        (true, _) => bind.push_str(" alpn h2,http/1.1"),
        (false, true) => bind.push_str(" alpn http/1.1"),
        (false, false) => {}
    }
    line(text, format_args!("{bind}"));
    if model.xff {
        line(text, format_args!("option forwardfor"));
    }
    if !model.users.is_empty() {
        line(
            text,
            format_args!("http-request auth unless {{ http_auth(people) }}"),
        );
    }
    for (group, backend) in &model.groups {
        line(
            text,
            format_args!("use_backend {backend} if {{ http_auth_group(people) {group} }}"),
        );
    }
    for (prefix, backend) in &model.rules {
        line(
            text,
            format_args!("use_backend {backend} if {{ path_beg {prefix} }}"),
        );
    }
    line(text, format_args!("default_backend {}", model.default));
}

fn backend(text: &mut String, model: &Model, backend: &Backend) {
    writeln!(text, "backend {}", backend.name).expect("writing to a string works");
    match backend.balance {
        Balance::RoundRobin => line(text, format_args!("balance roundrobin")),
        Balance::LeastConn => line(text, format_args!("balance leastconn")),
        Balance::Hash => line(
            text,
            format_args!("balance uri whole\n  hash-type consistent"),
        ),
    }
    if let Some(cookie) = &model.cookie {
        line(text, format_args!("cookie {cookie} insert indirect"));
    }
    for server in &backend.servers {
        let key = if model.cookie.is_some() {
            format!(" cookie {}", server.name)
        } else {
            String::new()
        };
        line(
            text,
            format_args!("server {} 127.0.0.1:{}{key}", server.name, server.port),
        );
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "  {content}").expect("writing to a string works");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use toml::{Table, Value};

    use super::*;
    use crate::{
        case::{CASES, ORIGINS},
        tls::Files,
        weir_toml,
    };

    /// What costs something per request: how many filters are asked, and who picks and remembers servers.
    fn asked(config: &Table) -> (usize, Vec<(String, Option<Value>)>) {
        let list = |name: &str| {
            let list = config.get(name).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let filters = |front: &Value| {
            front
                .get("filter")
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        let balance = |backend: &Value| match backend.get("balance") {
            None => "\"round-robin\"".to_owned(),
            Some(balance) => balance.to_string(),
        };
        let backends = list("backend");
        assert!(
            backends
                .iter()
                .all(|backend| backend.get("filter").is_none())
        );
        let backends = backends.iter();
        (
            list("frontend").iter().map(filters).sum(),
            backends
                .map(|backend| (balance(backend), backend.get("persistence").cloned()))
                .collect(),
        )
    }

    #[test]
    fn an_imported_case_asks_no_more_of_plugins_than_the_one_written_by_hand() {
        let ports: Vec<u16> = (1..=ORIGINS as u16).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        for case in CASES {
            let mut model = case.model(8080, &ports);
            if model.tls {
                Files::make(folder.path()).unwrap().name_in(&mut model);
            }
            let imported = weir_haproxy::import(
                "haproxy.cfg",
                text(&model).as_bytes(),
                &weir_haproxy::Nothing,
            );
            let imported = imported.unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
            weir_toml::write(&model, &file).unwrap();
            let by_hand = fs::read_to_string(&file).unwrap();
            assert_eq!(
                asked(&imported.weir.parse().unwrap()),
                asked(&by_hand.parse().unwrap()),
                "{}",
                case.name
            );
        }
    }
}
