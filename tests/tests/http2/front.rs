//! What a client of HTTP/2 can do before a server of HTTP/1.

use std::process::Stdio;

use tokio::process::Command;
use weir_tests::{
    Answer, CurlOutput, ManualServer, Origin, Reload, Weir, curl, has_program, simple, within,
};

use crate::{both, config, url};

async fn h2(args: &[&str]) -> CurlOutput {
    let mut all = vec!["--http2-prior-knowledge"];
    all.extend(args);
    let output = curl(&all).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    output
}

#[tokio::test]
async fn a_request_reaches_the_server_as_what_it_means_in_http1() {
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "forwarded_for = true", "").await;
    let url = url(&weir, "/a?b=c");
    let output = h2(&["-i", "-H", "cookie: a=1", "-H", "x-mine: y", &url]).await;
    assert!(output.stdout.starts_with("HTTP/2 200"), "{}", output.stdout);
    let request = &origin.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("GET", "/a?b=c")
    );
    assert_eq!(request.version, "HTTP/1.1");
    assert_eq!(
        request.header("host"),
        Some(weir.address("web").to_string().as_str())
    );
    assert_eq!(request.header("x-mine"), Some("y"));
    assert_eq!(request.header("cookie"), Some("a=1"));
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn the_same_address_still_speaks_http1() {
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(weir.get("/PRI").await.status(), 200);
}

#[tokio::test]
async fn http2_is_only_spoken_where_it_was_asked_for() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let output = curl(&["--http2-prior-knowledge", &url(&weir, "/")]).await;
    assert_ne!(output.code, 0, "{}", output.stdout);
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn where_only_http2_is_spoken_others_are_told_so() {
    let origin = Origin::start("a").await;
    let only = config(&[origin.address()], "", "").replace("\"h2\", \"http/1.1\"", "\"h2\"");
    let weir = Weir::start(&only).await;
    assert_eq!(weir.get("/").await.status(), 505);
    assert!(origin.requests().is_empty());
    h2(&[&url(&weir, "/")]).await;
}

#[tokio::test]
async fn bodies_go_both_ways_with_and_without_a_length() {
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    let file = weir.folder().join("body");
    std::fs::write(&file, vec![b'x'; 3_000_000]).expect("the folder can be written to");
    let data = format!("@{}", file.display());
    h2(&["--data-binary", &data, &url(&weir, "/length")]).await;
    let chunked = [
        "-H",
        "content-length:",
        "-T",
        file.to_str().expect("it is text"),
    ];
    let url = url(&weir, "/chunks");
    h2(&[&chunked[..], &["-X", "POST", &url]].concat()).await;
    let requests = origin.requests();
    assert_eq!(requests[0].header("content-length"), Some("3000000"));
    assert!(
        requests
            .iter()
            .all(|request| request.body.len() == 3_000_000)
    );
}

#[tokio::test]
async fn head_and_answers_without_a_body_end_with_their_head() {
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "", "").await;
    let output = h2(&["-I", &url(&weir, "/")]).await;
    assert!(
        output.stdout.contains("content-length: "),
        "{}",
        output.stdout
    );
    origin.answer(Answer::status(204));
    let output = h2(&["-i", &url(&weir, "/")]).await;
    assert!(output.stdout.starts_with("HTTP/2 204"), "{}", output.stdout);
}

