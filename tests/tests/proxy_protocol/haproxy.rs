//! PROXY headers that HAProxy writes are read, and ours are read by HAProxy.

use std::{fs, net::SocketAddr, process::Stdio};

use tokio::process::{Child, Command};
use weir_tests::{Origin, Weir, eventually, simple};

use super::accepting;

/// HAProxy with one frontend and one server. Dropping it ends it.
struct Haproxy {
    _child: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
}

impl Haproxy {
    /// None where it is not installed. `bind` and `server` are further words of those lines.
    async fn start(to: SocketAddr, bind: &str, server: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let address = weir_tests::closed_port();
        let text = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n option forwardfor\n\
             frontend f\n bind {address} {bind}\n default_backend b\n\
             backend b\n server s {to} {server}\n"
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, text).expect("the folder is there");
        let spawned = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(child) = spawned else {
            eprintln!("no haproxy here: nobody else's headers are tried");
            return None;
        };
        eventually("haproxy listening", async || {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        Some(Self {
            _child: child,
            _folder: folder,
            address,
        })
    }
}

#[tokio::test]
async fn headers_of_haproxy_are_read() {
    for words in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options unique-id,crc32c,authority",
    ] {
        let origin = Origin::start("a").await;
        let config = simple(&[origin.address()], "forwarded_for = true", "");
        let weir = Weir::start(&accepting(&config, "127.0.0.0/8")).await;
        let Some(haproxy) = Haproxy::start(weir.address("web"), "", words).await else {
            return;
        };
        let source = [127, 0, 0, 42].into();
        let mut client = weir_tests::Client::connect_from(source, haproxy.address).await;
        assert_eq!(client.get("/").await.status(), 200, "{words}");
        let requests = origin.requests();
        assert_eq!(
            requests[0].header("x-forwarded-for"),
            Some("127.0.0.42"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn haproxy_reads_ours() {
    for version in [
        "\"v1\"",
        "\"v2\"",
        "{ version = \"v2\", add = [\"unique-id\", \"crc32c\"] }",
    ] {
        let origin = Origin::start("a").await;
        let Some(haproxy) = Haproxy::start(origin.address(), "accept-proxy", "").await else {
            return;
        };
        let backend = format!("send_proxy = {version}");
        let weir = Weir::start(&simple(&[haproxy.address], "", &backend)).await;
        let source = [127, 0, 0, 43].into();
        let mut client = weir_tests::Client::connect_from(source, weir.address("web")).await;
        assert_eq!(client.get("/").await.status(), 200, "{version}");
        let requests = origin.requests();
        assert_eq!(
            requests[0].header("x-forwarded-for"),
            Some("127.0.0.43"),
            "{version}"
        );
    }
}
