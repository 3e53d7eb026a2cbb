//! Commands that are given while the proxy runs, as whoever sits at the socket sees them and as clients do.

use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use weir_tests::{Client, ManualServer, Origin, Reload, Weir, eventually, simple, within};

/// A socket at which everything may be said.
const ADMIN: &str =
    "watch = false\n[[runtime_socket]]\naddress = \"unix:weir.sock\"\nlevel = \"admin\"\n";

/// What comes back until the connection is closed.
async fn said(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, text: &str) -> String {
    stream
        .write_all(text.as_bytes())
        .await
        .expect("the proxy takes the bytes");
    let mut answer = String::new();
    within("the end of the answer", stream.read_to_string(&mut answer))
        .await
        .expect("answers are text");
    answer
}

/// The answer to one line, without the empty line that ends it.
async fn ask_at(socket: &Path, line: &str) -> String {
    let stream = UnixStream::connect(socket).await;
    let stream = stream.expect("commands are taken");
    let answer = said(stream, &format!("{line}\n")).await;
    match answer.strip_suffix("\n\n") {
        Some(text) => format!("{text}\n"),
        None => answer.trim_end_matches('\n').to_owned(),
    }
}

async fn ask(weir: &Weir, line: &str) -> String {
    ask_at(&weir.folder().join("weir.sock"), line).await
}

/// A column of a row of `show stat`.
async fn figure(weir: &Weir, proxy: &str, name: &str, column: &str) -> String {
    let text = ask(weir, "show stat").await;
    let mut lines = text.lines();
    let heading = lines.next().expect("a heading");
    let position = heading
        .trim_start_matches("# ")
        .split(',')
        .position(|known| known == column)
        .expect("HAProxy's column");
    let row = lines
        .find(|line| line.starts_with(&format!("{proxy},{name},")))
        .unwrap_or_else(|| panic!("no row {proxy},{name} in\n{text}"));
    row.split(',').nth(position).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_process_and_its_servers_are_shown() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&format!("{ADMIN}{}", simple(&[origin.address()], "", ""))).await;
    assert_eq!(weir.get("/").await.status(), 200);

    let info = ask(&weir, "show info").await;
    assert!(info.contains("Name: Weir\n"), "{info}");
    assert!(info.contains(&format!("Pid: {}\n", weir.pid())), "{info}");
    assert!(info.contains("CumReq: 1\n"), "{info}");
    for what in ["info", "stat"] {
        let json = ask(&weir, &format!("show {what} json")).await;
        let told = format!("Weir has no 'show {what} json'");
        assert!(
            json.starts_with(&told),
            "no reader takes it for JSON: {json}"
        );
    }
    assert_eq!(figure(&weir, "apps", "s1", "stot").await, "1");
    assert_eq!(figure(&weir, "apps", "s1", "status").await, "no check");
    assert_eq!(figure(&weir, "web", "FRONTEND", "req_tot").await, "1");
    assert_eq!(figure(&weir, "apps", "BACKEND", "hrsp_2xx").await, "1");
    assert_eq!(ask(&weir, "show backend").await, "# name\napps\n");
    let state = ask(&weir, "show servers state apps").await;
    let line = state.lines().nth(2).expect("a line for the server");
    assert!(line.starts_with("3 apps 1 s1 127.0.0.1 2 0 1 1 "), "{line}");
    let only = ask(&weir, "show stat apps 4 -1").await;
    assert_eq!(only.lines().count(), 2, "{only}");
    assert_eq!(
        ask(&weir, "show servers conn nobody").await,
        "Can't find backend.\n"
    );
}

