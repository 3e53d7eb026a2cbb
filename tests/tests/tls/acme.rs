//! Certificates from an authority that issues them by itself; here it is `pebble`.

use std::{net::Ipv4Addr, path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};
use weir_tests::{
    NameServer, Origin, Reload, Weir, closed_port,
    tls::{Authority, Issued, OpensslClient, is_installed},
};

/// Two names, so that more than one challenge has to be answered.
const NAMES: [&str; 2] = ["site.example", "www.site.example"];

/// Listens at `port` with `own`, asks `names` where hosts are, and tries challenges at `challenged`.
fn pebble(folder: &Path, own: &Issued, port: u16, challenged: u16, names: &NameServer) -> Child {
    let config = serde_json::json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{port}"),
        "managementListenAddress": "",
        "certificate": "pebble.pem",
        "privateKey": "pebble.key",
        "httpPort": 1,
        "tlsPort": challenged,
    }});
    std::fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("pebble.pem"), &own.certificate).unwrap();
    std::fs::write(folder.join("pebble.key"), &own.key).unwrap();
    Command::new("pebble")
        .args(["-config", "pebble.json", "-dnsserver"])
        .arg(names.address().to_string())
        .current_dir(folder)
        .env("PEBBLE_VA_NOSLEEP", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn config(acme: &str, tls: &str, origin: &Origin) -> String {
    format!("{acme}\n{}", super::front(tls, "", origin))
}

#[tokio::test]
async fn a_certificate_is_obtained_kept_and_shown_without_a_restart() {
    if !is_installed("pebble") {
        return;
    }
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let names = NameServer::start().await;
    for name in NAMES {
        names.set(name, &[Ipv4Addr::LOCALHOST], 1);
    }
    let port = closed_port().port();
    let acme = format!(
        "[acme]\ndirectory = \"https://127.0.0.1:{port}/dir\"\nstorage = \"store\"\n\
         contact = [\"ops@site.example\"]\nca = \"directory-ca.pem\"\nagree_to_terms = true\n"
    );
    let site = authority.issue(&["first.example"]);
    let obtained = r#"certificate = "first.pem", acme = ["site.example", "www.site.example"]"#;
    let weir = Weir::builder()
        .file("directory-ca.pem", authority.pem())
        .file("first.pem", site.pem())
        .start(&config("", r#"certificate = "first.pem""#, &origin))
        .await;
    let address = weir.address("web");
    let folder = tempfile::tempdir().unwrap();
    let own = authority.issue(&["127.0.0.1", "localhost"]);
    let _pebble = pebble(folder.path(), &own, port, address.port(), &names);

    // The socket stays, so the authority finds it where it was told.
    weir.write_config(&config(&acme, obtained, &origin));
    let mark = weir.log_length();
    assert_eq!(weir.next_generation(0).await, Reload::Loaded);
    let before = OpensslClient::new(address, NAMES[0]).run().await;
    assert!(
        before.contains("HTTP/1.1 200"),
        "there is something to show: {before}"
    );
    weir.log_line("certificate obtained").await;
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    for name in NAMES {
        let said = OpensslClient::new(address, name).run().await;
        assert!(said.contains("CN = Pebble Intermediate CA"), "{said}");
        assert!(said.contains("HTTP/1.1 200"), "{said}");
    }
    let first = OpensslClient::new(address, "first.example").run().await;
    assert!(first.contains("CN = first.example"), "{first}");

    // What is kept belongs to its owner alone, and does for the next start.
    use std::os::unix::fs::PermissionsExt;
    for name in ["store/site.example.pem", "store/account.json"] {
        let about = std::fs::metadata(weir.folder().join(name)).unwrap();
        assert_eq!(about.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(weir.reload().await, Reload::Loaded);
    let said = OpensslClient::new(address, NAMES[1]).run().await;
    assert!(said.contains("CN = Pebble Intermediate CA"), "{said}");
    let all = weir.stderr();
    let times = all
        .iter()
        .filter(|line| line.contains("certificate obtained"));
    assert_eq!(times.count(), 1, "one is enough");
}

#[tokio::test]
async fn an_authority_that_cannot_be_reached_hinders_nothing_and_is_told() {
    let origin = Origin::start("a").await;
    let acme = format!(
        "[acme]\ndirectory = \"https://{}/dir\"\nstorage = \"store\"\nagree_to_terms = true\n",
        closed_port()
    );
    let tls = r#"acme = ["site.example"]"#;
    let weir = Weir::builder().start(&config(&acme, tls, &origin)).await;
    let line = weir.log_line("no certificate, trying again in 5s").await;
    assert!(line.contains("site.example"), "{line}");
    let said = OpensslClient::new(weir.address("web"), "site.example").run();
    assert!(said.await.contains("HTTP/1.1 200"));
    tokio::time::timeout(Duration::from_secs(60), async {
        weir.terminate();
        weir.exited().await
    })
    .await
    .expect("it ends when it is told to");
}
