//! TLS towards servers.

use weir_tests::{
    Origin, Reload, Weir, eventually,
    tls::{Authority, Issued, TlsServer},
};

/// A frontend in clear text before one server, which has these TLS settings; `more` are lines of the backend.
fn back(server: &TlsServer, tls: &str, more: &str) -> String {
    format!(
        "[[log]]\nto = \"stdout\"\n\n[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:0\"]\n\
         default_backend = \"apps\"\n\n[[backend]]\nname = \"apps\"\n{more}\n\
         [[backend.server]]\nname = \"a\"\naddress = \"{}\"\ntls = {tls}\n",
        server.address()
    )
}

async fn proxy(authority: &Authority, config: &str) -> Weir {
    Weir::builder()
        .file("ca.pem", authority.pem())
        .start(config)
        .await
}

fn own(authority: &Authority) -> Issued {
    authority.issue(&["app.internal", "127.0.0.1"])
}

#[tokio::test]
async fn a_server_is_believed_if_its_certificate_is_for_the_name_it_is_asked_for() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let server = TlsServer::start(&own(&authority), origin.address(), None).await;
    for tls in [
        r#"{ ca = "ca.pem", sni = "app.internal" }"#,
        r#"{ ca = "ca.pem" }"#,
        r#"{ verify = "none" }"#,
        r#"{ ca = "ca.pem", max_version = "TLSv1.2" }"#,
    ] {
        let weir = proxy(&authority, &back(&server, tls, "")).await;
        let answer = weir.get("/").await;
        assert_eq!((answer.status(), answer.origin()), (200, "a"), "{tls}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_believed_is_503_and_the_reason_is_told_once() {
    let origin = Origin::start("a").await;
    let (authority, stranger) = (Authority::new(), Authority::called("stranger"));
    let others = TlsServer::start(&own(&stranger), origin.address(), None).await;
    let right = TlsServer::start(&own(&authority), origin.address(), None).await;
    let expired = authority.issue_expired(&["127.0.0.1"]);
    let expired = TlsServer::start(&expired, origin.address(), None).await;
    for (server, tls, reason) in [
        (&others, r#"{ ca = "ca.pem" }"#, "UnknownIssuer"),
        (
            &right,
            r#"{ ca = "ca.pem", sni = "else.internal" }"#,
            "not valid for name",
        ),
        (&expired, r#"{ ca = "ca.pem" }"#, "expired"),
    ] {
        let weir = proxy(&authority, &back(server, tls, "retries = 1")).await;
        for _ in 0..3 {
            assert_eq!(weir.get("/").await.status(), 503, "{reason}");
        }
        let line = weir.stdout_line(" SC-- ").await;
        assert!(
            line.contains(" apps/a ") && line.contains("/1 0/0 "),
            "one retry: {line}"
        );
        weir.log_line(reason).await;
        let told = weir.stderr();
        let told: Vec<_> = told.iter().filter(|line| line.contains(reason)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("apps"), "{told:?}");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_server_that_signed_for_itself_is_believed_if_its_certificate_is_named() {
    let origin = Origin::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let (well, said) = weir_tests::tls::run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "own.pem",
            "-days",
            "30",
            "-subj",
            "/CN=app.internal",
            "-addext",
            "subjectAltName=DNS:app.internal",
        ],
        folder.path(),
    )
    .await;
    assert!(well, "{said}");
    let [certificate, key] =
        ["own.pem", "key.pem"].map(|name| std::fs::read(folder.path().join(name)).unwrap());
    let server = TlsServer::of_pem(&certificate, &key, origin.address()).await;
    for (name, status) in [("app.internal", 200), ("else.internal", 503)] {
        let tls = format!("{{ ca = \"own.pem\", sni = \"{name}\" }}");
        let weir = Weir::builder()
            .file("own.pem", certificate.clone())
            .start(&back(&server, &tls, "retries = 0"))
            .await;
        assert_eq!(weir.get("/").await.status(), status, "{name}");
    }
}

#[tokio::test]
async fn weir_shows_its_certificate_to_a_server_that_asks() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let server = TlsServer::start(&own(&authority), origin.address(), Some(&authority)).await;
    let tls = r#"{ ca = "ca.pem", certificate = "weir.pem" }"#;
    let weir = Weir::builder()
        .file("ca.pem", authority.pem())
        .file("weir.pem", authority.issue_client("weir").pem())
        .start(&back(&server, tls, "retries = 0"))
        .await;
    assert_eq!(weir.get("/").await.status(), 200);
    assert_eq!(server.with_certificate(), 1);
    let without = proxy(
        &authority,
        &back(&server, r#"{ ca = "ca.pem" }"#, "retries = 0"),
    )
    .await;
    assert_ne!(without.get("/").await.status(), 200);
}

#[tokio::test]
async fn connections_are_kept_and_sessions_taken_up() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let server = TlsServer::start(&own(&authority), origin.address(), None).await;
    let config = back(&server, r#"{ ca = "ca.pem" }"#, "pool = { max_idle = 0 }");
    let weir = proxy(&authority, &format!("workers = 1\n{config}")).await;
    for _ in 0..4 {
        assert_eq!(weir.get("/").await.status(), 200);
    }
    assert_eq!((server.full(), server.resumed()), (1, 3), "nothing is kept");
    // What is remembered of a server outlives a generation.
    weir.write_config(&format!(
        "workers = 1\n{}",
        back(&server, r#"{ ca = "ca.pem" }"#, "")
    ));
    assert_eq!(weir.reload().await, Reload::Loaded);
    for _ in 0..4 {
        assert_eq!(weir.get("/").await.status(), 200);
    }
    assert_eq!(
        (server.full(), server.resumed()),
        (1, 4),
        "one connection is enough"
    );
}

#[tokio::test]
async fn a_connection_made_under_other_settings_is_not_used() {
    let origin = Origin::start("a").await;
    let (authority, stranger) = (Authority::new(), Authority::called("stranger"));
    let server = TlsServer::start(&own(&authority), origin.address(), None).await;
    let more = "retries = 0";
    let weir = proxy(&authority, &back(&server, r#"{ ca = "ca.pem" }"#, more)).await;
    assert_eq!(weir.get("/").await.status(), 200);
    let mark = weir.log_length();
    weir.write_file("ca.pem", stranger.pem());
    assert_eq!(weir.next_generation(mark).await, Reload::Loaded);
    assert_eq!(weir.get("/").await.status(), 503);
}

#[tokio::test]
async fn checks_are_made_as_the_server_is_spoken_to() {
    let origin = Origin::start("a").await;
    let (authority, stranger) = (Authority::new(), Authority::called("stranger"));
    let good = TlsServer::start(&own(&authority), origin.address(), None).await;
    let bad = TlsServer::start(&own(&stranger), origin.address(), None).await;
    let check =
        r#"check = { http = "GET /up", interval = "100ms", timeout = "5s", fall = 1, rise = 1 }"#;
    let config = back(&good, r#"{ ca = "ca.pem" }"#, check);
    let weir = proxy(&authority, &config).await;
    eventually("a check over TLS", async || {
        (good.full() + good.resumed() > 1).then_some(())
    })
    .await;
    let config = back(&bad, r#"{ ca = "ca.pem" }"#, check);
    weir.write_config(&config);
    assert_eq!(weir.reload().await, Reload::Loaded);
    let line = weir.stdout_line("Server apps/a is DOWN").await;
    assert!(
        line.contains("Layer6 invalid response") && line.contains("UnknownIssuer"),
        "{line}"
    );
    // A check in clear text that only connects finds nothing wrong.
    let plain = r#"check = { tcp = true, tls = false, interval = "100ms", fall = 1, rise = 1 }"#;
    weir.write_config(&back(&bad, r#"{ ca = "ca.pem" }"#, plain));
    assert_eq!(weir.reload().await, Reload::Loaded);
    let line = weir.stdout_line("Server apps/a is UP").await;
    assert!(line.contains("Layer4 check passed"), "{line}");
}