#[tokio::test]
async fn a_server_is_drained_disabled_weighed_and_moved() {
    let [one, two, other] = [
        Origin::start("1").await,
        Origin::start("2").await,
        Origin::start("other").await,
    ];
    let servers = [one.address(), two.address()];
    let weir = Weir::start(&format!("{ADMIN}{}", simple(&servers, "", ""))).await;
    let seen = async || {
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(weir.get("/").await.origin().to_owned());
        }
        seen.sort();
        seen.join("")
    };
    assert_eq!(seen().await, "1122");

    assert_eq!(ask(&weir, "disable server apps/s1").await, "");
    assert_eq!(seen().await, "2222");
    assert_eq!(figure(&weir, "apps", "s1", "status").await, "MAINT");
    assert_eq!(ask(&weir, "set server apps/s1 state ready").await, "");
    assert_eq!(ask(&weir, "set server apps/s2 state drain").await, "");
    assert_eq!(seen().await, "1111");
    assert_eq!(figure(&weir, "apps", "s2", "status").await, "DRAIN");
    assert_eq!(ask(&weir, "enable server apps/s2").await, "");
    assert_eq!(ask(&weir, "set weight apps/s2 0%").await, "");
    assert_eq!(ask(&weir, "get weight apps/s2").await, "0 (initial 1)\n");
    assert_eq!(seen().await, "1111");
    assert_eq!(ask(&weir, "set server apps/s2 weight 1").await, "");

    let (ip, port) = (other.address().ip(), other.address().port());
    let moved = ask(&weir, &format!("set server apps/s2 addr {ip} port {port}")).await;
    let was = two.address().port();
    assert_eq!(
        moved,
        format!(
            "no need to change the addr, port changed from '{was}' to '{port}' by 'stats socket command'\n"
        )
    );
    assert_eq!(seen().await, "11otherother");
    let addr = other.address().to_string();
    assert_eq!(figure(&weir, "apps", "s2", "addr").await, addr);
    // It is the operator's until he or the file says something else.
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(seen().await, "11otherother");
    weir.stdout_line("Server apps/s2 drains by an administrator")
        .await;
}

#[tokio::test]
async fn what_makes_no_sense_is_said_so_in_haproxys_words() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&format!("{ADMIN}{}", simple(&[origin.address()], "", ""))).await;
    for (line, answer) in [
        ("enable server apps", "Require 'backend/server'."),
        ("enable server x/s1", "No such backend."),
        ("disable server apps/x", "No such server."),
        (
            "set server apps/s1 state gone",
            "'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
        ),
        ("set weight apps/s1", "Require <weight> or <weight%>."),
        (
            "set weight apps/s1 300",
            "Absolute weight can only be between 0 and 256 inclusive.",
        ),
        (
            "set server apps/s1 addr foo",
            "Invalid addr 'foo' by 'stats socket command'",
        ),
        (
            "show map x",
            "Unknown map identifier. Please use #<id> or <file>.",
        ),
        ("set maxconn frontend web", "Integer value expected."),
        ("set maxconn frontend x 5", "No such frontend."),
    ] {
        assert_eq!(ask(&weir, line).await, format!("{answer}\n"), "{line}");
    }
    let unknown = ask(&weir, "shwo stat").await;
    assert!(
        unknown.starts_with(
            "Unknown command, but maybe one of the following ones is a better match:\n"
        ) && unknown.contains("\n  show stat"),
        "{unknown}"
    );
    let absent = ask(&weir, "show sess").await;
    assert!(absent.starts_with("Weir has no 'show sess': "), "{absent}");
}

#[tokio::test]
async fn each_level_may_do_what_it_is_for() {
    let origin = Origin::start("a").await;
    let sockets = "[[runtime_socket]]\naddress = \"unix:user.sock\"\nlevel = \"user\"\nmode = \"666\"\n\
        [[runtime_socket]]\naddress = \"unix:operator.sock\"\nmode = \"660\"\n\
        [[map]]\nname = \"tiers\"\nfile = \"tiers.map\"\n";
    let weir = Weir::builder()
        .file("tiers.map", "vip gold\n")
        .start(&format!(
            "{ADMIN}{sockets}{}",
            simple(&[origin.address()], "", "")
        ))
        .await;
    let mode = |name: &str| {
        let file = fs::metadata(weir.folder().join(name)).expect("the socket is there");
        file.permissions().mode() & 0o777
    };
    assert_eq!(
        ["user.sock", "operator.sock", "weir.sock"].map(mode),
        [0o666, 0o660, 0o600]
    );
    let allowed = async |name: &str, line: &str| {
        ask_at(&weir.folder().join(name), line).await != "Permission denied\n"
    };
    for (line, user, operator) in [
        ("show stat", true, true),
        ("show map", true, true),
        ("clear counters", false, true),
        ("add map tiers a b", false, true),
        ("clear map tiers", false, true),
        ("set server apps/s1 weight 1", false, false),
        ("disable server apps/s1", false, false),
        ("set maxconn global 100", false, false),
        ("shutdown sessions server apps/s1", false, false),
    ] {
        assert_eq!(allowed("user.sock", line).await, user, "{line}");
        assert_eq!(allowed("operator.sock", line).await, operator, "{line}");
        assert!(allowed("weir.sock", line).await, "{line}");
    }
    let lowered = ask(&weir, "operator; show cli level; enable server apps/s1").await;
    assert_eq!(lowered, "\noperator\n\nPermission denied\n");
}

