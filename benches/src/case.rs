//! The cases: what is measured, and with which requests.

use std::collections::BTreeMap;

use crate::model::{Backend, Balance, Listen, Model, Server};

pub struct Case {
    pub name: &'static str,
    pub summary: &'static str,
    pub kind: Kind,
    pub clients: usize,
    shape: Shape,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU per request over connections that stay.
    KeepAlive,
    /// CPU per request with a connection for each.
    ConnectionPerRequest,
    /// CPU per request over connections of HTTP/2, 32 requests on each at a time.
    Streams,
    /// Memory per connection that does nothing.
    Idle,
    /// Failures and the slowest answer while configurations are replaced.
    Reload,
}

#[derive(Clone, Copy)]
enum Shape {
    Plain,
    /// The requests are the origins' business alone.
    Tcp,
    /// As plain, over TLS.
    Tls,
    Chain,
    Auth,
    Rules(usize),
    Servers(Balance, usize),
    Download,
    Upload,
}

/// How many origin ports the cases need.
pub const ORIGINS: usize = 300;
const MEBIBYTE: usize = 1 << 20;

pub const CASES: &[Case] = &[
    case(
        "plain",
        "round robin over 3, 1 KiB answers, 64 connections",
        Kind::KeepAlive,
        64,
        Shape::Plain,
    ),
    case(
        "chain",
        "path rule, 2 backends, cookie (80 % carry it), least-conn, X-Forwarded-For",
        Kind::KeepAlive,
        64,
        Shape::Chain,
    ),
    case(
        "auth",
        "basic-auth with 100 users, group-map to 4 backends",
        Kind::KeepAlive,
        64,
        Shape::Auth,
    ),
    case(
        "rules-10",
        "10 path rules, the last ones hit",
        Kind::KeepAlive,
        64,
        Shape::Rules(10),
    ),
    case(
        "rules-100",
        "100 path rules",
        Kind::KeepAlive,
        64,
        Shape::Rules(100),
    ),
    case(
        "rules-1000",
        "1,000 path rules",
        Kind::KeepAlive,
        64,
        Shape::Rules(1000),
    ),
    case(
        "least-conn-3",
        "least-conn over 3 servers",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::LeastConn, 3),
    ),
    case(
        "least-conn-30",
        "least-conn over 30",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::LeastConn, 30),
    ),
    case(
        "least-conn-300",
        "least-conn over 300",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::LeastConn, 300),
    ),
    case(
        "hash-3",
        "consistent hash of the target over 3 servers",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::Hash, 3),
    ),
    case(
        "hash-30",
        "consistent hash over 30",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::Hash, 30),
    ),
    case(
        "hash-300",
        "consistent hash over 300",
        Kind::KeepAlive,
        64,
        Shape::Servers(Balance::Hash, 300),
    ),
    case(
        "download",
        "1 MiB answers, 16 connections",
        Kind::KeepAlive,
        16,
        Shape::Download,
    ),
    case(
        "upload",
        "1 MiB requests, 16 connections",
        Kind::KeepAlive,
        16,
        Shape::Upload,
    ),
    case(
        "connection",
        "a connection per request",
        Kind::ConnectionPerRequest,
        64,
        Shape::Plain,
    ),
    case(
        "h2",
        "HTTP/2 in clear text, 8 connections of 32 streams",
        Kind::Streams,
        8,
        Shape::Plain,
    ),
    case(
        "h2-tls",
        "HTTP/2 over TLS, 8 connections of 32 streams",
        Kind::Streams,
        8,
        Shape::Tls,
    ),
    case(
        "tcp",
        "TCP mode, requests inside connections that stay",
        Kind::KeepAlive,
        64,
        Shape::Tcp,
    ),
    case(
        "tcp-connections",
        "TCP mode, a connection per request",
        Kind::ConnectionPerRequest,
        64,
        Shape::Tcp,
    ),
    case(
        "idle",
        "5,000 idle connections",
        Kind::Idle,
        5000,
        Shape::Plain,
    ),
    case(
        "idle-tls",
        "5,000 idle connections over TLS",
        Kind::Idle,
        5000,
        Shape::Tls,
    ),
    case(
        "reload",
        "three reloads under load",
        Kind::Reload,
        64,
        Shape::Plain,
    ),
];

const fn case(
    name: &'static str,
    summary: &'static str,
    kind: Kind,
    clients: usize,
    shape: Shape,
) -> Case {
    Case {
        name,
        summary,
        kind,
        clients,
        shape,
    }
}

impl Case {
    /// What the proxy is to do; `ports` are those of the origins.
    pub fn model(&self, listen: u16, ports: &[u16]) -> Model {
        let mut model = Model {
            listen: Listen {
                host: "127.0.0.1".into(),
                port: listen,
            },
            threads: 1,
            mode: "http".into(),
            tls: false,
            cert: None,
            key: None,
            cert_and_key: None,
            h2: self.kind == Kind::Streams,
            cookie: None,
            xff: false,
            users: Vec::new(),
            groups: BTreeMap::new(),
            backends: vec![backend("b", Balance::RoundRobin, 0, 3, ports)],
            rules: Vec::new(),
            default: "b".into(),
        };
        match self.shape {
            Shape::Tcp => model.mode = "tcp".into(),
            Shape::Tls => model.tls = true,
            Shape::Plain | Shape::Download | Shape::Upload => {}
            Shape::Chain => chain(&mut model, ports),
            Shape::Auth => auth(&mut model, ports),
            Shape::Rules(count) => rules(&mut model, count, ports),
            Shape::Servers(balance, count) => {
                model.backends = vec![backend("b", balance, 0, count, ports)]
            }
        }
        model
    }

