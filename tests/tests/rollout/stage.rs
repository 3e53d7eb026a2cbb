//! What the tests of new versions have in common.

use std::net::Ipv4Addr;

use serde_json::Value;
use weir_tests::{Client, Origin, Weir, fill};
use weir_wat_guests::{Guest, Kind};

/// A frontend with `./current.wasm` and these lines about it, before one server.
pub fn filter(lines: &str) -> String {
    format!(
        "workers = 2
         watch = false
         admin = \"unix:admin.sock\"
         [plugins]
         deadline = \"5s\"
         [[frontend]]
         name = \"web\"
         bind = [\"127.0.0.1:0\"]
         default_backend = \"apps\"
         [[frontend.filter]]
         plugin = \"./current.wasm\"
         {lines}
         [[backend]]
         name = \"apps\"
         server = [{{ name = \"a\", address = \"@a@\" }}]
         "
    )
}

pub async fn started(origin: &Origin, config: &str, files: &[(&str, &Guest)]) -> Weir {
    let mut builder = Weir::builder();
    for (name, guest) in files {
        builder = builder.file(name, guest.build());
    }
    builder
        .start(&fill(config, &[("a", &origin.address())]))
        .await
}

/// Denies every request.
pub fn deny(status: u16) -> Guest {
    Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path"])
        .with(
            "on-request",
            &format!(
                "(i32.store8 (i32.const 128) (i32.const 3))
                 (i32.store16 (i32.const 132) (i32.const {status}))
                 (i32.const 128)"
            ),
        )
}

/// A request filter that does something when there is a path, so not while it is loaded, and else passes.
pub fn with_path(body: &str) -> Guest {
    Guest::new(Kind::RequestFilter)
        .inputs("on-request", &["path"])
        .with(
            "on-request",
            &format!("(if (i32.load8_u (local.get $values)) (then {body})) (i32.const 16)"),
        )
}

/// Targets that as many clients ask for; the path is the same.
pub fn clients(count: usize) -> Vec<String> {
    (0..count)
        .map(|client| format!("/?client={client}"))
        .collect()
}

/// Which of them are denied with this status.
pub async fn denied(weir: &Weir, targets: &[String], status: u16) -> Vec<String> {
    let mut denied = Vec::new();
    for target in targets {
        let found = weir.get(target).await.status();
        if found == status {
            denied.push(target.clone());
        } else {
            assert_eq!(found, 200, "{target}");
        }
    }
    denied
}

/// The only new version that is tried out, as administrators see it; null if there is none.
pub async fn rollout(weir: &Weir) -> Value {
    let shown = weir.admin("GET", "/rollouts").await.text();
    let mut shown: Value = serde_json::from_str(&shown).expect("it is JSON");
    let first = shown["rollouts"].get_mut(0);
    first.map(Value::take).unwrap_or_default()
}

/// Waits for a line about `rollout` with this step, and checks that it names both versions.
pub async fn said_with_both_digests(weir: &Weir, step: &str, rollout: &Value) {
    let line = weir.log_line(step).await;
    for version in ["current", "next"] {
        let digest = rollout[version]["digest"].as_str().expect("a digest");
        assert!(line.contains(&format!("{version}={digest}")), "{line}");
    }
}

/// Whether a request from this address is answered; a refused connection is none.
pub async fn answers(weir: &Weir, source: Ipv4Addr) -> bool {
    let mut client = Client::connect_from(source, weir.address("web")).await;
    let sent = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sent.is_ok()
        && client
            .response_or_close()
            .await
            .is_some_and(|it| it.status() == 200)
}
