//! Connection filters: by address and by what a TLS hello names, in front of TCP and of HTTP.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};
use weir_tests::{Client, ManualServer, Origin, Weir, simple, within};

use super::tcp;

/// A frontend with two backends to choose from; `unknown` is what sni-route does with the rest.
fn by_name(servers: &[&ManualServer], unknown: &str) -> String {
    let (shop, rest) = (servers[0].address(), servers[1].address());
    format!(
        r#"
        [[frontend]]
        name = "web"
        mode = "tcp"
        bind = ["127.0.0.1:0"]
        timeouts = {{ inspect = "500ms" }}
        [[frontend.filter]]
        plugin = "sni-route"
        config = {{ routes = {{ "shop.example" = "shop", "*.example" = "rest" }}, {unknown} }}

        [[backend]]
        name = "shop"
        mode = "tcp"
        server = [{{ name = "a", address = "{shop}" }}]
        [[backend]]
        name = "rest"
        mode = "tcp"
        server = [{{ name = "b", address = "{rest}" }}]
        "#
    )
}

/// The hello of a real client that asks for `name`, byte by byte as it would go over the wire.
async fn hello(name: &str) -> Option<Vec<u8>> {
    let server = ManualServer::start().await;
    let address = server.address().to_string();
    let spawned = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &address,
            "-servername",
            name,
            "-alpn",
            "h2,http/1.1",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(_client) = spawned else {
        eprintln!("no openssl here: nothing real says hello");
        return None;
    };
    let mut connection = server.accept().await;
    Some(connection.read_record().await)
}

#[tokio::test]
async fn a_hello_leads_to_the_backend_of_its_name_and_arrives_there_unchanged() {
    let servers = [ManualServer::start().await, ManualServer::start().await];
    let config = by_name(&[&servers[0], &servers[1]], "unknown = \"reset\"");
    let weir = Weir::start(&config).await;
    for (name, server) in [("shop.example", 0), ("a.b.example", 1)] {
        let Some(hello) = hello(name).await else {
            return;
        };
        // In pieces, as slow networks deliver them.
        let mut client = weir.client().await;
        for piece in hello.chunks(hello.len() / 3 + 1) {
            client.send(piece).await;
            tokio::task::yield_now().await;
        }
        let mut connection = servers[server].accept().await;
        assert_eq!(connection.read_record().await, hello, "{name}");
    }
    let Some(hello) = hello("elsewhere.test").await else {
        return;
    };
    let mut client = weir.client().await;
    client.send(hello).await;
    client.expect_close().await;
    assert!(weir.stdout_line("web/<NOSRV>").await.contains(" 0 PR "));
}

#[tokio::test]
async fn a_client_without_tls_names_no_host() {
    let servers = [ManualServer::start().await, ManualServer::start().await];
    let config = by_name(&[&servers[0], &servers[1]], "default = \"rest\"");
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.send("SSH-2.0-client\r\n").await;
    let mut connection = servers[1].accept().await;
    connection.read_until("SSH-2.0-client\r\n").await;
    // One that waits for the server to speak is let through when the time for looking is over.
    let _silent = weir.client().await;
    servers[1].accept().await;
}

