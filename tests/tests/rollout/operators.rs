//! What operators see of a new version and do with it, and what reloads make of it.

use serde_json::Value;
use weir_tests::{Origin, Reload, Weir, eventually, fill};

use super::{
    passing,
    stage::{clients, denied, deny, filter, rollout, said_with_both_digests, started, with_path},
};

const PLACE: &str = "/rollouts/frontend/web/filter/1";

const CANARY: &str = "next = { plugin = \"./next.wasm\", mode = \"canary\", share = \"50%\", on = \"query-param(client)\" }";

async fn wish(weir: &Weir, wish: &str) -> String {
    let done = weir.admin("POST", &format!("{PLACE}/{wish}")).await;
    assert_eq!(done.status(), 200, "{wish}: {}", done.text());
    done.text()
}

#[tokio::test]
async fn an_administrator_stops_resumes_and_changes_the_share() {
    let origin = Origin::start("a").await;
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    let weir = started(&origin, &filter(CANARY), &files).await;
    let all = clients(60);
    let some = denied(&weir, &all, 418).await;
    assert!(!some.is_empty() && some.len() < 60);

    assert_eq!(
        wish(&weir, "stop").await,
        "frontend/web/filter/1 stopped 50%\n"
    );
    assert!(denied(&weir, &all, 418).await.is_empty());
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert!(
        denied(&weir, &all, 418).await.is_empty(),
        "a reload is no resuming"
    );

    wish(&weir, "resume").await;
    assert_eq!(denied(&weir, &all, 418).await, some, "the same clients");

    wish(&weir, "share?value=100%25").await;
    assert_eq!(denied(&weir, &all, 418).await.len(), 60);
    wish(&weir, "share?value=10%").await;
    let few = denied(&weir, &all, 418).await;
    assert!(
        few.iter().all(|client| some.contains(client)),
        "some of them: {few:?}"
    );
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(
        denied(&weir, &all, 418).await,
        few,
        "a reload keeps the share"
    );

    let found = rollout(&weir).await;
    for step in ["stopped", "resumed", "set to 100%", "set to 10%"] {
        let step = format!("new version {step} by an administrator");
        said_with_both_digests(&weir, &step, &found).await;
    }
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_answered_with_what_can() {
    let origin = Origin::start("a").await;
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    let weir = started(&origin, &filter(CANARY), &files).await;
    for (method, target, status, said) in [
        (
            "POST",
            "/rollouts/frontend/web/filter/2/stop",
            404,
            "there is frontend/web/filter/1",
        ),
        ("POST", "/rollouts/nowhere", 404, "stop, resume, share"),
        (
            "POST",
            "/rollouts/frontend/web/filter/1/halt",
            404,
            "stop, resume, share",
        ),
        (
            "POST",
            "/rollouts/frontend/web/filter/1/share",
            400,
            "?value=5%",
        ),
        (
            "POST",
            "/rollouts/frontend/web/filter/1/share?value=500%",
            400,
            "0% to 100%",
        ),
        ("GET", "/rollouts/frontend/web/filter/1/stop", 405, "POST"),
        ("POST", "/rollouts", 405, "GET"),
    ] {
        let answer = weir.admin(method, target).await;
        assert_eq!(answer.status(), status, "{target}");
        assert!(answer.text().contains(said), "{target}: {}", answer.text());
    }
    assert_eq!(rollout(&weir).await["state"], "running");
}

#[tokio::test]
async fn status_and_metrics_show_both_versions() {
    let origin = Origin::start("a").await;
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    let weir = started(&origin, &filter(CANARY), &files).await;
    denied(&weir, &clients(40), 418).await;
    let found = rollout(&weir).await;
    let asked = |version: &str| found[version]["answers"].as_u64().expect("a number");
    assert_eq!(asked("current") + asked("next"), 40);

    let status: Value = serde_json::from_str(&weir.admin("GET", "/status").await.text()).unwrap();
    let next = &status["frontends"][0]["filters"][0]["next"];
    assert_eq!(next["digest"], found["next"]["digest"]);
    assert_eq!(
        (&next["state"], &next["mode"]),
        (&"running".into(), &"canary".into())
    );

    let metrics = weir.admin("GET", "/metrics").await.text();
    for version in ["current", "next"] {
        let digest = found[version]["digest"].as_str().unwrap();
        let labels = format!(
            "plugin=\"./next.wasm (canary)\",role=\"filter\",frontend=\"web\",position=\"0\",version=\"{version}\",digest=\"{digest}\""
        )
        .replace("./next.wasm", &format!("{}/next.wasm", weir.folder().display()));
        let line = format!("weir_rollout_answers_total{{{labels}}} {}", asked(version));
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    assert!(metrics.contains("# TYPE weir_rollout_call_seconds summary"));
    assert!(metrics.contains("weir_rollout_running{"), "{metrics}");
}

#[tokio::test]
async fn a_version_that_was_given_up_stays_so_until_it_is_another_one() {
    let origin = Origin::start("a").await;
    let config = filter(CANARY).replace("watch = false", "watch = true");
    let files = [
        ("current.wasm", &passing()),
        ("next.wasm", &with_path("(unreachable)")),
    ];
    let weir = started(&origin, &config, &files).await;
    assert!(denied(&weir, &clients(40), 418).await.is_empty());
    let given_up = rollout(&weir).await;
    assert_eq!(given_up["state"], "given-up");

    assert_eq!(weir.reload().await, Reload::Loaded);
    let found = rollout(&weir).await;
    assert_eq!(found["state"], "given-up", "nothing about it changed");
    said_with_both_digests(&weir, "new version still has no clients", &found).await;

    // A new build of it is noticed by itself.
    let mark = weir.log_length();
    weir.write_file("next.wasm", deny(418).build());
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    let found = rollout(&weir).await;
    assert_eq!(found["state"], "running");
    assert_ne!(found["next"]["digest"], given_up["next"]["digest"]);
    assert!(!denied(&weir, &clients(40), 418).await.is_empty());
}

#[tokio::test]
async fn an_operator_can_give_a_version_another_chance() {
    let origin = Origin::start("a").await;
    let files = [
        ("current.wasm", &passing()),
        ("next.wasm", &with_path("(unreachable)")),
    ];
    let weir = started(&origin, &filter(CANARY), &files).await;
    denied(&weir, &clients(40), 418).await;
    assert_eq!(rollout(&weir).await["state"], "given-up");
    wish(&weir, "resume").await;
    let found = rollout(&weir).await;
    assert_eq!(
        (&found["state"], &found["why"]),
        (&"running".into(), &Value::Null)
    );
    let failed = found["next"]["failures"].as_u64();
    denied(&weir, &clients(40), 418).await;
    let found = rollout(&weir).await;
    assert_eq!(found["state"], "given-up", "it failed again");
    assert!(found["next"]["failures"].as_u64() > failed, "{found}");
}

#[tokio::test]
async fn the_end_of_a_try_is_told_with_how_it_ended() {
    let origin = Origin::start("a").await;
    let files = [("current.wasm", &passing()), ("next.wasm", &deny(418))];
    let weir = started(&origin, &filter(CANARY), &files).await;
    let found = rollout(&weir).await;
    said_with_both_digests(&weir, "new version is tried out on 50% of clients", &found).await;
    let address = origin.address();
    weir.write_config(&fill(&filter(""), &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    said_with_both_digests(&weir, "new version is no longer tried out", &found).await;
    assert_eq!(rollout(&weir).await, Value::Null);

    weir.write_config(&fill(&filter(CANARY), &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    let promoted = filter("").replace("./current.wasm", "./next.wasm");
    weir.write_config(&fill(&promoted, &[("a", &address)]));
    assert_eq!(weir.reload().await, Reload::Loaded);
    said_with_both_digests(&weir, "new version has taken the place", &found).await;
    eventually("the new version serves", async || {
        (weir.get("/").await.status() == 418).then_some(())
    })
    .await;
}
