//! Messages that two readers could understand differently are refused whole: by status, by a closed
//! connection, and by the other side never hearing of them. What servers answer is held to the same rules.

use weir_tests::{After, Answer, ManualServer, Origin, Weir, simple};

/// Would be answered if anything before it were taken for a complete message.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

/// A proxy before a server that must not be asked.
struct Guarded {
    origin: Origin,
    weir: Weir,
}

impl Guarded {
    async fn start() -> Self {
        let origin = Origin::start("a").await;
        let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
        Self { origin, weir }
    }

    /// Sends `bytes` with a hidden request behind them and expects one answer of that status, the
    /// end of the connection, and a server that was not asked.
    async fn refuses(&self, bytes: impl AsRef<[u8]>, status: u16) {
        let bytes = bytes.as_ref();
        let mut client = self.weir.client().await;
        // The proxy may answer and close before it has everything.
        let _ = client.try_send([bytes, HIDDEN.as_bytes()].concat()).await;
        let answer = client.read_to_close().await;
        let answer = String::from_utf8_lossy(&answer);
        let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{sent:?} got {answer:?}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{sent:?} got {answer:?}"
        );
        assert!(
            answer.to_lowercase().contains("connection: close\r\n"),
            "{answer}"
        );
        let asked = self.origin.requests();
        assert!(asked.is_empty(), "{sent:?} reached the server as {asked:?}");
    }

    async fn refuses_all<T: AsRef<[u8]>>(
        &self,
        messages: impl IntoIterator<Item = T>,
        status: u16,
    ) {
        for message in messages {
            self.refuses(message, status).await;
        }
        assert_eq!(
            self.weir.get("/").await.status(),
            200,
            "others are served as before"
        );
    }
}

fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

#[tokio::test]
async fn a_request_with_both_a_length_and_chunks_is_refused() {
    let guarded = Guarded::start().await;
    let requests = [
        post(
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
        ),
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "0\r\n\r\n",
        ),
        post(
            "content-length: 0\r\ntransfer-encoding: CHUNKED",
            "0\r\n\r\n",
        ),
    ];
    guarded.refuses_all(requests, 400).await;
}

#[tokio::test]
async fn a_length_that_is_not_one_plain_number_is_refused() {
    let guarded = Guarded::start().await;
    let values = [
        "+5",
        "-5",
        "0x5",
        "1_0",
        "\"5\"",
        "5,6",
        "5, 5",
        "5 5",
        "5;",
        "5.0",
        "",
        " ",
        "\x0b5",
        "5\x0c",
        "\x005",
        "\u{ff15}",
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999999",
    ];
    let odd = values.map(|value| post(&format!("Content-Length: {value}"), "hello"));
    let lines = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\ncontent-length: 0",
        "Content-Length : 5",
        "Content-Length\t: 5",
        "Content-Length 5",
        "Content-Length:\r\n 5",
        " Content-Length: 5",
        "Content-Length: 5\r\n , 6",
    ];
    let odd_lines = lines.map(|line| post(line, "hello"));
    guarded
        .refuses_all(odd.into_iter().chain(odd_lines), 400)
        .await;
}

#[tokio::test]
async fn a_disguised_transfer_encoding_is_refused_with_and_without_a_length() {
    let guarded = Guarded::start().await;
    let disguises = [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: x-chunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chun ked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x0c",
        "Transfer-Encoding: chunked\x00",
        "Transfer-Encoding: \u{a0}chunked",
        "Transfer-Encoding: \u{85}chunked",
        "Transfer-Encoding: chun\u{212a}ed",
        "Transfer-Encoding:",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: \r\n\tchunked",
        "Transfer-Encoding\r\n: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
        "Transfer Encoding: chunked",
        "Transfer-Encoding\x00: chunked",
        "Transfer-Encoding:chunked\r\nTransfer-Encoding:cow",
    ];
    for disguise in disguises {
        guarded.refuses(post(disguise, "0\r\n\r\n"), 400).await;
        let covered = format!("Content-Length: 5\r\n{disguise}");
        guarded.refuses(post(&covered, "0\r\n\r\n"), 400).await;
    }
}

