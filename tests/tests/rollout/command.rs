//! `weir rollout`: new versions ordered from the command line, and what files and reloads make of that.

use weir_tests::{Load, Origin, Ran, Reload, Weir, WeirCommand, eventually, fill};

use super::{
    Renamed, passing,
    stage::{clients, denied, deny, filter, rollout, said_with_both_digests, started, with_path},
};

const USE: &str = "frontend/web/filter/1";

/// Runs `weir rollout WORDS` about this proxy.
async fn ran(weir: &Weir, words: &[&str]) -> Ran {
    let door = format!("unix:{}", weir.folder().join("admin.sock").display());
    let words = [&["rollout"], words, &["--admin", &door]].concat();
    WeirCommand::default().run(&words).await
}

async fn ordered(weir: &Weir, words: &[&str]) -> String {
    ran(weir, words).await.succeeded()
}

fn file(weir: &Weir, name: &str) -> String {
    weir.folder().join(name).display().to_string()
}

/// A proxy whose file knows of no new version, beside which one lies.
async fn scene(origin: &Origin) -> Weir {
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    started(origin, &filter(""), &files).await
}

async fn half(weir: &Weir) -> String {
    let next = file(weir, "next.wasm");
    let canary = ["canary", USE, &next, "--share", "50%"];
    ordered(
        weir,
        &[&canary[..], &["--on", "query-param(client)"]].concat(),
    )
    .await
}

