//! Counters that all workers share, by the plugins that come with Weir: `rate-limit` and `stick`; what a reload
//! leaves of them, and what an administrator sees and does.

use std::net::Ipv4Addr;

use serde_json::Value;
use weir_tests::{Answer, Client, ManualServer, Origin, Reload, Weir, eventually, simple};

/// Lines for the top: an admin socket, several workers, a table that counts requests and errors.
fn top(table: &str) -> String {
    format!(
        "admin = \"unix:admin.sock\"\nworkers = 3\nwatch = false\n\n[[counters]]\nname = \"clients\"\n{table}\n\n"
    )
}

const TEN_MINUTES: &str = "rates = { requests = \"10m\", errors = \"10m\" }";

/// A filter that counts in that table.
fn rate_limit(config: &str) -> String {
    format!(
        "[[frontend.filter]]\nplugin = \"rate-limit\"\ncounters = [\"clients\"]\nconfig = {{ table = \"clients\", {config} }}"
    )
}

fn limited(origin: &Origin, config: &str) -> String {
    let filter = rate_limit(config);
    top(TEN_MINUTES) + &simple(&[origin.address()], &filter, "")
}

const FIVE: &str = "limit = [{ counter = \"requests\", most = 5 }]";

/// The statuses of so many requests of a client, each on a connection of its own, so that they are spread
/// over the workers.
async fn statuses(weir: &Weir, source: Ipv4Addr, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect_from(source, weir.address("web")).await;
        statuses.push(client.get("/").await.status());
    }
    statuses
}

async fn json(weir: &Weir, target: &str) -> Value {
    let answer = weir.admin("GET", target).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).expect("the admin interface answers with JSON")
}

const ADA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 21);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 22);

#[tokio::test]
async fn five_of_eight_requests_pass_over_all_workers_and_others_are_not_affected() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&limited(&origin, FIVE)).await;
    assert_eq!(
        statuses(&weir, ADA, 8).await,
        [200, 200, 200, 200, 200, 429, 429, 429]
    );
    assert_eq!(statuses(&weir, BOB, 5).await, [200; 5]);
    assert_eq!(origin.requests().len(), 10, "no server hears of the others");

    let mut client = Client::connect_from(ADA, weir.address("web")).await;
    let denied = client.get("/").await;
    let wait: u64 = denied.header("retry-after").unwrap().parse().unwrap();
    assert!((600..=1_200).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_reload_keeps_the_counts_and_another_declaration_begins_anew() {
    let origin = Origin::start("a").await;
    let config = limited(&origin, FIVE);
    let weir = Weir::start(&config).await;
    assert_eq!(statuses(&weir, ADA, 5).await, [200; 5]);

    weir.write_config(&config.replace("most = 5", "most = 6"));
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(statuses(&weir, ADA, 2).await, [200, 429]);

    let smaller = config.replace("rates = ", "size = 9\nrates = ");
    weir.write_config(&smaller.replace("most = 5", "most = \"five\""));
    let Reload::Refused(_) = weir.reload().await else {
        panic!("a limit is a number")
    };
    assert_eq!(statuses(&weir, ADA, 1).await, [429], "it goes on counting");

    weir.write_config(&smaller);
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        statuses(&weir, ADA, 6).await,
        [200, 200, 200, 200, 200, 429]
    );
}

#[tokio::test]
async fn what_a_plugin_counts_while_it_is_loaded_is_forgotten() {
    let origin = Origin::start("a").await;
    let together = "by = [], limit = [{ counter = \"requests\", most = 2 }]";
    let config = limited(&origin, together);
    let weir = Weir::start(&config).await;
    assert_eq!(statuses(&weir, ADA, 1).await, [200]);
    weir.write_config(&config);
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(statuses(&weir, BOB, 2).await, [200, 429]);
}

#[tokio::test]
async fn a_limit_can_be_for_some_paths_and_by_any_key() {
    let origin = Origin::start("a").await;
    let config = "paths = [\"/api/\"], by = [{ header = \"x-api-key\" }], limit = [{ counter = \"requests\", most = 1 }], status = 403, retry_after = false";
    let weir = Weir::start(&limited(&origin, config)).await;
    let mut client = weir.client().await;
    let ann = [("X-Api-Key", "ann")];
    assert_eq!(client.get_with("/api/a", &ann).await.status(), 200);
    let denied = client.get_with("/api/b", &ann).await;
    assert_eq!(denied.status(), 403);
    assert_eq!(denied.header("retry-after"), None);
    for (path, key) in [("/api/a", "ben"), ("/site", "ann"), ("/site", "ann")] {
        let answer = client.get_with(path, &[("X-Api-Key", key)]).await;
        assert_eq!(answer.status(), 200, "{path} of {key}");
    }
    assert_eq!(client.get("/api/a").await.status(), 200, "no key, no limit");
}