#[tokio::test]
async fn an_answer_of_the_proxys_own_is_one_of_http2() {
    let weir = both(&[], "", "").await;
    let output = h2(&["-i", &url(&weir, "/")]).await;
    assert!(output.stdout.starts_with("HTTP/2 503"), "{}", output.stdout);
    assert!(
        output.stdout.contains("No server is available"),
        "{}",
        output.stdout
    );
    assert!(
        !output.stdout.to_lowercase().contains("connection:"),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_not_taken_for_complete() {
    let server = ManualServer::start().await;
    let weir = both(&[server.address()], "", "").await;
    let url = url(&weir, "/");
    let args = ["--http2-prior-knowledge", &url];
    let asking = curl(&args);
    let serving = async {
        let mut connection = server.accept().await;
        connection.read_head().await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await;
    };
    let (output, ()) = tokio::join!(asking, serving);
    assert_eq!(output.code, 92, "a stream error: {}", output.stderr);
}

#[tokio::test]
async fn interim_answers_are_passed_on() {
    let server = ManualServer::start().await;
    let weir = both(&[server.address()], "", "").await;
    let url = url(&weir, "/");
    let args = ["-i", "-H", "expect: 100-continue", "-d", "hello", &url];
    let asking = h2(&args);
    let serving = async {
        let mut connection = server.accept().await;
        let head = connection.read_head().await.to_lowercase();
        assert!(head.contains("\r\nexpect: 100-continue\r\n"), "{head}");
        connection
            .send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
            .await;
        connection.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        connection.read_until("hello").await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await;
    };
    let (output, ()) = tokio::join!(asking, serving);
    assert!(output.stdout.starts_with("HTTP/2 103"), "{}", output.stdout);
    assert!(output.stdout.contains("link: x"), "{}", output.stdout);
    assert!(output.stdout.contains("HTTP/2 200"), "{}", output.stdout);
}

#[tokio::test]
async fn log_and_counters_say_what_they_say_of_http1() {
    let origin = Origin::start("a").await;
    let config = format!(
        "admin = \"unix:admin.sock\"\n[[log]]\nto = \"stdout\"\nformat = \"httplog\"\n{}",
        config(&[origin.address()], "", "")
    );
    let weir = Weir::start(&config).await;
    h2(&[&url(&weir, "/logged")]).await;
    let line = weir.stdout_line("/logged").await;
    assert!(
        line.contains(" web apps/s1 ") && line.contains(" 200 "),
        "{line}"
    );
    assert!(line.ends_with("\"GET /logged HTTP/2.0\""), "{line}");
    let metrics = weir.admin("GET", "/metrics").await.text();
    for line in [
        "weir_frontend_http2_connections_total{frontend=\"web\"} 1",
        "weir_frontend_requests_total{frontend=\"web\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{}", metrics);
    }
}

#[tokio::test]
async fn the_body_limit_holds_for_bodies_of_any_kind() {
    let origin = Origin::start("a").await;
    let weir = both(&[origin.address()], "limits = { body = \"1KiB\" }", "").await;
    let long = "x".repeat(5000);
    let url = url(&weir, "/");
    for how in [
        &["-d", long.as_str()][..],
        &["-H", "content-length:", "-d", &long],
    ] {
        let args = [&["-o", "/dev/null", "-w", "%{http_code}"], how, &[&url]].concat();
        assert_eq!(h2(&args).await.stdout, "413");
    }
}

#[tokio::test]
async fn filters_see_the_version_and_rules_hold() {
    let origin = Origin::start("a").await;
    let rules = "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n\
        match.secret = { path = { prefix = \"/secret\" } }\nrule = [{ when = \"secret\", deny = 403 }]";
    let weir = both(&[origin.address()], rules, "").await;
    for target in ["/secret", "/%73ecret", "/a/../secret", "//secret"] {
        let args = ["--path-as-is", "-o", "/dev/null", "-w", "%{http_code}"];
        let url = url(&weir, target);
        assert_eq!(
            h2(&[&args[..], &[&url]].concat()).await.stdout,
            "403",
            "{target}"
        );
    }
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn thousands_of_requests_on_few_connections_are_all_answered() {
    if !has_program("h2load") {
        return;
    }
    let origin = Origin::start("a").await;
    origin.forget_requests();
    let weir = both(&[origin.address()], "", "").await;
    let url = url(&weir, "/");
    let load = Command::new("h2load")
        .args(["-n", "2000", "-c", "4", "-m", "32", &url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = within("h2load", load).await.expect("h2load was there");
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("2000 succeeded, 0 failed"), "{output}");
}

#[tokio::test]
async fn a_proxy_that_stops_finishes_what_runs_on_a_connection() {
    let server = ManualServer::start().await;
    let weir = both(&[server.address()], "", "").await;
    let url = url(&weir, "/");
    let args = [url.as_str()];
    let asking = h2(&args);
    let serving = async {
        let mut connection = server.accept().await;
        connection.read_head().await;
        weir.terminate();
        weir.log_line("draining").await;
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .await;
    };
    let (output, ()) = tokio::join!(asking, serving);
    assert_eq!(output.stdout, "done");
    assert!(weir.exited().await.status.success());
}

#[tokio::test]
async fn a_listener_that_a_reload_takes_away_lets_its_clients_finish() {
    let server = ManualServer::start().await;
    let weir = both(&[server.address()], "", "").await;
    let url = url(&weir, "/");
    let args = [url.as_str()];
    let asking = h2(&args);
    let serving = async {
        let mut connection = server.accept().await;
        connection.read_head().await;
        weir.write_config(&simple(&[server.address()], "", "").replace("\"web\"", "\"other\""));
        assert_eq!(weir.reload().await, Reload::Loaded);
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .await;
    };
    let (output, ()) = tokio::join!(asking, serving);
    assert_eq!(output.stdout, "done");
}
