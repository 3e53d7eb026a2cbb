//! What is believed of servers, by whom it is said, and what follows: checks of all kinds, traffic, agents,
//! operators; backups, slow start, sessions that end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use weir_tests::{Answer, ManualServer, Origin, Weir, eventually, simple};

/// The names of all servers that so many requests reach, in the order of the alphabet.
async fn reached(weir: &Weir, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let response = weir.get("/").await;
        names.push(match response.status() {
            200 => response.origin().to_owned(),
            status => status.to_string(),
        });
    }
    names.sort();
    names.dedup();
    names
}

async fn until_reached(weir: &Weir, wanted: &[&str]) {
    eventually(&format!("requests reaching {wanted:?}"), async || {
        (reached(weir, 8).await == wanted).then_some(())
    })
    .await;
}

/// Servers `s1`, `s2`, … with lines of their own.
fn servers(backend: &str, servers: &[(&Origin, &str)]) -> String {
    let mut config = format!("admin = \"unix:admin.sock\"\n{}", simple(&[], "", backend));
    for (number, (origin, lines)) in (1..).zip(servers) {
        let address = origin.address();
        config += &format!(
            "[[backend.server]]\nname = \"s{number}\"\naddress = \"{address}\"\n{lines}\n"
        );
    }
    config
}

/// How a server stands, by the admin interface.
async fn standing(weir: &Weir, server: usize) -> String {
    let status = weir.admin("GET", "/status").await.text();
    let status: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
    let server = &status["backends"][0]["servers"][server - 1];
    server["state"]
        .as_str()
        .expect("it stands somehow")
        .to_owned()
}

// Backups

#[tokio::test]
async fn backups_serve_only_when_nobody_else_can_and_then_the_first_alone() {
    let [main, first, second] = [
        Origin::start("main").await,
        Origin::start("first").await,
        Origin::start("second").await,
    ];
    const CHECK: &str =
        "check = { http = \"GET /status\", interval = \"30ms\", fall = 1, rise = 1 }";
    let lines = [
        (&main, CHECK),
        (&first, "backup = true"),
        (&second, "backup = true"),
    ];
    let weir = Weir::start(&servers("", &lines)).await;
    assert_eq!(reached(&weir, 6).await, ["main"]);
    main.set_healthy(false);
    until_reached(&weir, &["first"]).await;
    let line = weir.stdout_line("Server apps/s1 is DOWN").await;
    assert!(
        line.contains("0 active and 2 backup servers left"),
        "{line}"
    );
    main.set_healthy(true);
    until_reached(&weir, &["main"]).await;

    weir.write_config(&servers("backups = \"all\"", &lines));
    main.set_healthy(false);
    until_reached(&weir, &["first", "second"]).await;
}

// What an administrator wants

