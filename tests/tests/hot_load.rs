//! A new generation takes over while clients are connected: what changes, what stays, and what a mistake
//! costs (nothing).

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, mkfifoat};
use weir_tests::{
    After, Answer, Client, Load, Origin, Reload, Weir, component, eventually, fill, simple,
};

/// Without `watch`, so that only what a test asks for is a reload.
fn unwatched(config: &str) -> String {
    format!("watch = false\n{config}")
}

async fn two_origins() -> (Origin, Origin) {
    tokio::join!(Origin::start("a"), Origin::start("b"))
}

#[tokio::test]
async fn a_connection_outlives_generations_and_gets_each_new_one() {
    let (a, b) = two_origins().await;
    let weir = Weir::start(&unwatched(&simple(&[a.address()], "", ""))).await;
    let mut client = weir.client().await;
    assert_eq!(client.get("/").await.origin(), "a");
    for (origin, name) in [(&b, "b"), (&a, "a"), (&b, "b")] {
        weir.write_config(&unwatched(&simple(&[origin.address()], "", "")));
        assert_eq!(weir.reload().await, Reload::Loaded);
        assert_eq!(client.get("/").await.origin(), name);
    }
}

#[tokio::test]
async fn an_exchange_finishes_with_the_generation_that_it_began_with() {
    let (a, b) = two_origins().await;
    a.answer(Answer::body("from the old one").after(Duration::from_millis(400)));
    let weir = Weir::start(&unwatched(&simple(&[a.address()], "", ""))).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request at the server", async || {
        (a.requests().len() == 1).then_some(())
    })
    .await;
    weir.write_config(&unwatched(&simple(&[b.address()], "", "")));
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(client.response().await.text(), "from the old one");
    assert_eq!(client.get("/").await.origin(), "b");
}

#[tokio::test]
async fn a_replaced_component_is_noticed_and_used() {
    let (a, b) = two_origins().await;
    let config = simple(&[a.address(), b.address()], "", "balance = \"./my.wasm\"");
    let weir = Weir::builder()
        .file("my.wasm", fs::read(component("first")).unwrap())
        .start(&config)
        .await;
    let mut client = weir.client().await;
    for _ in 0..4 {
        assert_eq!(client.get("/").await.origin(), "a");
    }
    let mark = weir.log_length();
    weir.write_file("my.wasm", fs::read(component("round-robin")).unwrap());
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    let both = [client.get("/").await, client.get("/").await];
    assert_ne!(both[0].origin(), both[1].origin());
}

#[tokio::test]
async fn a_broken_component_changes_nothing_and_is_named() {
    let (a, b) = two_origins().await;
    let config = simple(&[a.address(), b.address()], "", "balance = \"./my.wasm\"");
    let whole = fs::read(component("first")).unwrap();
    let weir = Weir::builder()
        .file("my.wasm", whole.clone())
        .start(&config)
        .await;
    let mut client = weir.client().await;
    for broken in [&b""[..], b"no component", &whole[..whole.len() / 2]] {
        let mark = weir.log_length();
        weir.write_file("my.wasm", broken);
        let Reload::Refused(why) = weir.next_generation(mark).await else {
            panic!("{} bytes were taken for a component", broken.len());
        };
        assert!(
            why.contains("my.wasm") && why.contains("weir.toml:"),
            "{why}"
        );
        assert_eq!(client.get("/").await.origin(), "a");
    }
}

#[tokio::test]
async fn every_mistake_of_a_file_is_in_one_message_with_its_place() {
    let origin = Origin::start("a").await;
    let good = simple(&[origin.address()], "", "");
    let weir = Weir::start(&unwatched(&good)).await;
    let mut client = weir.client().await;
    client.get("/").await;
    let bad = unwatched(&good)
        .replace("default_backend = \"apps\"", "default_backend = \"app\"")
        .replace("[[backend.server]]", "retires = 3\n[[backend.server]]");
    weir.write_config(&bad);
    let Reload::Refused(why) = weir.reload().await else {
        panic!("the mistakes were taken");
    };
    assert!(why.contains("weir.toml:5:19: "), "{why}");
    assert!(why.contains("`app`") && why.contains("`retires`"), "{why}");
    assert_eq!(
        why.matches("nothing changed").count(),
        1,
        "one message: {why}"
    );
    assert_eq!(client.get("/").await.status(), 200);
    weir.write_config(&unwatched(&good));
    assert_eq!(weir.reload().await, Reload::Loaded, "it recovers");
}

