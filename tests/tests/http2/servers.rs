//! Servers of HTTP/2, and what becomes of requests when they refuse, leave or fall silent.

use serde_json::Value;
use weir_tests::{CurlOutput, PythonServer, Script, Weir, can_run, curl};

use crate::{config, url};

const SERVER: Script = Script {
    file: "h2_server.py",
    modules: &["h2"],
};

async fn set_up(frontend: &str, backend: &str) -> Option<(PythonServer, Weir)> {
    if !can_run(SERVER) {
        return None;
    }
    let server = SERVER.serve(&[]).await;
    let backend = format!("protocol = \"h2\"\n{backend}");
    let weir = Weir::start(&config(&[server.address()], frontend, &backend)).await;
    Some((server, weir))
}

async fn ask(weir: &Weir, args: &[&str], target: &str) -> CurlOutput {
    let url = url(weir, target);
    curl(&[args, &[&url]].concat()).await
}

fn json(output: &CurlOutput) -> Value {
    serde_json::from_str(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", output.stdout, output.stderr))
}

fn field<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let fields = answer["fields"].as_array().expect("fields are a list");
    fields
        .iter()
        .filter(|field| field[0] == name)
        .filter_map(|field| field[1].as_str())
        .collect()
}

const KINDS: [&[&str]; 2] = [&["--http1.1"], &["--http2-prior-knowledge"]];

