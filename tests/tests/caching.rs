//! A cache in front of real servers: what is given again, what is not, and what is never mixed up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use weir_tests::{Answer, ManualServer, Origin, Response, Weir, curl, eventually, simple};

const CACHE: &str = "[[cache]]\nname = \"pages\"\nmax_object = \"64KiB\"\n";

fn config(origin: &Origin, how: &str) -> String {
    let config = simple(&[origin.address()], "", how);
    let config = config.replace(
        "bind = [\"127.0.0.1:0\"]",
        "bind = [{ address = \"127.0.0.1:0\", protocols = [\"h2\", \"http/1.1\"] }]",
    );
    format!("admin = \"unix:admin.sock\"\n{CACHE}{config}")
}

async fn weir(origin: &Origin) -> Weir {
    Weir::start(&config(origin, "cache = \"pages\"")).await
}

/// Answers that count up, so that each can be told from the one before.
fn counting(origin: &Origin, fields: &[(&str, &str)]) -> Arc<AtomicUsize> {
    let fields: Vec<(String, String)> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    origin.answer_with(move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = Answer::body(format!("answer {number}"));
        fields
            .iter()
            .fold(answer, |answer, (name, value)| answer.header(name, value))
    });
    count
}

async fn metric(weir: &Weir, name: &str) -> u64 {
    counter(weir, &format!("{name}_total")).await
}

async fn counter(weir: &Weir, name: &str) -> u64 {
    let metrics = weir.admin("GET", "/metrics").await.text();
    let start = format!("weir_cache_{name}{{cache=\"pages\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {start} in\n{metrics}"))
        .parse()
        .expect("a counter is a number")
}

fn is_from_cache(answer: &Response) -> bool {
    answer.header("age").is_some()
}

const FRESH: (&str, &str) = ("Cache-Control", "max-age=50");

#[tokio::test]
async fn a_second_get_is_answered_without_the_server() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH, ("X-Mine", "y"), ("ETag", "\"1\"")]);
    let weir = weir(&origin).await;
    let first = weir.get("/a?b=c").await;
    assert_eq!(
        (first.text().as_str(), is_from_cache(&first)),
        ("answer 1", false)
    );
    let second = weir.get("/a?b=c").await;
    assert_eq!(second.text(), "answer 1");
    assert_eq!(second.header("age"), Some("0"));
    assert_eq!(second.header("x-mine"), Some("y"));
    assert_eq!(second.header("content-length"), Some("8"));
    let head = weir.request("HEAD", "/a?b=c", &[], b"").await;
    assert_eq!(
        (head.header("content-length"), is_from_cache(&head)),
        (Some("8"), true)
    );
    for other in ["/a", "/a?b=d", "/A?b=c"] {
        assert!(!is_from_cache(&weir.get(other).await), "{other}");
    }
    let host = [("Host", "other")];
    assert!(
        !is_from_cache(&weir.get_with("/a?b=c", &host).await),
        "another host"
    );
    assert_eq!(origin.answered(), 5);
    let line = weir.stdout_line("<CACHE>").await;
    assert!(
        line.contains(" web apps/<CACHE> ") && line.contains(" 200 ") && line.contains(" LR-- "),
        "{line}"
    );
    assert_eq!(
        (metric(&weir, "lookups").await, metric(&weir, "hits").await),
        (7, 2)
    );
    assert_eq!(metric(&weir, "stored").await, 5);
}

#[tokio::test]
async fn both_versions_of_http_ask_for_the_same() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH]);
    let weir = weir(&origin).await;
    let url = format!("http://{}/a", weir.address("web"));
    for kind in ["--http1.1", "--http2-prior-knowledge", "--http1.1"] {
        let output = curl(&[kind, &url]).await;
        assert_eq!(output.stdout, "answer 1", "{kind}: {}", output.stderr);
    }
    let head = curl(&["--http2-prior-knowledge", "-I", &url]).await;
    assert!(head.stdout.contains("content-length: 8"), "{}", head.stdout);
    assert_eq!(origin.answered(), 1);
}