#[tokio::test]
async fn a_map_changes_without_a_new_generation() {
    let (a, b) = two_origins().await;
    let config = fill(
        r#"
        [[map]]
        name = "tiers"
        file = "tiers.map"
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        [[frontend.filter]]
        plugin = "group-map"
        maps = ["tiers"]
        config = { map = "tiers", input = { header = "x-user" }, backends = { gold = "a", plain = "b" }, default = "plain" }
        [[backend]]
        name = "a"
        server = [{ name = "a", address = "@a@" }]
        [[backend]]
        name = "b"
        server = [{ name = "b", address = "@b@" }]
        "#,
        &[("a", &a.address()), ("b", &b.address())],
    );
    let weir = Weir::builder()
        .file("tiers.map", "ann gold\n")
        .start(&config)
        .await;
    let mut client = weir.client().await;
    let bob = [("X-User", "bob")];
    assert_eq!(
        client.get_with("/", &[("X-User", "ann")]).await.origin(),
        "a"
    );
    assert_eq!(client.get_with("/", &bob).await.origin(), "b");
    weir.write_file("tiers.map", "ann gold\nbob gold\n");
    weir.log_line("map loaded again").await;
    assert_eq!(client.get_with("/", &bob).await.origin(), "a");

    // A pipe would be waited for, and all that looks after the proxy with it.
    let map = weir.folder().join("tiers.map");
    let pipe = weir.folder().join("pipe");
    mkfifoat(CWD, &pipe, 0o600.into()).expect("a pipe can be made");
    fs::rename(&pipe, &map).expect("it can take the map's place");
    weir.log_line("it is not a regular file").await;
    assert_eq!(client.get_with("/", &bob).await.origin(), "a");
    weir.write_file("new.map", "bob plain\n");
    fs::rename(weir.folder().join("new.map"), &map).expect("it can take the pipe's place");
    eventually("the map is loaded again", async || {
        (weir.get_with("/", &bob).await.origin() == "b").then_some(())
    })
    .await;

    let log = weir.stderr();
    let generations = log.iter().filter(|line| line.contains("generation"));
    assert_eq!(generations.count(), 1, "a map is no generation: {log:?}");
}

