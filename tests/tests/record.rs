//! `weir record` and `weir replay`: decisions of live traffic in a file, and another component asked the same.

use std::time::Duration;

use serde_json::Value;
use weir_tests::{Load, Origin, Ran, Weir, WeirCommand, eventually, fill};
use weir_wat_guests::{Guest, Kind};

const CONFIG: &str = r#"
    workers = 2
    admin = "unix:admin.sock"
    log = []

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[frontend.filter]]
    plugin = "rules"
    [frontend.filter.config]
    rule = [
        { when = { path = { prefix = "/old" } }, set_path = "/new{path}" },
        { when = { cookie = { name = "sid", present = true } }, set_header = { X-Known = "yes" } },
    ]

    [[backend]]
    name = "apps"
    balance = { plugin = "hash", config = { on = "path" } }
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }, { name = "c", address = "@c@" }]
"#;

struct Scene {
    weir: Weir,
    _origins: [Origin; 3],
    tools: WeirCommand,
}

impl Scene {
    async fn set() -> Self {
        let origins = [
            Origin::start("a").await,
            Origin::start("b").await,
            Origin::start("c").await,
        ];
        let [a, b, c] = [0, 1, 2].map(|it: usize| origins[it].address());
        let weir = Weir::start(&fill(CONFIG, &[("a", &a), ("b", &b), ("c", &c)])).await;
        Self {
            weir,
            _origins: origins,
            tools: WeirCommand::default(),
        }
    }

    fn config(&self) -> String {
        let config = self.weir.folder().join("weir.toml");
        config.to_str().expect("the path is plain").to_owned()
    }

    /// Records while there is traffic, and says what the command wrote about it.
    async fn record(&self, time: &str, words: &[&str]) -> Ran {
        let config = self.config();
        let fixed = ["record", "-c", &config, "-o", "r.jsonl", "--for", time];
        let targets = ["/old/1", "/2", "/3?x=1", "/old/4", "/5", "/6"];
        let load = Load::start(
            self.weir.address("web"),
            4,
            &targets,
            Duration::from_millis(1),
        );
        load.another(10).await;
        let ran = self.tools.run(&[&fixed, words].concat()).await;
        let report = load.stop().await;
        assert_eq!(report.failed(), 0, "recording costs no request: {report:?}");
        assert!(report.ok > 50, "{report:?}");
        ran
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.tools.read("r.jsonl");
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().expect("each line is JSON")
    }