#[tokio::test]
async fn what_may_not_be_kept_is_asked_for_each_time() {
    let origin = Origin::start("a").await;
    let weir = weir(&origin).await;
    let path = AtomicUsize::new(0);
    let asked_twice = async |answer: Answer, fields: &[(&str, &str)]| {
        let before = origin.answered();
        origin.answer(answer);
        let target = format!("/{}", path.fetch_add(1, Ordering::SeqCst));
        weir.get_with(&target, fields).await;
        weir.get_with(&target, fields).await;
        origin.answered() - before == 2
    };
    let page = || Answer::body("page");
    for (why, answer) in [
        ("silent", page()),
        (
            "no-store",
            page().header("Cache-Control", "max-age=50, no-store"),
        ),
        (
            "private",
            page().header("Cache-Control", "max-age=50, private"),
        ),
        (
            "no-cache",
            page()
                .header("Cache-Control", "no-cache")
                .header("ETag", "\"a\""),
        ),
        (
            "cookie",
            page().header(FRESH.0, FRESH.1).header("Set-Cookie", "a=b"),
        ),
        ("vary", page().header(FRESH.0, FRESH.1).header("Vary", "*")),
        ("old", page().header(FRESH.0, FRESH.1).header("Age", "50")),
        ("404", page().header(FRESH.0, FRESH.1).with_status(404)),
        (
            "encoded",
            page()
                .header(FRESH.0, FRESH.1)
                .header("Content-Encoding", "gzip"),
        ),
        (
            "large",
            Answer::body(vec![b'x'; 65_537]).header(FRESH.0, FRESH.1),
        ),
        (
            "trailers",
            Answer::chunks(&[b"x"])
                .header(FRESH.0, FRESH.1)
                .trailer("a", "b"),
        ),
    ] {
        assert!(asked_twice(answer, &[]).await, "{why}");
    }
    let fresh = || page().header(FRESH.0, FRESH.1);
    let user = ("Authorization", "Basic YTpi");
    assert!(asked_twice(fresh(), &[user]).await, "credentials");
    assert!(asked_twice(fresh(), &[("Cache-Control", "no-store")]).await);
    assert!(asked_twice(fresh(), &[("Range", "bytes=0-1")]).await);
    for (why, answer, fields) in [
        (
            "public",
            page().header("Cache-Control", "public, max-age=50"),
            &[user][..],
        ),
        ("a tag", page().header("ETag", "\"a\""), &[]),
        (
            "chunks",
            Answer::chunks(&[b"a", b"b"]).header(FRESH.0, FRESH.1),
            &[],
        ),
        (
            "as large as may be",
            Answer::body(vec![b'x'; 65_536]).header(FRESH.0, FRESH.1),
            &[],
        ),
        ("nothing", Answer::body("").header(FRESH.0, FRESH.1), &[]),
    ] {
        assert!(!asked_twice(answer, fields).await, "{why}");
    }
}

#[tokio::test]
async fn clients_can_ask_for_news_or_for_nothing_but_what_is_here() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH]);
    let weir = weir(&origin).await;
    let only = [("Cache-Control", "only-if-cached")];
    assert_eq!(weir.get_with("/", &only).await.status(), 504);
    assert_eq!(weir.get("/").await.text(), "answer 1");
    assert_eq!(weir.get_with("/", &only).await.text(), "answer 1");
    for (number, fields) in [
        (2, ("Cache-Control", "no-cache")),
        (3, ("Cache-Control", "max-age=0")),
        (4, ("Pragma", "no-cache")),
        (5, ("Cache-Control", "min-fresh=50")),
    ] {
        let expected = format!("answer {number}");
        assert_eq!(
            weir.get_with("/", &[fields]).await.text(),
            expected,
            "{fields:?}"
        );
        assert_eq!(weir.get("/").await.text(), expected, "what came is kept");
    }
    let user = [("Authorization", "Basic YTpi")];
    assert_eq!(weir.get_with("/", &user).await.text(), "answer 6");
    assert_eq!(
        weir.get("/").await.text(),
        "answer 5",
        "that was for one client"
    );
}