#[tokio::test]
async fn listeners_that_stay_are_not_closed_and_others_come_and_go() {
    let origin = Origin::start("a").await;
    let frontend = |name: &str| {
        format!(
            "[[frontend]]\nname = \"{name}\"\nbind = [\"127.0.0.1:0\"]\ndefault_backend = \"apps\"\n"
        )
    };
    let backend = format!(
        "[[backend]]\nname = \"apps\"\nserver = [{{ name = \"a\", address = \"{}\" }}]\n",
        origin.address()
    );
    let config = |names: &[&str]| {
        let frontends: String = names.iter().map(|name| frontend(name)).collect();
        unwatched(&format!("{frontends}{backend}"))
    };
    let weir = Weir::start(&config(&["stays", "goes"])).await;
    let mut staying = weir.client_of("stays").await;
    let mut leaving = weir.client_of("goes").await;
    staying.get("/").await;
    leaving.get("/").await;

    weir.write_config(&config(&["comes", "stays"]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(staying.get("/").await.status(), 200);
    assert_eq!(weir.client_of("stays").await.get("/").await.status(), 200);
    leaving.expect_close().await;
    let gone = weir.address("goes");
    eventually("the removed address to be refused", async || {
        Client::try_connect(gone).await.is_err().then_some(())
    })
    .await;
    let line = weir.log_line("frontend=comes").await;
    let address: SocketAddr = line.rsplit('=').next().unwrap().trim().parse().unwrap();
    let mut coming = Client::connect(address).await;
    assert_eq!(coming.get("/").await.status(), 200);
}

/// A proxy whose one worker is kept busy by a plugin, and a client that has sent its request to frontend
/// `goes` meanwhile, so that the worker finds the client and the order to leave at the same time.
async fn with_a_client_at_the_door(origin: &Origin) -> (Weir, Client, String) {
    let config = fill(
        r#"
        watch = false
        workers = 1
        plugins = { deadline = "500ms" }
        [[frontend]]
        name = "busy"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"
        filter = [{ plugin = "./hostile.wasm" }]
        [[backend]]
        name = "apps"
        server = [{ name = "a", address = "@a@" }]
        "#,
        &[("a", &origin.address())],
    );
    let goes =
        "[[frontend]]\nname = \"goes\"\nbind = [\"127.0.0.1:0\"]\ndefault_backend = \"apps\"\n";
    let weir = Weir::builder()
        .file("hostile.wasm", fs::read(component("hostile")).unwrap())
        .start(&format!("{config}{goes}"))
        .await;
    let mut busy = weir.client_of("busy").await;
    busy.send("GET / HTTP/1.1\r\nHost: a\r\nX-Mood-On-Request: loop\r\n\r\n")
        .await;
    let mut client = weir.client_of("goes").await;
    client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n").await;
    (weir, client, config)
}

#[tokio::test]
async fn a_client_that_waits_at_a_leaving_listener_is_served() {
    let origin = Origin::start("a").await;
    let (weir, mut client, without) = with_a_client_at_the_door(&origin).await;
    weir.write_config(&without);
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(client.response().await.echo()["target"], "/late");
    client.expect_close().await;
}

#[tokio::test]
async fn a_client_that_waits_when_the_proxy_is_told_to_end_is_served() {
    let origin = Origin::start("a").await;
    let (weir, mut client, _) = with_a_client_at_the_door(&origin).await;
    weir.terminate();
    let response = client.response().await;
    assert_eq!(response.echo()["target"], "/late");
    assert_eq!(response.header("connection"), Some("close"));
    drop(client);
    assert!(weir.exited().await.status.success());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_changes_nothing() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&unwatched(&simple(&[origin.address()], "", ""))).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = simple(&[origin.address()], "", "").replace(
        "[\"127.0.0.1:0\"]",
        &format!("[\"127.0.0.1:0\", \"{address}\"]"),
    );
    weir.write_config(&unwatched(&config));
    let Reload::Refused(why) = weir.reload().await else {
        panic!("somebody else's address was taken");
    };
    assert!(why.contains(&address), "{why}");
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn the_admin_interface_reloads_and_says_what_became_of_it() {
    let (a, b) = two_origins().await;
    let config = |origin: &Origin| {
        let simple = simple(&[origin.address()], "", "");
        unwatched(&format!("admin = \"unix:admin.sock\"\n{simple}"))
    };
    let weir = Weir::start(&config(&a)).await;
    let mut client = weir.client().await;
    assert_eq!(client.get("/").await.origin(), "a");

    weir.write_config(&config(&b));
    let done = weir.admin("POST", "/reload").await;
    assert_eq!(done.status(), 200, "{done:?}");
    assert_eq!(client.get("/").await.origin(), "b");

    weir.write_config("nonsense = 1\n");
    let refused = weir.admin("POST", "/reload").await;
    assert_eq!(refused.status(), 409, "{refused:?}");
    assert!(refused.text().contains("weir.toml:1:1"), "{refused:?}");
    assert_eq!(client.get("/").await.origin(), "b");
}

/// The instances of 50 generations would be 40 MiB and more; the allocator keeps some of what was freed.
const KEPT_MOST: u64 = 24 * 1024 * 1024;

/// How many bytes the proxy keeps after 60 generations with 8 filters each and in each an exchange that `begin`
/// begins and nobody ends, less what it had after 10.
async fn kept_by(origin: &Origin, begin: impl AsyncFn(&mut Client)) -> u64 {
    let filter = r#"{ plugin = "rules", config = { rule = [{ when = { path = { exact = "/no" } }, deny = 403 }] } }"#;
    let filters = format!("filter = [{}]", [filter; 8].join(", "));
    let config = simple(&[origin.address()], &filters, "");
    let weir = Weir::start(&unwatched(&format!("workers = 1\n{config}"))).await;
    let mut clients = Vec::new();
    let mut early = 0;
    for generation in 1..=60 {
        let mut client = weir.client().await;
        begin(&mut client).await;
        clients.push(client);
        assert_eq!(weir.reload().await, Reload::Loaded, "{generation}");
        if generation == 10 {
            early = weir.memory();
        }
    }
    weir.memory().saturating_sub(early)
}

#[tokio::test]
async fn tunnels_do_not_keep_the_plugins_of_their_generations() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::upgrade("echo"));
    let kept = kept_by(&origin, async |client| {
        let fields = [("Connection", "upgrade"), ("Upgrade", "echo")];
        assert_eq!(client.get_with("/", &fields).await.status(), 101);
        client.send("ping").await;
        assert_eq!(client.read_some().await, b"ping");
    })
    .await;
    assert!(kept < KEPT_MOST, "{kept} bytes");
}