#[tokio::test]
async fn clients_that_cause_errors_are_kept_out_and_rules_can_ask_for_counts() {
    let origin = Origin::start("a").await;
    origin.answer_with(|request| match request.path() {
        "/login" => Answer::status(401),
        _ => Answer::body("fine"),
    });
    let filters = format!(
        "{}\n[[frontend.filter]]\nplugin = \"rules\"\nconfig = {{ rule = [{{ set_header = {{ x-errors = \"{{var(errors)}}\" }} }}] }}",
        rate_limit(
            "limit = [{ counter = \"errors\", most = 2, of = \"4xx\" }], set_vars = { errors = \"errors\" }"
        )
    );
    let config = top(TEN_MINUTES) + &simple(&[origin.address()], &filters, "");
    let weir = Weir::start(&config).await;
    let mut client = weir.client().await;
    for path in ["/", "/login", "/", "/login"] {
        assert_ne!(client.get(path).await.status(), 429);
    }
    assert_eq!(client.get("/").await.status(), 429);
    let told: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| request.header("x-errors").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(told, ["0", "0", "1", "1"]);
}

#[tokio::test]
async fn connections_too_many_are_ended_in_front_of_tcp() {
    let server = ManualServer::start().await;
    let filter = rate_limit(
        "at = \"connection\", refuse = \"close\", limit = [{ counter = \"requests\", most = 2 }]",
    );
    let servers = simple(
        &[server.address()],
        &format!("mode = \"tcp\"\n{filter}"),
        "mode = \"tcp\"",
    );
    let weir = Weir::start(&(top(TEN_MINUTES) + &servers)).await;
    for _ in 0..2 {
        let _client = Client::connect_from(ADA, weir.address("web")).await;
        server.accept().await;
    }
    let mut client = Client::connect_from(ADA, weir.address("web")).await;
    client.expect_close().await;
    let _other = Client::connect_from(BOB, weir.address("web")).await;
    server.accept().await;
}

#[tokio::test]
async fn connections_at_a_time_are_limited_and_a_closed_one_makes_room() {
    let origin = Origin::start("a").await;
    let filter = rate_limit(
        "at = \"connection\", refuse = \"close\", limit = [{ counter = \"open\", most = 2 }]",
    );
    // What is held does not expire.
    let table = "expire = \"1ms\"\nheld = [\"open\"]";
    let weir = Weir::start(&(top(table) + &simple(&[origin.address()], &filter, ""))).await;
    let address = weir.address("web");
    let mut first = Client::connect_from(ADA, address).await;
    assert_eq!(first.get("/").await.status(), 200);
    let mut second = Client::connect_from(ADA, address).await;
    assert_eq!(second.get("/").await.status(), 200);
    Client::connect_from(ADA, address)
        .await
        .expect_close()
        .await;
    let mut other = Client::connect_from(BOB, address).await;
    assert_eq!(other.get("/").await.status(), 200);
    drop(first);
    eventually("the place of the first is free", async || {
        let shown = json(&weir, "/counters/clients?key=127.0.0.21").await;
        (shown["counters"]["open"] == 1).then_some(())
    })
    .await;
    let mut third = Client::connect_from(ADA, address).await;
    assert_eq!(third.get("/").await.status(), 200);
    assert_eq!(second.get("/").await.status(), 200);
}

