//! Components out of a registry: sent, fetched, pinned, signed, and what happens when any of it goes wrong.

#[path = "sharing/cosign.rs"]
mod cosign;
#[path = "sharing/running.rs"]
mod running;

use std::{fs, path::Path};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use weir_tests::{Origin, Registry, Reload, Weir, WeirBuilder, WeirCommand, component, fill};

/// Somebody with a cache of their own.
struct Team {
    command: WeirCommand,
    cache: tempfile::TempDir,
}

impl Team {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("there is room for temporary files");
        Self {
            command: WeirCommand::default().env("XDG_CACHE_HOME", cache.path()),
            cache,
        }
    }

    async fn run(&self, words: &[&str]) -> String {
        self.command.run(words).await.succeeded()
    }

    async fn fails(&self, words: &[&str]) -> String {
        self.command.run(words).await.failed()
    }

    /// Sends a component that comes with Weir and hands back the digest of its manifest.
    async fn push(&self, registry: &Registry, name: &str, rest: &str) -> String {
        let reference = registry.reference(rest);
        let shown = self
            .run(&["plugin", "push", name, &reference, "--plain-http"])
            .await;
        let (_, digest) = shown.trim().split_once('@').expect("it is printed pinned");
        digest.to_owned()
    }

    /// A proxy with this team's cache.
    fn weir(&self) -> WeirBuilder {
        Weir::builder().env("XDG_CACHE_HOME", self.cache.path())
    }

    /// The kept file of a digest.
    fn kept(&self, digest: &str) -> std::path::PathBuf {
        let blobs = self.cache.path().join("weir-components/blobs");
        blobs.join(digest.replace(':', "-"))
    }
}

async fn two_origins() -> (Origin, Origin) {
    tokio::join!(Origin::start("a"), Origin::start("b"))
}

/// Two servers, and a balancer out of the registry.
fn config(registry: &Registry, origins: &(Origin, Origin), plugin: &str, more: &str) -> String {
    let text = r#"
        watch = false
        @access@
        @more@

        [[frontend]]
        name = "web"
        bind = ["127.0.0.1:0"]
        default_backend = "apps"

        [[backend]]
        name = "apps"
        balance = "@plugin@"
        server = [{ name = "a", address = "@a@" }, { name = "b", address = "@b@" }]
    "#;
    // `@` begins a digest, too, so the reference comes last.
    let (a, b) = origins;
    let text = text
        .replace("@access@", &registry.access())
        .replace("@more@", more);
    fill(
        &text,
        &[
            ("a", &a.address()),
            ("b", &b.address()),
            ("plugin", &"PLUGIN"),
        ],
    )
    .replace("PLUGIN", plugin)
}