#[tokio::test]
async fn who_has_it_already_is_told_so() {
    let origin = Origin::start("a").await;
    counting(
        &origin,
        &[
            FRESH,
            ("ETag", "\"1\""),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Content-Type", "text/plain"),
        ],
    );
    let weir = weir(&origin).await;
    weir.get("/").await;
    for (name, value, status) in [
        ("If-None-Match", "\"1\"", 304),
        ("If-None-Match", "W/\"1\"", 304),
        ("If-None-Match", "\"2\"", 200),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
    ] {
        let answer = weir.get_with("/", &[(name, value)]).await;
        assert_eq!(answer.status(), status, "{name}: {value}");
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert!(is_from_cache(&answer));
        if status == 304 {
            assert_eq!(answer.header("content-type"), None);
            assert_eq!(answer.header("content-length"), None);
        }
    }
    assert_eq!(origin.answered(), 1);
}

#[tokio::test]
async fn what_varies_is_kept_apart() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH, ("Vary", "Accept-Language")]);
    let weir = weir(&origin).await;
    for (language, expected) in [
        ("de", "answer 1"),
        ("en", "answer 2"),
        ("de", "answer 1"),
        ("en", "answer 2"),
    ] {
        let answer = weir.get_with("/", &[("Accept-Language", language)]).await;
        assert_eq!(answer.text(), expected, "{language}");
    }
    assert_eq!(weir.get("/").await.text(), "answer 3");
}

#[tokio::test]
async fn changes_make_it_forget() {
    let origin = Origin::start("a").await;
    let count = counting(&origin, &[FRESH]);
    let weir = weir(&origin).await;
    let kept = async |path: &str| {
        weir.get(path).await;
        let before = count.load(Ordering::SeqCst);
        weir.get(path).await;
        count.load(Ordering::SeqCst) == before
    };
    for path in ["/a", "/b", "/c"] {
        assert!(kept(path).await, "{path}");
    }
    counting(
        &origin,
        &[
            FRESH,
            ("Location", "/b"),
            ("Content-Location", "http://test/c"),
        ],
    );
    weir.request("POST", "/a", &[], b"x=y").await;
    assert_eq!(metric(&weir, "invalidated").await, 3);
    for path in ["/a", "/b", "/c"] {
        assert!(!is_from_cache(&weir.get(path).await), "{path}");
    }
    origin.answer(Answer::status(500));
    weir.request("DELETE", "/a", &[], b"").await;
    assert!(is_from_cache(&weir.get("/a").await), "it did not work");
}

#[tokio::test]
async fn what_breaks_off_is_not_kept() {
    let origin = Origin::start("a").await;
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=50\r\nContent-Length: 10\r\n\r\n";
    origin.answer(Answer::bytes(format!("{head}half")));
    let weir = weir(&origin).await;
    let url = format!("http://{}/", weir.address("web"));
    assert_eq!(curl(&[&url]).await.code, 18);
    counting(&origin, &[FRESH]);
    assert_eq!(weir.get("/").await.text(), "answer 1");
    assert_eq!(weir.get("/").await.text(), "answer 1");
}

#[tokio::test]
async fn while_one_answer_comes_in_others_go_to_the_server() {
    let server = ManualServer::start().await;
    let config = simple(&[server.address()], "", "cache = \"pages\"");
    let config = format!("admin = \"unix:admin.sock\"\n{CACHE}{config}");
    let weir = Weir::start(&config).await;
    let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=50\r\nContent-Length: 4\r\n\r\n";
    let (mut slow, mut quick) = (weir.client().await, weir.client().await);
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut first = server.accept().await;
    first.read_head().await;
    first.send(format!("{head}sl")).await;
    assert!(slow.read_some().await.starts_with(b"HTTP/1.1 200"));
    quick.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut second = server.accept().await;
    second.read_head().await;
    second.send(format!("{head}fast")).await;
    assert_eq!(quick.response().await.text(), "fast");
    first.send("ow").await;
    assert!(slow.read_some().await.ends_with(b"ow"));
    eventually("it is kept", async || {
        (metric(&weir, "stored").await == 1).then_some(())
    })
    .await;
    let kept = quick.request("GET", "/", &[("Host", "a")], b"").await;
    assert_eq!((kept.text().as_str(), is_from_cache(&kept)), ("slow", true));
}

