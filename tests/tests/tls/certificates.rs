//! Which certificate a client is shown, and what becomes of changed and of bad files.

use std::{fs, time::Duration};

use weir_tests::{
    Load, Origin, Reload, Weir,
    tls::{Authority, OpensslClient, TlsClient, TlsTunnel, run},
};

use super::front;

#[tokio::test]
async fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let [first, exact, wildcard] = [
        authority.issue(&["first.example"]),
        authority.issue(&["www.example.com"]),
        authority.issue_rsa(&["*.example.com", "example.com"]),
    ];
    let weir = Weir::builder()
        .file("z-first.pem", first.pem())
        .file("certs/exact.crt", exact.certificate.clone())
        .file("certs/exact.key", exact.key.clone())
        .file("certs/wildcard.pem", wildcard.pem())
        .start(&front(
            r#"certificate = ["z-first.pem", "certs"]"#,
            "",
            &origin,
        ))
        .await;
    let address = weir.address("web");
    let client = TlsClient::new(&authority);
    for (name, expected) in [
        ("first.example", &first),
        ("www.example.com", &exact),
        ("WWW.EXAMPLE.COM", &exact),
        ("api.example.com", &wildcard),
        ("example.com", &wildcard),
    ] {
        let shown = client.shake_hands(address, name).await.unwrap();
        assert_eq!(shown.certificate, expected.der, "{name}");
    }
    // A stranger's name gets the first certificate, which the client then does not believe.
    let refused = client.shake_hands(address, "deep.api.example.com").await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("not valid for name")
    );
}

#[tokio::test]
async fn a_strict_listener_says_that_it_does_not_know_a_name() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&["known.example"]).pem())
        .start(&front(
            r#"certificate = "site.pem", strict_sni = true"#,
            "",
            &origin,
        ))
        .await;
    let address = weir.address("web");
    for version in ["-tls1_2", "-tls1_3"] {
        let known = OpensslClient::new(address, "known.example").arg(version);
        assert!(known.run().await.contains("HTTP/1.1 200"));
        let unknown = OpensslClient::new(address, "unknown.example").arg(version);
        let said = unknown.run().await;
        assert!(said.contains("unrecognized name"), "{version}: {said}");
    }
    let line = weir.stdout_line("SSL handshake failure").await;
    assert!(
        line.contains("web/1: ") && line.contains("unknown.example"),
        "{line}"
    );
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_client_gets_the_one_it_can_check() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = Weir::builder()
        .file("ecdsa.pem", authority.issue(&["both.example"]).pem())
        .file("rsa.pem", authority.issue_rsa(&["both.example"]).pem())
        .start(&front(
            r#"certificate = ["ecdsa.pem", "rsa.pem"], max_version = "TLSv1.2""#,
            "",
            &origin,
        ))
        .await;
    let address = weir.address("web");
    for (offered, expected) in [
        ("ECDSA+SHA256", "ECDHE-ECDSA-"),
        ("RSA+SHA256:RSA-PSS+SHA256", "ECDHE-RSA-"),
    ] {
        let said = OpensslClient::new(address, "both.example")
            .arg("-sigalgs")
            .arg(offered)
            .run()
            .await;
        assert!(
            said.contains(&format!("Cipher is {expected}")),
            "{offered}: {said}"
        );
    }
}