#[tokio::test]
async fn a_version_is_tried_out_takes_over_and_goes_back_by_command_alone() {
    let origin = Origin::start("a").await;
    let weir = scene(&origin).await;
    let all = clients(60);
    let shadow = ordered(&weir, &["shadow", USE, &file(&weir, "next.wasm")]).await;
    assert!(
        shadow.starts_with("frontend/web/filter/1: shadow on 100%\n"),
        "{shadow}"
    );
    assert!(denied(&weir, &all, 418).await.is_empty());
    eventually("the shadow's answers", async || {
        (rollout(&weir).await["disagreements"].as_u64() >= Some(60)).then_some(())
    })
    .await;

    let shown = half(&weir).await;
    for part in ["canary on 50%", "by query-param(client)", "VERSION"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let some = denied(&weir, &all, 418).await;
    assert!(!some.is_empty() && some.len() < 60, "{}", some.len());
    let waited = ran(&weir, &["wait", USE, "--answers", "1000", "--for", "1ms"]).await;
    assert_eq!(waited.code, Some(4), "nobody asks it: {}", waited.stderr);
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        denied(&weir, &all, 418).await,
        some,
        "a reload keeps what was ordered"
    );
    let listed = ordered(&weir, &["list"]).await;
    for part in [
        "frontend/web/filter/1  canary on 50%",
        "the file has",
        "with the next",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let found = rollout(&weir).await;

    let said = ordered(&weir, &["promote", USE]).await;
    let line = format!("write `plugin = \"{}\"` there", file(&weir, "next.wasm"));
    assert!(said.contains(&line), "{said}");
    for version in ["current", "next"] {
        let digest = found[version]["digest"].as_str().unwrap();
        assert!(said.contains(digest), "{said}");
    }
    said_with_both_digests(&weir, "new version has taken the place", &found).await;
    for moment in ["at once", "after a reload"] {
        assert_eq!(denied(&weir, &all, 418).await.len(), 60, "{moment}");
        assert_eq!(weir.reload().await, Reload::Loaded);
    }

    let said = ordered(&weir, &["return", USE]).await;
    assert!(said.contains("in place of"), "{said}");
    assert!(denied(&weir, &all, 418).await.is_empty());
    let line = weir
        .log_line("changed which version is used use=frontend/web/filter/1")
        .await;
    assert!(
        line.contains("was=sha256:") && line.contains("now=sha256:"),
        "{line}"
    );
    let config = file(&weir, "weir.toml");
    let list = ["rollout", "list", "--uses", "-c", &config];
    let listed = WeirCommand::default().run(&list).await.succeeded();
    assert!(
        listed.starts_with("no new version is tried out\n"),
        "{listed}"
    );
    assert!(
        listed.contains(USE) && !listed.contains("ordered"),
        "{listed}"
    );
}

#[tokio::test]
async fn a_file_that_says_something_else_ends_what_was_ordered() {
    let origin = Origin::start("a").await;
    let weir = scene(&origin).await;
    half(&weir).await;
    ordered(&weir, &["promote", USE]).await;
    let address = origin.address();
    let same = filter("").replace("[[frontend.filter]]", "# A line more.\n[[frontend.filter]]");
    weir.write_config(&fill(&same, &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        weir.get("/").await.status(),
        418,
        "the use says what it said"
    );

    let written = same.replace("./current.wasm", "./next.wasm");
    weir.write_config(&fill(&written, &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    weir.log_line(
        "what was ordered at frontend/web/filter/1 while the proxy ran is in the file now",
    )
    .await;
    assert_eq!(weir.get("/").await.status(), 418);

    weir.write_config(&fill(&same, &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    half(&weir).await;
    ordered(&weir, &["promote", USE]).await;
    weir.write_config(&fill(&filter("deadline = \"4s\""), &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    weir.log_line("what was ordered at frontend/web/filter/1 while the proxy ran is forgotten")
        .await;
    assert_eq!(weir.get("/").await.status(), 200);
}

#[tokio::test]
async fn what_the_file_tries_out_is_promoted_ended_and_taken_up_again() {
    let origin = Origin::start("a").await;
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    let canary = "next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"50%\", on = \"query-param(client)\" }";
    let weir = started(&origin, &filter(canary), &files).await;
    let all = clients(40);
    let some = denied(&weir, &all, 418).await;
    ordered(&weir, &["return", USE]).await;
    assert!(denied(&weir, &all, 418).await.is_empty());
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert!(denied(&weir, &all, 418).await.is_empty());
    ordered(&weir, &["reset", "frontend.web.filter.1"]).await;
    assert_eq!(denied(&weir, &all, 418).await, some, "as the file says");

    ordered(&weir, &["stop", USE]).await;
    assert!(denied(&weir, &all, 418).await.is_empty());
    ordered(&weir, &["resume", USE]).await;
    ordered(&weir, &["share", USE, "100%"]).await;
    assert_eq!(denied(&weir, &all, 418).await.len(), 40);
    ordered(&weir, &["promote", USE]).await;
    assert_eq!(denied(&weir, &all, 418).await.len(), 40);
    ordered(&weir, &["return", USE]).await;
    assert!(
        denied(&weir, &all, 418).await.is_empty(),
        "the last good version, and no try"
    );
}

#[tokio::test]
async fn the_end_of_a_bad_version_shows_in_the_exit_code() {
    let origin = Origin::start("a").await;
    let weir = scene(&origin).await;
    weir.write_file("next.wasm", with_path("(unreachable)").build());
    half(&weir).await;
    assert!(
        denied(&weir, &clients(40), 418).await.is_empty(),
        "no client sees it"
    );
    for command in [&["show", USE][..], &["list"]] {
        let ran = ran(&weir, command).await;
        assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("2 failures in 2 calls within 60s"),
            "{}",
            ran.stdout
        );
    }
    let waited = ran(&weir, &["wait", USE, "--for", "1ms"]).await;
    assert_eq!(waited.code, Some(3), "it will not come any farther");
    let shown = ran(&weir, &["show", USE, "--json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("it is JSON");
    assert_eq!(shown["state"], "given-up");
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_changes_nothing_and_says_why() {
    let origin = Origin::start("a").await;
    let weir = scene(&origin).await;
    weir.write_file("broken.wasm", b"\0asm no");
    let (next, broken) = (file(&weir, "next.wasm"), file(&weir, "broken.wasm"));
    let refused: [(&[&str], &[&str]); 8] = [
        (
            &["promote", "frontend/web/filter/2"],
            &[
                "no plugin is used at `frontend/web/filter/2`",
                "there is frontend/web/filter/1",
            ],
        ),
        (
            &["promote", "backend/a b"],
            &["`backend/a b` is no use of a plugin"],
        ),
        (
            &["promote", USE],
            &["no new version is tried out at `frontend/web/filter/1`"],
        ),
        (&["return", USE], &["nothing to return from"]),
        (
            &["show", USE],
            &["no new version is tried out at `frontend/web/filter/1`"],
        ),
        (
            &["shadow", USE, &broken],
            &["command:1:10: plugin `", "broken.wasm"],
        ),
        (
            &[
                "shadow",
                USE,
                &next,
                "--set",
                "colour = 1",
                "--give-up",
                "window=1",
            ],
            &[
                "command:4:18: `window` is",
                "command:5:1: unknown key `colour`",
            ],
        ),
        (
            &["canary", USE, &next, "--steps", "25% 1m, 5%"],
            &["command:3:", "each step is greater than the one before"],
        ),
    ];
    for (words, wanted) in refused {
        let said = ran(&weir, words).await.failed();
        for part in wanted {
            assert!(said.contains(part), "{words:?}: {part} in\n{said}");
        }
    }
    let unclear = ran(&weir, &["canary", USE, &next]).await;
    assert_eq!(unclear.code, Some(2), "{}", unclear.stderr);
    assert!(unclear.stderr.contains("--share"), "{}", unclear.stderr);
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(rollout(&weir).await, serde_json::Value::Null);
    let nobody = ["rollout", "list", "--admin", "unix:/nowhere/admin.sock"];
    let said = WeirCommand::default().run(&nobody).await.failed();
    assert!(
        said.contains("no proxy serves administrators at unix:/nowhere/admin.sock"),
        "{said}"
    );
    let wrong = weir
        .admin("GET", "/rollouts/frontend/web/filter/1/promote")
        .await;
    assert_eq!(wrong.status(), 405);
}

#[tokio::test]
async fn a_canary_grows_by_its_steps_while_it_is_good() {
    let origin = Origin::start("a").await;
    let good = passing().text_of("other");
    let files = [("current.wasm", &passing()), ("next.wasm", &good)];
    let weir = started(&origin, &filter(""), &files).await;
    let next = file(&weir, "next.wasm");
    let canary = [
        "canary",
        USE,
        &next,
        "--steps",
        "20% 50ms, 50% 50ms, 100%",
        "--on",
        "query-param(client)",
        "--give-up",
        "at_least=20",
    ];
    let shown = ordered(&weir, &canary).await;
    for part in [
        "step       1 of 3, for ",
        "of 0.05 s; 0 of at least 20 answers",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let found = rollout(&weir).await;
    let targets = clients(200);
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let load = Load::start(
        weir.address("web"),
        4,
        &targets,
        std::time::Duration::from_millis(1),
    );
    for step in [
        "set to 50%, step 2 of 3: it stayed within its limits for",
        "set to 100%, step 3 of 3",
    ] {
        said_with_both_digests(&weir, step, &found).await;
    }
    let waited = ordered(&weir, &["wait", USE, "--answers", "50"]).await;
    assert!(
        waited.contains("step       3 of 3, the last one"),
        "{waited}"
    );
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
    let found = rollout(&weir).await;
    assert_eq!(
        (&found["share"], &found["state"]),
        (&"100%".into(), &"running".into())
    );
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        rollout(&weir).await["share"],
        "100%",
        "a reload is no step back"
    );
}

#[tokio::test]
async fn a_canary_that_is_bad_never_sees_its_next_step() {
    let origin = Origin::start("a").await;
    let weir = scene(&origin).await;
    let next = file(&weir, "next.wasm");
    let canary = [
        "canary",
        USE,
        &next,
        "--steps",
        "20% 50ms, 100%",
        "--on",
        "query-param(client)",
        "--give-up",
        "disagreements=10%",
        "--give-up",
        "at_least=100",
    ];
    ordered(&weir, &canary).await;
    let targets = clients(200);
    let lied = denied(&weir, &targets, 418).await;
    assert!(
        (1..=11).contains(&lied.len()),
        "10% of at least 100 calls: {}",
        lied.len()
    );
    let found = rollout(&weir).await;
    assert_eq!(
        (&found["share"], &found["state"]),
        (&"20%".into(), &"given-up".into())
    );
    assert!(denied(&weir, &targets, 418).await.is_empty());
}