#[tokio::test]
async fn an_administrator_drains_disables_enables_and_weighs_servers() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    let persistence = "persistence = { plugin = \"cookie\", config = { name = \"S\" } }";
    let weir = Weir::start(&servers(persistence, &[(&a, ""), (&b, "")])).await;
    let bound = [("Cookie", "S=s1")];
    assert_eq!(reached(&weir, 4).await, ["a", "b"]);

    let done = weir.admin("POST", "/servers/apps/s1/drain").await;
    assert_eq!((done.status(), done.text().as_str()), (200, "s1 drain\n"));
    assert_eq!(reached(&weir, 4).await, ["b"]);
    assert_eq!(
        weir.get_with("/", &bound).await.origin(),
        "a",
        "it has this client"
    );

    let done = weir.admin("POST", "/servers/apps/s1/disable").await;
    assert_eq!(done.text(), "s1 maintenance\n");
    assert_eq!(weir.get_with("/", &bound).await.origin(), "b");
    // It outlives a reload.
    let start = weir.log_length();
    weir.write_config(&servers(
        &format!("{persistence}\nretries = 1"),
        &[(&a, ""), (&b, "")],
    ));
    weir.next_generation(start).await;
    assert_eq!(reached(&weir, 4).await, ["b"]);

    let done = weir.admin("POST", "/servers/apps/s1/enable").await;
    assert_eq!(done.text(), "s1 up\n");
    assert_eq!(reached(&weir, 4).await, ["a", "b"]);

    let weight = |value: &str| format!("/servers/apps/s1/weight?value={value}");
    assert_eq!(weir.admin("POST", &weight("0")).await.status(), 200);
    assert_eq!(reached(&weir, 4).await, ["b"]);
    assert_eq!(weir.admin("POST", &weight("initial")).await.status(), 200);
    assert_eq!(reached(&weir, 4).await, ["a", "b"]);

    for (target, status) in [
        ("/servers/apps/s1/explode", 400),
        ("/servers/apps/s1/weight?value=many", 400),
        ("/servers/apps/s9/drain", 404),
        ("/servers/nobody/s1/drain", 404),
        ("/servers/apps", 404),
    ] {
        assert_eq!(
            weir.admin("POST", target).await.status(),
            status,
            "{target}"
        );
    }
    let wrong = weir.admin("GET", "/servers/apps/s1/drain").await;
    assert_eq!(wrong.status(), 405);
    weir.stdout_line("Server apps/s1 drains by an administrator")
        .await;
}

#[tokio::test]
async fn a_server_can_begin_in_maintenance() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    let lines = [(&a, ""), (&b, "state = \"maintenance\"")];
    let weir = Weir::start(&servers("", &lines)).await;
    assert_eq!(reached(&weir, 4).await, ["a"]);
    weir.admin("POST", "/servers/apps/s2/enable").await;
    assert_eq!(reached(&weir, 4).await, ["a", "b"]);
}

// Slow start

#[tokio::test]
async fn a_server_that_comes_back_gets_its_share_little_by_little() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    let weir = Weir::start(&servers("slow_start = \"1500ms\"", &[(&a, ""), (&b, "")])).await;
    assert_eq!(standing(&weir, 2).await, "up", "not at the start");
    weir.admin("POST", "/servers/apps/s2/disable").await;
    let done = weir.admin("POST", "/servers/apps/s2/enable").await;
    assert_eq!(done.text(), "s2 starting\n");
    let (before_a, before_b) = (a.answered(), b.answered());
    let mut client = weir.client().await;
    for _ in 0..16 {
        client.get("/").await;
    }
    let (of_a, of_b) = (a.answered() - before_a, b.answered() - before_b);
    assert!(of_a > of_b + 4, "{of_a} to one and {of_b} to the other");
    eventually("its whole share", async || {
        (standing(&weir, 2).await == "up").then_some(())
    })
    .await;
    let (before_a, before_b) = (a.answered(), b.answered());
    for _ in 0..16 {
        client.get("/").await;
    }
    assert_eq!((a.answered() - before_a, b.answered() - before_b), (8, 8));
}

// What traffic shows

#[tokio::test]
async fn errors_in_a_row_mark_a_server_down_and_checks_bring_it_back() {
    let origin = Origin::start("a").await;
    let backend = "check = { http = \"GET /status\", interval = \"400ms\", rise = 1 }\n\
                   observe = { layer = \"layer7\", errors = 3, then = \"mark-down\" }";
    let weir = Weir::start(&servers(backend, &[(&origin, "")])).await;
    eventually("the first check", async || {
        (origin.probes() > 0).then_some(())
    })
    .await;
    origin.answer(Answer::status(500));
    let mut client = weir.client().await;
    // Two errors, a good answer, two errors: never three in a row.
    for good in [false, false, true, false, false, true] {
        origin.answer(Answer::status(if good { 200 } else { 500 }));
        client.get("/").await;
    }
    assert_eq!(standing(&weir, 1).await, "up");
    origin.answer(Answer::status(500));
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status(), 500);
    }
    assert_eq!(client.get("/").await.status(), 503, "at once");
    let line = weir.stdout_line("Server apps/s1 is DOWN").await;
    assert!(
        line.contains("Health analyze, info: \"Detected 3 consecutive errors\""),
        "{line}"
    );
    origin.answer(Answer::echo());
    until_reached(&weir, &["a"]).await;
}

