//! Versions, suites, and handshakes that stall or are none.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weir_tests::{
    Origin, Weir, curl,
    tls::{Authority, OpensslClient, TlsClient},
    within,
};

use super::front;

const NAME: &str = "site.example";

async fn proxy(authority: &Authority, tls: &str, origin: &Origin) -> Weir {
    let tls = format!("certificate = \"site.pem\", {tls}");
    Weir::builder()
        .file("site.pem", authority.issue(&[NAME]).pem())
        .file("ca.pem", authority.pem())
        .start(&front(&tls, "", origin))
        .await
}

#[tokio::test]
async fn curl_gets_its_answer_and_big_bodies_go_both_ways() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let address = weir.address("web");
    let resolve = format!("{NAME}:{}:127.0.0.1", address.port());
    let ca = weir.folder().join("ca.pem");
    let body = weir.folder().join("body");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&body, &sent).unwrap();
    let answered: Vec<u8> = sent.iter().rev().copied().collect();
    origin.answer(weir_tests::Answer::body(answered.clone()));
    for version in ["1.2", "1.3"] {
        let got = weir.folder().join("got");
        let said = curl(&[
            &format!("--tlsv{version}"),
            "--tls-max",
            version,
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &resolve,
            "--data-binary",
            &format!("@{}", body.display()),
            "-H",
            "Expect:",
            "-o",
            got.to_str().unwrap(),
            "-w",
            "%{http_code} %{ssl_verify_result}",
            &format!("https://{NAME}:{}/", address.port()),
        ])
        .await;
        assert_eq!(
            (said.code, &*said.stdout),
            (0, "200 0"),
            "{version}: {said:?}"
        );
        assert!(
            std::fs::read(&got).unwrap() == answered,
            "{version}: the answer"
        );
        let asked = origin.requests().pop().unwrap();
        assert!(asked.body == sent, "{version}: the request's body");
    }
}

#[tokio::test]
async fn versions_and_suites_are_those_that_the_file_names() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let tls = r#"min_version = "TLSv1.3", ciphers = ["TLS_CHACHA20_POLY1305_SHA256"]"#;
    let weir = proxy(&authority, tls, &origin).await;
    let said = OpensslClient::new(weir.address("web"), NAME).run().await;
    assert!(
        said.contains("Cipher is TLS_CHACHA20_POLY1305_SHA256"),
        "{said}"
    );
    let old = OpensslClient::new(weir.address("web"), NAME).arg("-tls1_2");
    assert!(old.run().await.contains("alert protocol version"));

    let tls = r#"max_version = "TLSv1.2", ciphers = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]"#;
    let weir = proxy(&authority, tls, &origin).await;
    let said = OpensslClient::new(weir.address("web"), NAME).run().await;
    assert!(
        said.contains("Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        "{said}"
    );
    let other = OpensslClient::new(weir.address("web"), NAME)
        .arg("-cipher")
        .arg("ECDHE-ECDSA-AES256-GCM-SHA384");
    assert!(other.run().await.contains("alert handshake failure"));
}

#[tokio::test]
async fn versions_that_are_broken_are_not_spoken() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    for version in ["-tls1", "-tls1_1"] {
        let old = OpensslClient::new(weir.address("web"), NAME)
            .arg(version)
            .arg("-cipher")
            .arg("ALL:@SECLEVEL=0");
        let said = old.run().await;
        assert!(said.contains("Cipher is (NONE)"), "{said}");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn protocols_are_agreed_upon_or_the_connection_ends() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let address = weir.address("web");
    let offering = |protocols: &[&str]| TlsClient::offering(&authority, protocols);
    let agreed = offering(&["x", "http/1.1"])
        .shake_hands(address, NAME)
        .await;
    assert_eq!(agreed.unwrap().alpn.as_deref(), Some("http/1.1"));
    let silent = offering(&[]).shake_hands(address, NAME).await;
    assert_eq!(silent.unwrap().alpn, None);
    let refused = offering(&["smtp"]).shake_hands(address, NAME).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("NoApplicationProtocol")
    );
}