#[tokio::test]
async fn long_answers_do_not_keep_the_plugins_of_their_generations() {
    let origin = Origin::start("a").await;
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf";
    origin.answer(Answer::bytes(half).then(After::Hang));
    let kept = kept_by(&origin, async |client| {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(client.read_some().await.starts_with(b"HTTP/1.1 200 "));
    })
    .await;
    assert!(kept < KEPT_MOST, "{kept} bytes");
}

/// Swaps of balancer and rules under load.
const SWAPS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_fail_no_request_drop_no_connection_and_keep_no_memory() {
    let (a, b) = two_origins().await;
    for origin in [&a, &b] {
        origin.forget_requests();
        origin.answer(Answer::body("x"));
    }
    let config = |number: usize| {
        let balancers = ["round-robin", "least-conn", "random", "first"];
        let filter = format!(
            r#"filter = [{{ plugin = "rules", config = {{ rule = [{{ when = {{ path = {{ prefix = "/{number}" }} }}, deny = 403 }}, {{ set_response_header = {{ X-Generation = "{number}" }} }}] }} }}]"#
        );
        let backend = format!("balance = \"{}\"", balancers[number % balancers.len()]);
        let simple = simple(&[a.address(), b.address()], &filter, &backend);
        unwatched(&format!("workers = 2\nlog = []\n{simple}"))
    };
    let weir = Weir::start(&config(0)).await;
    let load = Load::start(weir.address("web"), 8, &["/"], Duration::from_millis(2));
    let mut connected = weir.client().await;
    let mut at_100 = 0;
    let begun = Instant::now();
    for number in 1..=SWAPS {
        weir.write_config(&config(number));
        assert_eq!(weir.reload().await, Reload::Loaded, "swap {number}");
        if number % 50 == 0 {
            let response = connected.get("/").await;
            let generation = response.header("x-generation");
            assert_eq!(generation, Some(number.to_string().as_str()));
        }
        if number == 100 {
            at_100 = weir.memory();
        }
    }
    let took = begun.elapsed();
    let at_end = weir.memory();
    let report = load.stop().await;
    println!("{SWAPS} swaps in {took:?}; memory {at_100} then {at_end}; {report:?}");
    assert_eq!(report.failed(), 0, "{report:?}");
    assert!(report.ok > SWAPS, "the load was steady: {report:?}");
    let noise = 16 * 1024 * 1024;
    assert!(
        at_end < at_100 + noise,
        "memory grew from {at_100} to {at_end} bytes"
    );
}
