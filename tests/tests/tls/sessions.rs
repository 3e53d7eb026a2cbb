//! Taking earlier sessions up again.

use weir_tests::{
    Origin, Reload, Weir,
    tls::{Authority, Issued, OpensslClient, TlsClient},
};

use super::front;

async fn proxy(own: &Issued, tls: &str, origin: &Origin) -> Weir {
    let tls = format!("certificate = \"site.pem\", {tls}");
    Weir::builder()
        .file("site.pem", own.pem())
        .start(&format!("workers = 2\n{}", front(&tls, "", origin)))
        .await
}

#[tokio::test]
async fn a_session_is_taken_up_by_any_worker_and_after_a_reload() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let own = authority.issue(&["site.example", "other.example"]);
    let weir = proxy(&own, "", &origin).await;
    let address = weir.address("web");
    for version in ["-tls1_2", "-tls1_3"] {
        let session = weir.folder().join(format!("session{version}"));
        let first = OpensslClient::new(address, "site.example")
            .arg(version)
            .file("-sess_out", &session);
        assert!(first.run().await.contains("\nNew, TLS"));
        // More often than there are workers.
        for _ in 0..6 {
            let again = OpensslClient::new(address, "site.example")
                .arg(version)
                .file("-sess_in", &session);
            let said = again.run().await;
            assert!(said.contains("\nReused, TLS"), "{version}: {said}");
        }
        assert_eq!(weir.reload().await, Reload::Loaded);
        let again = OpensslClient::new(address, "site.example")
            .arg(version)
            .file("-sess_in", &session);
        assert!(again.run().await.contains("\nReused, TLS"), "{version}");
        // A session belongs to the name it was made for.
        let elsewhere = OpensslClient::new(address, "other.example")
            .arg(version)
            .file("-sess_in", &session);
        assert!(elsewhere.run().await.contains("\nNew, TLS"), "{version}");
    }
}

#[tokio::test]
async fn a_client_without_tickets_is_remembered_too() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let own = authority.issue(&["site.example"]);
    let weir = proxy(&own, "", &origin).await;
    let session = weir.folder().join("session");
    let client = || {
        OpensslClient::new(weir.address("web"), "site.example")
            .arg("-tls1_2")
            .arg("-no_ticket")
    };
    let first = client().file("-sess_out", &session).run().await;
    assert!(first.contains("\nNew, TLS"), "{first}");
    let again = client().file("-sess_in", &session).run().await;
    assert!(again.contains("\nReused, TLS"), "{again}");
}

#[tokio::test]
async fn sessions_can_be_left_out() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let own = authority.issue(&["site.example"]);
    let weir = proxy(&own, "resumption = false", &origin).await;
    let client = TlsClient::new(&authority);
    for _ in 0..3 {
        let done = client
            .shake_hands(weir.address("web"), "site.example")
            .await;
        assert!(!done.unwrap().resumed);
    }
}

#[tokio::test]
async fn whoever_was_let_in_by_other_authorities_has_to_show_a_certificate_again() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let own = authority.issue(&["site.example"]);
    let ada = authority.issue_client("ada");
    let tls = r#"certificate = "site.pem", verify = "required", ca = "ca.pem", crl = "crl.pem""#;
    let weir = Weir::builder()
        .file("site.pem", own.pem())
        .file("ca.pem", authority.pem())
        .file("crl.pem", authority.revoke(&[]))
        .start(&front(tls, "", &origin))
        .await;
    let address = weir.address("web");
    let client = TlsClient::with_certificate(&authority, &ada);
    assert!(
        !client
            .shake_hands(address, "site.example")
            .await
            .unwrap()
            .resumed
    );
    assert!(
        client
            .shake_hands(address, "site.example")
            .await
            .unwrap()
            .resumed
    );
    let mark = weir.log_length();
    weir.write_file("crl.pem", authority.revoke(&[&ada]));
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    let refused = client.shake_hands(address, "site.example").await;
    assert!(
        refused.is_err(),
        "a revoked certificate lives on in no session: {refused:?}"
    );
}