#[tokio::test]
async fn an_administrator_can_empty_it() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH]);
    let weir = weir(&origin).await;
    for path in ["/a", "/b"] {
        weir.get(path).await;
    }
    assert_eq!(counter(&weir, "answers").await, 2);
    assert!(counter(&weir, "bytes").await > 1_000);
    let purged = weir.admin("POST", "/caches/pages/purge").await;
    assert_eq!(
        (purged.status(), purged.text().as_str()),
        (200, "2 answers forgotten\n")
    );
    assert_eq!(counter(&weir, "bytes").await, 0);
    assert!(!is_from_cache(&weir.get("/a").await));
    assert_eq!(
        weir.admin("POST", "/caches/other/purge").await.status(),
        404
    );
    assert_eq!(weir.admin("GET", "/caches/pages/purge").await.status(), 405);
}

#[tokio::test]
async fn it_is_forgotten_in_time() {
    let origin = Origin::start("a").await;
    counting(&origin, &[("Cache-Control", "max-age=1")]);
    let weir = weir(&origin).await;
    assert_eq!(weir.get("/").await.text(), "answer 1");
    eventually("a new answer", async || {
        let answer = weir.get("/").await;
        (answer.text() != "answer 1").then_some(())
    })
    .await;
    assert!(origin.answered() >= 2);
}

#[tokio::test]
async fn memory_is_bounded_whatever_is_asked_for() {
    let origin = Origin::start("a").await;
    origin.forget_requests();
    origin.answer(Answer::body(vec![b'x'; 32 * 1024]).header(FRESH.0, FRESH.1));
    let config = config(&origin, "cache = \"pages\"")
        .replace("max_object", "max_size = \"2MiB\"\nmax_object");
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    for n in 0..50 {
        client.get(&format!("/{n}")).await;
    }
    let before = weir.memory();
    for n in 50..1_000 {
        client.get(&format!("/{n}")).await;
    }
    assert!(metric(&weir, "evicted").await > 900);
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more");
}

#[tokio::test]
async fn what_is_kept_is_compressed_on_its_way_out() {
    let origin = Origin::start("a").await;
    let body = "many like words ".repeat(2_000);
    origin.answer(
        Answer::body(body.clone())
            .header(FRESH.0, FRESH.1)
            .header("Content-Type", "text/plain")
            .header("Vary", "Accept-Encoding")
            .header("ETag", "\"1\""),
    );
    let how = "cache = \"pages\"\ncompression = { hide_accept_encoding = true }";
    let weir = Weir::start(&config(&origin, how)).await;
    let url = format!("http://{}/", weir.address("web"));
    for coding in ["gzip", "br", "zstd", "identity"] {
        for kind in ["--http1.1", "--http2-prior-knowledge"] {
            let accept = format!("Accept-Encoding: {coding}");
            let output = curl(&[kind, "-H", &accept, "--compressed", &url]).await;
            assert!(output.stdout == body, "{coding} {kind}: {}", output.stderr);
        }
    }
    let host = weir.address("web").to_string();
    let asked = [("Host", host.as_str()), ("Accept-Encoding", "gzip")];
    let answer = weir.get_with("/", &asked).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("etag"), Some("W/\"1\""));
    assert!(is_from_cache(&answer));
    let again = [&asked[..], &[("If-None-Match", "W/\"1\"")]].concat();
    let again = weir.get_with("/", &again).await;
    assert_eq!(
        (again.status(), again.header("etag")),
        (304, Some("W/\"1\""))
    );
    assert_eq!(origin.answered(), 1);
}