/// Changes one byte in the middle.
fn alter(file: &Path) {
    let mut bytes = fs::read(file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("it can be written");
}

#[tokio::test]
async fn what_one_team_sends_another_runs_by_its_digest_even_with_the_registry_gone() {
    let Some(mut registry) = Registry::start().await else {
        return;
    };
    let (here, there) = (Team::new(), Team::new());
    let digest = here.push(&registry, "first", "team/algo:1.2").await;
    assert_eq!(
        here.push(&registry, "first", "team/algo:1.3").await,
        digest,
        "the same again"
    );
    let tags = here
        .run(&[
            "plugin",
            "list",
            &registry.reference("team/algo"),
            "--plain-http",
        ])
        .await;
    assert_eq!(tags, "1.2\n1.3\n");

    let pinned = registry.reference(&format!("team/algo@{digest}"));
    there
        .run(&["plugin", "pull", &pinned, "--plain-http", "-o", "got.wasm"])
        .await;
    let got = fs::read(there.command.folder().join("got.wasm")).unwrap();
    assert_eq!(got, fs::read(component("first")).unwrap());

    let origins = two_origins().await;
    let config = config(&registry, &origins, &pinned, "");
    registry.stop().await;
    let weir = there.weir().start(&config).await;
    assert_eq!(weir.get("/").await.origin(), "a");
    assert_eq!(weir.get("/").await.origin(), "a");

    // Nobody kept it here.
    let elsewhere = Team::new();
    let refused = elsewhere.weir().check(&config).await;
    assert_eq!(refused.status.code(), Some(1));
    let shown = refused.stderr;
    assert!(
        shown.contains("can't be reached: Connection refused"),
        "{shown}"
    );
    assert!(shown.contains("weir.toml:15:19"), "{shown}");
}

#[tokio::test]
async fn a_tag_is_used_as_it_was_kept_while_the_registry_is_down() {
    let Some(mut registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    team.push(&registry, "first", "team/algo:1.2").await;
    let origins = two_origins().await;
    let config = config(
        &registry,
        &origins,
        &registry.reference("team/algo:1.2"),
        "",
    );
    assert!(team.weir().check(&config).await.status.success());
    registry.stop().await;
    let weir = team.weir().start(&config).await;
    assert_eq!(weir.get("/").await.origin(), "a");
    weir.log_line("registry does not answer; what was kept is used")
        .await;
}

#[tokio::test]
async fn a_tag_that_moved_is_not_followed_unless_that_is_wanted() {
    let Some(registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    let was = team.push(&registry, "first", "team/algo:1.2").await;
    let origins = two_origins().await;
    let tag = registry.reference("team/algo:1.2");
    let strict = config(&registry, &origins, &tag, "");
    let weir = team.weir().start(&strict).await;
    assert_eq!(weir.get("/").await.origin(), "a");

    let is = Team::new()
        .push(&registry, "round-robin", "team/algo:1.2")
        .await;
    let Reload::Refused(shown) = weir.reload().await else {
        panic!("a moved tag was taken");
    };
    assert!(
        shown.contains(&format!(
            "has moved: it named {was} when it was first used here, and now {is}"
        )),
        "{shown}"
    );
    assert!(shown.contains("moved_tags"), "{shown}");
    assert_eq!(weir.get("/").await.origin(), "a", "what ran goes on");

    weir.write_config(&strict.replace(
        "plain_http = true",
        "plain_http = true\nmoved_tags = \"follow\"",
    ));
    assert_eq!(weir.reload().await, Reload::Loaded);
    let served = [weir.get("/").await, weir.get("/").await];
    assert_ne!(served[0].origin(), served[1].origin(), "round robin now");

    // A pin holds whatever becomes of the tag.
    weir.write_config(&config(&registry, &origins, &format!("{tag}@{was}"), ""));
    assert_eq!(weir.reload().await, Reload::Loaded);
    assert_eq!(weir.get("/").await.origin(), "a");
}

#[tokio::test]
async fn an_altered_byte_in_the_cache_is_found_and_mended_or_refused() {
    let Some(mut registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    let manifest = team.push(&registry, "first", "team/algo:1").await;
    let origins = two_origins().await;
    let pinned = registry.reference(&format!("team/algo@{manifest}"));
    let config = config(&registry, &origins, &pinned, "");
    let weir = team.weir().start(&config).await;

    for digest in [manifest.as_str(), &digest_of(component("first"))] {
        alter(&team.kept(digest));
        assert_eq!(weir.reload().await, Reload::Loaded);
        weir.log_line("a kept component is altered; it is fetched again")
            .await;
    }

    registry.stop().await;
    let kept = team.kept(&digest_of(component("first")));
    alter(&kept);
    let Reload::Refused(shown) = weir.reload().await else {
        panic!("altered bytes were loaded");
    };
    assert!(
        shown.contains(&format!("{} is altered", kept.display())),
        "{shown}"
    );
    assert!(shown.contains("can't be reached"), "{shown}");
    assert_eq!(weir.get("/").await.status(), 200, "what ran goes on");
}

fn digest_of(file: impl AsRef<Path>) -> String {
    let output = std::process::Command::new("sha256sum")
        .arg(file.as_ref())
        .output();
    let output = output.expect("coreutils are there");
    let text = String::from_utf8(output.stdout).expect("it is ASCII");
    format!(
        "sha256:{}",
        text.split(' ').next().expect("the digest comes first")
    )
}

#[tokio::test]
async fn an_altered_byte_in_the_registry_is_never_loaded() {
    let Some(registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    team.push(&registry, "first", "team/algo:1").await;
    alter(&registry.blob(&digest_of(component("first"))));
    let reference = registry.reference("team/algo:1");
    let shown = Team::new()
        .fails(&["plugin", "pull", &reference, "--plain-http"])
        .await;
    assert!(shown.contains("what came is altered"), "{shown}");
}

/// A registry that sends a manifest as it should, and half of the component.
async fn half_a_registry(manifest: String, blob: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has free ports");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (manifest, blob) = (manifest.clone(), blob.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n")
                    && socket.read_buf(&mut head).await.unwrap_or(0) > 0
                {}
                let head = String::from_utf8_lossy(&head).into_owned();
                let (length, kind, body) = match head.contains("/manifests/") {
                    true => (
                        manifest.len(),
                        "application/vnd.oci.image.manifest.v1+json",
                        manifest.as_bytes(),
                    ),
                    false if head.contains("/blobs/") => (
                        blob.len(),
                        "application/octet-stream",
                        &blob[..blob.len() / 2],
                    ),
                    false => (2, "application/json", &b"{}"[..]),
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let body = if head.starts_with("HEAD") {
                    &b""[..]
                } else {
                    body
                };
                // The client may have gone.
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.write_all(body).await;
            });
        }
    });
    address.to_string()
}