#[tokio::test]
async fn an_ocsp_response_that_lies_beside_a_certificate_is_stapled() {
    let origin = Origin::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    make_ocsp(folder.path()).await;
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let weir = Weir::builder()
        .file("site.pem", read("site.pem"))
        .file("site.pem.ocsp", read("good.ocsp"))
        .start(&front(r#"certificate = "site.pem""#, "", &origin))
        .await;
    let address = weir.address("web");
    for version in ["-tls1_2", "-tls1_3"] {
        let said = OpensslClient::new(address, "site.example")
            .arg("-status")
            .arg(version)
            .run()
            .await;
        assert!(said.contains("OCSP Response Status: successful"), "{said}");
        assert!(said.contains("Cert Status: good"), "{said}");
    }
    // What is no response is refused, and what was there goes on.
    weir.write_file("site.pem.ocsp", "not a response");
    let Reload::Refused(why) = weir.reload().await else {
        panic!("it was taken");
    };
    assert!(why.contains("site.pem.ocsp is no OCSP response"), "{why}");
    let said = OpensslClient::new(address, "site.example").arg("-status");
    assert!(said.run().await.contains("Cert Status: good"));
}

/// A certificate with its issuer, and what the issuer's responder says about it.
async fn make_ocsp(folder: &std::path::Path) {
    let subject = |name: &str| format!("/CN={name}");
    fs::write(folder.join("ext"), "subjectAltName=DNS:site.example\n").unwrap();
    for args in [
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "30",
            "-subj",
            &subject("ca"),
        ][..],
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "site.key",
            "-out",
            "site.csr",
            "-subj",
            &subject("site.example"),
        ],
        &[
            "x509",
            "-req",
            "-in",
            "site.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-set_serial",
            "4096",
            "-days",
            "30",
            "-extfile",
            "ext",
            "-out",
            "site.crt",
        ],
    ] {
        let (well, said) = run("openssl", args, folder).await;
        assert!(well, "{said}");
    }
    fs::write(
        folder.join("index.txt"),
        "V\t350101000000Z\t\t1000\tunknown\t/CN=site.example\n",
    )
    .unwrap();
    let args = [
        "ocsp",
        "-index",
        "index.txt",
        "-CA",
        "ca.pem",
        "-rsigner",
        "ca.pem",
        "-rkey",
        "ca.key",
        "-issuer",
        "ca.pem",
        "-cert",
        "site.crt",
        "-respout",
        "good.ocsp",
        "-ndays",
        "7",
    ];
    let (well, said) = run("openssl", &args, folder).await;
    assert!(well, "{said}");
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    fs::write(
        folder.join("site.pem"),
        [read("site.crt"), read("site.key")].concat(),
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_certificate_takes_over_under_load_and_nothing_fails() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let name = "site.example";
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&[name]).pem())
        .start(&front(r#"certificate = "site.pem""#, "", &origin))
        .await;
    let client = TlsClient::new(&authority);
    let kept = TlsTunnel::start(client.clone(), weir.address("web"), name).await;
    let load = Load::start(kept.address(), 4, &["/"], Duration::ZERO);
    for _ in 0..3 {
        load.another(50).await;
        let next = authority.issue(&[name]);
        let mark = weir.log_length();
        weir.write_file("site.pem", next.pem());
        assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
        let shown = TlsClient::new(&authority)
            .shake_hands(weir.address("web"), name)
            .await
            .unwrap();
        assert_eq!(shown.certificate, next.der);
    }
    load.another(50).await;
    let report = load.stop().await;
    assert_eq!(report.failed(), 0, "{report:?}");
}

#[tokio::test]
async fn a_file_that_comes_into_a_folder_is_used_without_being_asked() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = Weir::builder()
        .file("certs/a.pem", authority.issue(&["a.example"]).pem())
        .start(&front(r#"certificate = "certs""#, "", &origin))
        .await;
    let second = authority.issue(&["b.example"]);
    let mark = weir.log_length();
    weir.write_file("certs/b.pem", second.pem());
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    let shown = TlsClient::new(&authority)
        .shake_hands(weir.address("web"), "b.example")
        .await
        .unwrap();
    assert_eq!(shown.certificate, second.der);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told_with_what_would_do() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let name = "site.example";
    let first = authority.issue(&[name]);
    let weir = Weir::builder()
        .file("site.pem", first.pem())
        .start(&front(r#"certificate = "site.pem""#, "", &origin))
        .await;
    let other = authority.issue(&[name]);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (content, expected) in [
        (
            String::new(),
            ["has no certificate in it", "BEGIN CERTIFICATE"],
        ),
        (
            first.certificate.clone(),
            ["has no private key in it", "site.pem.key"],
        ),
        (
            format!("{}{}", first.certificate, other.key),
            ["does not belong to the certificate", "the key's own"],
        ),
        (
            format!("{}{encrypted}", first.certificate),
            ["is encrypted", "openssl pkey"],
        ),
        (
            "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n".to_owned(),
            ["is no PEM", "openssl x509"],
        ),
    ] {
        weir.write_file("site.pem", &content);
        let Reload::Refused(why) = weir.reload().await else {
            panic!("{expected:?} was taken");
        };
        for words in expected {
            assert!(why.contains(words), "{words}: {why}");
        }
        assert!(why.contains("weir.toml:7:"), "{why}");
        let shown = TlsClient::new(&authority)
            .shake_hands(weir.address("web"), name)
            .await
            .unwrap();
        assert_eq!(shown.certificate, first.der);
    }
}

#[tokio::test]
async fn files_that_are_not_there_are_all_told_at_once() {
    let origin = Origin::start("a").await;
    let tls = r#"certificate = ["none.pem", "nowhere/"], verify = "required", ca = "ca.pem""#;
    let checked = Weir::check(&front(tls, "", &origin)).await;
    assert_eq!(checked.status.code(), Some(1));
    for name in [
        "none.pem cannot be read",
        "nowhere/ cannot be read",
        "ca.pem cannot be read",
    ] {
        assert!(checked.stderr.contains(name), "{name}: {}", checked.stderr);
    }
}

#[tokio::test]
async fn what_never_ends_is_no_certificate() {
    let origin = Origin::start("a").await;
    let checked = Weir::check(&front(r#"certificate = "/dev/zero""#, "", &origin)).await;
    assert_eq!(checked.status.code(), Some(1));
    let expected = "/dev/zero cannot be read: it is not a regular file";
    assert!(checked.stderr.contains(expected), "{}", checked.stderr);
}

#[tokio::test]
async fn an_expired_certificate_is_used_and_that_is_said() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = Weir::builder()
        .file("site.pem", authority.issue_expired(&["old.example"]).pem())
        .start(&front(r#"certificate = "site.pem""#, "", &origin))
        .await;
    let line = weir.log_line("has expired").await;
    assert!(line.contains("site.pem") && line.contains("2001"), "{line}");
}
