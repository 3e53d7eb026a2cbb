//! `testssl.sh`: what a stranger's scanner has to say.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};
use weir_tests::{
    Origin, Weir,
    tls::{Authority, is_installed},
};

use super::front;

#[tokio::test]
async fn a_scanner_finds_nothing_worse_than_low() {
    const LONG: Duration = Duration::from_secs(400);
    if !is_installed("testssl") {
        return;
    }
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let [ecdsa, rsa] = [
        authority.issue(&["site.example"]),
        authority.issue_rsa(&["site.example"]),
    ];
    let weir = Weir::builder()
        .file("ecdsa.pem", ecdsa.pem())
        .file("rsa.pem", rsa.pem())
        .file("ca.pem", authority.pem())
        .start(&front(
            r#"certificate = ["ecdsa.pem", "rsa.pem"]"#,
            "",
            &origin,
        ))
        .await;
    let port = weir.address("web").port();
    let report = weir.folder().join("report.json");
    let running = Command::new("testssl")
        .args(["--quiet", "--color", "0", "--warnings", "off"])
        // Protocols, suites, forward secrecy, and all known attacks; certificates are the operator's.
        .args(["-p", "-s", "-f", "-U", "--ip", "127.0.0.1"])
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("https://site.example:{port}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LONG, running).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let findings = std::fs::read(&report).unwrap_or_else(|_| panic!("{said}"));
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&findings).unwrap();
    assert!(findings.len() > 30, "it looked at little: {said}");
    let harmless = ["OK", "INFO", "LOW"];
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| !harmless.contains(&finding["severity"].as_str().unwrap_or_default()))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
