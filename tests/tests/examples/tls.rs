//! `examples/tls`

use weir_tests::{Client, Origin, Weir, repository, tls::OpensslClient};

use crate::set_up::{Example, certificates_of};

async fn start() -> (Weir, Origin) {
    let origin = Origin::start("app1").await;
    let example = Example::named("tls")
        .listening("*:8080")
        .listening("*:8443")
        .listening("*:8444")
        .with("127.0.0.1:5001", origin.address())
        .beside(certificates_of(&repository().join("examples/tls")).await);
    (example.start().await, origin)
}

fn port_at(weir: &Weir, frontend: &str, position: usize) -> std::net::SocketAddr {
    weir.addresses(frontend)[position].parse().unwrap()
}

#[tokio::test]
async fn whoever_comes_without_tls_is_sent_to_it_and_served_there() {
    let (weir, origin) = start().await;
    let mut client = Client::connect(port_at(&weir, "web", 0)).await;
    let plain = client
        .request("GET", "/a?b=c", &[("Host", "site.example")], b"")
        .await;
    assert_eq!(plain.status(), 301);
    let to = plain.header("location").unwrap_or_default();
    assert_eq!(to, "https://site.example:8443/a?b=c");
    let said = OpensslClient::new(port_at(&weir, "web", 1), "site.example")
        .file("-CAfile", &weir.folder().join("ca.pem"))
        .run()
        .await;
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    let told = origin.requests().pop().unwrap();
    assert_eq!(told.header("x-forwarded-proto"), Some("https"));
    assert_eq!(told.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn partners_have_to_show_their_certificate_and_the_application_is_told_whose() {
    let (weir, origin) = start().await;
    let client = || OpensslClient::new(port_at(&weir, "partners", 0), "site.example");
    let refused = client().run().await;
    assert!(refused.contains("certificate required"), "{refused}");
    let said = client()
        .file("-cert", &weir.folder().join("ada.pem"))
        .run()
        .await;
    assert!(said.contains("HTTP/1.1 200"), "{said}");
    let told = origin.requests().pop().unwrap();
    assert_eq!(told.header("x-client"), Some("CN=ada"));
}
