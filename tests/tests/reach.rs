//! How servers are reached: names that are followed, network namespaces, source addresses, Unix sockets.

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
};

use weir_tests::{NameServer, Origin, Reload, TestNamespace, Weir, curl, eventually, fill};

const A: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);
const C: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 3);

/// Servers at these addresses, all with one port.
async fn origins_at<const N: usize>(addresses: [(&str, Ipv4Addr); N]) -> Vec<Origin> {
    'port: loop {
        let mut origins: Vec<Origin> = Vec::new();
        for (name, address) in addresses {
            let port = origins.first().map_or(0, |first| first.address().port());
            let wanted = SocketAddr::from((address, port));
            // Somebody else may have that port on another of the addresses.
            if port != 0 && std::net::TcpListener::bind(wanted).is_err() {
                continue 'port;
            }
            origins.push(Origin::start_at(name, wanted).await);
        }
        return origins;
    }
}

const FOLLOWED: &str = r#"
    watch = false

    [[resolver]]
    name = "local"
    nameservers = ["@dns@"]
    min_interval = "50ms"
    max_interval = "100ms"
    timeout = "200ms"
    attempts = 0
    hold = "300ms"

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[backend]]
    name = "apps"
    resolver = "local"
    retries = 0
    server = [{ name = "app", address = "app.example:@port@", slots = @slots@ }]
"#;

async fn following(dns: &NameServer, port: u16, slots: u32) -> Weir {
    let config = fill(
        FOLLOWED,
        &[("dns", &dns.address()), ("port", &port), ("slots", &slots)],
    );
    Weir::start(&config).await
}

/// The names of all servers that twelve requests reach, in the order of the alphabet.
async fn reached(weir: &Weir) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..12 {
        let response = weir.get("/").await;
        let name = match response.status() {
            200 => response.origin().to_owned(),
            status => status.to_string(),
        };
        names.push(name);
    }
    names.sort();
    names.dedup();
    names
}

async fn until_reached(weir: &Weir, wanted: &[&str]) {
    eventually(&format!("requests reaching {wanted:?}"), async || {
        (reached(weir).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_name_with_several_addresses_fills_several_servers_and_they_come_and_go() {
    let origins = origins_at([("a", A), ("b", B), ("c", C)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A, B], 0);
    let weir = following(&dns, origins[0].address().port(), 4).await;
    assert_eq!(reached(&weir).await, ["a", "b"]);

    dns.set("app.example", &[C, B, A], 0);
    until_reached(&weir, &["a", "b", "c"]).await;

    dns.set("app.example", &[C], 0);
    until_reached(&weir, &["c"]).await;
}

#[tokio::test]
async fn a_slot_that_stays_keeps_its_connections_when_another_goes() {
    let origins = origins_at([("a", A), ("b", B)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A, B], 0);
    let weir = following(&dns, origins[0].address().port(), 2).await;
    let mut client = weir.client().await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    assert_eq!(origins[0].connections(), 1, "one for all of its requests");

    dns.set("app.example", &[A], 0);
    until_reached(&weir, &["a"]).await;
    let before = origins[0].connections();
    for _ in 0..4 {
        assert_eq!(client.get("/").await.origin(), "a");
    }
    assert!(
        origins[0].connections() <= before + 1,
        "the pool of the server that stayed is still used"
    );
}

#[tokio::test]
async fn a_single_server_moves_with_its_name() {
    let origins = origins_at([("a", A), ("b", B)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A], 0);
    let weir = following(&dns, origins[0].address().port(), 1).await;
    let mut client = weir.client().await;
    assert_eq!(client.get("/").await.origin(), "a");
    dns.set("app.example", &[B], 0);
    until_reached(&weir, &["b"]).await;
    assert_eq!(
        client.get("/").await.origin(),
        "b",
        "the kept connection to the old address is not used"
    );
}

#[tokio::test]
async fn a_name_server_that_fails_or_is_silent_takes_no_address_away() {
    let origins = origins_at([("a", A)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A], 0);
    let weir = following(&dns, origins[0].address().port(), 2).await;
    dns.fail("app.example");
    weir.stdout_line("name app.example does not resolve").await;
    // Longer than `hold`, and still nothing is taken away.
    let asked = dns.questions();
    eventually("more questions", async || {
        (dns.questions() > asked + 10).then_some(())
    })
    .await;
    assert_eq!(reached(&weir).await, ["a"]);

    dns.be_silent_about("app.example");
    let asked = dns.questions();
    eventually("more questions", async || {
        (dns.questions() > asked + 4).then_some(())
    })
    .await;
    assert_eq!(reached(&weir).await, ["a"]);

    dns.set("app.example", &[A], 0);
    weir.stdout_line("name app.example resolves again").await;
}

#[tokio::test]
async fn a_denied_name_loses_its_addresses_after_the_hold_time() {
    let origins = origins_at([("a", A)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A], 0);
    let weir = following(&dns, origins[0].address().port(), 2).await;
    dns.deny("app.example");
    weir.stdout_line("Server apps/app1 has no address any more")
        .await;
    assert_eq!(weir.get("/").await.status(), 503);
    dns.set("app.example", &[A], 0);
    until_reached(&weir, &["a"]).await;
}

#[tokio::test]
async fn a_name_that_must_resolve_and_does_not_is_refused_with_its_server() {
    let dns = NameServer::start().await;
    let config = fill(
        FOLLOWED,
        &[("dns", &dns.address()), ("port", &80), ("slots", &1)],
    );
    let refused = Weir::check(&config).await;
    assert!(!refused.status.success());
    let wanted = "backend apps, server app: host name `app.example` does not resolve";
    assert!(refused.stderr.contains(wanted), "{}", refused.stderr);

    let patient = config.replace("hold =", "must_resolve = false\n    hold =");
    let weir = Weir::start(&patient).await;
    assert_eq!(weir.get("/").await.status(), 503, "nobody is there yet");
}

#[tokio::test]
async fn a_reload_while_names_do_not_resolve_keeps_the_addresses() {
    let origins = origins_at([("a", A)]).await;
    let dns = NameServer::start().await;
    dns.set("app.example", &[A], 0);
    let weir = following(&dns, origins[0].address().port(), 2).await;
    assert_eq!(reached(&weir).await, ["a"]);
    dns.fail("app.example");
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(reached(&weir).await, ["a"]);
}

#[tokio::test]
async fn servers_see_connections_come_from_the_source_address() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        source = "127.0.0.77"
        check = { interval = "50ms" }
        server = [{ name = "a", address = "@a@" }]
        "#,
        &[("a", &origin.address())],
    ))
    .await;
    assert_eq!(weir.get("/").await.status(), 200);
    let peers = origin.peers();
    assert!(!peers.is_empty());
    for peer in peers {
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 77), "checks too");
    }
}