    /// The paths that requests ask for, in turn.
    pub fn paths(&self) -> Vec<String> {
        match self.shape {
            Shape::Plain
            | Shape::Tcp
            | Shape::Tls
            | Shape::Auth
            | Shape::Servers(Balance::RoundRobin | Balance::LeastConn, _) => {
                vec!["/index.html".into()]
            }
            Shape::Chain => vec!["/api/v1/items?id=7".into(), "/static/app.js".into()],
            Shape::Rules(count) => (count - 3..count)
                .rev()
                .map(|n| format!("/svc{n:04}/x"))
                .collect(),
            Shape::Servers(Balance::Hash, _) => (0..97).map(|n| format!("/obj/{n}")).collect(),
            Shape::Download => vec!["/big".into()],
            Shape::Upload => vec!["/upload".into()],
        }
    }

    /// The requests that clients send, in turn, as bytes.
    pub fn requests(&self, model: &Model) -> Vec<Vec<u8>> {
        let paths = self.paths();
        let (count, body) = match self.shape {
            Shape::Upload => (4, vec![b'x'; MEBIBYTE]),
            _ => (194, Vec::new()),
        };
        (0..count)
            .map(|n| self.request(model, n, &paths[n % paths.len()], &body))
            .collect()
    }

    fn request(&self, model: &Model, n: usize, path: &str, body: &[u8]) -> Vec<u8> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench.local\r\n{BROWSER}");
        if let Some(cookie) = &model.cookie {
            text.push_str(&cookies(model, cookie, n, path));
        }
        if let Some((name, password, _)) = model.users.get(n % model.users.len().max(1)) {
            text.push_str(&crate::http::authorization(name, password));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        if self.kind == Kind::ConnectionPerRequest {
            text.push_str("Connection: close\r\n");
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }
}

/// What a browser adds to every request, so that heads are as long as real ones.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Referer: http://bench.local/index.html\r\n";

/// Four of five requests carry the cookie of one of the path's servers, between two others.
fn cookies(model: &Model, name: &str, n: usize, path: &str) -> String {
    // Two paths alternate; dividing by their number lets each path see all of its servers.
    let turn = n / 2;
    if turn.is_multiple_of(5) {
        return "Cookie: theme=dark; lang=en\r\n".to_owned();
    }
    let servers = &model.backend_for(path).servers;
    format!(
        "Cookie: theme=dark; {name}={}; lang=en\r\n",
        servers[turn % servers.len()].name
    )
}

fn chain(model: &mut Model, ports: &[u16]) {
    model.backends = vec![
        backend("api", Balance::LeastConn, 0, 3, ports),
        backend("web", Balance::LeastConn, 3, 3, ports),
    ];
    model.rules = vec![("/api".into(), "api".into())];
    model.default = "web".into();
    model.cookie = Some("SRV".into());
    model.xff = true;
}

fn auth(model: &mut Model, ports: &[u16]) {
    model.users = (0..100)
        .map(|n| {
            (
                format!("user{n:02}"),
                format!("secret{n:02}"),
                format!("g{}", n % 4),
            )
        })
        .collect();
    model.groups = (0..4).map(|n| (format!("g{n}"), format!("b{n}"))).collect();
    model.backends = (0..4)
        .map(|n| backend(&format!("b{n}"), Balance::RoundRobin, 2 * n, 2, ports))
        .collect();
    model.default = "b0".into();
}

fn rules(model: &mut Model, count: usize, ports: &[u16]) {
    model.backends = (0..10)
        .map(|n| backend(&format!("b{n}"), Balance::RoundRobin, n, 1, ports))
        .collect();
    model
        .backends
        .push(backend("other", Balance::RoundRobin, 10, 1, ports));
    model.rules = (0..count)
        .map(|n| (format!("/svc{n:04}/"), format!("b{}", n % 10)))
        .collect();
    model.default = "other".into();
}

fn backend(name: &str, balance: Balance, first: usize, count: usize, ports: &[u16]) -> Backend {
    let server = |n: usize| Server {
        name: format!("{name}-{}", n + 1),
        port: ports[first + n],
        idx: first + n,
    };
    Backend {
        name: name.into(),
        balance,
        servers: (0..count).map(server).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> Vec<u16> {
        (1..=ORIGINS as u16).collect()
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    fn four_of_five_requests_of_the_chain_carry_a_cookie_of_their_backend() {
        let case = CASES.iter().find(|case| case.name == "chain").unwrap();
        let model = case.model(1, &ports());
        let texts: Vec<String> = case
            .requests(&model)
            .into_iter()
            .map(|r| String::from_utf8(r).unwrap())
            .collect();
        let with = texts.iter().filter(|text| text.contains("SRV=")).count();
        assert!(
            (78..=82).contains(&(with * 100 / texts.len())),
            "{with} of {}",
            texts.len()
        );
        for name in ["api-1", "api-2", "api-3", "web-1", "web-2", "web-3"] {
            let path = if name.starts_with("api") {
                "GET /api"
            } else {
                "GET /static"
            };
            let cookie = format!("SRV={name};");
            let mut carriers = texts
                .iter()
                .filter(|text| text.contains(&cookie))
                .peekable();
            assert!(
                carriers.peek().is_some() && carriers.all(|text| text.starts_with(path)),
                "{name}"
            );
        }
    }

    #[test]
    fn the_last_rules_are_hit() {
        let case = CASES.iter().find(|case| case.name == "rules-1000").unwrap();
        let model = case.model(1, &ports());
        assert_eq!(model.backend_for(&case.paths()[0]).name, "b9");
        assert_eq!(case.paths()[0], "/svc0999/x");
    }
}