#[tokio::test]
async fn a_request_of_either_version_becomes_one_of_http2() {
    let Some((_server, weir)) = set_up("forwarded_for = true", "").await else {
        return;
    };
    for kind in KINDS {
        let args = [kind, &["-H", "x-mine: y", "-H", "connection: close"]].concat();
        let answer = json(&ask(&weir, &args, "/a?b=c").await);
        let authority = weir.address("web").to_string();
        for (name, expected) in [
            (":method", vec!["GET"]),
            (":path", vec!["/a?b=c"]),
            (":scheme", vec!["http"]),
            (":authority", vec![authority.as_str()]),
            ("x-mine", vec!["y"]),
            ("x-forwarded-for", vec!["127.0.0.1"]),
            ("host", vec![]),
            ("connection", vec![]),
            ("transfer-encoding", vec![]),
        ] {
            assert_eq!(field(&answer, name), expected, "{kind:?} {name}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_http2_becomes_one_of_the_clients_version() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    let mut client = weir.client().await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    client.send("GET /length HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.header("content-length"), Some("60000"));
    assert_eq!(response.body().len(), 60_000);
    client.send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.header("content-length"), Some("0"));
    client.send("GET /x HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let all = String::from_utf8(client.read_to_close().await).expect("it is text");
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    assert!(!all.to_lowercase().contains("transfer-encoding"), "{all}");
    assert!(
        all.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"),
        "{all}"
    );
}

#[tokio::test]
async fn trailers_pass_from_chunks_to_frames_and_back() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    let mut client = weir.client().await;
    client
        .send(
            "POST /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\
             Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: 5\r\n\r\n",
        )
        .await;
    let all = String::from_utf8(client.read_to_close().await).expect("it is text");
    assert!(
        all.contains("\"trailers\": [[\"x-checksum\", \"5\"]]"),
        "{all}"
    );
    assert!(all.contains("[\"te\", \"trailers\"]"), "{all}");
    assert!(all.contains("\"body\": 5"), "{all}");
    assert!(all.ends_with("0\r\nx-trailer: last\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn bodies_reach_the_server_whatever_version_they_came_in() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    let file = weir.folder().join("body");
    std::fs::write(&file, vec![b'x'; 3_000_000]).expect("the folder can be written to");
    let data = format!("@{}", file.display());
    for kind in KINDS {
        let args = [kind, &["--data-binary", &data]].concat();
        let answer = json(&ask(&weir, &args, "/x").await);
        assert_eq!(answer["body"], 3_000_000, "{kind:?}");
        assert_eq!(field(&answer, "content-length"), ["3000000"], "{kind:?}");
        let coding = match kind[0] {
            "--http1.1" => "transfer-encoding: chunked",
            _ => "x-coding: none",
        };
        let chunked = ["-X", "POST", "-H", "content-length:", "-H", coding, "-T"];
        let path = file.to_str().expect("it is text");
        let args = [kind, &chunked, &[path]].concat();
        let answer = json(&ask(&weir, &args, "/x").await);
        assert_eq!(answer["body"], 3_000_000, "{kind:?}, without a length");
    }
}

#[tokio::test]
async fn interim_answers_of_http2_are_passed_on() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    for kind in KINDS {
        let output = ask(&weir, &[kind, &["-i"]].concat(), "/hints").await.stdout;
        assert!(
            output.contains(" 103") && output.contains("link: x"),
            "{output}"
        );
        assert!(output.contains(" 200"), "{output}");
    }
}

#[tokio::test]
async fn a_server_of_http2_cannot_switch_protocols() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    for kind in KINDS {
        let output = ask(&weir, &[kind, &["-i"]].concat(), "/switch")
            .await
            .stdout;
        assert!(output.contains(" 502"), "{output}");
        assert!(!output.contains(" 101"), "{output}");
    }
    let mut client = weir.client().await;
    client.send("GET /switch HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 502);
}

#[tokio::test]
async fn requests_share_a_connection_as_long_as_it_has_room() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    // Workers have connections of their own, so it is one client that asks.
    let mut client = weir.client().await;
    let mut seen = Vec::new();
    for _ in 0..10 {
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let body = client.response().await.text();
        seen.push(serde_json::from_str::<Value>(&body).expect("JSON")["connection"].clone());
    }
    assert!(seen.iter().all(|number| *number == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn what_a_server_refused_unprocessed_is_tried_again_whatever_it_is() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    let output = ask(&weir, &["-X", "POST"], "/refuse").await;
    assert_eq!(json(&output)["body"], 0);
    let output = ask(&weir, &["-X", "POST"], "/goaway").await;
    assert_eq!(json(&output)["body"], 0);
    // Here nobody knows, so only what does no harm twice is sent again: on a connection that was used before.
    let mut client = weir.client().await;
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 200);
    client.send("GET /lost HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_a_server_broke_off_is_not_taken_for_complete() {
    let Some((_server, weir)) = set_up("", "").await else {
        return;
    };
    for target in ["/cut", "/vanish"] {
        let over_http1 = ask(&weir, &["--http1.1"], target).await;
        assert_eq!(over_http1.code, 18, "{target}: {}", over_http1.stderr);
        let over_http2 = ask(&weir, &["--http2-prior-knowledge"], target).await;
        assert_eq!(over_http2.code, 92, "{target}: {}", over_http2.stderr);
    }
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_is_given_up() {
    let backend = "http2 = { ping_interval = \"100ms\", ping_timeout = \"200ms\" }";
    let Some((_server, weir)) = set_up("", backend).await else {
        return;
    };
    let output = ask(&weir, &["-o", "/dev/null", "-w", "%{http_code}"], "/mute").await;
    assert_eq!(
        output.stdout, "502",
        "long before the server's 50 s are over"
    );
    assert_eq!(json(&ask(&weir, &[], "/x").await)["body"], 0);
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_no_server() {
    let origin = weir_tests::Origin::start("a").await;
    let backend = "protocol = \"h2\"\nretries = 0\ntimeouts = { connect = \"500ms\" }";
    let weir = Weir::start(&config(&[origin.address()], "", backend)).await;
    assert_eq!(weir.get("/asked").await.status(), 503);
    // A server of HTTP/1 takes the first bytes for strange requests; this one must not be among them.
    let requests = origin.requests();
    assert!(
        requests.iter().all(|request| request.target != "/asked"),
        "{requests:?}"
    );
}