/// A filter that tells which tier a request is of, by a map.
const TIERS: &str = r#"
    [[map]]
    name = "tiers"
    file = "tiers.map"

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"
    [[frontend.filter]]
    plugin = "group-map"
    maps = ["tiers"]
    config = { map = "tiers", input = { header = "X-User" }, default = "free", backends = { gold = "deluxe", free = "apps" } }
"#;

async fn tiers() -> (Weir, [Origin; 2]) {
    let origins = [Origin::start("apps").await, Origin::start("deluxe").await];
    let mut config = format!("{ADMIN}{TIERS}");
    for origin in &origins {
        config.push_str(&format!(
            "[[backend]]\nname = \"{name}\"\nserver = [{{ name = \"s\", address = \"{}\" }}]\n",
            origin.address(),
            name = origin.name(),
        ));
    }
    let builder = Weir::builder().file("tiers.map", "vip gold\n");
    (builder.start(&config).await, origins)
}

async fn served(weir: &Weir, user: &str) -> String {
    let answer = weir.get_with("/", &[("X-User", user)]).await;
    answer.origin().to_owned()
}

#[tokio::test]
async fn a_map_is_changed_for_the_next_request_and_its_file_is_not() {
    let (weir, _origins) = tiers().await;
    let file = weir.folder().join("tiers.map").display().to_string();
    assert_eq!(served(&weir, "vip").await, "deluxe");
    assert_eq!(served(&weir, "john").await, "apps");

    assert_eq!(ask(&weir, &format!("add map {file} john gold")).await, "");
    assert_eq!(served(&weir, "john").await, "deluxe");
    assert_eq!(ask(&weir, "set map tiers.map vip free").await, "");
    assert_eq!(served(&weir, "vip").await, "apps");
    assert_eq!(
        ask(&weir, "get map #0 john").await,
        "type=str, case=sensitive, found=yes, idx=tree, key=\"john\", value=\"gold\", type=\"str\"\n"
    );
    let listed = ask(&weir, "show map").await;
    assert!(
        listed.contains(&format!("0 ({file}) pattern loaded from file")),
        "{listed}"
    );
    assert!(
        listed.contains("edited since. curr_ver=0 next_ver=0 entry_cnt=2"),
        "{listed}"
    );
    let shown = ask(&weir, &format!("show map {file}")).await;
    let reference = shown
        .lines()
        .find_map(|line| line.strip_suffix(" john gold"))
        .expect("the entry is shown");
    assert_eq!(
        ask(&weir, &format!("del map {file} #{reference}")).await,
        ""
    );
    assert_eq!(served(&weir, "john").await, "apps");
    assert_eq!(
        ask(&weir, &format!("del map {file} john")).await,
        "Key not found.\n"
    );
    assert_eq!(
        ask(&weir, &format!("set map {file} john x")).await,
        "entry not found.\n"
    );
    assert_eq!(
        fs::read_to_string(&file).expect("the file is there"),
        "vip gold\n"
    );
}

#[tokio::test]
async fn many_entries_come_as_text_and_a_new_version_as_a_whole() {
    let (weir, _origins) = tiers().await;
    let many = ask(&weir, "add map tiers <<\n# these\nann gold\nbob  gold \n").await;
    assert_eq!(many, "");
    assert_eq!(served(&weir, "bob").await, "deluxe");

    assert_eq!(
        ask(&weir, "prepare map tiers.map").await,
        "New version created: 1\n"
    );
    assert_eq!(ask(&weir, "add map @1 tiers.map john gold").await, "");
    assert_eq!(served(&weir, "john").await, "apps", "not yet");
    assert_eq!(ask(&weir, "show map @1 tiers.map").await, "0x0 john gold\n");
    assert_eq!(ask(&weir, "commit map @1 tiers.map").await, "");
    assert_eq!(served(&weir, "john").await, "deluxe");
    assert_eq!(served(&weir, "bob").await, "apps");
    assert_eq!(
        ask(&weir, "add map @7 tiers.map a b").await,
        "Version number in the future, please use 'prepare map' before.\n"
    );
    assert_eq!(
        ask(&weir, "commit map @1 tiers.map").await,
        "Version number out of range.\n"
    );
}