#[tokio::test]
async fn chunks_that_are_not_plain_are_refused_whether_they_come_with_the_head_or_later() {
    let guarded = Guarded::start().await;
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(100_000));
    let zeros = format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(1000));
    let bodies = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\n\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\x00b\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\x00b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: a\nY: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX : a\r\n\r\n",
        long_extension.as_str(),
        zeros.as_str(),
    ];
    for body in bodies {
        guarded
            .refuses(post("Transfer-Encoding: chunked", body), 400)
            .await;

        let mut client = guarded.weir.client().await;
        client
            .send(post("Transfer-Encoding: chunked", "2\r\nok\r\n"))
            .await;
        let _ = client.try_send([body, HIDDEN].concat()).await;
        let answer = client.read_to_close().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{body:?} got {answer:?}"
        );
        assert!(
            guarded.origin.requests().is_empty(),
            "{body:?} reached the server"
        );
    }
    guarded
        .refuses_all([post("Transfer-Encoding: chunked", "zz")], 400)
        .await;
}

#[tokio::test]
async fn a_request_line_that_can_be_read_two_ways_is_refused() {
    let guarded = Guarded::start().await;
    let lines = [
        "GET /",
        "GET",
        "",
        " GET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/\tHTTP/1.1",
        "GET / HTTP/1.1\x0b",
        "GET /a b HTTP/1.1",
        "GET /\x00 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1.1",
        "GET / HTTP/11",
        "GET / HTTP/01.1",
        "GET / HTTP/1.",
        "GET / HTTP/.1",
        "GET / HTTP/+1.1",
        "GET / HTTPS/1.1",
        "GET / ICAP/1.0",
        "GET / HTTP 1.1",
        "G<T / HTTP/1.1",
        "G\x00T / HTTP/1.1",
        "GE\u{212a}T / HTTP/1.1",
        "GET /\rX HTTP/1.1",
        "GET /\nHost: b HTTP/1.1",
        "GET http://u:p@a/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET //a:b@c/ HTTP/1.1 x",
        "GET http://b/ HTTP/1.1",
    ];
    let requests = lines.map(|line| format!("{line}\r\nHost: a\r\n\r\n"));
    guarded.refuses_all(requests, 400).await;
}

