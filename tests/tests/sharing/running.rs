//! New versions out of a registry, ordered of a proxy under load: whatever is wrong with one, what runs goes on.

use std::{fs, time::Duration};

use weir_tests::{Load, Origin, Registry, Weir, component, fill};

use super::{Team, alter, digest_of, half_a_registry, two_origins};

const CONFIG: &str = r#"
    watch = false
    admin = "unix:admin.sock"

    [registry."@good@"]
    plain_http = true
    [registry."@half@"]
    plain_http = true

    [trust]
    "oci://@good@/signed/" = ["team.pub"]

    [[frontend]]
    name = "web"
    bind = ["127.0.0.1:0"]
    default_backend = "team:apps"

    [[backend]]
    name = "team:apps"
    balance = "first"
    server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
"#;

const USE: &str = "backend/team:apps/balancer";

struct Scene {
    registry: Registry,
    half: String,
    team: Team,
    weir: Weir,
    _origins: (Origin, Origin),
}

impl Scene {
    async fn set() -> Option<Self> {
        let registry = Registry::start().await?;
        let blob = fs::read(component("random")).unwrap();
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
             \"config\":{{\"mediaType\":\"application/vnd.wasm.config.v0+json\",\"digest\":\"{0}\",\"size\":2}},\
             \"layers\":[{{\"mediaType\":\"application/wasm\",\"digest\":\"{0}\",\"size\":{1}}}]}}",
            digest_of(component("random")),
            blob.len()
        );
        let half = half_a_registry(manifest, blob).await;
        let team = Team::new();
        team.run(&["plugin", "keygen", "team"]).await;
        team.run(&["plugin", "keygen", "other"]).await;
        let origins = two_origins().await;
        let config = fill(
            CONFIG,
            &[
                ("good", &registry.address()),
                ("half", &half),
                ("a", &origins.0.address()),
                ("b", &origins.1.address()),
            ],
        );
        // A cache of its own: it has seen none of what the team sends.
        let weir = Team::new()
            .weir()
            .file("team.pub", team.command.read("team.pub"));
        Some(Self {
            weir: weir.start(&config).await,
            registry,
            half,
            team,
            _origins: origins,
        })
    }

    /// Sends a plugin that comes with Weir and says how it is named.
    async fn sent(&self, plugin: &str, rest: &str) -> String {
        self.team.push(&self.registry, plugin, rest).await;
        self.registry.reference(rest)
    }

    async fn sign(&self, reference: &str, key: &str) {
        let sign = ["plugin", "sign", reference, "--key", key, "--plain-http"];
        self.team.run(&sign).await;
    }

    fn door(&self) -> String {
        format!("unix:{}", self.weir.folder().join("admin.sock").display())
    }

    async fn ordered(&self, words: &[&str]) -> String {
        let door = self.door();
        let words = [&["rollout"], words, &["--admin", &door]].concat();
        self.team.run(&words).await
    }

    /// What the proxy says to an order of this version for all clients.
    async fn refused(&self, reference: &str) -> String {
        let door = self.door();
        let words = [
            "rollout", "canary", USE, reference, "--share", "100%", "--admin", &door,
        ];
        self.team.fails(&words).await
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_fetched_or_trusted_costs_no_client_anything() {
    let Some(mut scene) = Scene::set().await else {
        return;
    };
    let load = Load::start(
        scene.weir.address("web"),
        4,
        &["/"],
        Duration::from_millis(2),
    );
    load.another(20).await;

    let altered = scene.sent("random", "team/altered:1").await;
    alter(&scene.registry.blob(&digest_of(component("random"))));
    let said = scene.refused(&altered).await;
    assert!(said.contains("what came is altered"), "{said}");
    assert!(
        said.contains("command:1:10: plugin `oci://"),
        "the place: {said}"
    );

    let unsigned = scene.sent("round-robin", "signed/algo:1").await;
    let said = scene.refused(&unsigned).await;
    assert!(said.contains("is not signed (looked for the tag"), "{said}");
    scene.sign(&unsigned, "other.key").await;
    let said = scene.refused(&unsigned).await;
    assert!(
        said.contains("team.pub, or was altered after it was signed"),
        "{said}"
    );

    let half = format!("oci://{}/team/algo:1", scene.half);
    let said = scene.refused(&half).await;
    assert!(said.contains("broke off"), "{said}");

    let missing = scene.registry.reference("team/nothing:1");
    let said = scene.refused(&missing).await;
    assert!(said.contains("there is no oci://"), "{said}");
    load.another(20).await;

    // The same with the right signature is taken, and put in its place.
    scene.sign(&unsigned, "team.key").await;
    let canary = ["canary", USE, &unsigned, "--share", "100%"];
    let shown = scene.ordered(&canary).await;
    assert!(shown.contains(&format!("{unsigned} (canary)")), "{shown}");
    let said = scene.ordered(&["promote", USE]).await;
    assert!(
        said.contains(&format!("write `plugin = \"{unsigned}\"`")),
        "{said}"
    );
    let answers = [scene.weir.get("/").await, scene.weir.get("/").await];
    assert_eq!(answers.map(|it| it.status()), [200, 200]);

    let away = scene.sent("least-conn", "team/away:1").await;
    scene.registry.stop().await;
    let said = scene.refused(&away).await;
    assert!(said.contains("can't be reached"), "{said}");
    load.another(20).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
    let listed = scene.ordered(&["list"]).await;
    assert!(
        listed.contains(&format!("ordered {unsigned}; the file has first")),
        "{listed}"
    );
}