#[tokio::test]
async fn a_request_in_clear_text_is_closed_without_a_byte() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let mut socket = TcpStream::connect(weir.address("web")).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // Unread bytes make the close a reset.
    within("the end", socket.read_to_end(&mut answer))
        .await
        .ok();
    assert_eq!(answer, b"");
    let line = weir.stdout_line("not TLS").await;
    assert!(
        line.starts_with("127.0.0.1:") && line.contains("] web/1: SSL handshake failure"),
        "{line}"
    );
}

#[tokio::test]
async fn handshakes_that_stall_hinder_nobody_and_end_in_time() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, r#"handshake_timeout = "1s""#, &origin).await;
    let address = weir.address("web");
    let begun = Instant::now();
    let mut stalled = Vec::new();
    for number in 0..40 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a hello whose rest never comes.
            socket.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
        }
        stalled.push(socket);
    }
    let client = TlsClient::new(&authority);
    client.shake_hands(address, NAME).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "others are served meanwhile"
    );
    for mut socket in stalled {
        let mut rest = Vec::new();
        within("the end of a handshake", socket.read_to_end(&mut rest))
            .await
            .ok();
    }
    assert!(begun.elapsed() >= Duration::from_millis(900));
    assert!(
        weir.stdout_line("Timeout during SSL handshake")
            .await
            .contains("web/1: ")
    );
    client.shake_hands(address, NAME).await.unwrap();
}

#[tokio::test]
async fn a_hello_that_comes_byte_by_byte_is_a_hello() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    // A proxy that cuts what it passes on into single bytes.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap();
    let target = weir.address("web");
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(target).await.unwrap();
        far.set_nodelay(true).unwrap();
        let (mut from_near, mut to_near) = near.into_split();
        let (mut from_far, mut to_far) = far.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await.ok() });
        while let Ok(byte) = from_near.read_u8().await {
            to_far.write_u8(byte).await.unwrap();
        }
    });
    let client = TlsClient::new(&authority);
    client.shake_hands(through, NAME).await.unwrap();
}

#[tokio::test]
async fn garbage_instead_of_records_ends_the_connection_and_nothing_else() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let address = weir.address("web");
    let long = [&[22, 3, 1, 0xff, 0xff][..], &[0; 20_000]].concat();
    let hostile: [&[u8]; 6] = [
        &[22, 3, 1, 0, 0],
        &[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff],
        &[22, 9, 9, 0, 1, 1],
        &[21, 3, 1, 0, 2, 2, 0],
        &[20, 3, 3, 0, 1, 1],
        &long,
    ];
    for bytes in hostile {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.ok();
        socket.shutdown().await.ok();
        let mut answer = Vec::new();
        within("the end", socket.read_to_end(&mut answer))
            .await
            .ok();
        assert!(answer.len() < 16, "no more than an alert: {answer:?}");
    }
    TlsClient::new(&authority)
        .shake_hands(address, NAME)
        .await
        .unwrap();
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_can_is_served_over_http2() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let port = weir.address("web").port();
    let resolve = format!("{NAME}:{port}:127.0.0.1");
    let ca = weir.folder().join("ca.pem");
    let url = format!("https://{NAME}:{port}/");
    for (asked, spoken) in [("--http2", "2"), ("--http1.1", "1.1"), ("--no-alpn", "1.1")] {
        let said = curl(&[
            asked,
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &resolve,
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            &url,
        ])
        .await;
        assert_eq!(said.stdout, format!("{spoken} 200"), "{asked}: {said:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_a_long_answer_unharmed() {
    let origin = Origin::start("a").await;
    let authority = Authority::new();
    let weir = proxy(&authority, "", &origin).await;
    let long: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 253) as u8).collect();
    origin.answer(weir_tests::Answer::body(long.clone()));
    let client = TlsClient::offering(&authority, &["http/1.1"]);
    let mut stream = client.connect(weir.address("web"), NAME).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut got = Vec::new();
    let mut piece = vec![0; 70_000];
    // More than the sockets between hold is still to come each time it pauses.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let n = within("some of the answer", stream.read(&mut piece)).await;
        got.extend_from_slice(&piece[..n.unwrap()]);
    }
    within("the rest", stream.read_to_end(&mut got))
        .await
        .unwrap();
    let body = got.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(got[body..] == long, "{} bytes came", got.len() - body);
}