#[tokio::test]
async fn an_administrator_sees_sets_and_clears_what_was_counted() {
    let origin = Origin::start("a").await;
    let weir = Weir::start(&limited(&origin, FIVE)).await;
    statuses(&weir, ADA, 7).await;
    statuses(&weir, BOB, 2).await;

    let tables = json(&weir, "/counters").await;
    assert_eq!(tables[0]["name"], "clients");
    assert_eq!(tables[0]["keys"], 2);
    assert_eq!(tables[0]["size"], 100_000);
    assert_eq!(tables[0]["counters"][0]["window_ms"], 600_000);
    let shown = json(&weir, "/counters/clients").await;
    assert_eq!(shown["complete"], true);
    assert_eq!(shown["rows"].as_array().unwrap().len(), 2);
    let one = json(&weir, "/counters/clients?most=1").await;
    assert_eq!(one["complete"], false);
    let row = json(&weir, "/counters/clients?key=127.0.0.21").await;
    assert_eq!(row["counters"]["requests"], 7);
    let metrics = weir.admin("GET", "/metrics").await.text();
    assert!(
        metrics.contains("weir_counters_keys{table=\"clients\"} 2"),
        "{metrics}"
    );

    let set = "/counters/clients/set?key=127.0.0.22&counter=requests&count=5";
    assert_eq!(weir.admin("POST", set).await.status(), 200);
    assert_eq!(statuses(&weir, BOB, 1).await, [429]);
    let clear = "/counters/clients/clear?key=127.0.0.21";
    assert!(
        weir.admin("POST", clear)
            .await
            .text()
            .contains("\"cleared\": 1")
    );
    assert_eq!(statuses(&weir, ADA, 1).await, [200]);
    assert_eq!(statuses(&weir, BOB, 1).await, [429]);
    assert_eq!(
        weir.admin("POST", "/counters/clients/clear").await.status(),
        200
    );
    assert_eq!(statuses(&weir, BOB, 1).await, [200]);

    for (method, target, status, what) in [
        ("GET", "/counters/client", 404, "there is clients"),
        (
            "GET",
            "/counters/clients?keys=a",
            400,
            "no parameter `keys`",
        ),
        (
            "POST",
            "/counters/clients/set?key=a&counter=rate&count=1",
            400,
            "it has requests, errors",
        ),
        ("POST", "/counters/clients", 405, "only GET"),
        ("GET", "/counters/clients/clear", 405, "only POST"),
    ] {
        let answer = weir.admin(method, target).await;
        assert_eq!(answer.status(), status, "{target}");
        let text = answer.text().replace("the table has", "it has");
        assert!(text.contains(what), "{target}: {text}");
    }
}

/// Three servers in turn, and clients that are kept at theirs.
fn sticky(servers: &[&Origin], config: &str, mode: &str) -> String {
    let servers: Vec<_> = servers.iter().map(|server| server.address()).collect();
    let persistence = format!(
        "check = {{ tcp = true, interval = \"100ms\", fall = 1, rise = 1 }}\npersistence = {{ plugin = \"stick\", counters = [\"clients\"], config = {{ table = \"clients\"{config} }} }}\n{mode}"
    );
    top("expire = \"10m\"") + &simple(&servers, mode, &persistence)
}

async fn origins() -> (Origin, Origin, Origin) {
    tokio::join!(
        Origin::start("s1"),
        Origin::start("s2"),
        Origin::start("s3")
    )
}

/// Who answers so many requests of a client, each on a connection of its own.
async fn answering(weir: &Weir, source: Ipv4Addr, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect_from(source, weir.address("web")).await;
        names.push(client.get("/").await.origin().to_owned());
    }
    names
}

#[tokio::test]
async fn a_client_stays_at_its_server_and_moves_for_good_when_that_goes_down() {
    let (s1, mut s2, s3) = origins().await;
    let weir = Weir::start(&sticky(&[&s1, &s2, &s3], "", "")).await;
    assert_eq!(answering(&weir, ADA, 4).await, ["s1"; 4]);
    assert_eq!(answering(&weir, BOB, 4).await, ["s2"; 4]);

    s2.stop().await;
    let moved = eventually("another server", async || {
        let mut client = Client::connect_from(BOB, weir.address("web")).await;
        let answer = client.get("/").await;
        (answer.status() == 200).then(|| answer.origin().to_owned())
    })
    .await;
    assert_ne!(moved, "s2");
    s2.restart().await;
    eventually("that server to be up", async || {
        let status = json(&weir, "/status").await;
        let up = &status["backends"][0]["servers"][1]["up"];
        (up == true).then_some(())
    })
    .await;
    let moved = [moved.as_str(); 3];
    assert_eq!(
        answering(&weir, BOB, 3).await,
        moved,
        "it does not move back"
    );
    let row = json(&weir, "/counters/clients?key=127.0.0.22").await;
    assert_eq!(row["value"], moved[0]);
    assert_eq!(answering(&weir, ADA, 2).await, ["s1"; 2]);
}