#[tokio::test]
async fn tls_is_between_client_and_server() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let (key, certificate) = (
        folder.path().join("key.pem"),
        folder.path().join("cert.pem"),
    );
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=shop.example",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .await;
    if made.is_err() {
        eprintln!("no openssl here: no real handshake is made");
        return;
    }
    let port = weir_tests::closed_port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", &port.to_string(), "-www", "-cert"])
        .arg(&certificate)
        .arg("-key")
        .arg(&key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl was there a moment ago");
    weir_tests::eventually("openssl listening", async || {
        tokio::net::TcpStream::connect(port).await.ok()
    })
    .await;
    let filter = "[[frontend.filter]]\nplugin = \"sni-route\"\nconfig = { routes = { \"shop.example\" = \"apps\" }, unknown = \"close\" }";
    let weir = Weir::start(&tcp(&[port], filter, "")).await;
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &weir.address("web").to_string()])
        .args([
            "-servername",
            "shop.example",
            "-quiet",
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(&certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl was there a moment ago");
    let mut input = client.stdin.take().expect("it is piped");
    input
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .await
        .expect("openssl reads");
    let output = within("the page", client.wait_with_output()).await;
    let page = String::from_utf8_lossy(&output.expect("openssl ends").stdout).into_owned();
    assert!(page.contains("s_server"), "{page}");
    drop(input);
    server.kill().await.expect("our own child can be ended");
}

#[tokio::test]
async fn an_ip_list_keeps_clients_out_of_tcp() {
    let server = ManualServer::start().await;
    let filter = "[[frontend.filter]]\nplugin = \"ip-list\"\nconfig = { deny = [\"127.0.0.66\"], refuse = \"close\" }";
    let weir = Weir::start(&tcp(&[server.address()], filter, "")).await;
    let mut denied = Client::connect_from([127, 0, 0, 66].into(), weir.address("web")).await;
    denied.expect_close().await;
    let mut welcome = weir.client().await;
    welcome.send("hello").await;
    let mut connection = server.accept().await;
    connection.read_until("hello").await;
    assert!(
        weir.stdout_line("127.0.0.66:")
            .await
            .contains("web/<NOSRV> -1/-1/")
    );
}

#[tokio::test]
async fn the_same_filter_stands_in_front_of_http() {
    let origin = Origin::start("a").await;
    let at = |place: &str| {
        format!(
            "[[frontend.filter]]\nplugin = \"ip-list\"\nconfig = {{ deny = [\"127.0.0.66\"], at = \"{place}\", refuse = \"close\" }}"
        )
    };
    let weir = Weir::start(&simple(&[origin.address()], &at("connection"), "")).await;
    let address = weir.address("web");
    Client::connect_from([127, 0, 0, 66].into(), address)
        .await
        .expect_close()
        .await;
    assert_eq!(weir.get("/").await.status(), 200);
    weir.write_config(&simple(&[origin.address()], &at("request"), ""));
    assert_eq!(weir.reload().await, weir_tests::Reload::Loaded);
    let mut client = Client::connect_from([127, 0, 0, 66].into(), address).await;
    assert_eq!(client.get("/").await.status(), 403);
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_changed_map_counts_for_the_next_connection() {
    let server = ManualServer::start().await;
    let map = "[[map]]\nname = \"clients\"\nfile = \"clients.map\"\nmatch = \"cidr\"\n\n";
    let filter = "[[frontend.filter]]\nplugin = \"ip-list\"\nmaps = [\"clients\"]\nconfig = { map = \"clients\", default = \"allow\", refuse = \"close\" }";
    let config = format!("{map}{}", tcp(&[server.address()], filter, ""));
    let weir = Weir::builder()
        .file("clients.map", "127.0.0.0/8 deny\n")
        .start(&config)
        .await;
    weir.client().await.expect_close().await;
    weir.write_file("clients.map", "127.0.0.0/8 deny\n127.0.0.1 allow\n");
    weir_tests::eventually("a connection that is let in", async || {
        let _client = weir.client().await;
        tokio::time::timeout(std::time::Duration::from_millis(200), server.accept())
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn plugins_that_have_nothing_to_judge_are_refused() {
    for (lines, expected) in [
        (
            "plugin = \"basic-auth\"\nconfig = { user = [{ name = \"a\", insecure-password = \"b\" }] }",
            "connection-filter",
        ),
        (
            "plugin = \"rules\"\nconfig = { rule = [] }",
            "it asks nothing about them",
        ),
        (
            "plugin = \"ip-list\"\nconfig = { deny = [\"10.0.0.1\"], at = \"request\" }",
            "it asks nothing about them",
        ),
        (
            "plugin = \"sni-route\"\nconfig = { routes = { \"a.b\" = \"pages\" } }",
            "it routes to the backend `pages`",
        ),
    ] {
        let filter = format!("[[frontend.filter]]\n{lines}");
        let config = tcp(&["127.0.0.1:1".parse().unwrap()], &filter, "");
        let pages = "[[backend]]\nname = \"pages\"\nserver = [{ name = \"p\", address = \"127.0.0.1:1\" }]\n";
        let checked = Weir::check(&format!("{config}\n{pages}")).await;
        assert_eq!(checked.status.code(), Some(1));
        assert!(checked.stderr.contains(expected), "{}", checked.stderr);
    }
    let cookie = tcp(
        &["127.0.0.1:1".parse().unwrap()],
        "",
        "persistence = \"cookie\"",
    );
    let checked = Weir::check(&cookie).await;
    assert!(
        checked.stderr.contains("there are no requests"),
        "{}",
        checked.stderr
    );
}

#[tokio::test]
async fn a_filter_of_a_backend_that_would_judge_connections_is_refused_and_one_of_requests_is_not()
{
    for (at, accepted) in [("connection", false), ("request", true)] {
        let config = format!(
            r#"
[[frontend]]
name = "web"
bind = ["127.0.0.1:0"]
default_backend = "apps"

[[backend]]
name = "apps"
server = [{{ name = "a", address = "127.0.0.1:1" }}]
[[backend.filter]]
plugin = "ip-list"
config = {{ deny = ["10.0.0.1"], at = "{at}" }}
"#
        );
        let checked = Weir::check(&config).await;
        assert_eq!(checked.status.success(), accepted, "{}", checked.stderr);
        assert_eq!(
            checked.stderr.contains("never be asked about connections"),
            !accepted,
            "{}",
            checked.stderr
        );
    }
}

#[tokio::test]
async fn a_backends_own_filters_judge_what_comes_to_it_and_name_its_server() {
    let (one, two, other) = (
        ManualServer::start().await,
        ManualServer::start().await,
        ManualServer::start().await,
    );
    let config = format!(
        r#"
[[frontend]]
name = "web"
mode = "tcp"
bind = ["127.0.0.1:0"]
default_backend = "chosen"
[[frontend.filter]]
plugin = "rules"
[frontend.filter.config]
connection_rule = [{{ when = {{ client = "127.0.0.77" }}, use = "other" }}]

[[backend]]
name = "chosen"
mode = "tcp"
server_from = "use-server"
server = [{{ name = "one", address = "{}" }}, {{ name = "two", address = "{}" }}]
[[backend.filter]]
plugin = "rules"
[backend.filter.config]
connection_rule = [
  {{ when = {{ value = {{ of = "{{first_bytes(4)}}", exact = "EVIL" }} }}, refuse = "close" }},
  {{ set_var = {{ use-server = "two" }} }},
]

[[backend]]
name = "other"
mode = "tcp"
server = [{{ name = "c", address = "{}" }}]
"#,
        one.address(),
        two.address(),
        other.address()
    );
    let weir = Weir::start(&config).await;
    for _ in 0..2 {
        let mut client = weir.client().await;
        client.send("good day").await;
        two.accept().await.read_until("good day").await;
    }
    let mut client = weir.client().await;
    client.send("EVIL").await;
    client.expect_close().await;
    // Another backend's rules are none of this one's.
    let mut client = Client::connect_from([127, 0, 0, 77].into(), weir.address("web")).await;
    client.send("EVIL").await;
    other.accept().await.read_until("EVIL").await;
}