#[tokio::test]
async fn a_file_that_changes_goes_before_what_was_edited_and_until_then_edits_stay() {
    let (weir, _origins) = tiers().await;
    assert_eq!(ask(&weir, "add map tiers john gold").await, "");
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        served(&weir, "john").await,
        "deluxe",
        "the file is as it was"
    );
    weir.write_file("tiers.map", "ann gold\n");
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(served(&weir, "john").await, "apps");
    assert_eq!(served(&weir, "ann").await, "deluxe");
}

#[tokio::test]
async fn maps_are_changed_over_http_as_well() {
    let (weir, _origins) = tiers().await;
    drop(weir);
    let origin = Origin::start("a").await;
    let config = format!(
        "watch = false\nadmin = \"unix:admin.sock\"\n[[map]]\nname = \"nets\"\nfile = \"nets.map\"\nmatch = \"cidr\"\n{}",
        simple(&[origin.address()], "", "")
    );
    let weir = Weir::builder()
        .file("nets.map", "10.0.0.0/8 lan\n")
        .start(&config)
        .await;
    let http = async |method: &str, target: &str, body: &str| {
        let answer = weir.admin_with(method, target, body.as_bytes()).await;
        (answer.status(), answer.text())
    };
    let entry = "/maps/nets/entries/192.0.2.0%2F24";
    assert_eq!(
        http("PUT", entry, "guests\n").await,
        (200, "1 entry\n".to_owned())
    );
    let found = http("GET", "/maps/nets/entries/192.0.2.9", "").await;
    assert_eq!(found, (200, "guests\n".to_owned()));
    let all = http("GET", "/maps/nets", "").await.1;
    assert_eq!(all, "10.0.0.0/8 lan\n192.0.2.0/24 guests\n");
    let (status, why) = http("PUT", "/maps/nets/entries/nonsense", "x").await;
    assert!(
        status == 400 && why.contains("`nonsense` is no network"),
        "{why}"
    );
    assert_eq!(http("DELETE", entry, "").await.0, 200);
    assert_eq!(http("DELETE", entry, "").await.0, 404);
    assert_eq!(
        http("PUT", "/maps/nets", "10.0.0.0/8 office\n").await.0,
        200
    );
    assert_eq!(
        http("GET", "/maps/nets/entries/10.1.1.1", "").await.1,
        "office\n"
    );
    assert!(
        http("GET", "/maps", "")
            .await
            .1
            .contains("\"edited\": true")
    );
    assert_eq!(http("POST", "/maps/nets/revert", "").await.0, 200);
    assert_eq!(http("GET", "/maps/nets", "").await.1, "10.0.0.0/8 lan\n");
    assert_eq!(http("GET", "/maps/others", "").await.0, 404);
    assert_eq!(http("POST", "/maps/nets", "").await.0, 405);

    let (status, page) = http("GET", "/stats", "").await;
    assert!(
        status == 200 && page.contains("<caption>apps</caption>"),
        "{page}"
    );
    let (_, csv) = http("GET", "/stats;csv", "").await;
    assert!(
        csv.starts_with("# pxname,svname,") && csv.contains("\napps,s1,"),
        "{csv}"
    );
}

