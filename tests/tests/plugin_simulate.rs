//! `weir plugin simulate`: a balancer played through made-up and recorded traffic.

use serde_json::Value;
use weir_tests::WeirCommand;

/// The figures of each plugin of a run.
async fn figures(command: &WeirCommand, words: &[&str]) -> Vec<Value> {
    let words = [&["plugin", "simulate"], words, &["--json"]].concat();
    let text = command.run(&words).await.succeeded();
    serde_json::from_str(&text).expect("`--json` is JSON")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn the_same_seed_is_the_same_run_and_another_is_another() {
    let command = WeirCommand::default();
    let run =
        async |seed| figures(&command, &["random", "--requests", "3000", "--seed", seed]).await;
    let first = run("1").await;
    assert_eq!(first, run("1").await);
    assert_ne!(first, run("2").await);
}

#[tokio::test]
async fn looking_at_loads_shortens_the_wait_in_a_busy_backend() {
    let command = WeirCommand::default();
    let words = [
        "round-robin",
        "--against",
        "least-conn",
        "--requests",
        "20000",
        "--slots",
        "1",
        "--synthetic",
        "poisson:240/s",
    ];
    let runs = figures(&command, &words).await;
    let wait = |run: &Value| number(&run["waiting"]["p99"]);
    assert!(
        wait(&runs[1]) < 0.7 * wait(&runs[0]),
        "least-conn {} ms, round-robin {} ms",
        wait(&runs[1]),
        wait(&runs[0])
    );
    for run in &runs {
        assert!(number(&run["fairness"]) > 0.99, "{run}");
        assert_eq!(run["served"], 20_000);
        // 240 a second, 10 ms each, three servers with a slot.
        for server in run["servers"].as_array().unwrap() {
            assert!((0.7..0.9).contains(&number(&server["busy"])), "{server}");
        }
    }
}

#[tokio::test]
async fn a_server_that_fails_costs_what_it_worked_at_and_consistent_hashing_moves_only_its_clients()
{
    let scenario = r#"
        arrivals = "poisson:500/s"
        requests = 30_000
        keys = 300
        detection = "1s"

        [[server]]
        name = "a"
        [[server]]
        name = "b"
        [[server]]
        name = "c"
        down = ["20s..90s"]
    "#;
    let command = WeirCommand::default().file("scenario.toml", scenario);
    let words = [
        "hash",
        "--config",
        r#"{"on": "source", "method": "consistent"}"#,
        "--against",
        "hash",
        "--config",
        r#"{"on": "source"}"#,
        "--scenario",
        "scenario.toml",
    ];
    let runs = figures(&command, &words).await;
    for run in &runs {
        assert_eq!(run["requests"], 30_000);
        assert!(
            number(&run["broken"]) <= 4.0,
            "no more than it had slots: {run}"
        );
        assert!(
            number(&run["refused"]) > 50.0,
            "until it was found out: {run}"
        );
        assert_eq!(run["keys"], 300);
        let had_to = number(&run["moves"]["had_to"]);
        assert!(
            (60.0..150.0).contains(&had_to),
            "once for each of its clients: {run}"
        );
    }
    let without_need = |run: &Value| number(&run["moves"]["without_need"]);
    assert_eq!(without_need(&runs[0]), 0.0, "{}", runs[0]["moves"]);
    assert!(without_need(&runs[1]) > 60.0, "{}", runs[1]["moves"]);
}

#[tokio::test]
async fn a_trace_is_played_in_its_own_time() {
    let lines: String = (0..40)
        .map(|n| {
            let at = f64::from(n) / 10.0;
            format!(
                "{{\"at\": {at}, \"client\": \"192.0.2.{}\", \"service\": 0.05}}\n",
                n % 4
            )
        })
        .collect();
    let command = WeirCommand::default().file("trace.jsonl", lines);
    let words = [
        "hash",
        "--config",
        r#"{"on": "source"}"#,
        "--against",
        "round-robin",
        "--trace",
        "trace.jsonl",
        "--servers",
        "4",
    ];
    let runs = figures(&command, &words).await;
    assert_eq!(
        runs[0]["moves"]["stayed"], 36,
        "four clients, each stays where it was"
    );
    assert_eq!(number(&runs[0]["response"]["most"]), 50.0);
    let picks = |server: &Value| server["picks"].clone();
    let servers = runs[1]["servers"].as_array().unwrap();
    assert!(
        servers.iter().all(|server| picks(server) == 10),
        "{servers:?}"
    );

    command.write(
        "trace.jsonl",
        "{\"at\": 0, \"headers\": {\"a b\": \"c\"}}\n",
    );
    let words = ["plugin", "simulate", "first", "--trace", "trace.jsonl"];
    let shown = command.run(&words).await.failed();
    assert!(
        shown.contains("request 0: the proxy refuses this request"),
        "{shown}"
    );
}

#[tokio::test]
async fn two_runs_are_shown_side_by_side_and_drawn() {
    let command = WeirCommand::default();
    let words = [
        "plugin",
        "simulate",
        "round-robin",
        "--against",
        "first",
        "--requests",
        "500",
        "--svg",
        "plot.svg",
    ];
    let table = command.run(&words).await.succeeded();
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["round-robin", "first"]);
    let of_a = table
        .lines()
        .find(|line| line.starts_with("server a "))
        .unwrap();
    assert!(
        of_a.contains("33.4 %") && of_a.contains("100.0 %"),
        "{of_a}"
    );
    let plot = command.read("plot.svg");
    for text in [
        "<svg",
        "round-robin",
        "first",
        "response time by percentile",
        "</svg>",
    ] {
        assert!(plot.contains(text), "no {text} in the plot");
    }
}

#[tokio::test]
async fn what_cannot_be_played_says_why() {
    let command = WeirCommand::default().file("s.toml", "[[server]]\nnam = \"a\"\n");
    let shown = command
        .run(&["plugin", "simulate", "cookie"])
        .await
        .failed();
    assert!(
        shown.contains("cookie is no balancer: it exports persistence"),
        "{shown}"
    );
    let shown = command
        .run(&["plugin", "simulate", "first", "--scenario", "s.toml"])
        .await
        .failed();
    assert!(shown.contains("s.toml:2:1: unknown key `nam`"), "{shown}");
    let ran = command
        .run(&["plugin", "simulate", "first", "--service", "gauss:1ms"])
        .await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("write \"fixed:10ms\""),
        "{}",
        ran.stderr
    );
}