#[tokio::test]
async fn connections_that_cannot_be_made_count_as_failed_checks() {
    let mut origin = Origin::start("a").await;
    let backend = "check = { interval = \"1h\", fall = 2 }\nretries = 0\n\
                   observe = { layer = \"layer4\", errors = 1, then = \"fail-check\" }";
    let weir = Weir::start(&servers(backend, &[(&origin, "")])).await;
    assert_eq!(reached(&weir, 2).await, ["a"]);
    origin.stop().await;
    weir.get("/").await;
    assert_eq!(standing(&weir, 1).await, "up", "one failure of two");
    // Nothing but traffic can take it down here: the next check is an hour away.
    eventually("it being down", async || {
        weir.get("/").await;
        (standing(&weir, 1).await == "down").then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_end_when_their_server_goes_down_if_that_is_wanted() {
    let server = ManualServer::start().await;
    let mut config = servers("on_marked_down = \"shutdown-sessions\"", &[]);
    config += &format!(
        "[[backend.server]]\nname = \"s1\"\naddress = \"{}\"\n",
        server.address()
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut connection = server.accept().await;
    connection.read_head().await;
    weir.admin("POST", "/servers/apps/s1/disable").await;
    assert_eq!(client.response().await.status(), 502);
    assert_eq!(
        connection.read_to_close().await,
        "",
        "the server sees it, too"
    );
}

#[tokio::test]
async fn sessions_on_backups_end_when_the_main_server_is_back_if_that_is_wanted() {
    let backup = ManualServer::start().await;
    let main = Origin::start("main").await;
    let mut config = servers(
        "on_marked_up = \"shutdown-backup-sessions\"",
        &[(&main, "state = \"maintenance\"")],
    );
    config += &format!(
        "[[backend.server]]\nname = \"s2\"\naddress = \"{}\"\nbackup = true\n",
        backup.address()
    );
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut connection = backup.accept().await;
    connection.read_head().await;
    connection
        .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        .await;
    weir.admin("POST", "/servers/apps/s1/enable").await;
    let seen = client.read_to_close().await;
    assert!(
        seen.ends_with(b"begun"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
    assert_eq!(weir.get("/").await.origin(), "main");
}

// Agents

/// An agent that says whatever it is told to say.
struct TestAgent {
    port: u16,
    line: Arc<Mutex<String>>,
}

impl TestAgent {
    async fn start(line: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("ports are free");
        let port = listener.local_addr().expect("it is bound").port();
        let line = Arc::new(Mutex::new(line.to_owned()));
        let says = Arc::clone(&line);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 5];
                let line = match stream.read_exact(&mut asked).await {
                    Ok(_) if asked == *b"state" => says.lock().expect("nobody panics").clone(),
                    _ => continue,
                };
                // Who asked may be gone.
                let _ = stream.write_all(format!("{line}\n").as_bytes()).await;
            }
        });
        Self { port, line }
    }

    fn say(&self, line: &str) {
        *self.line.lock().expect("nobody panics") = line.to_owned();
    }
}

#[tokio::test]
async fn an_agent_drains_stops_and_weighs_its_server() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    let agent = TestAgent::start("up ready 100%").await;
    let port = agent.port;
    let lines = format!("agent = {{ port = {port}, interval = \"30ms\", send = \"state\" }}");
    let weir = Weir::start(&servers("", &[(&a, &lines), (&b, "")])).await;
    until_reached(&weir, &["a", "b"]).await;
    agent.say("drain");
    until_reached(&weir, &["b"]).await;
    assert_eq!(standing(&weir, 1).await, "drain");
    agent.say("ready");
    until_reached(&weir, &["a", "b"]).await;
    agent.say("down # the disk is full");
    until_reached(&weir, &["b"]).await;
    assert_eq!(standing(&weir, 1).await, "down");
    agent.say("up 50%");
    until_reached(&weir, &["a", "b"]).await;
    let before = (a.answered(), b.answered());
    reached(&weir, 12).await;
    let after = (a.answered() - before.0, b.answered() - before.1);
    assert_eq!(after, (4, 8), "half the weight is a third of the traffic");
    agent.say("gibberish");
    weir.stdout_line("the agent said what is not understood: `gibberish`")
        .await;
    assert_eq!(standing(&weir, 1).await, "up", "nothing changes");
}

// Kinds of checks

#[tokio::test]
async fn a_check_can_ask_elsewhere_than_where_the_server_serves() {
    let [serving, telling] = [Origin::start("a").await, Origin::start("status").await];
    let port = telling.address().port();
    let check = format!(
        "check = {{ http = \"GET /status\", port = {port}, interval = \"30ms\", fall = 1, rise = 1 }}"
    );
    let weir = Weir::start(&servers(&check, &[(&serving, "")])).await;
    assert_eq!(reached(&weir, 2).await, ["a"]);
    telling.set_healthy(false);
    until_reached(&weir, &["503"]).await;
    telling.set_healthy(true);
    until_reached(&weir, &["a"]).await;
    assert_eq!(serving.probes(), 0);
}

#[tokio::test]
async fn a_tracked_server_takes_those_that_track_it_along() {
    let [a, b] = [Origin::start("a").await, Origin::start("b").await];
    let check = "check = { http = \"GET /status\", interval = \"30ms\", fall = 1, rise = 1 }";
    let lines = [(&a, check), (&b, "track = \"apps/s1\"")];
    let weir = Weir::start(&servers("", &lines)).await;
    assert_eq!(reached(&weir, 4).await, ["a", "b"]);
    a.set_healthy(false);
    until_reached(&weir, &["503"]).await;
    a.set_healthy(true);
    until_reached(&weir, &["a", "b"]).await;
}

#[tokio::test]
async fn a_server_that_begins_down_gets_clients_once_it_has_passed() {
    let origin = Origin::start("a").await;
    origin.set_healthy(false);
    let check =
        "check = { http = \"GET /status\", interval = \"30ms\", rise = 2, initial = \"down\" }";
    let weir = Weir::start(&servers(check, &[(&origin, "")])).await;
    assert_eq!(weir.get("/").await.status(), 503);
    origin.set_healthy(true);
    until_reached(&weir, &["a"]).await;
}

#[tokio::test]
async fn the_body_of_a_checks_answer_can_be_looked_at() {
    let origin = Origin::start("a").await;
    origin.answer(Answer::body("all is OK here"));
    let check = "check = { http = \"GET /health\", expect_body = \"OK\", interval = \"30ms\", fall = 1, rise = 1 }";
    let weir = Weir::start(&servers(check, &[(&origin, "")])).await;
    let up = async |wanted: &str| {
        eventually(&format!("it being {wanted}"), async || {
            (standing(&weir, 1).await == wanted).then_some(())
        })
        .await;
    };
    up("up").await;
    origin.answer(Answer::body("all is lost"));
    up("down").await;
    weir.stdout_line("HTTP content check did not match").await;
    origin.answer(Answer::body("OK"));
    up("up").await;
}

/// A server that answers each line it gets with `+PONG` or with `-LOADING`.
async fn talker(loading: Arc<Mutex<bool>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("ports are free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = match *loading.lock().expect("nobody panics") {
                true => "-LOADING\r\n",
                false => "+PONG\r\n",
            };
            let mut asked = [0; 6];
            if stream.read_exact(&mut asked).await.is_ok() && asked == *b"PING\r\n" {
                // In pieces, as networks do.
                for byte in answer.as_bytes() {
                    let _ = stream.write_all(&[*byte]).await;
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn a_check_can_be_a_talk() {
    let loading = Arc::new(Mutex::new(false));
    let address = talker(Arc::clone(&loading)).await;
    let check = "check = { steps = [{ send = \"PING\\r\\n\" }, { expect = \"+PONG\" }, { expect_hex = \"0d 0a\" }], \
                 interval = \"30ms\", fall = 1, rise = 1 }";
    let mut config = servers(check, &[]);
    config += &format!("[[backend.server]]\nname = \"s1\"\naddress = \"{address}\"\n");
    let weir = Weir::start(&config).await;
    *loading.lock().expect("nobody panics") = true;
    weir.stdout_line("Server apps/s1 is DOWN, reason: Layer7 invalid response, info: \"step 2")
        .await;
    *loading.lock().expect("nobody panics") = false;
    weir.stdout_line("Server apps/s1 is UP").await;
}

/// Plain HTTP/2 and gRPC as Python's `h2` speaks them: `/health` is 200, and the health service says what
/// the file beside it says.
const H2_SERVER: &str = r#"
import socket, sys, threading
import h2.connection, h2.config, h2.events

def serve(sock):
    conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    conn.initiate_connection()
    sock.sendall(conn.data_to_send())
    while True:
        data = sock.recv(65536)
        if not data:
            return
        for event in conn.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                path = dict(event.headers).get(b":path", dict(event.headers).get(":path"))
                path = path.decode() if isinstance(path, bytes) else path
                if path == "/grpc.health.v1.Health/Check":
                    status = int(open("serving").read())
                    conn.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
                    conn.send_data(event.stream_id, bytes([0, 0, 0, 0, 2, 8, status]))
                    conn.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
                else:
                    conn.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
        out = conn.data_to_send()
        if out:
            sock.sendall(out)

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    sock, _ = listener.accept()
    threading.Thread(target=serve, args=(sock,), daemon=True).start()
"#;

/// The server's port and process, or `None` with the reason printed.
async fn h2_server(folder: &std::path::Path) -> Option<(u16, tokio::process::Child)> {
    let mut child = tokio::process::Command::new("python3")
        .args(["-c", H2_SERVER])
        .current_dir(folder)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    // Left open: what is still to be written must find its reader.
    let stdout = child.stdout.as_mut()?;
    let mut said = [0; 16];
    let read = tokio::time::timeout(Duration::from_secs(10), stdout.read(&mut said)).await;
    let said = String::from_utf8_lossy(&said[..read.ok()?.ok()?]).into_owned();
    let Ok(port) = said.trim().parse() else {
        eprintln!("skipped: python3 has no `h2` here");
        return None;
    };
    Some((port, child))
}

#[tokio::test]
async fn a_check_can_be_asked_in_http_2_and_by_grpcs_health_protocol() {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let serving = folder.path().join("serving");
    std::fs::write(&serving, "1").expect("it can be written");
    let Some((port, _server)) = h2_server(folder.path()).await else {
        return;
    };
    let rhythm = "interval = \"30ms\", fall = 1, rise = 1";
    let mut config = servers("", &[]);
    for (name, check) in [
        ("plain", "http = \"GET /health\", http2 = true"),
        ("grpc", "grpc = \"my.Service\""),
    ] {
        config += &format!(
            "[[backend.server]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n\
             check = {{ {check}, initial = \"down\", {rhythm} }}\n"
        );
    }
    let weir = Weir::start(&config).await;
    weir.stdout_line("Server apps/plain is UP").await;
    weir.stdout_line("Server apps/grpc is UP").await;
    std::fs::write(&serving, "2").expect("it can be written");
    weir.stdout_line("Server apps/grpc is DOWN, reason: Layer7 invalid response, info: \"gRPC says NOT_SERVING\"")
        .await;
    assert_eq!(standing(&weir, 1).await, "up", "the other one is well");
}
