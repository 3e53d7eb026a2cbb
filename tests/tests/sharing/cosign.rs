//! Signatures in cosign's layout, made and checked by openssl alone: what Weir writes is what others read, and the
//! other way round.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use tokio::process::Command;
use weir_tests::{Registry, curl};

use super::Team;

/// Runs lines of a shell in `folder`.
async fn shell(folder: &Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let ran = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output();
    ran.await.expect("there is a shell")
}

#[track_caller]
fn worked(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the registry has there, as it has it.
async fn fetched(registry: &Registry, what: &str, accept: &str) -> String {
    let url = format!("http://{}/v2/team/algo/{what}", registry.address());
    let accept = format!("Accept: {accept}");
    let got = curl(&["--fail", "--location", "-H", &accept, &url]).await;
    assert_eq!(got.code, 0, "{url}: {}", got.stderr);
    got.stdout
}

/// A command of `weir plugin` about a reference and a key.
fn with_key<'w>(what: &'w str, reference: &'w str, key: &'w str) -> [&'w str; 6] {
    ["plugin", what, reference, "--key", key, "--plain-http"]
}

/// Signs with the key that `weir plugin keygen team` made.
async fn sign(team: &Team, reference: &str) {
    team.run(&with_key("sign", reference, "team.key")).await;
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test]
async fn what_weir_signs_is_in_cosigns_layout_and_openssl_verifies_it() {
    let Some(registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    let digest = team.push(&registry, "first", "team/algo:1").await;
    team.run(&["plugin", "keygen", "team"]).await;
    let reference = registry.reference("team/algo:1");
    sign(&team, &reference).await;

    let tag = format!("manifests/{}.sig", digest.replace(':', "-"));
    let manifest = fetched(&registry, &tag, MANIFEST).await;
    let manifest: Value = serde_json::from_str(&manifest).expect("it is JSON");
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], MANIFEST);
    let config = &manifest["config"]["mediaType"];
    assert_eq!(config, "application/vnd.oci.image.config.v1+json");
    let layers = manifest["layers"].as_array().expect("a list");
    assert_eq!(layers.len(), 1, "{manifest}");
    let layer = &layers[0];
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    assert_eq!(layer["mediaType"], kind);
    let blob = format!("blobs/{}", layer["digest"].as_str().expect("a digest"));
    let payload = fetched(&registry, &blob, "*/*").await;
    assert_eq!(layer["size"], payload.len());
    let signed: Value = serde_json::from_str(&payload).expect("it is JSON");
    let wanted = json!({
        "critical": {
            "identity": { "docker-reference": format!("{}/team/algo", registry.address()) },
            "image": { "docker-manifest-digest": digest },
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    assert_eq!(signed, wanted);

    let folder = team.command.folder();
    fs::write(folder.join("payload"), &payload).unwrap();
    let signature = &layer["annotations"]["dev.cosignproject.cosign/signature"];
    let signature = signature.as_str().expect("it is there");
    let verify = "printf %s \"$signature\" | openssl base64 -d -A > der
        openssl dgst -sha256 -verify team.pub -signature der payload";
    let verified = shell(folder, verify, &[("signature", signature)]).await;
    assert_eq!(worked(&verified).trim(), "Verified OK");
    fs::write(
        folder.join("payload"),
        payload.replace("team/algo", "evil/algo"),
    )
    .unwrap();
    let altered = shell(folder, verify, &[("signature", signature)]).await;
    assert!(!altered.status.success());
}

/// Signs `$digest` of `$registry/team/algo` as the specification of cosign's signatures has it.
const BY_HAND: &str = r#"
    openssl ecparam -name prime256v1 -genkey -noout -out theirs.key
    openssl ec -in theirs.key -pubout -out theirs.pub 2>/dev/null
    digest_of() { printf sha256:; openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1; }
    size_of() { wc -c < "$1" | tr -d ' '; }
    fetch() { curl --disable --silent --show-error --fail --noproxy '*' "$@"; }
    upload() {
        place=$(fetch -X POST -D - -o /dev/null "http://$registry/v2/team/algo/blobs/uploads/" |
            tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
        fetch -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$place&digest=$(digest_of "$1")"
    }
    printf '{"critical":{"identity":{"docker-reference":"%s/team/algo"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":{"by":"hand"}}' \
        "$registry" "$digest" > payload
    signature=$(openssl dgst -sha256 -sign theirs.key payload | openssl base64 -A)
    printf '{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["%s"]},"config":{}}' \
        "$(digest_of payload)" > config
    upload payload
    upload config
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%s,"digest":"%s"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":%s,"digest":"%s","annotations":{"dev.cosignproject.cosign/signature":"%s"}}]}' \
        "$(size_of config)" "$(digest_of config)" "$(size_of payload)" "$(digest_of payload)" "$signature" > manifest
    tag=$(printf %s "$digest" | tr : -).sig
    fetch -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @manifest \
        "http://$registry/v2/team/algo/manifests/$tag"
"#;

#[tokio::test]
async fn a_signature_that_openssl_made_in_cosigns_layout_is_accepted() {
    let Some(registry) = Registry::start().await else {
        return;
    };
    let team = Team::new();
    let digest = team.push(&registry, "first", "team/algo:1").await;
    let other = team.push(&registry, "random", "team/algo:2").await;
    let folder = team.command.folder().to_owned();
    let sign_by_hand = async |digest: &str| {
        let variables = [("registry", registry.address()), ("digest", digest)];
        worked(&shell(&folder, BY_HAND, &variables).await);
    };
    sign_by_hand(&digest).await;
    let reference = registry.reference("team/algo:1");
    let verify = |reference| with_key("verify", reference, "theirs.pub");
    let shown = team.run(&verify(&reference)).await;
    assert!(shown.contains("signed by theirs.pub"), "{shown}");

    // Weir's own goes beside it, and both count.
    team.run(&["plugin", "keygen", "team"]).await;
    sign(&team, &reference).await;
    team.run(&verify(&reference)).await;

    // The same signature under another component's name is worth nothing.
    let moved = "tag=$(printf %s \"$other\" | tr : -).sig
        curl --disable --silent --show-error --fail --noproxy '*' -X PUT --data-binary @manifest \\
            -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \"http://$registry/v2/team/algo/manifests/$tag\"";
    let variables = [("registry", registry.address()), ("other", &*other)];
    worked(&shell(&folder, moved, &variables).await);
    let second = registry.reference("team/algo:2");
    let shown = team.fails(&verify(&second)).await;
    assert!(shown.contains("is not signed by theirs.pub"), "{shown}");
}
