//! `examples/syslog-admin`

use std::{fs, os::unix::fs::MetadataExt, sync::Mutex};

use regex::Regex;
use serde_json::Value;
use tokio::net::UnixDatagram;
use weir_tests::{Client, Origin, Weir, eventually};

use crate::set_up::{Example, origins, reached};

/// A syslog daemon that remembers.
struct Syslog {
    socket: UnixDatagram,
    lines: Mutex<Vec<String>>,
    folder: tempfile::TempDir,
}

impl Syslog {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let socket = UnixDatagram::bind(folder.path().join("log")).expect("the name is free");
        Self {
            socket,
            lines: Mutex::default(),
            folder,
        }
    }

    /// Everything that came so far.
    fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.lock().expect("nobody panics while holding it");
        let mut datagram = [0; 8192];
        while let Ok(length) = self.socket.try_recv(&mut datagram) {
            lines.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
        lines.clone()
    }

    /// Waits for a line that has all these parts.
    async fn line(&self, parts: &[&str]) -> String {
        eventually(&format!("a line with {parts:?}"), async || {
            let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
            self.lines().into_iter().find(has_all)
        })
        .await
    }
}

async fn start(syslog: &Syslog) -> (Weir, [Origin; 3]) {
    let servers = origins(["app1", "app2", "app3"]).await;
    let socket = |name: &str| syslog.folder.path().join(name).display().to_string();
    let weir = Example::named("syslog-admin")
        .listening("*:8080")
        .with("syslog:/dev/log", format_args!("syslog:{}", socket("log")))
        .with(
            "unix:/run/weir/admin.sock",
            format_args!("unix:{}", socket("admin.sock")),
        )
        .with("2s", "500ms")
        .with_servers(
            &["192.168.1.2:5000", "192.168.1.3:5000", "192.168.1.4:5000"],
            &servers,
        )
        .start()
        .await;
    (weir, servers)
}

#[tokio::test]
async fn each_request_is_one_datagram_to_local0() {
    let syslog = Syslog::start();
    let (weir, _servers) = start(&syslog).await;
    weir.get("/hello?x").await;
    let line = syslog.line(&["/hello"]).await;
    let httplog = Regex::new(concat!(
        r#"^<134>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} weir\[[0-9]+\]: 127\.0\.0\.1:[0-9]+ \[.*\] "#,
        r#"http_front http_back/app1 [0-9]+/[0-9]+/[0-9]+/[0-9]+/[0-9]+ 200 [0-9]+ - - ---- "#,
        r#"1/1/0/0/0 0/0 "GET /hello\?x HTTP/1\.1"\n?$"#
    ))
    .expect("a sound expression");
    assert!(httplog.is_match(&line), "{line:?}");
    assert_eq!(weir.stdout(), [""; 0], "nothing goes elsewhere");
}

#[tokio::test]
async fn alarms_go_to_both_facilities_and_requests_only_to_local0() {
    let syslog = Syslog::start();
    let (weir, [mut app1, _app2, _app3]) = start(&syslog).await;
    app1.stop().await;
    // The facility times eight, and 1 for alert, 5 for notice.
    for priority in ["<129>", "<137>"] {
        syslog
            .line(&[priority, "Server http_back/app1 is DOWN"])
            .await;
    }
    assert_eq!(
        reached(&weir, 4)
            .await
            .iter()
            .filter(|name| *name == "app1")
            .count(),
        0
    );
    app1.restart().await;
    for priority in ["<133>", "<141>"] {
        syslog
            .line(&[priority, "Server http_back/app1 is UP"])
            .await;
    }
    weir.get("/last").await;
    syslog.line(&["<134>", "/last"]).await;
    let lines = syslog.lines();
    let of_local1 = |line: &&String| {
        ["<136>", "<137>", "<141>", "<142>"]
            .iter()
            .any(|p| line.starts_with(p))
    };
    let requests: Vec<_> = lines
        .iter()
        .filter(of_local1)
        .filter(|line| line.contains("HTTP/1.1"))
        .collect();
    assert!(requests.is_empty(), "{requests:?}");
}

#[tokio::test]
async fn the_admin_socket_tells_how_servers_are_and_only_the_owner_may_ask() {
    let syslog = Syslog::start();
    let (weir, [mut app1, _app2, _app3]) = start(&syslog).await;
    app1.stop().await;
    syslog.line(&["Server http_back/app1 is DOWN"]).await;
    let socket = syslog.folder.path().join("admin.sock");
    let mut admin = Client::connect_unix(&socket)
        .await
        .expect("the socket is there");
    let status: Value = serde_json::from_slice(admin.get("/status").await.body()).expect("JSON");
    let servers = &status["backends"][0]["servers"];
    for (position, name, up) in [(0, "app1", false), (1, "app2", true), (2, "app3", true)] {
        let server = &servers[position];
        assert_eq!((&server["name"], &server["up"]), (&name.into(), &up.into()));
    }
    let mode = fs::metadata(&socket).expect("the socket is there").mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    drop(weir);
}

#[tokio::test]
async fn a_syslog_daemon_that_ends_does_not_disturb_requests() {
    let syslog = Syslog::start();
    let (weir, _servers) = start(&syslog).await;
    drop(syslog);
    let mut client = weir.client().await;
    for _ in 0..20 {
        assert_eq!(client.get("/").await.status(), 200);
    }
}
