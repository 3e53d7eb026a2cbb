//! Answers compressed on their way, undone by curl and by Python: other people's libraries.

use std::{process::Stdio, time::Instant};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use weir_tests::{
    Answer, Client, ManualServer, Origin, Script, Weir, can_run, curl, simple, within,
};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
const KINDS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];
const GZIP: &[(&str, &str)] = &[("Accept-Encoding", "gzip")];

const H2_SERVER: Script = Script {
    file: "h2_server.py",
    modules: &["h2"],
};

/// Text that has much in common with itself.
fn text(bytes: usize) -> String {
    let words = (0..).map(|n| format!("line {n} of a page like many others\n"));
    let mut text: String = words.take(bytes / 30 + 1).collect();
    text.truncate(bytes);
    text
}

fn page(bytes: usize) -> Answer {
    Answer::body(text(bytes)).header("Content-Type", "text/plain; charset=utf-8")
}

/// A proxy that compresses, for clients of both versions.
async fn weir(origin: &Origin, how: &str) -> Weir {
    Weir::start(&config(origin.address(), how)).await
}

fn config(server: std::net::SocketAddr, how: &str) -> String {
    let config = simple(&[server], &format!("compression = {how}"), "");
    let config = config.replace(
        "bind = [\"127.0.0.1:0\"]",
        "bind = [{ address = \"127.0.0.1:0\", protocols = [\"h2\", \"http/1.1\"] }]",
    );
    format!("admin = \"unix:admin.sock\"\n{config}")
}

fn url(weir: &Weir) -> String {
    format!("http://{}/", weir.address("web"))
}

async fn metric(weir: &Weir, name: &str) -> u64 {
    let mut admin = Client::connect_unix(&weir.folder().join("admin.sock"))
        .await
        .expect("administrators are served");
    let metrics = admin
        .request("GET", "/metrics", &[("Host", "localhost")], b"")
        .await
        .text();
    let start = format!("weir_compression_{name}_total{{frontend=\"web\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {start} in\n{metrics}"))
        .parse()
        .expect("a counter is a number")
}

#[tokio::test]
async fn curl_reads_each_coding_over_both_versions_of_http() {
    let origin = Origin::start("a").await;
    let body = text(200_000);
    for chunked in [false, true] {
        let answer = match chunked {
            false => Answer::body(body.clone()),
            true => {
                let pieces: Vec<&[u8]> = body.as_bytes().chunks(777).collect();
                Answer::chunks(&pieces)
            }
        };
        origin.answer(answer.header("Content-Type", "text/plain"));
        for coding in CODINGS {
            let weir = weir(&origin, &format!("{{ algorithms = [\"{coding}\"] }}")).await;
            for kind in KINDS {
                let head = weir.folder().join("head");
                let head = head.to_str().expect("a folder with a plain name");
                let output = curl(&[kind, "--compressed", "-D", head, &url(&weir)]).await;
                assert_eq!(output.code, 0, "{coding} {kind}: {}", output.stderr);
                assert!(output.stdout == body, "{coding} {kind} chunked={chunked}");
                let fields = std::fs::read_to_string(head).expect("curl wrote it");
                let fields = fields.to_lowercase();
                assert!(
                    fields.contains(&format!("content-encoding: {coding}\r\n")),
                    "{fields}"
                );
                assert!(fields.contains("vary: accept-encoding\r\n"), "{fields}");
                assert!(!fields.contains("content-length"), "{fields}");
            }
            assert_eq!(metric(&weir, "responses").await, 2);
            assert_eq!(metric(&weir, "taken_bytes").await, 400_000);
            assert!(metric(&weir, "given_bytes").await < 100_000);
        }
    }
}