#[tokio::test]
async fn half_a_download_is_no_component_and_nothing_of_it_is_kept() {
    let file = component("first");
    let blob = fs::read(&file).unwrap();
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"config\":{{\"mediaType\":\"application/vnd.wasm.config.v0+json\",\"digest\":\"{0}\",\"size\":2}},\
         \"layers\":[{{\"mediaType\":\"application/wasm\",\"digest\":\"{0}\",\"size\":{1}}}]}}",
        digest_of(&file),
        blob.len()
    );
    let address = half_a_registry(manifest, blob).await;
    let team = Team::new();
    let shown = team
        .fails(&[
            "plugin",
            "pull",
            &format!("oci://{address}/team/algo:1"),
            "--plain-http",
        ])
        .await;
    assert!(
        shown.contains(&format!("the registry {address} broke off")),
        "{shown}"
    );
    assert!(!team.kept(&digest_of(&file)).exists());
    assert!(!team.command.folder().join("algo.wasm").exists());
}

#[tokio::test]
async fn where_a_signature_is_wanted_nothing_else_is_loaded() {
    let Some(mut registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    team.push(&registry, "first", "team/algo:1").await;
    team.run(&["plugin", "keygen", "team"]).await;
    team.run(&["plugin", "keygen", "other"]).await;
    let reference = registry.reference("team/algo:1");
    let origins = two_origins().await;
    let prefix = registry.reference("team/");
    let trust = format!("[trust]\n\"{prefix}\" = [\"team.pub\"]");
    let config = config(&registry, &origins, &reference, &trust);
    let key = team.command.read("team.pub");
    let check = async || {
        team.weir()
            .file("team.pub", key.clone())
            .check(&config)
            .await
    };
    let sign = async |key: &str| {
        team.run(&["plugin", "sign", &reference, "--key", key, "--plain-http"])
            .await;
    };

    let shown = check().await.stderr;
    assert!(
        shown.contains("is not signed (looked for the tag sha256-"),
        "{shown}"
    );

    sign("other.key").await;
    let shown = check().await.stderr;
    assert!(
        shown.contains("team.pub, or was altered after it was signed"),
        "{shown}"
    );

    sign("team.key").await;
    let checked = check().await;
    assert!(checked.status.success(), "{}", checked.stderr);
    let shown = team
        .run(&[
            "plugin",
            "verify",
            &reference,
            "--key",
            "team.pub",
            "--plain-http",
        ])
        .await;
    assert!(shown.contains("signed by team.pub"), "{shown}");

    // The signature was kept with the component.
    registry.stop().await;
    let weir = team.weir().file("team.pub", key).start(&config).await;
    assert_eq!(weir.get("/").await.origin(), "a");
}

#[tokio::test]
async fn a_file_needs_its_signature_beside_it_and_openssl_agrees() {
    let team = Team::new();
    team.run(&["plugin", "keygen", "team"]).await;
    let folder = team.command.folder().to_owned();
    fs::copy(component("first"), folder.join("mine.wasm")).unwrap();
    team.command.write(
        "weir.toml",
        "[trust]\n\"./\" = [\"team.pub\"]\n[[frontend]]\nname = \"w\"\nbind = [\"127.0.0.1:0\"]\ndefault_backend = \"b\"\n\
         [[backend]]\nname = \"b\"\nbalance = \"./mine.wasm\"\nserver = [{ name = \"a\", address = \"127.0.0.1:1\" }]\n",
    );
    let check = ["check", "-c", "weir.toml"];
    let shown = team.fails(&check).await;
    assert!(
        shown.contains("mine.wasm is not signed (looked for"),
        "{shown}"
    );

    team.run(&["plugin", "sign", "mine.wasm", "--key", "team.key"])
        .await;
    team.run(&check).await;
    let verified = std::process::Command::new("sh")
        .arg("-c")
        .arg("base64 -d mine.wasm.sig >s && openssl dgst -sha256 -verify team.pub -signature s mine.wasm")
        .current_dir(&folder)
        .output()
        .expect("sh is there");
    assert!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );

    alter(&folder.join("mine.wasm"));
    let shown = team.fails(&check).await;
    assert!(
        shown.contains("or was altered after it was signed"),
        "{shown}"
    );
    team.fails(&["plugin", "verify", "mine.wasm", "--key", "team.pub"])
        .await;
}

#[tokio::test]
async fn what_is_no_component_or_not_there_is_said() {
    let Some(registry) = Registry::start().await else {
        return;
    };
    let team = Team::new().command;
    let shown = team
        .run(&[
            "plugin",
            "pull",
            &registry.reference("team/nothing:1"),
            "--plain-http",
        ])
        .await
        .failed();
    assert!(shown.contains("there is no oci://"), "{shown}");
    let ran = team.run(&["plugin", "pull", "oci://host/NoTag"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("oci://host/team/name:tag"),
        "{}",
        ran.stderr
    );
    let shown = team
        .file("x.wasm", "not a component")
        .run(&[
            "plugin",
            "push",
            "x.wasm",
            &registry.reference("team/x:1"),
            "--plain-http",
        ])
        .await
        .failed();
    assert!(shown.contains("not a component"), "{shown}");
}