#[tokio::test]
async fn versions_and_methods_that_are_not_offered_are_said_to_be_so() {
    let guarded = Guarded::start().await;
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/3.0"] {
        let request = format!("GET / {version}\r\nHost: a\r\n\r\n");
        guarded.refuses(request, 505).await;
    }
    guarded
        .refuses("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
        .await;
    guarded
        .refuses("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501)
        .await;
    guarded.refuses(get("Expect: 100-continue, x"), 417).await;
    guarded.refuses(get("Expect: later"), 417).await;
}

#[tokio::test]
async fn a_field_that_can_be_read_two_ways_is_refused() {
    let guarded = Guarded::start().await;
    let names = [
        "", " X", "X ", "X\t", "X Y", "X(", "X\"", "X,", "X/", "X;", "X=", "X@", "X[", "X{",
        "X\x00", "X\x7f", "X\u{e9}", "X\rY", "X\nY",
    ];
    let odd_names = names.map(|name| get(&format!("{name}: y")));
    let values = [
        "a\x00b", "a\rb", "a\nb", "a\r\r", "a\x01b", "a\x7fb", "a\x0bb", "a\r\n b", "a\r\n\tb",
    ];
    let odd_values = values.map(|value| get(&format!("X: {value}")));
    let others = [
        get("no colon"),
        get(": empty\r\nTransfer-Encoding: chunked"),
        "GET / HTTP/1.1\nHost: a\n\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\n\rX".to_owned(),
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\n".to_owned(),
        "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    let all = odd_names.into_iter().chain(odd_values).chain(others);
    guarded.refuses_all(all, 400).await;
}

#[tokio::test]
async fn a_host_that_is_missing_doubled_odd_or_contradicted_is_refused() {
    let guarded = Guarded::start().await;
    let heads = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    guarded.refuses_all(heads, 400).await;
}

#[tokio::test]
async fn connection_options_cannot_take_away_what_framing_and_trust_need() {
    let guarded = Guarded::start().await;
    for option in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "X-Forwarded-For",
        "close, Host",
        "a b",
        "\"close\"",
    ] {
        guarded
            .refuses(get(&format!("Connection: {option}")), 400)
            .await;
    }
}

#[tokio::test]
async fn chunks_in_http_1_0_are_refused() {
    let guarded = Guarded::start().await;
    let request = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    guarded.refuses_all([request], 400).await;
}

#[tokio::test]
async fn nothing_after_an_http_1_0_request_is_a_request() {
    let guarded = Guarded::start().await;
    let mut client = guarded.weir.client().await;
    client
        .send(format!("GET /first HTTP/1.0\r\n\r\n{HIDDEN}"))
        .await;
    assert_eq!(client.response().await.echo()["target"], "/first");
    client.expect_close().await;
    assert_eq!(guarded.origin.requests().len(), 1);
}

#[tokio::test]
async fn a_post_without_a_length_has_no_body() {
    let guarded = Guarded::start().await;
    let mut client = guarded.weir.client().await;
    client
        .send(format!("POST /first HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"))
        .await;
    let first = client.response().await;
    assert_eq!(
        (&first.echo()["target"], &first.echo()["body"]),
        (&"/first".into(), &"".into())
    );
    assert_eq!(client.response().await.echo()["target"], "/hidden");
}

#[tokio::test]
async fn very_large_parts_of_a_request_are_refused_early() {
    let guarded = Guarded::start().await;
    let huge = "x".repeat(1024 * 1024);
    guarded.refuses(get(&format!("{huge}: y")), 431).await;
    guarded.refuses(get(&format!("X: {huge}")), 431).await;
    guarded.refuses(get(&"X: y\r\n".repeat(20_000)), 431).await;
    guarded
        .refuses(format!("GET /{huge} HTTP/1.1\r\nHost: a\r\n\r\n"), 414)
        .await;
    guarded
        .refuses(format!("{huge} / HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
        .await;
    guarded.refuses(huge.as_bytes(), 400).await;
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(20_000));
    guarded
        .refuses(post("Transfer-Encoding: chunked", &trailers), 431)
        .await;
}

#[tokio::test]
async fn paths_reach_the_server_as_they_were_sent() {
    let guarded = Guarded::start().await;
    let mut client = guarded.weir.client().await;
    for target in [
        "/a/../b",
        "//a",
        "/%2e%2e/x",
        "/%61",
        "/a%2fb",
        "/a;b=c",
        "/?a=%00&b",
        "/a%252f",
    ] {
        assert_eq!(client.get(target).await.echo()["target"], target);
    }
    client
        .send("GET http://A:80/x?y HTTP/1.1\r\nHost: a:80\r\n\r\n")
        .await;
    let echo = client.response().await.echo();
    assert_eq!(echo["target"], "/x?y", "absolute form becomes origin form");
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.response().await.echo()["target"], "*");
}

#[tokio::test]
async fn a_request_that_breaks_off_is_no_request_to_the_server() {
    let guarded = Guarded::start().await;
    for unfinished in [
        post("Content-Length: 10", "12345"),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        post("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"),
        "GET / HTTP/1.1\r\nHost: a\r\n".to_owned(),
    ] {
        let mut client = guarded.weir.client().await;
        client.send(&unfinished).await;
        client.finish_sending().await;
        client.read_to_close().await;
    }
    guarded.weir.get("/after").await;
    let targets: Vec<_> = guarded
        .origin
        .requests()
        .into_iter()
        .map(|r| r.target)
        .collect();
    assert_eq!(targets, ["/after"]);
}

// Servers

/// The answers of a server as a client sees them through the proxy.
async fn answered_with(origin: &Origin, weir: &Weir, bytes: impl Into<Vec<u8>>) -> String {
    origin.answer(Answer::bytes(bytes).then(After::Hang));
    let mut client = weir.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    String::from_utf8_lossy(&client.read_to_close().await).into_owned()
}

#[tokio::test]
async fn an_answer_that_can_be_read_two_ways_is_a_502_and_its_connection_is_closed() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(20_000));
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok",
        "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "<html>hello</html>\n\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        endless.as_str(),
        many.as_str(),
    ];
    for answer in answers {
        let got = answered_with(&origin, &weir, answer).await;
        let shown = &answer[..answer.len().min(200)];
        assert!(got.starts_with("HTTP/1.1 502 "), "{shown:?} became {got:?}");
        assert_eq!(
            got.matches("HTTP/1.1 ").count(),
            1,
            "{shown:?} became {got:?}"
        );
    }
    assert_eq!(
        origin.connections(),
        answers.len(),
        "no connection served again"
    );
    origin.answer(Answer::echo());
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&simple(&[origin.address()], "", "")).await;
    let mut client = weir.client().await;
    origin.answer(Answer::bytes(
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
    ));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let got = String::from_utf8_lossy(&client.read_to_close().await).into_owned();
    assert!(
        got.ends_with("\r\n\r\n12345") && got.contains("Content-Length: 10"),
        "{got:?}"
    );

    for broken in [
        "5\r\nhello\r\n",
        "5\r\nhel",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\nzz\r\n\r\n0\r\n\r\n",
    ] {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        origin.answer(Answer::bytes(format!("{head}{broken}")));
        let mut client = weir.client().await;
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        let got = String::from_utf8_lossy(&client.read_to_close().await).into_owned();
        assert!(!got.contains("\r\n0\r\n"), "{broken:?} became {got:?}");
        // What is wrong before anything was sent need not be passed on at all.
        let status = match broken.contains("zz") {
            true => "502",
            false => "200",
        };
        let begins = format!("HTTP/1.1 {status} ");
        assert!(got.starts_with(&begins), "{broken:?} became {got:?}");
    }
}