    async fn replay(&self, words: &[&str]) -> Ran {
        self.tools
            .run(&[&["replay", "r.jsonl"], words].concat())
            .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_plugin_answers_a_recording_as_it_did() {
    let scene = Scene::set().await;
    let ran = scene.record("2s", &[]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(" exchanges recorded, 0 lost"),
        "{}",
        ran.stderr
    );

    let lines = scene.lines();
    assert_eq!(lines[0]["record"]["version"], 1);
    assert_eq!(lines[0]["record"]["masked"], true);
    let end = &lines.last().unwrap()["end"];
    assert_eq!(end["exchanges"].as_u64().unwrap() as usize, lines.len() - 2);
    assert!(lines.len() > 50, "{}", lines.len());

    let config = scene.config();
    for (plugin, used) in [
        ("hash", "backend.apps.balance"),
        ("rules", "frontend.web.filter.1"),
    ] {
        let words = ["--plugin", plugin, "--use", used, "-c", &config];
        let shown = scene.replay(&words).await.succeeded();
        assert!(shown.contains("       0 different"), "{shown}");
        let same = format!("{:>8} the same", lines.len() - 2);
        assert!(shown.contains(&same), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_balancer_differs_exactly_where_it_picks_another_server() {
    let scene = Scene::set().await;
    let plugin = ["--plugin", "hash", "--share", "50%"];
    scene.record("1s", &plugin).await.succeeded();
    let lines = scene.lines();
    let steps: Vec<&Value> = lines
        .iter()
        .filter_map(|line| line["exchange"]["steps"].as_array())
        .flatten()
        .collect();
    assert!(
        steps.iter().all(|step| step["plugin"] == "hash"),
        "only what was asked for"
    );
    let elsewhere = steps.iter().filter(|step| step["answer"]["server"] != "a");
    let elsewhere = elsewhere.count() as u64;

    // One that always takes the first, which is `a`.
    let first = Guest::new(Kind::Balancer).with(
        "pick",
        "(i32.store8 (i32.const 128) (i32.const 1)) (i32.const 128)",
    );
    scene.tools.write("first.wasm", first.build());
    let ran = scene.replay(&["--plugin", "first.wasm", "--json"]).await;
    assert_eq!(ran.code, Some(i32::from(elsewhere > 0)), "{}", ran.stderr);
    let compared: Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(
        compared["different"].as_u64(),
        Some(elsewhere),
        "{compared:#}"
    );
    assert_eq!(
        compared["same"].as_u64(),
        Some(steps.len() as u64 - elsewhere)
    );
    for difference in compared["differences"].as_array().unwrap() {
        assert_eq!(difference["answered"], serde_json::json!(["server a"]));
        assert_ne!(difference["recorded"], difference["answered"]);
    }
    let shown = scene.replay(&["--plugin", "first.wasm"]).await.failed();
    assert!(shown.contains("    + server a"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_masked_is_not_compared_and_is_there_if_it_is_asked_for() {
    let scene = Scene::set().await;
    let words = |secrets: &'static [&'static str]| {
        let config = scene.config();
        let fixed = [
            "record",
            "-c",
            &config,
            "-o",
            "r.jsonl",
            "--for",
            "1s",
            "--frontend",
            "web",
        ];
        let all: Vec<String> = fixed
            .iter()
            .chain(secrets)
            .map(|&word| word.to_owned())
            .collect();
        all
    };
    let both = [(&[][..], true), (&["--include-secrets"][..], false)];
    for (number, (secrets, masked)) in (1..).zip(both) {
        let words = words(secrets);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (ran, ()) = tokio::join!(scene.tools.run(&words), async {
            eventually("a recording", async || {
                let lines = scene.weir.stderr();
                let begun = lines.iter().filter(|it| it.contains("recording decisions"));
                (begun.count() == number).then_some(())
            })
            .await;
            for _ in 0..5 {
                let fields = [("Cookie", "sid=s3ss10n-4711")];
                assert_eq!(scene.weir.get_with("/2", &fields).await.status(), 200);
            }
        });
        ran.succeeded();
        let text = scene.tools.read("r.jsonl");
        assert_eq!(text.contains("s3ss10n-4711"), !masked, "{text}");
        assert_eq!(
            text.contains("\"config\":"),
            !masked,
            "configs can hold secrets"
        );

        let config = scene.config();
        let replayed = match masked {
            true => scene.replay(&["--plugin", "rules", "-c", &config]).await,
            false => scene.replay(&["--plugin", "rules"]).await,
        };
        let shown = replayed.succeeded();
        let counted = "not compared, for what was recorded of them is masked";
        assert_eq!(shown.contains(counted), masked, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_numbers_come_out_of_the_recording() {
    // Either of two, by the dice.
    let dicing = Guest::new(Kind::Balancer)
        .import("random", "get-u64", "(result i64)")
        .with(
            "pick",
            "(i32.store8 (i32.const 128) (i32.const 1))
             (i32.store (i32.const 132)
                 (i32.wrap_i64 (i64.rem_u (call $random.get-u64) (i64.const 2))))
             (i32.const 128)",
        )
        .build();
    let config = r#"
        admin = "unix:admin.sock"
        log = []
        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"
        [[backend]]
        name = "apps"
        balance = { plugin = "./dicing.wasm", grant = ["random"] }
        server = [{ name = "a", address = "@a@" }, { name = "b", address = "@a@" }, { name = "c", address = "@a@" }]
    "#;
    let origin = Origin::start("a").await;
    let weir = Weir::builder()
        .file("dicing.wasm", dicing.clone())
        .start(&fill(config, &[("a", &origin.address())]))
        .await;
    let tools = WeirCommand::default().file("dicing.wasm", dicing);
    let config = weir.folder().join("weir.toml");
    let config = config.to_str().expect("the path is plain");
    let load = Load::start(weir.address("web"), 2, &["/"], Duration::from_millis(1));
    load.another(10).await;
    let words = ["record", "-c", config, "-o", "r.jsonl", "--for", "1s"];
    tools.run(&words).await.succeeded();
    assert_eq!(load.stop().await.failed(), 0);

    let words = ["replay", "r.jsonl", "--plugin", "dicing.wasm"];
    let shown = tools.run(&words).await.succeeded();
    assert!(shown.contains("       0 different"), "{shown}");
    assert!(!shown.contains("note:"), "{shown}");

    // Without the numbers that were drawn it is left to chance.
    let bare = tools.read("r.jsonl").replace("\"rolls\":", "\"unknown\":");
    tools.write("r.jsonl", bare);
    let shown = tools.run(&words).await.failed();
    assert!(
        shown.contains("random numbers, and none were recorded"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_cannot_be_recorded_or_replayed_is_said_with_a_way_out() {
    let scene = Scene::set().await;
    let config = scene.config();
    let record = ["record", "-c", &config, "-o", "r.jsonl"];
    for (words, error) in [
        (
            ["--frontend", "wbe"],
            "no frontend is called `wbe`; there are web",
        ),
        (
            ["--plugin", "hsh"],
            "no plugin is called `hsh`; there are hash, rules",
        ),
        (["--share", "10"], "is no percentage from 0% to 100%"),
        (["--for", "10"], "has no unit"),
    ] {
        let ran = scene.tools.run(&[&record[..], &words].concat()).await;
        assert_ne!(ran.code, Some(0));
        assert!(ran.stderr.contains(error), "{error}: {}", ran.stderr);
    }
    let nobody = ["record", "--admin", "unix:nobody.sock", "-o", "r.jsonl"];
    let ran = scene.tools.run(&nobody).await.failed();
    assert!(
        ran.contains("no proxy serves administrators at unix:nobody.sock"),
        "{ran}"
    );

    scene.tools.write("r.jsonl", "hello\n");
    let ran = scene.replay(&["--plugin", "hash"]).await.failed();
    assert!(
        ran.contains("r.jsonl:1: not a recording; `weir record` makes one"),
        "{ran}"
    );
}

/// Two plugins that go by what they have counted and kept, and by what that was before the recording began.
const COUNTING: &str = r#"
    admin = "unix:admin.sock"
    log = []
    why = { share = "100%" }

    [[counters]]
    name = "clients"
    rates = { requests = "1h" }

    [[counters]]
    name = "sticky"

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "apps"

    [[frontend.filter]]
    plugin = "rate-limit"
    counters = ["clients"]
    config = { table = "clients", retry_after = false, limit = [{ counter = "requests", most = 20 }] }

    [[backend]]
    name = "apps"
    persistence = { plugin = "stick", counters = ["sticky"], config = { table = "sticky" } }
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
"#;

#[tokio::test]
async fn plugins_that_count_are_answered_as_they_were() {
    let origins = [Origin::start("a").await, Origin::start("b").await];
    let [a, b] = origins.each_ref().map(Origin::address);
    let weir = Weir::start(&fill(COUNTING, &[("a", &a), ("b", &b)])).await;
    let tools = WeirCommand::default();
    let config = weir.folder().join("weir.toml");
    let config = config.to_str().expect("the path is plain");
    for _ in 0..15 {
        assert_eq!(weir.get("/").await.status(), 200);
    }
    let record = ["record", "-c", config, "-o", "r.jsonl", "--for", "4s"];
    let (ran, denied) = tokio::join!(tools.run(&record), async {
        weir.log_line("recording decisions").await;
        let mut denied = 0;
        for _ in 0..12 {
            denied += u64::from(weir.get("/").await.status() == 429);
        }
        denied
    });
    ran.succeeded();
    assert_eq!(denied, 7, "15 came before, and 20 may");
    let recorded = tools.read("r.jsonl");
    assert_eq!(
        recorded.matches("\"asked\":\"add\"").count(),
        12,
        "{recorded}"
    );

    // The first of them, told: the sixteenth of its client, who has the server that it had.
    let first = recorded.lines().nth(1).expect("an exchange was recorded");
    let first: Value = serde_json::from_str(first).expect("it is JSON");
    let id = first["exchange"]["id"].as_str().expect("it has an id");
    let story = tools.run(&["why", id, "-c", config]).await.succeeded();
    for told in [
        "add clients.requests \"127.0.0.1\" 1: 16",
        "value sticky \"127.0.0.1\": \"",
    ] {
        assert!(story.contains(told), "{told} in\n{story}");
    }

    let places = ["frontend.web.filter.1", "backend.apps.persistence"];
    let replay = |place, plugin| {
        [
            "replay", "r.jsonl", "--use", place, "--plugin", plugin, "-c", config,
        ]
    };
    for (place, plugin) in places.into_iter().zip(["rate-limit", "stick"]) {
        let shown = tools.run(&replay(place, plugin)).await.succeeded();
        assert!(shown.contains("       0 different"), "{shown}");
        assert!(!shown.contains("note:"), "{shown}");
    }

    // A stricter limit, for which the tables that were granted are in the recording: 16 to 20 are denied now.
    let stricter =
        r#"{"table":"clients","retry_after":false,"limit":[{"counter":"requests","most":15}]}"#;
    tools.write("stricter.json", stricter);
    let stricter = [
        "replay",
        "r.jsonl",
        "--plugin",
        "rate-limit",
        "--config",
        "stricter.json",
    ];
    let shown = tools.run(&stricter).await.failed();
    assert!(shown.contains("       5 different"), "{shown}");
    assert!(
        shown.contains("- pass") && shown.contains("+ deny 429"),
        "{shown}"
    );

    // Without what counters answered all begins at nothing.
    let bare = recorded.replace("\"counters\":[{\"asked\"", "\"unknown\":[{\"asked\"");
    assert_ne!(bare, recorded);
    tools.write("r.jsonl", bare);
    let shown = tools.run(&replay(places[0], "rate-limit")).await.failed();
    assert!(shown.contains("       7 different"), "{shown}");
    assert!(shown.contains("they count from nothing"), "{shown}");
}
