//! Clients' certificates, and what plugins are told of a connection.

use std::fmt::Write as _;

use weir_tests::{
    Origin, Weir, curl,
    tls::{Authority, OpensslClient, TlsClient},
};

use super::front;

/// Tells the server every fact about the client's connection in a field of its own.
fn telling() -> String {
    let facts = [
        "scheme",
        "tls_sni",
        "tls_alpn",
        "tls_version",
        "tls_cipher",
        "tls_client_verified",
        "tls_client_subject",
        "tls_client_san",
        "tls_client_fingerprint",
    ];
    let mut headers = String::new();
    for fact in facts {
        write!(
            headers,
            "\"x-{}\" = \"{{{fact}}}\", ",
            fact.replace('_', "-")
        )
        .unwrap();
    }
    format!(
        "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n\
         rule = [{{ set_header = {{ {} }} }}]\n",
        headers.trim_end_matches(", ")
    )
}

#[tokio::test]
async fn a_plugin_is_told_how_a_connection_is_secured_and_by_whom() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let ada = authority.issue_client("ada");
    let tls = r#"certificate = "site.pem", verify = "optional", ca = "ca.pem""#;
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&["site.example"]).pem())
        .file("ca.pem", authority.pem())
        .file("ada.pem", ada.pem())
        .start(&front(tls, &telling(), &origin))
        .await;
    let address = weir.address("web");
    let said = OpensslClient::new(address, "Site.Example")
        .file("-cert", &weir.folder().join("ada.pem"))
        .arg("-alpn")
        .arg("spdy/3,http/1.1")
        .run()
        .await;
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    let told = origin.requests().pop().unwrap();
    let fingerprint = fingerprint(&ada.der);
    for (field, expected) in [
        ("x-scheme", "https"),
        ("x-tls-sni", "site.example"),
        ("x-tls-alpn", "http/1.1"),
        ("x-tls-version", "TLSv1.3"),
        ("x-tls-cipher", "TLS_AES_256_GCM_SHA384"),
        ("x-tls-client-verified", "true"),
        ("x-tls-client-subject", "CN=ada,O=Weir tests"),
        ("x-tls-client-san", "DNS:ada"),
        ("x-tls-client-fingerprint", &fingerprint),
    ] {
        assert_eq!(told.header(field), Some(expected), "{field}");
    }
    assert!(weir.stdout_line("web~ apps/a").await.contains(" 200 "));

    let without = TlsClient::new(&authority);
    without.shake_hands(address, "site.example").await.unwrap();
    let told = origin.requests().pop().unwrap();
    assert_eq!(told.header("x-tls-client-verified"), Some("false"));
    assert_eq!(told.header("x-tls-client-subject").unwrap_or_default(), "");
}

/// As the plugin has it, by way of the program that everybody has.
fn fingerprint(der: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(der).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout[..64]).into_owned()
}

#[tokio::test]
async fn a_rule_can_go_by_whose_certificate_it_is() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let [ada, bob] = [authority.issue_client("ada"), authority.issue_client("bob")];
    let rules = "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n\
                 match.ada = { tls_client_subject = { prefix = \"CN=ada,\" }, tls_version = { exact = \"TLSv1.3\" } }\n\
                 match.somebody = { tls_client_verified = { exact = \"true\" } }\n\
                 rule = [{ when = \"not ada\", deny = 403 }, { when = \"not somebody\", deny = 401 }]\n";
    let tls = r#"certificate = "site.pem", verify = "optional", ca = "ca.pem""#;
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&["site.example"]).pem())
        .file("ca.pem", authority.pem())
        .start(&front(tls, rules, &origin))
        .await;
    for client in [
        TlsClient::with_certificate(&authority, &ada),
        TlsClient::with_certificate(&authority, &bob),
        TlsClient::new(&authority),
    ] {
        let address = weir.address("web");
        client.shake_hands(address, "site.example").await.unwrap();
    }
    assert_eq!(origin.requests().len(), 1, "only ada's request got through");
}

#[tokio::test]
async fn a_certificate_that_is_required_has_to_be_shown_and_sound() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let stranger = Authority::called("stranger");
    let [ada, bob] = [authority.issue_client("ada"), authority.issue_client("bob")];
    let tls = r#"certificate = "site.pem", verify = "required", ca = "ca.pem", crl = ["crl.pem"]"#;
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&["site.example"]).pem())
        .file("ca.pem", authority.pem())
        .file("crl.pem", authority.revoke(&[&bob]))
        .start(&front(tls, "", &origin))
        .await;
    let address = weir.address("web");
    let shake =
        |client: TlsClient| async move { client.shake_hands(address, "site.example").await };
    let with = |own| TlsClient::with_certificate(&authority, own);
    assert!(shake(with(&ada)).await.is_ok());
    for (who, client) in [
        ("nobody", TlsClient::new(&authority)),
        ("a stranger", with(&stranger.issue_client("eve"))),
        ("one that was revoked", with(&bob)),
        ("a server", with(&authority.issue(&["ada"]))),
    ] {
        assert!(shake(client).await.is_err(), "{who} was let in");
    }
    assert_eq!(origin.requests().len(), 1, "only one was let in");
    for reason in ["peer sent no certificates", "UnknownIssuer", "Revoked"] {
        let line = weir.stdout_line(reason).await;
        assert!(line.contains("web/1: SSL handshake failure"), "{line}");
    }
}

#[tokio::test]
async fn a_plain_listener_can_send_clients_to_the_secure_one() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let rules = "[[frontend.filter]]\nplugin = \"rules\"\n[frontend.filter.config]\n\
                 match.plain = { scheme = \"http\" }\n\
                 rule = [{ when = \"plain\", redirect = { to = \"https://{host}{raw_path}{?query}\", status = 301 } }]\n";
    let config = front(r#"certificate = "site.pem""#, rules, &origin)
        .replace("bind = [", "bind = [\"127.0.0.1:0\", ");
    let weir = Weir::builder()
        .file("site.pem", authority.issue(&["site.example"]).pem())
        .file("ca.pem", authority.pem())
        .start(&config)
        .await;
    let [plain, secure] = weir.addresses("web") else {
        panic!("there are two listeners");
    };
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let resolve = format!("site.example:{}:127.0.0.1", port(secure));
    let connect = format!("site.example:443:127.0.0.1:{}", port(secure));
    let ca = weir.folder().join("ca.pem");
    let told = curl(&[
        "-i",
        "-H",
        "Host: site.example",
        &format!("http://{plain}/a?b=c"),
    ])
    .await;
    assert!(told.stdout.starts_with("HTTP/1.1 301"), "{told:?}");
    assert!(
        told.stdout.contains("location: https://site.example/a?b=c"),
        "{told:?}"
    );
    let followed = curl(&[
        "-L",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{scheme} %{ssl_verify_result}",
        "--cacert",
        ca.to_str().unwrap(),
        "--resolve",
        &resolve,
        "--connect-to",
        &connect,
        "-H",
        "Host: site.example",
        &format!("http://{plain}/a?b=c"),
    ])
    .await;
    assert_eq!(followed.stdout, "200 HTTPS 0", "{followed:?}");
}