#[tokio::test]
async fn a_client_keeps_its_server_over_a_reload() {
    let (s1, s2, s3) = origins().await;
    let config = sticky(&[&s1, &s2, &s3], ", on = [{ cookie = \"id\" }]", "");
    let weir = Weir::start(&config).await;
    let ask = async |id: &str| {
        let cookie = format!("id={id}");
        let answer = weir.get_with("/", &[("Cookie", &cookie)]).await;
        answer.origin().to_owned()
    };
    assert_eq!(
        [ask("a").await, ask("b").await, ask("c").await],
        ["s1", "s2", "s3"]
    );
    weir.write_config(&config);
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        [ask("c").await, ask("b").await, ask("a").await],
        ["s3", "s2", "s1"]
    );
    let without = [weir.get("/").await, weir.get("/").await];
    assert_ne!(
        without[0].origin(),
        without[1].origin(),
        "no cookie, no memory"
    );
}

#[tokio::test]
async fn what_a_server_hands_out_leads_back_to_it() {
    let (s1, s2, s3) = origins().await;
    for (origin, id) in [(&s1, "one"), (&s2, "two"), (&s3, "three")] {
        let cookie = format!("JSESSIONID={id}; Path=/");
        origin.answer_with(move |request| match request.path() {
            "/login" => Answer::body("in").header("Set-Cookie", &cookie),
            _ => Answer::body("fine"),
        });
    }
    let by_session =
        ", look_up = [{ cookie = \"JSESSIONID\" }], keep_answer = [{ cookie = \"JSESSIONID\" }]";
    let weir = Weir::start(&sticky(&[&s1, &s2, &s3], by_session, "")).await;
    for _ in 0..3 {
        assert_eq!(weir.get("/login").await.status(), 200);
    }
    for _ in 0..3 {
        let answer = weir.get_with("/", &[("Cookie", "JSESSIONID=two")]).await;
        assert_eq!(answer.status(), 200);
    }
    let of_s2: Vec<_> = s2.requests().iter().map(|r| r.path().to_owned()).collect();
    assert_eq!(of_s2, ["/login", "/", "/", "/"]);
}

#[tokio::test]
async fn a_session_of_tcp_stays_at_its_server() {
    let (s1, s2, s3) = origins().await;
    let config = sticky(&[&s1, &s2, &s3], "", "mode = \"tcp\"");
    let weir = Weir::start(&config).await;
    assert_eq!(answering(&weir, ADA, 3).await, ["s1"; 3]);
    assert_eq!(answering(&weir, BOB, 3).await, ["s2"; 3]);
}

#[tokio::test]
async fn a_key_that_expired_is_counted_from_nothing() {
    let origin = Origin::start("a").await;
    let filter = rate_limit(FIVE);
    let config = top("totals = [\"requests\"]\nexpire = \"300ms\"")
        + &simple(&[origin.address()], &filter, "");
    let weir = Weir::start(&config).await;
    eventually("one too many", async || {
        (statuses(&weir, ADA, 1).await == [429]).then_some(())
    })
    .await;
    eventually("the key to be forgotten", async || {
        let row = weir.admin("GET", "/counters/clients?key=127.0.0.21").await;
        (row.status() == 404).then_some(())
    })
    .await;
    assert_eq!(statuses(&weir, ADA, 1).await, [200]);
}

#[tokio::test]
async fn mistakes_are_shown_where_they_were_made() {
    let address = "127.0.0.1:1".parse().unwrap();
    let check = async |top: &str, filter: &str| {
        let config = top.to_owned() + &simple(&[address], filter, "");
        let checked = Weir::check(&config).await;
        assert_eq!(checked.status.code(), Some(1), "{}", checked.stderr);
        checked.stderr
    };
    let table = top(TEN_MINUTES);
    let not_granted = "[[frontend.filter]]\nplugin = \"rate-limit\"\nconfig = { table = \"clients\", limit = [{ most = 1 }] }";
    let told = check(&table, not_granted).await;
    assert!(
        told.contains("add `counters = [\"clients\"]` beside `plugin`"),
        "{told}"
    );
    assert!(told.contains("weir.toml:15:20"), "{told}");
    let told = check(
        &table,
        &rate_limit("limit = [{ counter = \"request\", most = 1 }]"),
    )
    .await;
    assert!(
        told.contains("no counter `request`; it has `requests`, `errors`"),
        "{told}"
    );
    let told = check("", &rate_limit(FIVE)).await;
    assert!(
        told.contains("no table of counters named `clients`"),
        "{told}"
    );
    assert!(
        told.contains("add a `[[counters]]` with that name"),
        "{told}"
    );
}
