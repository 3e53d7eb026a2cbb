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
        let protocols = match model.h2 {
            true => "h2,http/1.1",
            false => "http/1.1",
        };
        bind.push_str(&format!(" ssl crt {both} alpn {protocols}"));
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