#[tokio::test]
async fn servers_come_and_go_while_clients_are_served() {
    let [one, two] = [Origin::start("1").await, Origin::start("2").await];
    let config = format!("{ADMIN}{}", simple(&[one.address()], "", ""));
    let weir = Weir::start(&config).await;
    let address = two.address();
    let added = ask(
        &weir,
        &format!("add server apps/new {address} weight 2 check"),
    )
    .await;
    assert_eq!(added, "New server registered.\n");
    assert_eq!(
        weir.get("/").await.origin(),
        "1",
        "it begins in maintenance"
    );
    assert_eq!(figure(&weir, "apps", "new", "status").await, "MAINT");
    assert_eq!(ask(&weir, "enable server apps/new").await, "");
    assert_eq!(ask(&weir, "disable server apps/s1").await, "");
    assert_eq!(weir.get("/").await.origin(), "2");
    assert_eq!(figure(&weir, "apps", "new", "weight").await, "2");
    eventually("its check", async || {
        (figure(&weir, "apps", "new", "check_status").await == "L4OK").then_some(())
    })
    .await;

    let taken = ask(&weir, &format!("add server apps/new {address}")).await;
    assert_eq!(
        taken,
        "Already exists a server with the same name in backend.\n"
    );
    let odd = ask(&weir, &format!("add server apps/odd {address} ssl")).await;
    assert!(odd.starts_with("unknown keyword 'ssl'"), "{odd}");
    assert_eq!(
        ask(&weir, "del server apps/new").await,
        "Only servers in maintenance mode can be deleted.\n"
    );
    // Both outlive a reload of the file, which has neither.
    assert_eq!(ask(&weir, "del server apps/s1").await, "Server deleted.\n");
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(weir.get("/").await.origin(), "2");
    let state = ask(&weir, "show servers state").await;
    assert!(
        state.contains(" new ") && !state.contains(" s1 "),
        "{state}"
    );
    assert_eq!(ask(&weir, "disable server apps/new").await, "");
    assert_eq!(ask(&weir, "del server apps/new").await, "Server deleted.\n");
    assert_eq!(weir.get("/").await.status(), 503);
}

#[tokio::test]
async fn limits_are_changed_for_those_who_wait_already() {
    let server = ManualServer::start().await;
    let config = simple(&[server.address()], "", "").trim_end().to_owned();
    let weir = Weir::start(&format!("{ADMIN}{config}\nmax_connections = 1\n")).await;
    let mut first = weir.client().await;
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut held = server.accept().await;
    held.read_head().await;
    let mut second = weir.client().await;
    second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("one to wait", async || {
        (figure(&weir, "apps", "BACKEND", "qcur").await == "1").then_some(())
    })
    .await;
    assert_eq!(ask(&weir, "set maxconn server apps/s1 2").await, "");
    assert_eq!(figure(&weir, "apps", "s1", "slim").await, "2");
    let mut other = server.accept().await;
    assert!(other.read_head().await.starts_with("GET /2 "));
}

#[tokio::test]
async fn sessions_on_a_server_are_ended() {
    let server = ManualServer::start().await;
    let tcp = simple(&[server.address()], "mode = \"tcp\"", "mode = \"tcp\"");
    let weir = Weir::start(&format!("{ADMIN}{tcp}")).await;
    let mut client = weir.client().await;
    client.send("hello").await;
    let mut session = server.accept().await;
    session.read_until("hello").await;
    assert_eq!(ask(&weir, "shutdown sessions server apps/s1").await, "");
    assert_eq!(session.read_to_close().await, "");
    client.expect_close().await;
    weir.stdout_line("Server apps/s1: 1 sessions ended by an administrator")
        .await;
}

#[tokio::test]
async fn upgraded_connections_on_a_server_are_ended() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&format!("{ADMIN}{}", simple(&[server.address()], "", ""))).await;
    let mut client = weir.client().await;
    client
        .send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    connection
        .send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .await;
    assert_eq!(client.response().await.status(), 101);
    client.send("hello").await;
    connection.read_until("hello").await;
    assert_eq!(ask(&weir, "shutdown sessions server apps/s1").await, "");
    assert_eq!(connection.read_to_close().await, "");
    client.expect_close().await;
}

#[tokio::test]
async fn a_prompt_keeps_the_connection() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&format!("{ADMIN}{}", simple(&[origin.address()], "", ""))).await;
    let stream = UnixStream::connect(weir.folder().join("weir.sock")).await;
    let text = "prompt\nshow cli level\nset timeout cli 60\nquit\n";
    let answer = said(stream.expect("it is there"), text).await;
    assert_eq!(answer, "\n> admin\n\n> \n> ");
    // Without one it is closed after the answers to what came together.
    let two = ask(&weir, "show cli level; show backend").await;
    assert_eq!(two, "admin\n\n# name\napps\n");
}