#[tokio::test]
async fn bytes_beyond_an_answer_are_nobodys_answer() {
    let origin = Origin::start("a").await;
    let config = simple(&[origin.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 50\r\n\r\n",
        ),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"),
    ] {
        let before = origin.connections();
        origin.answer(Answer::bytes(format!("{answer}{poison}")).then(After::KeepAlive));
        let mut client = weir.client().await;
        let response = client.request(method, "/", &[], b"").await;
        assert!(!response.text().contains("poison"), "{response:?}");
        origin.answer(Answer::body("clean"));
        let response = client.get("/").await;
        assert_eq!(response.text(), "clean", "after {answer:?}");
        assert_eq!(origin.connections(), before + 2, "after {answer:?}");
        weir.get("/").await;
        // So that the next case begins on a connection of its own.
        origin.answer(Answer::body("bye").header("Connection", "close"));
        client.get("/").await;
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys_answer() {
    let server = ManualServer::start().await;
    let config = simple(&[server.address()], "", "");
    let weir = Weir::start(&format!("workers = 1\n{config}")).await;
    let mut client = weir.client().await;
    for method in ["GET", "POST"] {
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut idle = server.accept().await;
        idle.read_head().await;
        idle.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
            .await;
        assert_eq!(client.response().await.text(), "first");
        idle.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            .await;

        client
            .send(format!("{method} /2 HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        let mut fresh = server.accept().await;
        fresh.read_head().await;
        fresh
            .send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nclean")
            .await;
        assert_eq!(client.response().await.text(), "clean");
        assert_eq!(
            idle.read_to_close().await,
            "",
            "nothing more was asked there"
        );
    }
}
