//! HTTP/2 over TLS, where ALPN settles what is spoken.

use weir_tests::{
    Origin, Weir, curl,
    tls::{Authority, OpensslClient},
};

/// A listener with TLS before one server; `server` are further keys of it.
fn config(address: &str, bind: &str, server: &str) -> String {
    format!(
        "[[log]]\nto = \"stdout\"\n\n[[frontend]]\nname = \"web\"\ndefault_backend = \"apps\"\n\
         bind = [{{ address = \"127.0.0.1:0\", tls = {{ certificate = \"site.pem\" }}{bind} }}]\n\n\
         [[backend]]\nname = \"apps\"\nserver = [{{ name = \"a\", address = \"{address}\"{server} }}]\n"
    )
}

async fn start(authority: &Authority, config: &str) -> Weir {
    Weir::builder()
        .file(
            "site.pem",
            authority.issue(&["site.example", "127.0.0.1"]).pem(),
        )
        .file("ca.pem", authority.pem())
        .start(config)
        .await
}

/// What curl was answered and in which version.
async fn ask(weir: &Weir, version: &str) -> String {
    let address = weir.address("web");
    let resolve = format!("site.example:{}:127.0.0.1", address.port());
    let url = format!("https://site.example:{}/", address.port());
    let ca = weir.folder().join("ca.pem");
    let ca = ca.to_str().expect("the folder's name is text");
    let show = "%{http_code} %{http_version}";
    let args = [
        version,
        "--cacert",
        ca,
        "--resolve",
        &resolve,
        "-o",
        "/dev/null",
        "-w",
        show,
        &url,
    ];
    let output = curl(&args).await;
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stdout
}

#[tokio::test]
async fn a_listener_with_tls_speaks_both_versions_and_the_client_chooses() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = start(&authority, &config(&origin.address().to_string(), "", "")).await;
    assert_eq!(ask(&weir, "--http2").await, "200 2");
    assert_eq!(ask(&weir, "--http1.1").await, "200 1.1");
    let line = weir.stdout_line("HTTP/2.0").await;
    assert!(line.contains(" web~ apps/a "), "{line}");
}

#[tokio::test]
async fn a_listener_may_speak_one_version_only() {
    let origin = Origin::start("a").await.address().to_string();
    let authority = Authority::new();
    let one = config(&origin, ", protocols = [\"http/1.1\"]", "");
    let weir = start(&authority, &one).await;
    let answered = ask(&weir, "--http2").await;
    assert!(answered.ends_with(" 1.1"), "{answered}");
}

#[tokio::test]
async fn what_was_agreed_on_is_what_must_be_spoken() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = start(&authority, &config(&origin.address().to_string(), "", "")).await;
    let address = weir.address("web");
    // The client of the harness speaks HTTP/1 whatever it has agreed on.
    let said = OpensslClient::new(address, "site.example")
        .arg("-alpn")
        .arg("h2")
        .run()
        .await;
    assert!(said.contains("HTTP/1.1 505"), "{said}");
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn servers_are_spoken_to_in_http2_over_tls() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let inner = config(&origin.address().to_string(), ", protocols = [\"h2\"]", "");
    let inner = start(&authority, &inner).await;
    let tls = ", protocol = \"h2\", tls = { ca = \"ca.pem\", sni = \"site.example\" }";
    let outer = config(&inner.address("web").to_string(), "", tls);
    let outer = start(&authority, &outer).await;
    assert_eq!(ask(&outer, "--http2").await, "200 2");
    assert_eq!(ask(&outer, "--http1.1").await, "200 1.1");
    inner.stdout_line("HTTP/2.0").await;
    assert_eq!(origin.requests().len(), 2);
}
