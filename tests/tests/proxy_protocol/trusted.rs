//! `trusted_proxies`: whose X-Forwarded-For and Forwarded are believed.

use weir_tests::{Client, Origin, Weir, simple};

const LIST: &str = "[[frontend.filter]]\nplugin = \"ip-list\"\nconfig = { deny = [\"192.0.2.66\"], at = \"request\" }";

#[tokio::test]
async fn the_client_behind_a_trusted_proxy_is_the_one_that_counts() {
    let origin = Origin::start("a").await;
    let lines = format!(
        "forwarded_for = {{ header = \"X-Client\" }}\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n{LIST}"
    );
    let weir = Weir::start(&simple(&[origin.address()], &lines, "")).await;
    let named = [("X-Forwarded-For", "1.1.1.1, 192.0.2.7, 10.0.0.9")];
    assert_eq!(weir.get_with("/", &named).await.status(), 200);
    let told = origin.requests()[0].header("x-client").map(str::to_owned);
    assert_eq!(told.as_deref(), Some("192.0.2.7"), "it is who counts");
    weir.stdout_line("192.0.2.7:0 [").await;
    let unwelcome = [("X-Forwarded-For", "192.0.2.66")];
    assert_eq!(weir.get_with("/", &unwelcome).await.status(), 403);
}

#[tokio::test]
async fn nobody_else_gets_in_under_a_false_name_or_out_of_a_true_one() {
    let origin = Origin::start("a").await;
    let lines = format!(
        "forwarded_for = {{ header = \"X-Client\" }}\ntrusted_proxies = [\"127.0.0.1\"]\n{LIST}"
    );
    let weir = Weir::start(&simple(&[origin.address()], &lines, "")).await;
    let mut stranger = Client::connect_from([127, 0, 0, 9].into(), weir.address("web")).await;
    let named = [("X-Forwarded-For", "192.0.2.66")];
    assert_eq!(stranger.get_with("/", &named).await.status(), 200);
    let requests = origin.requests();
    assert_eq!(requests[0].header("x-client"), Some("127.0.0.9"));
    // Behind the trusted proxy a client may write what it likes before its own address.
    let spoofed = [("X-Forwarded-For", "8.8.8.8, 192.0.2.66")];
    assert_eq!(weir.get_with("/", &spoofed).await.status(), 403);
}

#[tokio::test]
async fn another_field_can_be_the_one_that_is_believed() {
    let origin = Origin::start("a").await;
    let lines = format!(
        "trusted_proxies = {{ networks = [\"127.0.0.1\"], header = \"Forwarded\" }}\n{LIST}"
    );
    let weir = Weir::start(&simple(&[origin.address()], &lines, "")).await;
    let forwarded = [(
        "Forwarded",
        "for=1.1.1.1, for=\"192.0.2.66:4711\";proto=https",
    )];
    assert_eq!(weir.get_with("/", &forwarded).await.status(), 403);
    let other = [("X-Forwarded-For", "192.0.2.66")];
    assert_eq!(weir.get_with("/", &other).await.status(), 200);
}