#[tokio::test]
async fn filters_say_for_which_requests_and_are_asked_on_a_hit() {
    let origin = Origin::start("a").await;
    counting(&origin, &[FRESH]);
    let rules = r#"
cache = { name = "pages", when = "asked" }
[[backend.filter]]
plugin = "rules"
[backend.filter.config]
match.is_img = { path = { prefix = "/img" } }
rule = [{ when = "is_img", set_var = { cache = "yes" } }, { set_response_header = { X-For = "{header(x-who)}" } }]
"#;
    let weir = Weir::start(&config(&origin, rules)).await;
    for (path, who, from_cache) in [
        ("/img/a", "1", false),
        ("/img/a", "2", true),
        ("/page", "3", false),
        ("/page", "4", false),
    ] {
        let answer = weir.get_with(path, &[("X-Who", who)]).await;
        assert_eq!(is_from_cache(&answer), from_cache, "{path} {who}");
        assert_eq!(answer.header("x-for"), Some(who), "each client has its own");
    }
}

#[tokio::test]
async fn a_backend_without_it_and_frontends_that_share_it() {
    let (one, two) = (Origin::start("a").await, Origin::start("b").await);
    counting(&one, &[FRESH]);
    counting(&two, &[FRESH]);
    let config = format!(
        r#"watch = false
{CACHE}
[[frontend]]
name = "left"
bind = ["127.0.0.1:0"]
default_backend = "one"
cache = "pages"
[[frontend]]
name = "right"
bind = ["127.0.0.1:0"]
default_backend = "one"
cache = "pages"
[[frontend]]
name = "other"
bind = ["127.0.0.1:0"]
default_backend = "two"
cache = "pages"
[[frontend]]
name = "plain"
bind = ["127.0.0.1:0"]
default_backend = "off"
cache = "pages"
[[backend]]
name = "one"
server = [{{ name = "a", address = "{0}" }}]
[[backend]]
name = "two"
server = [{{ name = "a", address = "{1}" }}]
[[backend]]
name = "off"
cache = false
server = [{{ name = "a", address = "{1}" }}]
"#,
        one.address(),
        two.address()
    );
    let weir = Weir::start(&config).await;
    for (frontend, from_cache) in [
        ("left", false),
        ("right", true),
        ("other", false),
        ("other", true),
        ("plain", false),
        ("plain", false),
    ] {
        let answer = weir.client_of(frontend).await.get("/").await;
        assert_eq!(is_from_cache(&answer), from_cache, "{frontend}");
    }
    // What is there outlives a reload that does not touch it.
    weir.write_config(&format!("{config}\n"));
    assert_eq!(weir.reload().await, weir_tests::Reload::Loaded);
    assert!(is_from_cache(&weir.client_of("left").await.get("/").await));
    let smaller = config.replace(
        "name = \"pages\"\nmax_object",
        "name = \"pages\"\nmax_size = \"1MiB\"\nmax_object",
    );
    weir.write_config(&smaller);
    assert_eq!(weir.reload().await, weir_tests::Reload::Loaded);
    assert!(!is_from_cache(&weir.client_of("left").await.get("/").await));
}

#[tokio::test]
async fn many_clients_at_once_get_whole_answers() {
    let origin = Origin::start("a").await;
    let count = counting(&origin, &[FRESH]);
    let weir = weir(&origin).await;
    let ask = async || {
        for n in 0..20 {
            let answer = weir.get(&format!("/{}", n % 5)).await;
            assert!(answer.text().starts_with("answer "), "{answer:?}");
        }
    };
    let all = async { tokio::join!(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask()) };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .expect("160 requests are quick");
    let asked = count.load(Ordering::SeqCst);
    assert!(
        (5..=40).contains(&asked),
        "{asked} of 160 went to the server"
    );
}