#[tokio::test]
async fn a_server_in_a_namespace_is_reached_there_and_nowhere_else() {
    let Some(namespace) = TestNamespace::make() else {
        return;
    };
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    std::fs::write(folder.path().join("hello.txt"), "from inside\n").expect("it can be written");
    let mut command = namespace.command("python3");
    command
        .args(["-m", "http.server", "--bind", "127.0.0.1", "8000"])
        .current_dir(folder.path());
    let Ok(_server) = command.spawn() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    eventually("the server inside", async || {
        let words = ["curl", "--silent", "http://127.0.0.1:8000/hello.txt"];
        namespace.run(&words).ok()
    })
    .await;

    let weir = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "servers"

        [[backend]]
        name = "servers"
        check = { http = "GET /hello.txt", interval = "100ms" }
        server = [{ name = "directory-server", address = "127.0.0.1:8000", namespace = "@inside@" }]
        "#,
        &[("inside", &namespace.name())],
    ))
    .await;
    for _ in 0..5 {
        let answer = weir.get("/hello.txt").await;
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (200, "from inside\n")
        );
    }
    let outside = curl(&["http://127.0.0.1:8000/hello.txt"]).await;
    assert!(
        !outside.stdout.contains("from inside"),
        "nobody outside gets there without the proxy"
    );
}

#[tokio::test]
async fn a_frontend_can_listen_in_a_namespace() {
    let Some(namespace) = TestNamespace::make() else {
        return;
    };
    let origin = Origin::start("outside").await;
    let weir = Weir::start(&fill(
        r#"
        workers = 2

        [[frontend]]
        name = "web"
        bind = [{ address = "127.0.0.1:8080", namespace = "@inside@" }]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        server = [{ name = "outside", address = "@origin@" }]
        "#,
        &[("inside", &namespace.name()), ("origin", &origin.address())],
    ))
    .await;
    assert_eq!(weir.address("web").port(), 8080);
    let mut inside = namespace.command("curl");
    inside.args([
        "--silent",
        "--fail",
        "--max-time",
        "10",
        "http://127.0.0.1:8080/",
    ]);
    let seen = inside.output().await.expect("curl can be started");
    assert!(seen.status.success(), "{seen:?}");
    let started = weir_tests::Client::try_connect(weir.address("web")).await;
    assert!(started.is_err(), "nobody listens there outside");
}

#[tokio::test]
async fn a_namespace_that_is_missing_is_told_with_its_server() {
    let refused = Weir::check(
        r#"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        namespace = "no-such-namespace"
        server = [{ name = "a", address = "127.0.0.1:1" }]
        "#,
    )
    .await;
    assert!(!refused.status.success());
    let wanted = "backend apps, server a: network namespace `no-such-namespace` cannot be opened at \
         /run/netns/no-such-namespace: No such file";
    assert!(refused.stderr.contains(wanted), "{}", refused.stderr);
}

#[tokio::test]
async fn a_unix_socket_on_both_sides_with_a_mode_of_its_own() {
    let origin = Origin::start("a").await;
    let inner = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "inner"
        bind = [{ address = "unix:inner.sock", mode = "0600" }]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
        "#,
        &[("a", &origin.address())],
    ))
    .await;
    let socket = inner.folder().join("inner.sock");
    let mode = std::fs::metadata(&socket)
        .expect("it listens")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let outer = Weir::start(&fill(
        r#"
        [[frontend]]
        name = "outer"
        bind = ["127.0.0.1:0"]
        default_backend = "inner"

        [[backend]]
        name = "inner"
        check = { http = "GET /status", interval = "100ms" }
        server = [{ name = "inner", address = "unix:@socket@" }]
        "#,
        &[("socket", &socket.display())],
    ))
    .await;
    assert_eq!(outer.get("/").await.origin(), "a");
}