#[tokio::test]
async fn what_a_server_of_http2_says_is_compressed_too() {
    if !can_run(H2_SERVER) {
        return;
    }
    let server = H2_SERVER.serve(&[]).await;
    for coding in CODINGS {
        let how = format!("{{ algorithms = [\"{coding}\"], types = [\"*/*\"] }}");
        let config = config(server.address(), &how)
            .replace("name = \"apps\"", "name = \"apps\"\nprotocol = \"h2\"");
        let weir = Weir::start(&config).await;
        for kind in KINDS {
            let url = format!("{}length", url(&weir));
            let output = curl(&[kind, "--compressed", &url]).await;
            assert!(
                output.stdout == "x".repeat(60_000),
                "{coding} {kind}: {}",
                output.stderr
            );
            // This one has trailers.
            let url = format!("http://{}/", weir.address("web"));
            let output = curl(&[kind, "--compressed", "-i", &url]).await;
            assert!(
                output.stdout.contains("\"connection\""),
                "{}",
                output.stdout
            );
            assert!(
                output.stdout.to_lowercase().contains("x-trailer: last"),
                "{}",
                output.stdout
            );
        }
        assert_eq!(metric(&weir, "responses").await, 4, "{coding}");
    }
}

#[tokio::test]
async fn the_client_chooses_and_the_order_of_the_file_breaks_ties() {
    let origin = Origin::start("a").await;
    origin.answer(page(5_000));
    let weir = weir(&origin, "{ algorithms = [\"br\", \"gzip\"] }").await;
    for (accept, expected) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip", Some("gzip")),
        ("br;q=0.1, gzip;q=0.2", Some("gzip")),
        ("*", Some("br")),
        ("br;q=0, *;q=0.5", Some("gzip")),
        ("identity;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("zstd", None),
        ("", None),
    ] {
        let answer = weir.get_with("/", &[("Accept-Encoding", accept)]).await;
        assert_eq!(answer.header("content-encoding"), expected, "{accept}");
        assert_eq!(answer.headers("vary"), ["Accept-Encoding"], "{accept}");
        if expected.is_none() {
            assert_eq!(answer.header("content-length"), Some("5000"), "{accept}");
            assert_eq!(answer.text(), text(5_000));
        }
    }
    let silent = weir.get("/").await;
    assert_eq!(silent.header("content-encoding"), None, "it said nothing");
}