#[tokio::test]
async fn who_says_nothing_or_too_much_is_let_go() {
    let origin = Origin::start("a").await;
    let socket = "[[runtime_socket]]\naddress = \"unix:weir.sock\"\ntimeout = \"300ms\"\n";
    let weir = Weir::start(&format!("{socket}{}", simple(&[origin.address()], "", ""))).await;
    let path = weir.folder().join("weir.sock");
    let stream = UnixStream::connect(&path).await.expect("it is there");
    assert_eq!(said(stream, "show in").await, "");
    let stream = UnixStream::connect(&path).await.expect("it is there");
    let long = "x".repeat(20 << 10);
    assert_eq!(said(stream, &long).await, "The line is too long.\n\n");
    assert_eq!(ask_at(&path, "show cli level").await, "operator\n");
}

#[tokio::test]
async fn a_web_page_cannot_give_commands() {
    let origin = Origin::start("a").await;
    let socket = "[[runtime_socket]]\naddress = \"127.0.0.1:0\"\nlevel = \"admin\"\n";
    let weir = Weir::start(&format!("{socket}{}", simple(&[origin.address()], "", ""))).await;
    let line = weir.log_line("commands are taken").await;
    let address = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address="))
        .expect("it says where");
    let stream = TcpStream::connect(address).await.expect("it listens");
    let page = "POST / HTTP/1.1\r\nHost: x\r\n\r\ndisable server apps/s1\n";
    assert_eq!(said(stream, page).await, "");
    let stream = TcpStream::connect(address).await.expect("it listens");
    assert_eq!(said(stream, "show cli level\n").await, "admin\n\n");
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn sockets_that_a_parent_hands_over_are_listened_on() {
    let origin = Origin::start("a").await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let web = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let control = std::os::unix::net::UnixListener::bind(folder.path().join("control.sock"))
        .expect("a socket can be bound");
    for descriptor in [web.as_fd(), control.as_fd()] {
        fcntl_setfd(descriptor, FdFlags::empty()).expect("it can be left open for a child");
    }
    let file = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n  stats socket fd@{} level admin\n  stats timeout 5s\ndefaults\n  mode http\n  \
         timeout connect 1s\n  timeout client 5s\n  timeout server 5s\nfrontend web\n  bind fd@{}\n  \
         default_backend apps\nbackend apps\n  server s1 {}\n",
        control.as_raw_fd(),
        web.as_raw_fd(),
        origin.address(),
    );
    fs::write(&file, text).expect("a file can be written");
    let mut child = tokio::process::Command::new(Weir::program())
        .args(["run", "--haproxy"])
        .arg(&file)
        .kill_on_drop(true)
        .spawn()
        .expect("the binary can be started");
    let address = web.local_addr().expect("it is bound");
    // The listening sockets are there already, so this waits in their queues until the proxy serves.
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/").await.origin(), "a");
    let socket = folder.path().join("control.sock");
    assert_eq!(ask_at(&socket, "show cli level").await, "admin\n");
    let sockets = ask_at(&socket, "show cli sockets").await;
    assert!(
        sockets.contains(&format!("fd@{} admin all\n", control.as_raw_fd())),
        "{sockets}"
    );
    child.kill().await.expect("it can be ended");
    assert!(socket.exists(), "whoever made it removes it");
}

#[tokio::test]
async fn the_socket_goes_along_when_the_program_is_replaced() {
    let origin = Origin::start("a").await;
    let top = format!("pid_file = \"weir.pid\"\ndrain_timeout = \"5s\"\n{ADMIN}");
    let weir = Weir::start(&format!("{top}{}", simple(&[origin.address()], "", ""))).await;
    let old = weir.pid().to_string();
    let pid = rustix::process::Pid::from_raw(old.parse().expect("a number")).expect("above 0");
    rustix::process::kill_process(pid, rustix::process::Signal::USR2).expect("it runs");
    let new = eventually("a successor", async || {
        let text = fs::read_to_string(weir.folder().join("weir.pid")).ok()?;
        Some(text.trim().to_owned()).filter(|pid| !pid.is_empty() && *pid != old)
    })
    .await;
    let pid = rustix::process::Pid::from_raw(new.parse().expect("a number")).expect("above 0");
    let _successor = Successor(pid);
    weir.log_line("the new process serves").await;
    let socket = weir.folder().join("weir.sock");
    for _ in 0..5 {
        let info = ask_at(&socket, "show info").await;
        assert!(info.contains(&format!("Pid: {new}\n")), "{info}");
    }
}

/// Ends a process that is no child of the test.
struct Successor(rustix::process::Pid);

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(self.0, rustix::process::Signal::KILL);
    }
}