#[tokio::test]
async fn what_must_not_be_compressed_is_passed_on_as_it_came() {
    let origin = Origin::start("a").await;
    let weir = weir(&origin, "true").await;
    for (why, answer) in [
        ("encoded", page(5_000).header("Content-Encoding", "x-own")),
        (
            "no-transform",
            page(5_000).header("Cache-Control", "public, no-transform"),
        ),
        (
            "a part",
            page(5_000)
                .with_status(206)
                .header("Content-Range", "bytes 0-4999/9000"),
        ),
        ("short", page(1_023)),
        (
            "a picture",
            Answer::body(text(5_000)).header("Content-Type", "image/png"),
        ),
        ("no type", Answer::body(text(5_000))),
        (
            "frames",
            Answer::body(text(5_000)).header("Content-Type", "multipart/mixed"),
        ),
    ] {
        let (before, skipped) = (answer.clone(), metric(&weir, "skipped").await);
        origin.answer(
            before
                .header("ETag", "\"a\"")
                .header("Accept-Ranges", "bytes"),
        );
        let answer = weir.get_with("/", GZIP).await;
        assert!(
            ["x-own"].contains(&answer.header("content-encoding").unwrap_or("x-own")),
            "{why}"
        );
        assert_eq!(answer.text(), text(answer.body().len()), "{why}");
        assert_eq!(answer.header("etag"), Some("\"a\""), "{why}");
        assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{why}");
        assert_eq!(answer.header("vary"), None, "{why}");
        assert_eq!(metric(&weir, "skipped").await, skipped + 1, "{why}");
    }
    origin.answer(page(5_000));
    let head = weir.request("HEAD", "/", GZIP, b"").await;
    assert_eq!(head.header("content-length"), Some("5000"));
    assert_eq!(head.header("content-encoding"), None);
    let asked = [
        ("Accept-Encoding", "gzip"),
        ("Cache-Control", "no-transform"),
    ];
    assert_eq!(
        weir.get_with("/", &asked).await.header("content-encoding"),
        None
    );
    let mut old = weir.client().await;
    old.send("GET / HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        .await;
    assert_eq!(
        old.response().await.header("content-encoding"),
        None,
        "HTTP/1.0"
    );
    assert_eq!(metric(&weir, "responses").await, 0);
}

#[tokio::test]
async fn a_head_says_what_became_of_the_body_and_a_304_knows_its_tag() {
    let origin = Origin::start("a").await;
    let weir = weir(&origin, "true").await;
    let whole = page(5_000)
        .header("ETag", "\"a\"")
        .header("Vary", "Origin")
        .header("Accept-Ranges", "bytes")
        .header("Content-MD5", "x");
    origin.answer_with(move |request| match request.header("if-none-match") {
        // Servers compare weakly.
        Some("W/\"a\"") => Answer::status(304).header("ETag", "\"a\""),
        _ => whole.clone(),
    });
    let first = weir.get_with("/", GZIP).await;
    assert_eq!(first.header("content-encoding"), Some("gzip"));
    assert_eq!(first.header("etag"), Some("W/\"a\""));
    assert_eq!(first.headers("vary"), ["Origin, Accept-Encoding"]);
    assert_eq!(first.header("accept-ranges"), None);
    assert_eq!(first.header("content-md5"), None);
    let again = [("Accept-Encoding", "gzip"), ("If-None-Match", "W/\"a\"")];
    let again = weir.get_with("/", &again).await;
    assert_eq!(
        (again.status(), again.header("etag")),
        (304, Some("W/\"a\""))
    );
}

#[tokio::test]
async fn servers_need_not_know_what_clients_accept() {
    let origin = Origin::start("a").await;
    for (hide, expected) in [("false", vec!["gzip".to_owned()]), ("true", vec![])] {
        let how = format!("{{ hide_accept_encoding = {hide}, min_size = \"1GiB\" }}");
        let weir = weir(&origin, &how).await;
        let answer = weir.get_with("/", GZIP).await;
        assert_eq!(answer.forwarded("accept-encoding"), expected, "{hide}");
    }
}

#[tokio::test]
async fn a_backend_has_the_last_word() {
    let origin = Origin::start("a").await;
    origin.answer(page(5_000));
    for (frontend, backend, expected) in [
        ("", "compression = true", Some("zstd")),
        ("compression = true", "compression = false", None),
        (
            "compression = true",
            "compression = { algorithms = [\"br\"] }",
            Some("br"),
        ),
        ("compression = false", "", None),
        ("", "", None),
    ] {
        let weir = Weir::start(&simple(&[origin.address()], frontend, backend)).await;
        let all = [("Accept-Encoding", "gzip, br, zstd")];
        let answer = weir.get_with("/", &all).await;
        assert_eq!(
            answer.header("content-encoding"),
            expected,
            "{frontend} {backend}"
        );
    }
}

#[tokio::test]
async fn both_connections_are_kept_and_trailers_come_along() {
    let origin = Origin::start("a").await;
    origin.answer(
        Answer::chunks(&[b"a".repeat(4_000).as_slice(), b"b".repeat(4_000).as_slice()])
            .header("Content-Type", "text/plain")
            .trailer("X-Sum", "1")
            .trailer("Digest", "sha-256=x"),
    );
    let weir = weir(&origin, "true").await;
    let mut client = weir.client().await;
    for _ in 0..3 {
        let answer = client.get_with("/", GZIP).await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert_eq!(
            answer.trailers(),
            ["X-Sum: 1"],
            "a digest of other bytes is none"
        );
        assert!(answer.body().len() < 200);
    }
    assert_eq!(origin.connections(), 1);
}

/// A server that says something, waits until it got through, and only then says more.
#[tokio::test]
async fn what_trickles_is_not_held_back() {
    for coding in CODINGS {
        for kind in KINDS {
            let server = ManualServer::start().await;
            let how = format!("{{ algorithms = [\"{coding}\"] }}");
            let weir = Weir::start(&config(server.address(), &how)).await;
            let mut reader = Command::new("curl")
                .args(["--disable", "-sSN", "--noproxy", "*", kind, "--compressed"])
                .arg(url(&weir))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("curl is installed");
            let lines = reader.stdout.take().expect("stdout is piped");
            let mut lines = BufReader::new(lines).lines();
            let mut connection = server.accept().await;
            connection.read_head().await;
            connection
                .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for n in 0..20 {
                let event = format!("data: {n}\n");
                connection
                    .send(format!("{:x}\r\n{event}\r\n", event.len()))
                    .await;
                let line = within("the event", lines.next_line()).await;
                let line = line.expect("curl writes text").expect("and goes on");
                assert_eq!(line, format!("data: {n}"), "{coding} {kind}");
            }
            connection.send("0\r\n\r\n").await;
            assert_eq!(within("the end", lines.next_line()).await.unwrap(), None);
            assert!(within("curl", reader.wait()).await.unwrap().success());
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let origin = Origin::start("a").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n";
    origin.answer(Answer::bytes(format!("{head}{}", text(50_000))));
    let weir = weir(&origin, "true").await;
    for (kind, code) in [(KINDS[0], 18), (KINDS[1], 92)] {
        let output = curl(&[kind, "--compressed", &url(&weir)]).await;
        assert_eq!(output.code, code, "{kind}: {}", output.stderr);
    }
}

#[tokio::test]
async fn a_hundred_mebibytes_pass_in_a_few() {
    const PIECES: usize = 1_600;
    let server = ManualServer::start().await;
    let weir = Weir::start(&config(server.address(), "true")).await;
    let piece = text(64 * 1024);
    let before = weir.memory();
    for coding in CODINGS {
        let sum = format!(
            "curl --disable -sS --noproxy '*' -H 'Accept-Encoding: {coding}' --compressed {} | cksum",
            url(&weir)
        );
        let reader = Command::new("sh")
            .args(["-c", &sum])
            .kill_on_drop(true)
            .output();
        let send = async {
            let mut connection = server.accept().await;
            connection.read_head().await;
            let length = PIECES * piece.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            connection.send(head).await;
            let mut most = 0;
            for _ in 0..PIECES {
                connection.send(&piece).await;
                most = most.max(weir.memory());
            }
            most
        };
        let began = Instant::now();
        let (read, most) = tokio::join!(reader, send);
        let read = String::from_utf8(read.expect("there is a shell").stdout).expect("text");
        assert!(
            read.contains(&format!(" {}", PIECES * piece.len())),
            "{coding}: {read}"
        );
        let grown = most.saturating_sub(before);
        // What a compressor looks back at, twice over, since the allocator keeps what was freed for a while.
        assert!(grown < 32 << 20, "{coding}: {grown} bytes more");
        eprintln!(
            "{coding}: 100 MiB in {:?}, {} KiB more",
            began.elapsed(),
            grown / 1024
        );
    }
}

#[tokio::test]
async fn beyond_the_most_at_a_time_answers_are_passed_on_as_they_come() {
    let server = ManualServer::start().await;
    let weir = Weir::start(&config(server.address(), "{ max_streams = 2 }")).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n";
    let mut held = Vec::new();
    for expected in [Some("gzip"), Some("gzip"), None] {
        let mut client = weir.client().await;
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            .await;
        let mut connection = server.accept().await;
        connection.read_head().await;
        connection.send(head).await;
        if expected.is_some() {
            // Its head is there once its first bytes are.
            assert!(String::from_utf8_lossy(&client.read_some().await).contains("gzip"));
            held.push((client, connection));
            continue;
        }
        connection.send("0\r\n\r\n").await;
        let answer = client.response().await;
        assert_eq!(
            (answer.header("content-encoding"), answer.text().as_str()),
            (None, "body")
        );
    }
    assert_eq!(metric(&weir, "skipped").await, 1);
}
